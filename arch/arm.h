// The backend for 32-bit Arm, ARMv7-A or later, in A32 and in T32 code, with the base procedure
// call standard and EHABI (Linux, the BSDs, bare metal).
//
// 1. ABI facts
//
// From "Procedure Call Standard for the Arm Architecture" (AAPCS32):
//   * The stack grows down and `sp` is a multiple of 8 where a function begins.
//   * There is no red zone: memory below `sp` is not preserved.
//   * A call leaves the return address in `lr` (r14), not on the stack. Bit 0 of such an address
//     is set if the code there is T32.
//   * The first three arguments of a function are in `r0`, `r1` and `r2`.
//   * `r9` is reserved on some platforms (Darwin), and an ordinary register on others.
//   * A callee saves `r4` to `r11` and `d8` to `d15`. A switch is not a call: it clobbers all of
//     them that it does not save.
// From the compilers:
//   * The frame pointer is `r7` in T32 code and `r11` in A32 code. It points to a frame record,
//     the caller's frame pointer and the return address, only in code of Clang: in GCC's code it
//     points elsewhere in the frame.
//   * GCC rejects a clobber of the frame pointer in functions that have one. Clang keeps the
//     address of over-aligned locals in `r6` in functions that also call `alloca`, and then
//     ignores a clobber of `r6`. Both are saved by hand.
//   * A function that cannot throw has no unwind table without -funwind-tables. If it does not
//     return either, GCC does not even save the registers of its caller.
// From the "Arm Architecture Reference Manual":
//   * A `bx lr` is predicted as a return, a `bx` by another register is not.
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage (`tpidruro`); the floating-point status and control
// register (`fpscr`); the endianness of data; `r9` if it is reserved.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 32  ..........     record + 32  ..........       record + 32  ..........
//   record + 28  entry          record + 28  its r6           record + 28  stale
//   record + 24  sp - 8         record + 24  its sp           record + 24  stale
//   record + 20  start          record + 20  its resume addr  record + 20  stale
//   record + 16  unset          record + 16  its fp           record + 16  stale
//   record + 12  unset          record + 12  stale            record + 12  resumer's r6
//   record +  8  0              record +  8  0                record +  8  resumer's sp
//   record +  4  unset          record +  4  stale            record +  4  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's fp
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp - 4       unset          sp - 4       unset            sp - 4       unset
//   sp - 8       record         sp - 8       record           sp - 8       record
//                               ... frames ...                ... frames ...
//                               its sp                        sp
//
// `fp` is `r7` in T32 code and `r11` in A32 code. The two sides may differ: each loads its own
// registers after the switch back.
//
// `start` is `fringe_arm_start`, to which the first resume jumps. It loads `lr` with the address
// of the trampoline, `r7` and `r11` with that of the record, and jumps to `entry`. `entry` saves
// its frame pointer beside the return address. A walker of frame pointers therefore finds the
// record above the frame of `entry`, and above the record the frame of the resumer. The trampoline
// is never called: if it called `entry`, the CPU would predict a return that does not happen.
// `Closed` reads the word at `record + 8`.
//
// 4. Unwinding
//
// Exceptions and backtraces use the tables of "Exception Handling ABI for the Arm Architecture"
// (EHABI). They describe a function where it calls another, not at every instruction, so they
// cannot describe a switch. To an unwinder, `entry` returns into `fringe_arm_trampoline`, whose
// table finds the record by the word at `sp - 8`, and in it the resumer's registers.
//
// Debuggers use CFI, which files that are compiled with -g have. From the last store to the jump,
// and from the resume address to the last load, the switch has rules of its own: the side that is
// left, or that is back, is described by the link record, whose address is in `ip`. In `Finish`
// they describe the resumer, from the first instruction on, as if it had called the frame. The
// trampoline's rules say the same as its table; they hold in `fringe_arm_start` too. In every case
// the CFA is the stack pointer the compiler assumes at the resume address. Unwinders look up the
// address before a return address: an instruction precedes each resume address and the trampoline,
// so that this address is in the same function.
//
// 5. Registers
//
//   in and out      r0 (the word), r1 (the record, or null), ip (the record)
//   saved by hand   sp (r13), fp (r7 in T32 code, r11 in A32 code), r6, and pc (r15)
//   clobbered       r2-r5, r7 or r11 (which is not fp), r8, r9 unless reserved, r10, lr (r14),
//                   d0-31 (with s0-31 and q0-15), the flags
//   reserved        r9 (by the platform, or -ffixed-r9), tpidruro (thread pointer), fpscr

#ifndef FRINGE_ARCH_ARM_H_
#define FRINGE_ARCH_ARM_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"
#include "link_record.h"

namespace fringe::arch {

inline constexpr size_t kStackAlignment = 8;
inline constexpr size_t kGuardBytes = 4096;
inline constexpr size_t kMinimumFrameBytes = 256;

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 16 &&
              sizeof(LinkRecord) == 32);
static_assert(offsetof(SavedRegisters, fp) == 0 && offsetof(SavedRegisters, pc) == 4 &&
              offsetof(SavedRegisters, sp) == 8 && offsetof(SavedRegisters, bp) == 12);

// The address of `fringe_arm_start`. In a variable, because a program at fixed addresses that uses
// a shared library has another address for the library's functions.
extern "C" void* const fringe_arm_start_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void** const top = static_cast<void**>(static_cast<void*>(sp)) - 2;
  *top = record;
  record->generator.pc = fringe_arm_start_address;
  record->generator.sp = top;
  record->generator.bp = reinterpret_cast<void*>(entry);
  record->resumer.sp = nullptr;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("mov %0, sp" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
#if defined(__thumb__)
#define FRINGE_FP "r7"
#define FRINGE_NOT_FP "r11",
#else
#define FRINGE_FP "r11"
#define FRINGE_NOT_FP "r7",
#endif
#if defined(__APPLE__)
#define FRINGE_CLOBBERS_R9
#else
#define FRINGE_CLOBBERS_R9                                                    \
  "r9",
#endif
// Every d register, whatever the file has: the statement is inlined into functions whose `target`
// attribute gives them more. All registers are listed, except r6, fp, sp, which are saved by hand,
// and r0, r1, ip, which are operands.
#define FRINGE_CLOBBERS                                                       \
  "r2", "r3", "r4", "r5", "r8", "r10", "lr",                                  \
  FRINGE_NOT_FP                                                               \
  FRINGE_CLOBBERS_R9                                                          \
  "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7",                             \
  "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15",                       \
  "d16", "d17", "d18", "d19", "d20", "d21", "d22", "d23",                     \
  "d24", "d25", "d26", "d27", "d28", "d29", "d30", "d31",                     \
  "cc", "memory"

// Rules of CFI by which an unwinder continues from the words of `side` in the record at `ip`.
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x7c DW_OP_breg12 (ip), offset of sp,
//        0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x7c DW_OP_breg12 (ip), offset
//        registers: 0x0e lr (the return address), 0x07 r7 or 0x0b r11, 0x06 r6
#if FRINGE_ARCH_CFI
#if defined(__thumb__)
#define FRINGE_DWARF_FP "0x07"
#else
#define FRINGE_DWARF_FP "0x0b"
#endif
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, 0x7c, %c[" side "] + %c[sp], 0x06\n\t"                \
  ".cfi_escape 0x10, 0x0e, 2, 0x7c, %c[" side "] + %c[pc]\n\t"                \
  ".cfi_escape 0x10, " FRINGE_DWARF_FP                                        \
  ", 2, 0x7c, %c[" side "] + %c[fp]\n\t"                                      \
  ".cfi_escape 0x10, 0x06, 2, 0x7c, %c[" side "] + %c[bp]\n\t"
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif

// Loads the address of label 0 into r3, with bit 0 set if the code there is T32. An `adr` is
// relative to the program counter rounded down to a multiple of 4, which the assembler knows only
// in a section with that alignment. An empty subsection gives it the alignment.
#if defined(__thumb__)
#define FRINGE_LOAD_RESUME_ADDRESS                                            \
  ".subsection 1\n\t"                                                         \
  ".balign 4\n\t"                                                             \
  ".previous\n\t"                                                             \
  "adr.w r3, 0f\n\t"                                                          \
  "orr r3, r3, #1\n\t"
#else
#define FRINGE_LOAD_RESUME_ADDRESS                                            \
  "adr r3, 0f\n\t"
#endif

// Continues the side `next` of the record at `ip`.
#define FRINGE_CONTINUE                                                       \
  "ldr r3, [ip, #%c[next] + %c[pc]]\n\t"                                      \
  "ldr sp, [ip, #%c[next] + %c[sp]]\n\t"                                      \
  "bx r3\n\t"                                                                 \
  FRINGE_WINDOW_END

// Saves the side `left` of the record at `ip`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: r0 is the word, r1 the
// record or null, ip the record, sp is as that side saved it, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  FRINGE_LOAD_RESUME_ADDRESS                                                  \
  "str " FRINGE_FP ", [ip, #%c[left] + %c[fp]]\n\t"                           \
  "str r3, [ip, #%c[left] + %c[pc]]\n\t"                                      \
  "str sp, [ip, #%c[left] + %c[sp]]\n\t"                                      \
  "str r6, [ip, #%c[left] + %c[bp]]\n\t"                                      \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nop  @ unwinders look up the address before the resume address\n"          \
  "0:\n\t"                                                                    \
  FRINGE_WINDOW("left")                                                       \
  "ldr " FRINGE_FP ", [ip, #%c[left] + %c[fp]]\n\t"                           \
  "ldr r6, [ip, #%c[left] + %c[bp]]\n\t"                                      \
  FRINGE_WINDOW_END

#define FRINGE_OFFSETS                                                        \
  [fp] "i"(offsetof(SavedRegisters, fp)),                                     \
  [pc] "i"(offsetof(SavedRegisters, pc)),                                     \
  [sp] "i"(offsetof(SavedRegisters, sp)),                                     \
  [bp] "i"(offsetof(SavedRegisters, bp))
// clang-format on

// Clang warns of a clobber of a register that the target lacks or that a flag reserves: d16-31, or
// r9 under -ffixed-r9.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winline-asm"
#endif

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  register uintptr_t r0 asm("r0") = word;
  register LinkRecord* r1 asm("r1") = kCancels ? nullptr : record;
  register LinkRecord* ip asm("ip") = record;
  asm volatile(FRINGE_SWITCH
               : "+r"(r0), "+r"(r1), "+r"(ip)
               : [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>), FRINGE_OFFSETS
               : FRINGE_CLOBBERS);
  return {{r0, r1}, ip};
}

[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  register uintptr_t r0 asm("r0") = word;
  register LinkRecord* r1 asm("r1") = nullptr;
  register LinkRecord* ip asm("ip") = record;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  asm volatile(FRINGE_WINDOW("next") FRINGE_CONTINUE
               :
               : "r"(r0), "r"(r1), "r"(ip), [next] "i"(kOffset<Side::kResumer>), FRINGE_OFFSETS
               : "memory");
  __builtin_unreachable();
}

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

#undef FRINGE_FP
#undef FRINGE_NOT_FP
#undef FRINGE_CLOBBERS_R9
#undef FRINGE_CLOBBERS
#undef FRINGE_DWARF_FP
#undef FRINGE_WINDOW
#undef FRINGE_WINDOW_END
#undef FRINGE_LOAD_RESUME_ADDRESS
#undef FRINGE_CONTINUE
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_ARM_H_
