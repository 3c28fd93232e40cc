// The backend for AArch64 with the procedure call standard of Arm (Linux, the BSDs, bare metal),
// little-endian or big-endian, with pointers of 8 bytes.
//
// 1. ABI facts
//
// From "Procedure Call Standard for the Arm 64-bit Architecture (AArch64)":
//   * The stack grows down and `sp` is a multiple of 16 whenever it is the base of a load or store.
//   * There is no red zone: what lies below `sp` belongs to nobody.
//   * `x29` is the frame pointer where frames have one: `0(x29)` holds the caller's `x29` and
//     `8(x29)` the return address. The first two words of the link record have the same form.
//   * A call leaves the return address in `x30` (the link register), not on the stack.
//   * The first three arguments of a function are in `x0`, `x1` and `x2`.
//   * `x18` is the platform's where the platform wants it (Android, Darwin, Fuchsia, Windows), and
//     an ordinary register elsewhere.
//   * A callee keeps the low halves of `v8` to `v15`. Whoever suspends is no callee: a switch
//     clobbers the whole of them.
// From the compilers:
//   * GCC rejects `x29` in a clobber list where frames have a frame pointer. Clang keeps the
//     address of over-aligned locals in `x19` where a function also calls `alloca`, and then
//     ignores `x19` in a clobber list. Both are saved by hand.
//   * A function's frame is probed in steps of 64 KiB (-fstack-clash-protection).
// From the "Arm Architecture Reference Manual for A-profile":
//   * Where branch targets are enforced (BTI), a `br` through `x16` or `x17` may land on any of
//     `bti c`, `bti j` and `paciasp`; through another register, not on the beginning of a function.
//
// 2. What the switch does not change
//
// The signal mask; thread-local storage (`tpidr_el0`); the floating-point control and status
// registers (`fpcr`, `fpsr`); the streaming mode and the `za` storage of SME, which both sides
// leave off; where the platform or -ffixed-x18 reserves it, `x18`, and so Clang's shadow call
// stack; the hardware's guarded control stack.
//
// Where return addresses are signed (-mbranch-protection=pac-ret), each function signs its own as
// ever, the first of a generator too. The addresses in the link record are not signed: they are
// data for the switch, which lie where the stack's owner may write anyway.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 64  ..........     record + 64  ..........       record + 64  ..........
//   record + 56  entry          record + 56  its x19          record + 56  stale
//   record + 48  sp             record + 48  its sp           record + 48  stale
//   record + 40  start          record + 40  its resume addr  record + 40  stale
//   record + 32  record         record + 32  its x29          record + 32  stale
//   record + 24  unset          record + 24  stale            record + 24  resumer's x19
//   record + 16  0              record + 16  0                record + 16  resumer's sp
//   record +  8  unset          record +  8  stale            record +  8  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's x29
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp                          ... frames ...                ... frames ...
//                               its sp                        sp
//
// `start` stands for `fringe_aarch64_start`, which the first resume jumps to: it loads `x30` with
// the address of the trampoline and jumps to `entry`, which it finds in `x19`. `x29` is `record`
// then, and `entry` saves it beside the return address. So a walker of frame pointers that leaves
// `entry` finds the record as the next frame record, and from there the frame that resumed the
// generator. Nobody calls the trampoline: were it to call `entry`, the processor would predict a
// return that never comes. The word at `record + 16` is also what `Closed` tells; `Close` sets it.
//
// 4. Unwinding
//
// What the compiler says of a frame holds at every instruction of the switch up to the one that
// changes the first of `x29`, `x19` and `sp`. From the last save to the jump the asm has rules of
// its own: the side that is left is described by the link record, whose address is in `x1` (in
// `x2`, where the switch says the end). `Finish` leaves nothing behind: from its first instruction
// on, its frame is as if the resumer had called it. `entry` returns, as far as an unwinder can
// tell, into `fringe_aarch64_trampoline`, whose rules say the same with the record's address in
// `x29`; they hold in `fringe_aarch64_start` too. In all, the CFA is the stack pointer that the
// compiler believes in at the resume address. An unwinder looks up the address before a return
// address: an instruction stands in front of each resume address and of the trampoline, so that
// this address belongs to the same function. The addresses in the record are not signed, whatever
// the function around the switch does with its own: the rules say that as well.
//
// 5. Registers
//
//   in and out      x0 (the word), x1 (the record, or null), x2 (the record, where x1 is null)
//   saved by hand   sp x29 x19, and pc
//   clobbered       x3-x17, x18 unless reserved, x20-x28, x30,
//                   v0-31 (with z0-31), p0-15 and ffr under SVE, the flags
//   reserved        x18 (the platform's, where it wants it), tpidr_el0 (thread pointer), xzr, fpcr,
//                   fpsr, za and zt0

#ifndef FRINGE_ARCH_AARCH64_H_
#define FRINGE_ARCH_AARCH64_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"

namespace fringe::arch {

// The alignment of a stack's base, in bytes.
inline constexpr size_t kStackAlignment = 16;

// How large a guard must be, in bytes: no code of the ABI moves the stack pointer further without
// touching what it moved over. GCC's and Clang's -fstack-clash-protection probe in such steps.
inline constexpr size_t kGuardBytes = 65536;

// How many bytes below the `sp` of `Init` are the least that a generator can do with.
inline constexpr size_t kMinimumFrameBytes = 256;

// What one side of a switch leaves behind for the other.
struct SavedRegisters {
  void* x29;
  void* pc;
  void* sp;
  void* x19;
};

// The words at the base of a generator's stack through which the two sides hand over control. One
// cache line, so that a switch touches no other.
struct alignas(64) LinkRecord {
  SavedRegisters resumer;
  SavedRegisters generator;
};

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 32);
static_assert(offsetof(SavedRegisters, x29) == 0 && offsetof(SavedRegisters, pc) == 8 &&
              offsetof(SavedRegisters, sp) == 16 && offsetof(SavedRegisters, x19) == 24);
static_assert(sizeof(LinkRecord) == 64);

// What one side of a switch finds on its return.
struct Message {
  uintptr_t word;      // what the other side handed over
  LinkRecord* record;  // null where the other side called `Cancel` or `Finish`
};

// What a generator runs first, with the word of the first `Resume` and its record. It must not
// return. Where the first is a `Cancel`, `record` is null and `cancelled_record` is not.
using Entry = void (*)(uintptr_t word, LinkRecord* record, LinkRecord* cancelled_record);

}  // namespace fringe::arch

// Where the first resume of a generator lands: jumps to the `Entry` in `x19`, with the trampoline's
// address in `x30`. Never called.
extern "C" void fringe_aarch64_start();

namespace fringe::arch {

// Prepares `record` so that the first `Resume` calls `entry` with the stack below `sp`.
//
// Requires: `sp` is a multiple of `kStackAlignment`, lies below `record` on the same stack, and has
//   a word of room below it.
inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  record->generator.x29 = record;
  record->generator.pc = reinterpret_cast<void*>(fringe_aarch64_start);
  record->generator.sp = sp;
  record->generator.x19 = reinterpret_cast<void*>(entry);
  record->resumer.sp = nullptr;
}

// Returns: zero where the generator of `record` may be resumed: it is suspended, and was not closed
//   since. While it runs, an address on its resumer's stack; otherwise what it was closed with.
inline uintptr_t Closed(const LinkRecord* record) {
  return reinterpret_cast<uintptr_t>(record->resumer.sp);
}

// Makes `Closed` return `reason` until the next `Resume`.
//
// Requires: the generator does not run; `reason` is neither 0 nor an address of any stack.
inline void Close(LinkRecord* record, uintptr_t reason) {
  record->resumer.sp = reinterpret_cast<void*>(reason);
}

// Returns: how far below `address` the stack pointer of the calling function lies, in bytes; a
//   stack pointer above it wraps around.
[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("mov %0, sp" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// What a switch clobbers, a class of registers at a time.
// clang-format off
#if defined(__ANDROID__) || defined(__APPLE__) || defined(__Fuchsia__) || defined(_WIN32)
#define FRINGE_AARCH64_X18
#else
#define FRINGE_AARCH64_X18                                                    \
  "x18",
#endif
// Clang has no name for the first-fault register: it never keeps a value there across a statement.
#if defined(__ARM_FEATURE_SVE) && !defined(__clang__)
#define FRINGE_AARCH64_FFR                                                    \
  "ffr",
#else
#define FRINGE_AARCH64_FFR
#endif
#if defined(__ARM_FEATURE_SVE)
#define FRINGE_AARCH64_VECTORS                                                \
  "z0", "z1", "z2", "z3", "z4", "z5", "z6", "z7",                             \
  "z8", "z9", "z10", "z11", "z12", "z13", "z14", "z15",                       \
  "z16", "z17", "z18", "z19", "z20", "z21", "z22", "z23",                     \
  "z24", "z25", "z26", "z27", "z28", "z29", "z30", "z31",                     \
  "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7",                             \
  "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15",                       \
  FRINGE_AARCH64_FFR
#elif defined(__ARM_FP)
#define FRINGE_AARCH64_VECTORS                                                \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",                             \
  "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",                       \
  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",                     \
  "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",
#else
#define FRINGE_AARCH64_VECTORS
#endif
// Without x19, x29, sp, which are saved by hand, and x0, x1, x2, which the statements name.
#define FRINGE_AARCH64_CLOBBERS                                               \
  "x3", "x4", "x5", "x6", "x7",                                               \
  "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",         \
  FRINGE_AARCH64_X18                                                          \
  "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",       \
  FRINGE_AARCH64_VECTORS                                                      \
  "cc", "memory"

// The rules for unwinding where the words at `half` in the record are those to go on from; `breg` is
// the DW_OP_breg of `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of sp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x1e x30 (the return address), 0x1d x29, 0x13 x19
// A function that saves x30, as any around a switch does, signs it where functions do at all: the
// rules turn that off. (To say it outright, by a rule for RA_SIGN_STATE, is lost on libgcc 12.)
#if FRINGE_ARCH_CFI
#define FRINGE_AARCH64_WINDOW(half)                                           \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" half "] + %c[sp], 0x06\n\t"            \
  ".cfi_escape 0x10, 0x1e, 2, %c[breg], %c[" half "] + %c[pc]\n\t"            \
  ".cfi_escape 0x10, 0x1d, 2, %c[breg], %c[" half "] + %c[x29]\n\t"           \
  ".cfi_escape 0x10, 0x13, 2, %c[breg], %c[" half "] + %c[x19]\n\t"           \
  FRINGE_AARCH64_UNSIGNED
#define FRINGE_AARCH64_WINDOW_END                                             \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_AARCH64_WINDOW(half)
#define FRINGE_AARCH64_WINDOW_END
#endif
#if defined(__ARM_FEATURE_PAC_DEFAULT)
#define FRINGE_AARCH64_UNSIGNED                                               \
  ".cfi_negate_ra_state\n\t"
#else
#define FRINGE_AARCH64_UNSIGNED
#endif

// Where indirect branches must land on a `bti` (-mbranch-protection=bti); `hint 36` is `bti j`, by a
// name that every assembler knows.
#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define FRINGE_AARCH64_LANDING_PAD                                            \
  "hint 36\n\t"
#else
#define FRINGE_AARCH64_LANDING_PAD
#endif

// Continues the side whose words are at `next` in the record at `base`.
#define FRINGE_AARCH64_CONTINUE                                               \
  "ldp x29, x16, [%[base], %c[next] + %c[x29]]\n\t"                           \
  "ldp x17, x19, [%[base], %c[next] + %c[sp]]\n\t"                            \
  "mov sp, x17\n\t"                                                           \
  "br x16\n\t"                                                                \
  FRINGE_AARCH64_WINDOW_END

// Leaves the side whose words are at `left` in the record at `base`, and continues the other.
// On arrival, at label 0, the registers are those of the other side's statement: x0 is the word, x1
// the record or null, sp, x29 and x19 are as that side saved them, and all others are unknown.
#define FRINGE_AARCH64_SWITCH                                                 \
  "adr x16, 0f\n\t"                                                           \
  "mov x17, sp\n\t"                                                           \
  "stp x29, x16, [%[base], %c[left] + %c[x29]]\n\t"                           \
  "stp x17, x19, [%[base], %c[left] + %c[sp]]\n\t"                            \
  FRINGE_AARCH64_WINDOW("left")                                               \
  FRINGE_AARCH64_CONTINUE                                                     \
  "nop  // unwinders look up the address before the resume address\n"         \
  "0:\n\t"                                                                    \
  FRINGE_AARCH64_LANDING_PAD

#define FRINGE_AARCH64_OFFSETS                                                \
  [x29] "i"(offsetof(SavedRegisters, x29)),                                   \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [sp] "i"(offsetof(SavedRegisters, sp)),                                     \
  [x19] "i"(offsetof(SavedRegisters, x19))
#define FRINGE_AARCH64_TO_GENERATOR                                           \
  [left] "i"(offsetof(LinkRecord, resumer)),                                  \
  [next] "i"(offsetof(LinkRecord, generator)),                                \
  FRINGE_AARCH64_OFFSETS
#define FRINGE_AARCH64_TO_RESUMER                                             \
  [left] "i"(offsetof(LinkRecord, generator)),                                \
  [next] "i"(offsetof(LinkRecord, resumer)),                                  \
  FRINGE_AARCH64_OFFSETS
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregX1 = 0x71, kDwOpBregX2 = 0x72 };

// Runs the generator of `record` until it suspends or finishes, and hands it `word`.
//
// Requires: the generator is suspended.
[[gnu::always_inline]] inline Message Resume(uintptr_t word, LinkRecord* record) {
  register uintptr_t x0 asm("x0") = word;
  register LinkRecord* x1 asm("x1") = record;
  asm volatile(FRINGE_AARCH64_SWITCH
               : "+r"(x0), [base] "+r"(x1)
               : [breg] "i"(kDwOpBregX1), FRINGE_AARCH64_TO_GENERATOR
               : "x2", FRINGE_AARCH64_CLOBBERS);
  const Message message = {x0, x1};
  record->resumer.sp = nullptr;
  return message;
}

// The same to say the end: the generator's `Suspend` returns a message without a record.
[[gnu::always_inline]] inline Message Cancel(LinkRecord* record) {
  register uintptr_t x0 asm("x0") = 0;
  register LinkRecord* x1 asm("x1") = nullptr;
  register LinkRecord* x2 asm("x2") = record;
  asm volatile(FRINGE_AARCH64_SWITCH
               : "+r"(x0), "+r"(x1), [base] "+r"(x2)
               : [breg] "i"(kDwOpBregX2), FRINGE_AARCH64_TO_GENERATOR
               : FRINGE_AARCH64_CLOBBERS);
  const Message message = {x0, x1};
  record->resumer.sp = nullptr;
  return message;
}

// Goes back to whoever resumed the generator of `record`, and hands him `word`.
//
// Requires: the calling function runs on the stack of `record`.
// Returns: what the next `Resume` or `Cancel` brings.
[[gnu::always_inline]] inline Message Suspend(uintptr_t word, LinkRecord* record) {
  register uintptr_t x0 asm("x0") = word;
  register LinkRecord* x1 asm("x1") = record;
  asm volatile(FRINGE_AARCH64_SWITCH
               : "+r"(x0), [base] "+r"(x1)
               : [breg] "i"(kDwOpBregX1), FRINGE_AARCH64_TO_RESUMER
               : "x2", FRINGE_AARCH64_CLOBBERS);
  return {x0, x1};
}

// Goes back for good: the resumer's `Resume` returns `word` in a message without a record.
//
// Requires: as `Suspend`; nobody resumes the generator again.
[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  register uintptr_t x0 asm("x0") = word;
  register LinkRecord* x1 asm("x1") = nullptr;
  register LinkRecord* x2 asm("x2") = record;
  // Nothing is clobbered where nothing goes on: to say so would make the compiler save registers.
  // But for x30: the rules count on it that the function has saved, and so signed, it.
  asm volatile(FRINGE_AARCH64_WINDOW("next") FRINGE_AARCH64_CONTINUE
               :
               : "r"(x0), "r"(x1), [base] "r"(x2), [breg] "i"(kDwOpBregX2),
                 FRINGE_AARCH64_TO_RESUMER
               : "x30", "memory");
  __builtin_unreachable();
}

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_AARCH64_H_
