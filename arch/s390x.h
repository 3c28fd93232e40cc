// The backend for 64-bit z/Architecture with the ELF ABI s390x (Linux), of the big-endian kind that
// is all there is.
//
// 1. ABI facts
//
// From "ELF Application Binary Interface s390x Supplement" (stack frame, DWARF):
//   * The stack grows down and `r15` is a multiple of 8 at all times. No type is aligned to more.
//   * There is no red zone: what lies below `r15` belongs to nobody.
//   * The 160 bytes above `r15` belong to whatever is called: a callee saves in them the registers
//     that it has to. The word at `0(r15)` is the back chain, which is kept under -mbackchain only.
//   * `r11` is the frame pointer where frames have one. It points to no record of any form.
//   * A call leaves the return address in `r14`, not on the stack.
//   * The first three arguments of a function are in `r2`, `r3` and `r4`.
//   * `r12` is the address of the global offset table, and `r13` that of a function's constants,
//     where it wants one.
//   * The access registers `a0` and `a1` belong to the thread.
//   * A callee keeps `r6` to `r13` and `f8` to `f15`. Whoever suspends is no callee: a switch
//     clobbers all of them that it does not save.
//   * The CFA is the stack pointer at the call plus 160.
// From the compilers:
//   * GCC rejects `r11` in a clobber list where frames have a frame pointer, and `r12` in code that
//     may lie anywhere; `r13` is its own where a function's constants want one. All are saved by
//     hand: one instruction saves `r11` to `r15`.
//   * Clang has no base pointer here.
//   * A function's frame is probed in steps of 4 KiB (-fstack-clash-protection).
//
// 2. What the switch does not change
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
// `start` stands for `fringe_s390x_start`, which the first resume jumps to: it loads `r14` with the
// address of the trampoline and jumps to `entry`, which it finds in `r12`. `entry` finds an area
// for its registers above its frame, as any function does. The back chain ends there: a walker of
// it would look for the resume address in the area above the resumer's `r15`, where a resumer
// without a frame has saved its own registers. Nobody calls the trampoline: were it to call
// `entry`, the processor would predict a return that never comes. `r11` is `record` when `entry`
// begins. The word at `record + 32` is also what `Closed` tells; `Close` sets it.
//
// 4. Unwinding
//
// What the compiler says of a frame holds at every instruction of the switch up to the one that
// changes `r11` to `r15`. From the save to the jump the asm has rules of its own: the side that is
// left is described by the link record, whose address is in `r3` (in `r4`, where the switch says
// the end). `Finish` leaves nothing behind: from its first instruction on, its frame is as if the
// resumer had called it. `entry` returns, as far as an unwinder can tell, into
// `fringe_s390x_trampoline`, whose rules say the same with the record's address in `r11`; they hold
// in `fringe_s390x_start` too. In all, the CFA is 160 bytes above the stack pointer that the
// compiler believes in at the resume address, and that stack pointer has a rule of its own. An
// unwinder looks up the address before a return address: an instruction stands in front of each
// resume address and of the trampoline, so that this address belongs to the same function.
//
// 5. Registers
//
//   in and out      r2 (the word), r3 (the record, or null), r4 (the record, where r3 is null)
//   saved by hand   r11 r12 r13 r15, and the program counter in place of r14
//   clobbered       r0, r1, r5-r10, r14,
//                   f0-15 or, under the vector facility, v0-31 around them, the condition code
//   reserved        a0 and a1 (thread pointer), a2-a15, fpc, the control registers

#ifndef FRINGE_ARCH_S390X_H_
#define FRINGE_ARCH_S390X_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"

namespace fringe::arch {

// The alignment of a stack's base, in bytes.
inline constexpr size_t kStackAlignment = 8;

// How large a guard must be, in bytes: no code of the ABI moves the stack pointer further without
// touching what it moved over. GCC's and Clang's -fstack-clash-protection probe in such steps.
inline constexpr size_t kGuardBytes = 4096;

// How many bytes below the `sp` of `Init` are the least that a generator can do with: a frame that
// saves all that a switch clobbers, with and without optimisation, and those of what it calls.
inline constexpr size_t kMinimumFrameBytes = 1024;

// What one side of a switch leaves behind for the other.
struct SavedRegisters {
  void* r11;
  void* r12;
  void* r13;
  void* pc;
  void* r15;
};

// The words at the base of a generator's stack through which the two sides hand over control. Half
// a cache line, so that a switch touches no other.
struct alignas(128) LinkRecord {
  SavedRegisters resumer;
  SavedRegisters generator;
};

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 40);
static_assert(offsetof(SavedRegisters, r11) == 0 && offsetof(SavedRegisters, r12) == 8 &&
              offsetof(SavedRegisters, r13) == 16 && offsetof(SavedRegisters, pc) == 24 &&
              offsetof(SavedRegisters, r15) == 32);
static_assert(sizeof(LinkRecord) == 128);

// What the ABI wants to lie at a function's stack pointer when it calls another.
struct RegisterSaveArea {
  void* back_chain;
  void* registers[19];
};

static_assert(sizeof(RegisterSaveArea) == 160);

// What one side of a switch finds on its return.
struct Message {
  uintptr_t word;      // what the other side handed over
  LinkRecord* record;  // null where the other side called `Cancel` or `Finish`
};

// What a generator runs first, with the word of the first `Resume` and its record. It must not
// return. Where the first is a `Cancel`, `record` is null and `cancelled_record` is not.
using Entry = void (*)(uintptr_t word, LinkRecord* record, LinkRecord* cancelled_record);

}  // namespace fringe::arch

// Where the first resume of a generator lands: jumps to the `Entry` in `r12`, with the trampoline's
// address in `r14`. Never called.
extern "C" void fringe_s390x_start();

namespace fringe::arch {

// Prepares `record` so that the first `Resume` calls `entry` with the stack below `sp`.
//
// Requires: `sp` is a multiple of `kStackAlignment`, lies below `record` on the same stack, and has
//   `kMinimumFrameBytes` of room below it.
inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void* const area = sp - sizeof(RegisterSaveArea);
  static_cast<RegisterSaveArea*>(area)->back_chain = nullptr;
  record->generator.r11 = record;
  record->generator.r12 = reinterpret_cast<void*>(entry);
  record->generator.pc = reinterpret_cast<void*>(fringe_s390x_start);
  record->generator.r15 = area;
  record->resumer.r15 = nullptr;
}

// Returns: zero where the generator of `record` may be resumed: it is suspended, and was not closed
//   since. While it runs, an address on its resumer's stack; otherwise what it was closed with.
inline uintptr_t Closed(const LinkRecord* record) {
  return reinterpret_cast<uintptr_t>(record->resumer.r15);
}

// Makes `Closed` return `reason` until the next `Resume`.
//
// Requires: the generator does not run; `reason` is neither 0 nor an address of any stack.
inline void Close(LinkRecord* record, uintptr_t reason) {
  record->resumer.r15 = reinterpret_cast<void*>(reason);
}

// Returns: how far below `address` the stack pointer of the calling function lies, in bytes; a
//   stack pointer above it wraps around.
[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("lgr %0, %%r15" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// What a switch clobbers, a class of registers at a time.
// clang-format off
#if defined(__VX__)
#define FRINGE_S390X_FLOATS                                                   \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",                             \
  "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",                       \
  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",                     \
  "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",
#else
#define FRINGE_S390X_FLOATS                                                   \
  "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7",                             \
  "f8", "f9", "f10", "f11", "f12", "f13", "f14", "f15",
#endif
// Without r11, r12, r13, r15, which are saved by hand, and r2, r3, r4, which the statements name.
#define FRINGE_S390X_CLOBBERS                                                 \
  "r0", "r1", "r5",                                                           \
  "r6", "r7", "r8", "r9", "r10", "r14",                                       \
  FRINGE_S390X_FLOATS                                                         \
  "cc", "memory"

// The rules for unwinding where the words at `half` in the record are those to go on from; `breg` is
// the DW_OP_breg of `base`. An offset is a signed LEB128 number, in two bytes.
//   0x0f DW_CFA_def_cfa_expression, length 7: breg, offset of r15, 0x06 DW_OP_deref,
//        0x23 DW_OP_plus_uconst 160
//   0x10 DW_CFA_expression, register, length 3: breg, offset
//        registers: 0x0b r11, 0x0c r12, 0x0d r13, 0x0e r14 (the return address), 0x0f r15
#if FRINGE_ARCH_CFI
#define FRINGE_S390X_LEB(half, word)                                          \
  "((%c[" half "] + %c[" word "]) & 0x7f) | 0x80, (%c[" half "] + %c[" word "]) >> 7"
#define FRINGE_S390X_WINDOW(half)                                             \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 7, %c[breg], " FRINGE_S390X_LEB(half, "r15") ", 0x06, "  \
  "0x23, 0xa0, 0x01\n\t"                                                      \
  ".cfi_escape 0x10, 0x0b, 3, %c[breg], " FRINGE_S390X_LEB(half, "r11") "\n\t"\
  ".cfi_escape 0x10, 0x0c, 3, %c[breg], " FRINGE_S390X_LEB(half, "r12") "\n\t"\
  ".cfi_escape 0x10, 0x0d, 3, %c[breg], " FRINGE_S390X_LEB(half, "r13") "\n\t"\
  ".cfi_escape 0x10, 0x0e, 3, %c[breg], " FRINGE_S390X_LEB(half, "pc") "\n\t" \
  ".cfi_escape 0x10, 0x0f, 3, %c[breg], " FRINGE_S390X_LEB(half, "r15") "\n\t"
#define FRINGE_S390X_WINDOW_END                                               \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_S390X_WINDOW(half)
#define FRINGE_S390X_WINDOW_END
#endif

// Continues the side whose words are at `next` in the record at `base`.
#define FRINGE_S390X_CONTINUE                                                 \
  "lmg %%r11, %%r15, %c[next] + %c[r11](%[base])\n\t"                         \
  "br %%r14\n\t"                                                              \
  FRINGE_S390X_WINDOW_END

// Leaves the side whose words are at `left` in the record at `base`, and continues the other.
// On arrival, at label 0, the registers are those of the other side's statement: r2 is the word, r3
// the record or null, r11, r12, r13 and r15 are as that side saved them, r14 is the address of the
// label, and all others are unknown.
#define FRINGE_S390X_SWITCH                                                   \
  "larl %%r14, 0f\n\t"                                                        \
  "stmg %%r11, %%r15, %c[left] + %c[r11](%[base])\n\t"                        \
  FRINGE_S390X_WINDOW("left")                                                 \
  FRINGE_S390X_CONTINUE                                                       \
  "nopr %%r7  # unwinders look up the address before the resume address\n"    \
  "0:\n\t"

#define FRINGE_S390X_OFFSETS                                                  \
  [r11] "i"(offsetof(SavedRegisters, r11)),                                   \
  [r12] "i"(offsetof(SavedRegisters, r12)),                                   \
  [r13] "i"(offsetof(SavedRegisters, r13)),                                   \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [r15] "i"(offsetof(SavedRegisters, r15))
#define FRINGE_S390X_TO_GENERATOR                                             \
  [left] "i"(offsetof(LinkRecord, resumer)),                                  \
  [next] "i"(offsetof(LinkRecord, generator)),                                \
  FRINGE_S390X_OFFSETS
#define FRINGE_S390X_TO_RESUMER                                               \
  [left] "i"(offsetof(LinkRecord, generator)),                                \
  [next] "i"(offsetof(LinkRecord, resumer)),                                  \
  FRINGE_S390X_OFFSETS
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregR3 = 0x73, kDwOpBregR4 = 0x74 };

// Runs the generator of `record` until it suspends or finishes, and hands it `word`.
//
// Requires: the generator is suspended.
[[gnu::always_inline]] inline Message Resume(uintptr_t word, LinkRecord* record) {
  register uintptr_t r2 asm("r2") = word;
  register LinkRecord* r3 asm("r3") = record;
  asm volatile(FRINGE_S390X_SWITCH
               : "+r"(r2), [base] "+a"(r3)
               : [breg] "i"(kDwOpBregR3), FRINGE_S390X_TO_GENERATOR
               : "r4", FRINGE_S390X_CLOBBERS);
  const Message message = {r2, r3};
  record->resumer.r15 = nullptr;
  return message;
}

// The same to say the end: the generator's `Suspend` returns a message without a record.
[[gnu::always_inline]] inline Message Cancel(LinkRecord* record) {
  register uintptr_t r2 asm("r2") = 0;
  register LinkRecord* r3 asm("r3") = nullptr;
  register LinkRecord* r4 asm("r4") = record;
  asm volatile(FRINGE_S390X_SWITCH
               : "+r"(r2), "+r"(r3), [base] "+a"(r4)
               : [breg] "i"(kDwOpBregR4), FRINGE_S390X_TO_GENERATOR
               : FRINGE_S390X_CLOBBERS);
  const Message message = {r2, r3};
  record->resumer.r15 = nullptr;
  return message;
}

// Goes back to whoever resumed the generator of `record`, and hands him `word`.
//
// Requires: the calling function runs on the stack of `record`.
// Returns: what the next `Resume` or `Cancel` brings.
[[gnu::always_inline]] inline Message Suspend(uintptr_t word, LinkRecord* record) {
  register uintptr_t r2 asm("r2") = word;
  register LinkRecord* r3 asm("r3") = record;
  asm volatile(FRINGE_S390X_SWITCH
               : "+r"(r2), [base] "+a"(r3)
               : [breg] "i"(kDwOpBregR3), FRINGE_S390X_TO_RESUMER
               : "r4", FRINGE_S390X_CLOBBERS);
  return {r2, r3};
}

// Goes back for good: the resumer's `Resume` returns `word` in a message without a record.
//
// Requires: as `Suspend`; nobody resumes the generator again.
[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  register uintptr_t r2 asm("r2") = word;
  register LinkRecord* r3 asm("r3") = nullptr;
  register LinkRecord* r4 asm("r4") = record;
  // Nothing is clobbered where nothing goes on: to say so would make the compiler save registers.
  asm volatile(FRINGE_S390X_WINDOW("next") FRINGE_S390X_CONTINUE
               :
               : "r"(r2), "r"(r3), [base] "a"(r4), [breg] "i"(kDwOpBregR4), FRINGE_S390X_TO_RESUMER
               : "memory");
  __builtin_unreachable();
}

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_S390X_H_
