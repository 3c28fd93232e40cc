// The backend for AArch64 with the procedure call standard of Arm (Linux, the BSDs, bare metal),
// little-endian or big-endian, with pointers of 8 bytes.
//
// 1. ABI facts
//
// From "Procedure Call Standard for the Arm 64-bit Architecture (AArch64)":
//   * The stack grows down and `sp` is a multiple of 16 whenever it is the base of a load or store.
//   * There is no red zone: memory below `sp` is not preserved.
//   * `x29` is the frame pointer in functions that have one: `0(x29)` holds the caller's `x29` and
//     `8(x29)` the return address. The first two words of the link record have the same form.
//   * A call leaves the return address in `x30` (the link register), not on the stack.
//   * The first three arguments of a function are in `x0`, `x1` and `x2`.
//   * `x18` is reserved on some platforms (Android, Darwin, Fuchsia, Windows), and an ordinary
//     register on others.
//   * A callee saves the low halves of `v8` to `v15`. A switch is not a call: it clobbers the
//     whole of them.
// From the compilers:
//   * GCC rejects a clobber of `x29` in functions that have a frame pointer. Clang keeps the
//     address of over-aligned locals in `x19` in functions that also call `alloca`, and then
//     ignores a clobber of `x19`. Both are saved by hand.
//   * A function's frame is probed in steps of 64 KiB (-fstack-clash-protection).
// From the "Arm Architecture Reference Manual for A-profile":
//   * If branch targets are enforced (BTI), a `br` through `x16` or `x17` may land on any of `bti
//     c`, `bti j` and `paciasp`. Through another register it may not land on the beginning of a
//     function.
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage (`tpidr_el0`); the floating-point control and status
// registers (`fpcr`, `fpsr`); the streaming mode and the `za` storage of SME, which must be off on
// both sides; `x18` if it is reserved, and so Clang's shadow call stack; the hardware's guarded
// control stack, which the layer above switches (README.md, "Shadow stacks").
//
// If return addresses are signed (-mbranch-protection=pac-ret), each function signs its own, the
// first of a generator too. The addresses in the link record are not signed: they are data of the
// switch, in memory that the owner of the stack can write.
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
// `start` is `fringe_aarch64_start`, to which the first resume jumps. It loads `x30` with the
// address of the trampoline and jumps to `entry`, whose address is in `x19`. `x29` is `record`
// then, and `entry` saves it beside the return address. A walker of frame pointers therefore finds
// the record above the frame of `entry`, and above the record the frame of the resumer. The
// trampoline is never called: if it called `entry`, the CPU would predict a return that does not
// happen. `Closed` reads the word at `record + 16`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes the
// first of `x29`, `x19` and `sp`. From the last store to the jump, the switch has rules of its own
// (the window): the side being left is described by the link record, whose address is in `x1`, or
// in `x2` in `Cancel`. In `Finish` they describe the resumer, from the first instruction on, as if
// it had called the frame. To an unwinder, `entry` returns into `fringe_aarch64_trampoline`, whose
// rules are the same with the record's address in `x29`; they hold in `fringe_aarch64_start` too.
// In every case the CFA is the stack pointer the compiler assumes at the resume address. Unwinders
// look up the address before a return address: an instruction precedes each resume address and the
// trampoline, so that this address is in the same function. The addresses in the record are not
// signed, even if the function around the switch signs its own: the rules say so.
//
// 5. Registers
//
//   in and out      x0 (the word), x1 (the record, or null), x2 (the record, if x1 is null)
//   saved by hand   sp x29 x19, and pc
//   clobbered       x3-x17, x18 unless reserved, x20-x28, x30,
//                   v0-31 (with z0-31), p0-15, ffr (GCC), the flags
//   reserved        x18 (by the platform, or -ffixed-x18), tpidr_el0 (thread pointer), xzr, fpcr,
//                   fpsr, za and zt0

#ifndef FRINGE_ARCH_AARCH64_H_
#define FRINGE_ARCH_AARCH64_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"
#include "link_record.h"

namespace fringe::arch {

inline constexpr size_t kStackAlignment = 16;
inline constexpr size_t kGuardBytes = 65536;
inline constexpr size_t kMinimumFrameBytes = 256;

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 32 &&
              sizeof(LinkRecord) == 64);
static_assert(offsetof(SavedRegisters, fp) == 0 && offsetof(SavedRegisters, pc) == 8 &&
              offsetof(SavedRegisters, sp) == 16 && offsetof(SavedRegisters, bp) == 24);

// The address of `fringe_aarch64_start`. In a variable, because a program at fixed addresses that
// uses a shared library has another address for the library's functions.
extern "C" void* const fringe_aarch64_start_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  record->generator.fp = record;
  record->generator.pc = fringe_aarch64_start_address;
  record->generator.sp = sp;
  record->generator.bp = reinterpret_cast<void*>(entry);
  record->resumer.sp = nullptr;
}

inline bool HasStarted(const LinkRecord* record) {
  return record->generator.pc != fringe_aarch64_start_address;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("mov %0, sp" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
#if defined(__ANDROID__) || defined(__APPLE__) || defined(__Fuchsia__) || defined(_WIN32)
#define FRINGE_CLOBBERS_X18
#else
#define FRINGE_CLOBBERS_X18                                                   \
  "x18",
#endif
// Every register, whatever the file has: the statement is inlined into functions whose `target`
// attribute gives them SVE. A v register is clobbered with its z register. (For a clobber of z8
// Clang does not save the low half that a callee must.) Clang has no name for the first-fault
// register: it never keeps a value there across a statement.
#if !defined(__clang__)
#define FRINGE_CLOBBERS_FFR                                                   \
  "ffr",
#else
#define FRINGE_CLOBBERS_FFR
#endif
// All registers are listed, except x19, x29, sp, which are saved by hand, and x0, x1, x2, which
// are operands.
#define FRINGE_CLOBBERS                                                       \
  "x3", "x4", "x5", "x6", "x7",                                               \
  "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",         \
  FRINGE_CLOBBERS_X18                                                         \
  "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",       \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",                             \
  "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",                       \
  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",                     \
  "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",                     \
  "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7",                             \
  "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15",                       \
  FRINGE_CLOBBERS_FFR                                                         \
  "cc", "memory"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of sp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x1e x30 (the return address), 0x1d x29, 0x13 x19
//        x29 has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
// If functions sign return addresses, a function that saves x30, as any around a switch does,
// signs it: the rules negate that. (libgcc 12 ignores a rule for RA_SIGN_STATE itself.)
#if FRINGE_ARCH_CFI
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" side "] + %c[sp], 0x06\n\t"            \
  ".cfi_escape 0x10, 0x1e, 2, %c[breg], %c[" side "] + %c[pc]\n\t"            \
  ".cfi_escape 0x10, 0x1d, 4, %c[breg], %c[" side "] + %c[fp], 0x23, 0x00\n\t"\
  ".cfi_escape 0x10, 0x13, 2, %c[breg], %c[" side "] + %c[bp]\n\t"            \
  FRINGE_UNSIGNED
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif
#if defined(__ARM_FEATURE_PAC_DEFAULT)
#define FRINGE_UNSIGNED                                                       \
  ".cfi_negate_ra_state\n\t"
#else
#define FRINGE_UNSIGNED
#endif

// With -mbranch-protection=bti, an indirect branch must land on a `bti`. `hint 36` is `bti j`, by
// a name that every assembler knows.
#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define FRINGE_LANDING_PAD                                                    \
  "hint 36\n\t"
#else
#define FRINGE_LANDING_PAD
#endif

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "ldp x29, x16, [%[base], %c[next] + %c[fp]]\n\t"                            \
  "ldp x17, x19, [%[base], %c[next] + %c[sp]]\n\t"                            \
  "mov sp, x17\n\t"                                                           \
  "br x16\n\t"                                                                \
  FRINGE_WINDOW_END

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: x0 is the word, x1 the
// record or null, sp, x29 and x19 are as saved here, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  "adr x16, 0f\n\t"                                                           \
  "mov x17, sp\n\t"                                                           \
  "stp x29, x16, [%[base], %c[left] + %c[fp]]\n\t"                            \
  "stp x17, x19, [%[base], %c[left] + %c[sp]]\n\t"                            \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nop  // unwinders look up the address before the resume address\n"         \
  "0:\n\t"                                                                    \
  FRINGE_LANDING_PAD

#define FRINGE_OFFSETS                                                        \
  [fp] "i"(offsetof(SavedRegisters, fp)),                                     \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [sp] "i"(offsetof(SavedRegisters, sp)),                                     \
  [bp] "i"(offsetof(SavedRegisters, bp))
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregX1 = 0x71, kDwOpBregX2 = 0x72 };

// Clang warns of a clobber of a register that a flag reserves, x18 under -ffixed-x18.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winline-asm"
#endif

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  register uintptr_t x0 asm("x0") = word;
  register LinkRecord* x1 asm("x1") = kCancels ? nullptr : record;
  if constexpr (kCancels) {
    register LinkRecord* x2 asm("x2") = record;
    asm volatile(
        FRINGE_SWITCH
        : "+r"(x0), "+r"(x1), [base] "+r"(x2)
        : [breg] "i"(kDwOpBregX2), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{x0, x1}, x2};
  } else {
    register LinkRecord* x2 asm("x2");
    asm volatile(
        FRINGE_SWITCH
        : "+r"(x0), [base] "+r"(x1), "=r"(x2)
        : [breg] "i"(kDwOpBregX1), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{x0, x1}, x2};
  }
}

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  register uintptr_t x0 asm("x0") = word;
  register LinkRecord* x1 asm("x1") = nullptr;
  register LinkRecord* x2 asm("x2") = record;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  // Except x30: the rules assume that the function has saved it, and so signed it.
  asm volatile(
      FRINGE_WINDOW("next") FRINGE_CONTINUE
      :
      : "r"(x0),
        "r"(x1), [base] "r"(x2), [breg] "i"(kDwOpBregX2), [next] "i"(kOffset<Side::kResumer>),
        FRINGE_OFFSETS
      : "x30", "memory");
  __builtin_unreachable();
}

#undef FRINGE_CLOBBERS_X18
#undef FRINGE_CLOBBERS_FFR
#undef FRINGE_CLOBBERS
#undef FRINGE_WINDOW
#undef FRINGE_WINDOW_END
#undef FRINGE_UNSIGNED
#undef FRINGE_LANDING_PAD
#undef FRINGE_CONTINUE
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_AARCH64_H_
