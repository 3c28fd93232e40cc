// The backend for 64-bit PowerPC, little-endian, with the ELFv2 ABI (Linux, FreeBSD, bare metal).
//
// 1. ABI facts
//
// From "64-Bit ELF V2 ABI Specification: Power Architecture" (stack frame, DWARF):
//   * The stack grows down and `r1` is a multiple of 16 at all times.
//   * `r1` points to the frame's header: `0(r1)` is the back chain, the address of the caller's
//     header. A callee saves in the header of its *caller* the condition register at `8` and the
//     return address at `16`; at `24` a call to another module saves the caller's `r2`.
//   * There is a red zone: the 288 bytes below `r1` belong to the running function.
//   * `r31` is the frame pointer in functions that have one. Walkers follow the back chain
//     instead: the first words of the link record have the form of a header.
//   * A call leaves the return address in `lr`, not on the stack.
//   * The first three arguments of a function are in `r3`, `r4` and `r5`.
//   * `r2` is the address of the module's table of contents (TOC). A function that is called by its
//     address finds that address in `r12`, and computes its `r2` from it.
//   * `r13` is the thread pointer.
//   * A callee saves `r14` to `r31`, `f14` to `f31`, `v20` to `v31` and `cr2` to `cr4`. A switch
//     is not a call: it clobbers all of them that it does not save.
// From the compilers:
//   * GCC rejects a clobber of `r31` in functions that have a frame pointer. Clang addresses the
//     locals of a function by `r30` if one of them is over-aligned, and then ignores a clobber of
//     `r30`; GCC keeps a TOC there under -mminimal-toc. Both are saved by hand.
//   * A clobber of `r2` is ignored. The two sides may be in different modules, so it is saved by
//     hand as well.
//   * A function's frame is probed in steps of 4 KiB (-fstack-clash-protection).
// From "Power ISA":
//   * A `bcl 20, 31` to the next instruction reads the program counter, and is not predicted as a
//     call.
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage (`r13`); the floating-point status and control register
// (`fpscr`); that of vectors (`vscr`) and `vrsave`; the state of transactional memory.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 96  ..........     record + 96  ..........       record + 96  ..........
//   record + 88  entry          record + 88  its r30          record + 88  stale
//   record + 80  record         record + 80  its r31          record + 80  stale
//   record + 72  unset          record + 72  its r2           record + 72  stale
//   record + 64  start          record + 64  its resume addr  record + 64  stale
//   record + 56  sp - 32        record + 56  its sp           record + 56  stale
//   record + 48  unset          record + 48  unset            record + 48  unset
//   record + 40  unset          record + 40  stale            record + 40  resumer's r30
//   record + 32  unset          record + 32  stale            record + 32  resumer's r31
//   record + 24  unset          record + 24  stale            record + 24  resumer's r2
//   record + 16  unset          record + 16  stale            record + 16  resumer's resume addr
//   record +  8  0              record +  8  0                record +  8  resumer's sp
//   record +  0  unset          record +  0  stale            record +  0  resumer's back chain
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp -  8      unset          sp -  8      unset            sp -  8      unset
//   sp - 16      unset          sp - 16      trampoline       sp - 16      trampoline
//   sp - 24      unset          sp - 24      entry's cr       sp - 24      entry's cr
//   sp - 32      record         sp - 32      record           sp - 32      record
//                               ... frames ...                ... frames ...
//                               its sp                        sp
//
// `start` is `fringe_ppc64le_start`, to which the first resume jumps. It loads `lr` with the
// address of the trampoline and `r12` with `entry`, whose address is in `r30`, and jumps there.
// `entry` finds a header above its frame, as any function does, and saves `lr` in it. A walker of
// the back chain therefore finds the trampoline above `entry`, then the record as the header of
// the resumer's frame, with its resume address, and then the header of the frame's caller. (If the
// resumer is a function without a frame, its caller is missing: nothing tells the two apart.) The
// trampoline is never called: if it called `entry`, the CPU would predict a return that does not
// happen. `r31` is `record` when `entry` begins. `Closed` reads the word at `record + 8`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes the
// first of `r30`, `r31`, `r2` and `r1`. From the last store to the jump, the switch has rules of
// its own (the window): the side being left is described by the link record, whose address is in
// `r4`, or in `r5` in `Cancel`. In `Finish` they describe the resumer, from the first instruction
// on, as if it had called the frame. To an unwinder, `entry` returns into
// `fringe_ppc64le_trampoline`, whose rules are the same with the record's address in `r31`; they
// hold in `fringe_ppc64le_start` too. In every case the CFA is the stack pointer the compiler
// assumes at the resume address. Unwinders look up the address before a return address: an
// instruction precedes each resume address and the trampoline, so that this address is in the same
// function.
//
// 5. Registers
//
//   in and out      r3 (the word), r4 (the record, or null), r5 (the record, if r4 is null)
//   saved by hand   r1 r2 r30 r31, and the program counter
//   clobbered       r0, r6-r12, r14-r29, lr, ctr, xer, cr0-7,
//                   vs0-31 (with f0-31), v0-31 (which are vs32-63)
//   reserved        r13 (thread pointer), fpscr, vscr, vrsave

#ifndef FRINGE_ARCH_PPC64LE_H_
#define FRINGE_ARCH_PPC64LE_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"
#include "link_record.h"

namespace fringe::arch {

inline constexpr size_t kStackAlignment = 16;
inline constexpr size_t kGuardBytes = 4096;
inline constexpr size_t kMinimumFrameBytes = 1024;

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 48 &&
              sizeof(LinkRecord) == 128);
static_assert(offsetof(SavedRegisters, back_chain) == 0 && offsetof(SavedRegisters, sp) == 8 &&
              offsetof(SavedRegisters, pc) == 16 && offsetof(SavedRegisters, toc) == 24 &&
              offsetof(SavedRegisters, fp) == 32 && offsetof(SavedRegisters, bp) == 40);

// The least that the ABI requires at a function's stack pointer when it calls another.
struct FrameHeader {
  void* back_chain;
  void* cr;
  void* lr;
  void* toc;
};

static_assert(sizeof(FrameHeader) == 32 &&
              offsetof(SavedRegisters, back_chain) == offsetof(FrameHeader, back_chain) &&
              offsetof(SavedRegisters, pc) == offsetof(FrameHeader, lr) &&
              offsetof(SavedRegisters, toc) == offsetof(FrameHeader, toc));

// The address of `fringe_ppc64le_start`. In a variable, because a program at fixed addresses that
// uses a shared library has another address for the library's functions.
extern "C" void* const fringe_ppc64le_start_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void* const header = sp - sizeof(FrameHeader);
  static_cast<FrameHeader*>(header)->back_chain = record;
  record->generator.sp = header;
  record->generator.pc = fringe_ppc64le_start_address;
  record->generator.fp = record;
  record->generator.bp = reinterpret_cast<void*>(entry);
  record->resumer.sp = nullptr;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("mr %0, 1" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
// Every register of floats and vectors, whatever the file has: the statement is inlined into
// functions whose `target` attribute gives them more. All registers are listed, except r1, r2,
// r30, r31, which are saved by hand, and r3, r4, r5, which are operands.
#define FRINGE_CLOBBERS                                                       \
  "r0", "r6", "r7", "r8", "r9", "r10", "r11", "r12",                          \
  "r14", "r15", "r16", "r17", "r18", "r19", "r20", "r21",                     \
  "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29",                     \
  "lr", "ctr", "xer",                                                         \
  "cr0", "cr1", "cr2", "cr3", "cr4", "cr5", "cr6", "cr7",                     \
  "vs0", "vs1", "vs2", "vs3", "vs4", "vs5", "vs6", "vs7",                     \
  "vs8", "vs9", "vs10", "vs11", "vs12", "vs13", "vs14", "vs15",               \
  "vs16", "vs17", "vs18", "vs19", "vs20", "vs21", "vs22", "vs23",             \
  "vs24", "vs25", "vs26", "vs27", "vs28", "vs29", "vs30", "vs31",             \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",                             \
  "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",                       \
  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",                     \
  "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",                     \
  "memory"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`. An offset is a signed LEB128 number, in two bytes.
//   0x0f DW_CFA_def_cfa_expression, length 4: breg, offset of sp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 3: breg, offset
//        registers: 0x41 lr (the return address), 0x02 r2, 0x1f r31, 0x1e r30
#if FRINGE_ARCH_CFI
#define FRINGE_LEB(side, word)                                                \
  "((%c[" side "] + %c[" word "]) & 0x7f) | 0x80, (%c[" side "] + %c[" word "]) >> 7"
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 4, %c[breg], " FRINGE_LEB(side, "sp") ", 0x06\n\t"       \
  ".cfi_escape 0x10, 0x41, 3, %c[breg], " FRINGE_LEB(side, "pc") "\n\t"       \
  ".cfi_escape 0x10, 0x02, 3, %c[breg], " FRINGE_LEB(side, "toc") "\n\t"      \
  ".cfi_escape 0x10, 0x1f, 3, %c[breg], " FRINGE_LEB(side, "fp") "\n\t"       \
  ".cfi_escape 0x10, 0x1e, 3, %c[breg], " FRINGE_LEB(side, "bp") "\n\t"
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "ld 11, %c[next] + %c[pc](%[base])\n\t"                                     \
  "ld 30, %c[next] + %c[bp](%[base])\n\t"                                     \
  "ld 31, %c[next] + %c[fp](%[base])\n\t"                                     \
  "mtctr 11\n\t"                                                              \
  "ld 2, %c[next] + %c[toc](%[base])\n\t"                                     \
  "ld 1, %c[next] + %c[sp](%[base])\n\t"                                      \
  "bctr\n\t"                                                                  \
  FRINGE_WINDOW_END

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: r3 is the word, r4 the
// record or null, r1, r2, r31 and r30 are as saved here, and all others are unknown.
// Walkers of the back chain look for it in the resumer's words: the generator's have none.
#define FRINGE_SWITCH                                                         \
  ".if %c[left] == %c[resumer]\n\t"                                           \
  "ld 12, 0(1)\n\t"                                                           \
  "std 12, %c[left] + %c[back_chain](%[base])\n\t"                            \
  ".endif\n\t"                                                                \
  "bcl 20, 31, 1f\n"                                                          \
  "1:\n\t"                                                                    \
  "mflr 11\n\t"                                                               \
  "addi 11, 11, 0f - 1b\n\t"                                                  \
  "std 1, %c[left] + %c[sp](%[base])\n\t"                                     \
  "std 11, %c[left] + %c[pc](%[base])\n\t"                                    \
  "std 2, %c[left] + %c[toc](%[base])\n\t"                                    \
  "std 31, %c[left] + %c[fp](%[base])\n\t"                                    \
  "std 30, %c[left] + %c[bp](%[base])\n\t"                                    \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nop  # unwinders look up the address before the resume address\n"          \
  "0:\n\t"

#define FRINGE_OFFSETS                                                        \
  [resumer] "i"(offsetof(LinkRecord, resumer)),                               \
  [back_chain] "i"(offsetof(SavedRegisters, back_chain)),                     \
  [sp] "i"(offsetof(SavedRegisters, sp)),                                     \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [toc] "i"(offsetof(SavedRegisters, toc)),                                   \
  [fp] "i"(offsetof(SavedRegisters, fp)),                                     \
  [bp] "i"(offsetof(SavedRegisters, bp))
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregR4 = 0x74, kDwOpBregR5 = 0x75 };

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  register uintptr_t r3 asm("r3") = word;
  register LinkRecord* r4 asm("r4") = kCancels ? nullptr : record;
  if constexpr (kCancels) {
    register LinkRecord* r5 asm("r5") = record;
    asm volatile(
        FRINGE_SWITCH
        : "+r"(r3), "+r"(r4), [base] "+b"(r5)
        : [breg] "i"(kDwOpBregR5), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{r3, r4}, r5};
  } else {
    register LinkRecord* r5 asm("r5");
    asm volatile(
        FRINGE_SWITCH
        : "+r"(r3), [base] "+b"(r4), "=r"(r5)
        : [breg] "i"(kDwOpBregR4), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{r3, r4}, r5};
  }
}

[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  register uintptr_t r3 asm("r3") = word;
  register LinkRecord* r4 asm("r4") = nullptr;
  register LinkRecord* r5 asm("r5") = record;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  asm volatile(
      FRINGE_WINDOW("next") FRINGE_CONTINUE
      :
      : "r"(r3),
        "r"(r4), [base] "b"(r5), [breg] "i"(kDwOpBregR5), [next] "i"(kOffset<Side::kResumer>),
        FRINGE_OFFSETS
      : "memory");
  __builtin_unreachable();
}

#undef FRINGE_CLOBBERS
#undef FRINGE_LEB
#undef FRINGE_WINDOW
#undef FRINGE_WINDOW_END
#undef FRINGE_CONTINUE
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_PPC64LE_H_
