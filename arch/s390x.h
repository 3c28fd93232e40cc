// The backend for 64-bit z/Architecture with the ELF ABI s390x (Linux), which is
// big-endian.
//
// 1. ABI facts
//
// From "ELF Application Binary Interface s390x Supplement" (stack frame, DWARF):
//   * The stack grows down and `r15` is a multiple of 8 at all times. No type is aligned to more.
//   * There is no red zone: memory below `r15` is not preserved.
//   * The 160 bytes above `r15` belong to the callee, which saves registers in them. The word at
//     `0(r15)` is the back chain, which is kept under -mbackchain only.
//   * `r11` is the frame pointer in functions that have one. It points to no record of any form.
//   * A call leaves the return address in `r14`, not on the stack.
//   * The first three arguments of a function are in `r2`, `r3` and `r4`.
//   * `r12` is the address of the global offset table, and `r13` that of the function's constants,
//     if a function uses them.
//   * The access registers `a0` and `a1` are the thread pointer.
//   * A callee saves `r6` to `r13` and `f8` to `f15`. A switch is not a call: it clobbers all of
//     them that it does not save.
//   * The CFA is the stack pointer at the call plus 160.
// From the compilers:
//   * GCC rejects a clobber of `r11` in functions that have a frame pointer, and of `r12` in
//     position-independent code; it may need `r13` for constants. All are saved by hand: one
//     instruction saves `r11` to `r15`.
//   * Clang has no base pointer here.
//   * A function's frame is probed in steps of 4 KiB (-fstack-clash-protection).
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage (`a0`, `a1`) and the other access registers; the
// floating-point control register (`fpc`); the program mask; the state of transactional execution.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 80  ..........     record + 80  ..........       record + 80  ..........
//   record + 72  sp - 160       record + 72  its r15          record + 72  stale
//   record + 64  start          record + 64  its resume addr  record + 64  stale
//   record + 56  unset          record + 56  its r13          record + 56  stale
//   record + 48  entry          record + 48  its r12          record + 48  stale
//   record + 40  record         record + 40  its r11          record + 40  stale
//   record + 32  0              record + 32  0                record + 32  resumer's r15
//   record + 24  unset          record + 24  stale            record + 24  resumer's resume addr
//   record + 16  unset          record + 16  stale            record + 16  resumer's r13
//   record +  8  unset          record +  8  stale            record +  8  resumer's r12
//   record +  0  unset          record +  0  stale            record +  0  resumer's r11
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp - 152     unset          sp - 152     entry's saves    sp - 152     entry's saves
//   sp - 160     0              sp - 160     0                sp - 160     0
//                               ... frames ...                ... frames ...
//                               its r15                       r15
//
// `start` is `fringe_s390x_start`, to which the first resume jumps. It loads `r14` with the
// address of the trampoline and jumps to `entry`, whose address is in `r12`. `entry` finds an area
// for its registers above its frame, as any function does. The back chain ends there: a walker of
// it would look for the resume address in the area above the resumer's `r15`, where a resumer
// without a frame has saved its own registers. The trampoline is never called: if it called
// `entry`, the CPU would predict a return that does not happen. `r11` is `record` when `entry`
// begins. `Closed` reads the word at `record + 32`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes `r11` to
// `r15`. From the store to the jump, the switch has rules of its own (the window): the side being
// left is described by the link record, whose address is in `r3`, or in `r4` in `Cancel`. In
// `Finish` they describe the resumer, from the first instruction on, as if it had called the
// frame. To an unwinder, `entry` returns into `fringe_s390x_trampoline`, whose rules are the same
// with the record's address in `r11`; they hold in `fringe_s390x_start` too. In every case the CFA
// is 160 bytes above the stack pointer the compiler assumes at the resume address, and that stack
// pointer has a rule of its own. Unwinders look up the address before a return address: an
// instruction precedes each resume address and the trampoline, so that this address is in the same
// function.
//
// 5. Registers
//
//   in and out      r2 (the word), r3 (the record, or null), r4 (the record, if r3 is null)
//   saved by hand   r11 r12 r13 r15, and the program counter in place of r14
//   clobbered       r0, r1, r5-r10, r14,
//                   f0-15, v0-31 (which contain them), the condition code
//   reserved        a0 and a1 (thread pointer), a2-a15, fpc, the control registers

#ifndef FRINGE_ARCH_S390X_H_
#define FRINGE_ARCH_S390X_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"
#include "link_record.h"

namespace fringe::arch {

inline constexpr size_t kStackAlignment = 8;
inline constexpr size_t kGuardBytes = 4096;
inline constexpr size_t kMinimumFrameBytes = 1024;

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 40 &&
              sizeof(LinkRecord) == 128);
static_assert(offsetof(SavedRegisters, fp) == 0 && offsetof(SavedRegisters, got) == 8 &&
              offsetof(SavedRegisters, literals) == 16 && offsetof(SavedRegisters, pc) == 24 &&
              offsetof(SavedRegisters, sp) == 32);

// The area that the ABI requires at a function's stack pointer when it calls another.
struct RegisterSaveArea {
  void* back_chain;
  void* registers[19];
};

static_assert(sizeof(RegisterSaveArea) == 160);

// The address of `fringe_s390x_start`. In a variable, because a program at fixed addresses that
// uses a shared library has another address for the library's functions.
extern "C" void* const fringe_s390x_start_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void* const area = sp - sizeof(RegisterSaveArea);
  static_cast<RegisterSaveArea*>(area)->back_chain = nullptr;
  record->generator.fp = record;
  record->generator.got = reinterpret_cast<void*>(entry);
  record->generator.pc = fringe_s390x_start_address;
  record->generator.sp = area;
  record->resumer.sp = nullptr;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("lgr %0, %%r15" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
// Every vector register, whatever the file has: the statement is inlined into functions whose
// `target` attribute gives them the vector facility. The floats are in them. (For a clobber of v8
// alone, Clang does not save the half that a callee must.) All registers are listed, except r11,
// r12, r13, r15, which are saved by hand, and r2, r3, r4, which are operands.
#define FRINGE_CLOBBERS                                                       \
  "r0", "r1", "r5",                                                           \
  "r6", "r7", "r8", "r9", "r10", "r14",                                       \
  "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7",                             \
  "f8", "f9", "f10", "f11", "f12", "f13", "f14", "f15",                       \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",                             \
  "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",                       \
  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",                     \
  "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",                     \
  "cc", "memory"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`. An offset is a signed LEB128 number, in two bytes.
//   0x0f DW_CFA_def_cfa_expression, length 7: breg, offset of r15, 0x06 DW_OP_deref,
//        0x23 DW_OP_plus_uconst 160
//   0x10 DW_CFA_expression, register, length 3: breg, offset
//        registers: 0x0b r11, 0x0c r12, 0x0d r13, 0x0e r14 (the return address), 0x0f r15
#if FRINGE_ARCH_CFI
#define FRINGE_LEB(side, word)                                                \
  "((%c[" side "] + %c[" word "]) & 0x7f) | 0x80, (%c[" side "] + %c[" word "]) >> 7"
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 7, %c[breg], " FRINGE_LEB(side, "sp") ", 0x06, "         \
  "0x23, 0xa0, 0x01\n\t"                                                      \
  ".cfi_escape 0x10, 0x0b, 3, %c[breg], " FRINGE_LEB(side, "fp") "\n\t"       \
  ".cfi_escape 0x10, 0x0c, 3, %c[breg], " FRINGE_LEB(side, "got") "\n\t"      \
  ".cfi_escape 0x10, 0x0d, 3, %c[breg], " FRINGE_LEB(side, "literals") "\n\t" \
  ".cfi_escape 0x10, 0x0e, 3, %c[breg], " FRINGE_LEB(side, "pc") "\n\t"       \
  ".cfi_escape 0x10, 0x0f, 3, %c[breg], " FRINGE_LEB(side, "sp") "\n\t"
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "lmg %%r11, %%r15, %c[next] + %c[fp](%[base])\n\t"                          \
  "br %%r14\n\t"                                                              \
  FRINGE_WINDOW_END

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: r2 is the word, r3 the
// record or null, r11, r12, r13 and r15 are as that side saved them, r14 is the address of the
// label, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  "larl %%r14, 0f\n\t"                                                        \
  "stmg %%r11, %%r15, %c[left] + %c[fp](%[base])\n\t"                         \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nopr %%r7  # unwinders look up the address before the resume address\n"    \
  "0:\n\t"

#define FRINGE_OFFSETS                                                        \
  [fp] "i"(offsetof(SavedRegisters, fp)),                                     \
  [got] "i"(offsetof(SavedRegisters, got)),                                   \
  [literals] "i"(offsetof(SavedRegisters, literals)),                         \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [sp] "i"(offsetof(SavedRegisters, sp))
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregR3 = 0x73, kDwOpBregR4 = 0x74 };

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  register uintptr_t r2 asm("r2") = word;
  register LinkRecord* r3 asm("r3") = kCancels ? nullptr : record;
  if constexpr (kCancels) {
    register LinkRecord* r4 asm("r4") = record;
    asm volatile(
        FRINGE_SWITCH
        : "+r"(r2), "+r"(r3), [base] "+a"(r4)
        : [breg] "i"(kDwOpBregR4), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{r2, r3}, r4};
  } else {
    register LinkRecord* r4 asm("r4");
    asm volatile(
        FRINGE_SWITCH
        : "+r"(r2), [base] "+a"(r3), "=r"(r4)
        : [breg] "i"(kDwOpBregR3), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{r2, r3}, r4};
  }
}

[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  register uintptr_t r2 asm("r2") = word;
  register LinkRecord* r3 asm("r3") = nullptr;
  register LinkRecord* r4 asm("r4") = record;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  asm volatile(
      FRINGE_WINDOW("next") FRINGE_CONTINUE
      :
      : "r"(r2),
        "r"(r3), [base] "a"(r4), [breg] "i"(kDwOpBregR4), [next] "i"(kOffset<Side::kResumer>),
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

#endif  // FRINGE_ARCH_S390X_H_
