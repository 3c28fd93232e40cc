// The backend for 64-bit MIPS with the n64 calling convention (Linux).
//
// 1. ABI facts
//
// From "MIPSpro N32 ABI Handbook" (which n64 shares except for the size of a pointer) and "MIPS
// Architecture for Programmers, Volume II-A":
//   * The stack grows down and `$sp` is a multiple of 16 at all times.
//   * There is no red zone: memory below `$sp` is not preserved.
//   * `$fp` is the frame pointer in functions that have one. It points to no record of any form:
//     a function's saved registers are at offsets that only its CFI knows.
//   * A call leaves the return address in `$ra`, not on the stack.
//   * The first three arguments of a function are in `$a0`, `$a1` and `$a2`.
//   * `$gp` is the address from which a module's global offset table is read. A function that uses
//     it is called by its address in `$t9`, computes its `$gp` from that, and saves the caller's.
//   * `$k0` and `$k1` belong to the kernel. The thread pointer is read by `rdhwr`.
//   * A callee saves `$s0` to `$s7`, `$gp`, `$fp` and `$f24` to `$f31`. A switch is not a call: it
//     clobbers all of them that it does not save.
//   * The instruction after a jump or branch (its delay slot) is executed before the jump takes
//     effect. An interrupt never separates the two: the interrupted address is that of the jump.
// From the compilers:
//   * GCC rejects a clobber of `$fp` in functions that have a frame pointer, and of `$gp` in
//     position-independent code. Clang keeps the address of over-aligned locals in `$s7` in
//     functions that also call `alloca`, and then ignores a clobber of `$s7`. All are saved by
//     hand.
//   * Without -mabicalls, `$gp` is the same for a whole program, and no function computes it. So
//     `Init` stores the present one for the generator.
//   * A function's frame is probed in steps of 4 KiB (-fstack-clash-protection).
//
// The program counter is read by a call that is never taken: `bltzal $0` sets `$ra` to the address
// after its delay slot. Its other name is `nal`, the only one from release 6 of the architecture
// on.
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage; the floating-point control and status register (`fcsr`)
// except its condition bits; that of vectors (`msacsr`); `dspctl`; `$k0` and `$k1`; the registers
// of coprocessors 0 and 2.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 80  ..........     record + 80  ..........       record + 80  ..........
//   record + 72  Init's $gp     record + 72  its $gp          record + 72  stale
//   record + 64  entry          record + 64  its $s7          record + 64  stale
//   record + 56  sp             record + 56  its $sp          record + 56  stale
//   record + 48  start          record + 48  its resume addr  record + 48  stale
//   record + 40  record         record + 40  its $fp          record + 40  stale
//   record + 32  unset          record + 32  stale            record + 32  resumer's $gp
//   record + 24  unset          record + 24  stale            record + 24  resumer's $s7
//   record + 16  0              record + 16  0                record + 16  resumer's $sp
//   record +  8  unset          record +  8  stale            record +  8  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's $fp
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp                          ... frames ...                ... frames ...
//                               its $sp                       $sp
//
// `start` is `fringe_mips64_start`, to which the first resume jumps by `$t9`. It computes `$ra`,
// the address of the trampoline, from `$t9`, and jumps to `entry`, whose address is in `$s7`, by
// `$t9`. The trampoline is never called: if it called `entry`, the CPU would predict a return that
// does not happen. `$fp` is `record` when `entry` begins. No walker of frame pointers works on this
// CPU: they point to no records. `Closed` reads the word at `record + 16`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes the first
// of `$fp`, `$s7`, `$gp` and `$sp`. From the last store to the jump and its delay slot, the switch
// has rules of its own (the window): the side being left is described by the link record, whose
// address is in `$a1`, or in `$a2` in `Cancel`. In `Finish` they describe the resumer, from the
// first instruction on, as if it had called the frame. To an unwinder, `entry` returns into
// `fringe_mips64_trampoline`, whose rules are the same with the record's address in `$fp`; they
// hold in `fringe_mips64_start` too. In every case the CFA is the stack pointer the compiler
// assumes at the resume address. Unwinders look up the address before a return address: an
// instruction precedes each resume address and the trampoline, so that this address is in the same
// function.
//
// 5. Registers
//
//   in and out      $4 ($a0: the word), $5 ($a1: the record, or null),
//                   $6 ($a2: the record, if $a1 is null)
//   saved by hand   $23 ($s7) $28 ($gp) $29 ($sp) $30 ($fp), and the program counter
//   clobbered       $1 ($at), $2-$3 ($v0-$v1), $7-$11 ($a3-$a7), $12-$15 ($t0-$t3),
//                   $16-$22 ($s0-$s6), $24-$25 ($t8-$t9), $31 ($ra), hi, lo,
//                   $f0-$f31 (which are the lower halves of $w0-$w31), $fcc0-$fcc7,
//                   $ac1-$ac3 (GCC: if the file has DSP)
//   reserved        $0, $26-$27 ($k0-$k1), fcsr, msacsr, dspctl

#ifndef FRINGE_ARCH_MIPS64_H_
#define FRINGE_ARCH_MIPS64_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"
#include "link_record.h"

#if defined(__mips_micromips) || defined(__mips16)
#error "fringe needs MIPS64 code: compile without -mmicromips and -mips16."
#endif
#if !defined(__mips_isa_rev)
#error "fringe needs MIPS64: compile with -march=mips64 or a newer CPU."
#endif

namespace fringe::arch {

inline constexpr size_t kStackAlignment = 16;
inline constexpr size_t kGuardBytes = 4096;
inline constexpr size_t kMinimumFrameBytes = 512;

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 40 &&
              sizeof(LinkRecord) == 128);
static_assert(offsetof(SavedRegisters, fp) == 0 && offsetof(SavedRegisters, pc) == 8 &&
              offsetof(SavedRegisters, sp) == 16 && offsetof(SavedRegisters, bp) == 24 &&
              offsetof(SavedRegisters, gp) == 32);

// The address of `fringe_mips64_start`. In a variable, because a program at fixed addresses that
// uses a shared library has another address for the library's functions.
extern "C" void* const fringe_mips64_start_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void* gp;
  asm volatile("move %0, $28" : "=r"(gp));
  record->generator.fp = record;
  record->generator.pc = fringe_mips64_start_address;
  record->generator.sp = sp;
  record->generator.bp = reinterpret_cast<void*>(entry);
  record->generator.gp = gp;
  record->resumer.sp = nullptr;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("move %0, $29" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
// A vector register contains the float of its number, and the compilers know it. Clang 14 crashes
// on the name of a register that the file lacks if it is a vector, or a float under -msoft-float.
// GCC rejects such names of accumulators and condition bits, and `hi` and `lo` in release 6, which
// has none.
#if defined(__mips_hard_float)
#define FRINGE_CLOBBERS_FLOATS                                                \
  "$f0", "$f1", "$f2", "$f3", "$f4", "$f5", "$f6", "$f7",                     \
  "$f8", "$f9", "$f10", "$f11", "$f12", "$f13", "$f14", "$f15",               \
  "$f16", "$f17", "$f18", "$f19", "$f20", "$f21", "$f22", "$f23",             \
  "$f24", "$f25", "$f26", "$f27", "$f28", "$f29", "$f30", "$f31",
#else
#define FRINGE_CLOBBERS_FLOATS
#endif
#if __mips_isa_rev < 6
#define FRINGE_CLOBBERS_PRODUCTS                                              \
  "hi", "lo",
#else
#define FRINGE_CLOBBERS_PRODUCTS
#endif
#if defined(__mips_hard_float) && __mips_isa_rev < 6
#define FRINGE_CLOBBERS_CONDITIONS                                            \
  "$fcc0", "$fcc1", "$fcc2", "$fcc3", "$fcc4", "$fcc5", "$fcc6", "$fcc7",
#else
#define FRINGE_CLOBBERS_CONDITIONS
#endif
#if defined(__clang__) || defined(__mips_dsp)
#define FRINGE_CLOBBERS_ACCUMULATORS                                          \
  "$ac1hi", "$ac1lo", "$ac2hi", "$ac2lo", "$ac3hi", "$ac3lo",
#else
#define FRINGE_CLOBBERS_ACCUMULATORS
#endif
// All registers are listed, except $23, $28, $29, $30, which are saved by hand, and $4, $5, $6,
// which are operands.
#define FRINGE_CLOBBERS                                                       \
  "$1", "$2", "$3",                                                           \
  "$7", "$8", "$9", "$10", "$11",                                             \
  "$12", "$13", "$14", "$15", "$24", "$25",                                   \
  "$16", "$17", "$18", "$19", "$20", "$21", "$22",                            \
  "$31",                                                                      \
  FRINGE_CLOBBERS_PRODUCTS                                                    \
  FRINGE_CLOBBERS_FLOATS                                                      \
  FRINGE_CLOBBERS_CONDITIONS                                                  \
  FRINGE_CLOBBERS_ACCUMULATORS                                                \
  "memory"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`. An offset is a signed LEB128 number, in two bytes.
//   0x0f DW_CFA_def_cfa_expression, length 4: breg, offset of $sp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 3: breg, offset
//        registers: 0x1f $ra (the return address), 0x1e $fp, 0x17 $s7, 0x1c $gp
#if FRINGE_ARCH_CFI
#define FRINGE_LEB(side, word)                                                \
  "((%c[" side "] + %c[" word "]) & 0x7f) | 0x80, (%c[" side "] + %c[" word "]) >> 7"
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 4, %c[breg], " FRINGE_LEB(side, "sp") ", 0x06\n\t"       \
  ".cfi_escape 0x10, 0x1f, 3, %c[breg], " FRINGE_LEB(side, "pc") "\n\t"       \
  ".cfi_escape 0x10, 0x1e, 3, %c[breg], " FRINGE_LEB(side, "fp") "\n\t"       \
  ".cfi_escape 0x10, 0x17, 3, %c[breg], " FRINGE_LEB(side, "bp") "\n\t"       \
  ".cfi_escape 0x10, 0x1c, 3, %c[breg], " FRINGE_LEB(side, "gp") "\n\t"
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif

// Delay slots are as written here, not as the assembler would arrange them.
#define FRINGE_AS_WRITTEN                                                     \
  ".set push\n\t"                                                             \
  ".set noreorder\n\t"

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "ld $28, %c[next] + %c[gp](%[base])\n\t"                                    \
  "ld $23, %c[next] + %c[bp](%[base])\n\t"                                    \
  "ld $30, %c[next] + %c[fp](%[base])\n\t"                                    \
  "ld $25, %c[next] + %c[pc](%[base])\n\t"                                    \
  "jr $25\n\t"                                                                \
  "ld $29, %c[next] + %c[sp](%[base])  # in the delay slot\n\t"               \
  FRINGE_WINDOW_END

// Reads the program counter.
#if __mips_isa_rev >= 6
#define FRINGE_LINK                                                           \
  ".word 0x04100000  # nal, which Clang 14 lacks\n\t"
#else
#define FRINGE_LINK                                                           \
  "bltzal $0, 0f\n\t"
#endif

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: $4 is the word, $5 the
// record or null, $23, $28, $29 and $30 are as saved here, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  FRINGE_AS_WRITTEN                                                           \
  FRINGE_LINK                                                                 \
  "sd $30, %c[left] + %c[fp](%[base])  # in the delay slot\n"                 \
  "1:\n\t"                                                                    \
  "daddiu $25, $31, %%lo(0f - 1b)\n\t"                                        \
  "sd $25, %c[left] + %c[pc](%[base])\n\t"                                    \
  "sd $29, %c[left] + %c[sp](%[base])\n\t"                                    \
  "sd $23, %c[left] + %c[bp](%[base])\n\t"                                    \
  "sd $28, %c[left] + %c[gp](%[base])\n\t"                                    \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nop  # unwinders look up the address before the resume address\n"          \
  "0:\n\t"                                                                    \
  ".set pop\n\t"

#define FRINGE_OFFSETS                                                        \
  [fp] "i"(offsetof(SavedRegisters, fp)),                                     \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [sp] "i"(offsetof(SavedRegisters, sp)),                                     \
  [bp] "i"(offsetof(SavedRegisters, bp)),                                     \
  [gp] "i"(offsetof(SavedRegisters, gp))
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregA1 = 0x75, kDwOpBregA2 = 0x76 };

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  register uintptr_t a0 asm("$4") = word;
  register LinkRecord* a1 asm("$5") = kCancels ? nullptr : record;
  if constexpr (kCancels) {
    register LinkRecord* a2 asm("$6") = record;
    asm volatile(
        FRINGE_SWITCH
        : "+r"(a0), "+r"(a1), [base] "+r"(a2)
        : [breg] "i"(kDwOpBregA2), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{a0, a1}, a2};
  } else {
    register LinkRecord* a2 asm("$6");
    asm volatile(
        FRINGE_SWITCH
        : "+r"(a0), [base] "+r"(a1), "=r"(a2)
        : [breg] "i"(kDwOpBregA1), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{a0, a1}, a2};
  }
}

[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  register uintptr_t a0 asm("$4") = word;
  register LinkRecord* a1 asm("$5") = nullptr;
  register LinkRecord* a2 asm("$6") = record;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  asm volatile(
      FRINGE_AS_WRITTEN FRINGE_WINDOW("next") FRINGE_CONTINUE ".set pop"
      :
      : "r"(a0),
        "r"(a1), [base] "r"(a2), [breg] "i"(kDwOpBregA2), [next] "i"(kOffset<Side::kResumer>),
        FRINGE_OFFSETS
      : "memory");
  __builtin_unreachable();
}

#undef FRINGE_CLOBBERS_FLOATS
#undef FRINGE_CLOBBERS_PRODUCTS
#undef FRINGE_CLOBBERS_CONDITIONS
#undef FRINGE_CLOBBERS_ACCUMULATORS
#undef FRINGE_CLOBBERS
#undef FRINGE_LEB
#undef FRINGE_WINDOW
#undef FRINGE_WINDOW_END
#undef FRINGE_AS_WRITTEN
#undef FRINGE_LINK
#undef FRINGE_CONTINUE
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_MIPS64_H_
