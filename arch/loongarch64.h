// The backend for 64-bit LoongArch with the calling convention lp64 (Linux, bare metal).
//
// 1. ABI facts
//
// From "Application Binary Interface for the LoongArch Architecture" (procedure call standard,
// DWARF):
//   * The stack grows down and `sp` is a multiple of 16 at all times.
//   * There is no red zone: memory below `sp` is not preserved.
//   * `fp` (`r22`) is the frame pointer in functions that have one, and an ordinary register, also
//     called `s9`, in others.
//   * A call leaves the return address in `ra`, not on the stack.
//   * The first three arguments of a function are in `a0`, `a1` and `a2`.
//   * `tp` is the thread pointer, and `r21` is reserved.
//   * A callee saves `s0` to `s8`, `fp`, and the low 64 bits of `fs0` to `fs7`. A switch is not a
//     call: it clobbers all of them that it does not save.
// From the compilers:
//   * `fp` points above the frame record: `-16(fp)` holds the caller's `fp` and `-8(fp)` the return
//     address. The first two words of the link record have the same form, so a frame pointer to
//     them is `record + 16`.
//   * GCC rejects a clobber of `fp` in functions that have a frame pointer. Clang keeps the address
//     of over-aligned locals in `s8` in functions that also call `alloca`, and then ignores a
//     clobber of `s8`. Both are saved by hand.
//   * GCC probes a function's frame in steps of 4 KiB (-fstack-clash-protection). Clang 21 ignores
//     that flag.
// From "LoongArch Reference Manual, Volume 1":
//   * A vector register of LSX (`vr0` to `vr31`) or of LASX (`xr0` to `xr31`) contains the
//     floating-point register of the same number. A clobber of `f0` includes `vr0` and `xr0`.
//   * `pcaddi` adds a constant to its own address, and reaches 2 MiB in both directions.
//   * A jump through `ra` is a return. A jump through `t0` is not.
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage (`tp`); the floating-point control and status register
// (`fcsr0`, of which `fcsr1` to `fcsr3` are parts); the registers of binary translation (`scr0` to
// `scr3`, and its flags), which no compiler uses.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 64  ..........     record + 64  ..........       record + 64  ..........
//   record + 56  entry          record + 56  its s8           record + 56  stale
//   record + 48  sp             record + 48  its sp           record + 48  stale
//   record + 40  start          record + 40  its resume addr  record + 40  stale
//   record + 32  record + 16    record + 32  its fp           record + 32  stale
//   record + 24  unset          record + 24  stale            record + 24  resumer's s8
//   record + 16  0              record + 16  0                record + 16  resumer's sp
//   record +  8  unset          record +  8  stale            record +  8  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's fp
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp                          ... frames ...                ... frames ...
//                               its sp                        sp
//
// `start` is `fringe_loongarch64_start`, to which the first resume jumps. It loads `ra` with the
// address of the trampoline and jumps to `entry`, whose address is in `s8`. `fp` is `record + 16`
// then, and `entry` saves it beside the return address. A walker of frame pointers therefore finds
// the record above the frame of `entry`, and above the record the frame of the resumer. The
// trampoline is never called: if it called `entry`, the CPU would predict a return that does not
// happen. `Closed` reads the word at `record + 16`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes the
// first of `s8`, `fp` and `sp`. From the last store to the jump, the switch has rules of its own
// (the window): the side being left is described by the link record, whose address is in `a1`, or
// in `a2` in `Cancel`. In `Finish` they describe the resumer, from the first instruction on, as if
// it had called the frame. To an unwinder, `entry` returns into `fringe_loongarch64_trampoline`,
// whose rules are the same with the record's address plus 16 in `fp`; they hold in
// `fringe_loongarch64_start` too. In every case the CFA is the stack pointer the compiler assumes
// at the resume address. Unwinders look up the address before a return address: an instruction
// precedes each resume address and the trampoline, so that this address is in the same function.
//
// 5. Registers
//
//   in and out      a0 (the word), a1 (the record, or null), a2 (the record, if a1 is null)
//   saved by hand   sp fp s8, and pc
//   clobbered       ra, t0-t8, a3-a7, s0-s7,
//                   fa0-fa7, ft0-ft15, fs0-fs7 (all of f0-f31, and so of vr0-vr31 and xr0-xr31),
//                   fcc0-fcc7
//   reserved        zero, tp, r21, fcsr0, scr0-scr3

#ifndef FRINGE_ARCH_LOONGARCH64_H_
#define FRINGE_ARCH_LOONGARCH64_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"
#include "link_record.h"

namespace fringe::arch {

inline constexpr size_t kStackAlignment = 16;
inline constexpr size_t kGuardBytes = 4096;
inline constexpr size_t kMinimumFrameBytes = 256;

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 32 &&
              sizeof(LinkRecord) == 64);
static_assert(offsetof(SavedRegisters, fp) == 0 && offsetof(SavedRegisters, pc) == 8 &&
              offsetof(SavedRegisters, sp) == 16 && offsetof(SavedRegisters, bp) == 24);

// The address of `fringe_loongarch64_start`. In a variable, because a program at fixed addresses
// that uses a shared library has another address for the library's functions.
extern "C" void* const fringe_loongarch64_start_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  record->generator.fp = &record->resumer.sp;  // just above the frame record
  record->generator.pc = fringe_loongarch64_start_address;
  record->generator.sp = sp;
  record->generator.bp = reinterpret_cast<void*>(entry);
  record->resumer.sp = nullptr;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("move %0, $sp" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
// All registers are listed, except fp, s8, sp, which are saved by hand, and a0, a1, a2, which are
// operands. The vector registers contain f0 to f31: they have no names of their own here.
#define FRINGE_CLOBBERS                                                       \
  "$ra", "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7", "$t8",       \
  "$a3", "$a4", "$a5", "$a6", "$a7",                                          \
  "$s0", "$s1", "$s2", "$s3", "$s4", "$s5", "$s6", "$s7",                     \
  "$f0", "$f1", "$f2", "$f3", "$f4", "$f5", "$f6", "$f7",                     \
  "$f8", "$f9", "$f10", "$f11", "$f12", "$f13", "$f14", "$f15",               \
  "$f16", "$f17", "$f18", "$f19", "$f20", "$f21", "$f22", "$f23",             \
  "$f24", "$f25", "$f26", "$f27", "$f28", "$f29", "$f30", "$f31",             \
  "$fcc0", "$fcc1", "$fcc2", "$fcc3", "$fcc4", "$fcc5", "$fcc6", "$fcc7",     \
  "memory"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of sp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x01 ra (the return address), 0x16 fp, 0x1f s8
//        fp has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
#if FRINGE_ARCH_CFI
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" side "] + %c[sp], 0x06\n\t"            \
  ".cfi_escape 0x10, 0x01, 2, %c[breg], %c[" side "] + %c[pc]\n\t"            \
  ".cfi_escape 0x10, 0x16, 4, %c[breg], %c[" side "] + %c[fp], 0x23, 0x00\n\t"\
  ".cfi_escape 0x10, 0x1f, 2, %c[breg], %c[" side "] + %c[bp]\n\t"
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "ld.d $s8, %[base], %c[next] + %c[bp]\n\t"                                  \
  "ld.d $fp, %[base], %c[next] + %c[fp]\n\t"                                  \
  "ld.d $t0, %[base], %c[next] + %c[pc]\n\t"                                  \
  "ld.d $sp, %[base], %c[next] + %c[sp]\n\t"                                  \
  "jr $t0\n\t"                                                                \
  FRINGE_WINDOW_END

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: a0 is the word, a1 the
// record or null, sp, fp and s8 are as saved here, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  "pcaddi $t0, %%pcrel_20(0f)\n\t"                                            \
  "st.d $fp, %[base], %c[left] + %c[fp]\n\t"                                  \
  "st.d $t0, %[base], %c[left] + %c[pc]\n\t"                                  \
  "st.d $sp, %[base], %c[left] + %c[sp]\n\t"                                  \
  "st.d $s8, %[base], %c[left] + %c[bp]\n\t"                                  \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nop  # unwinders look up the address before the resume address\n"          \
  "0:\n\t"

#define FRINGE_OFFSETS                                                        \
  [fp] "i"(offsetof(SavedRegisters, fp)),                                     \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [sp] "i"(offsetof(SavedRegisters, sp)),                                     \
  [bp] "i"(offsetof(SavedRegisters, bp))
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregA1 = 0x75, kDwOpBregA2 = 0x76 };

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  register uintptr_t a0 asm("$a0") = word;
  register LinkRecord* a1 asm("$a1") = kCancels ? nullptr : record;
  if constexpr (kCancels) {
    register LinkRecord* a2 asm("$a2") = record;
    asm volatile(
        FRINGE_SWITCH
        : "+r"(a0), "+r"(a1), [base] "+r"(a2)
        : [breg] "i"(kDwOpBregA2), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{a0, a1}, a2};
  } else {
    register LinkRecord* a2 asm("$a2");
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
  register uintptr_t a0 asm("$a0") = word;
  register LinkRecord* a1 asm("$a1") = nullptr;
  register LinkRecord* a2 asm("$a2") = record;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  asm volatile(
      FRINGE_WINDOW("next") FRINGE_CONTINUE
      :
      : "r"(a0),
        "r"(a1), [base] "r"(a2), [breg] "i"(kDwOpBregA2), [next] "i"(kOffset<Side::kResumer>),
        FRINGE_OFFSETS
      : "memory");
  __builtin_unreachable();
}

#undef FRINGE_CLOBBERS
#undef FRINGE_WINDOW
#undef FRINGE_WINDOW_END
#undef FRINGE_CONTINUE
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_LOONGARCH64_H_
