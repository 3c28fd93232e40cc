// The backend for 64-bit RISC-V with the standard calling convention (Linux, the BSDs, bare metal).
//
// 1. ABI facts
//
// From "RISC-V ABIs Specification" (calling convention, DWARF):
//   * The stack grows down and `sp` is a multiple of 16 at all times.
//   * There is no red zone: memory below `sp` is not preserved.
//   * `s0` is the frame pointer in functions that have one. It points above the frame record:
//     `-16(s0)` holds the caller's `s0` and `-8(s0)` the return address. The first two words of
//     the link record have the same form, so a frame pointer to them is `record + 16`.
//   * A call leaves the return address in `ra`, not on the stack.
//   * The first three arguments of a function are in `a0`, `a1` and `a2`.
//   * `gp` is reserved for the linker and `tp` is the thread pointer.
//   * A callee saves `s0` to `s11` and `fs0` to `fs11`. A switch is not a call: it clobbers all of
//     them that it does not save.
// From the compilers:
//   * GCC rejects a clobber of `s0` in functions that have a frame pointer. Clang keeps the
//     address of over-aligned locals in `s1` in functions that also call `alloca`, and then
//     ignores a clobber of `s1`. Both are saved by hand.
// From "The RISC-V Instruction Set Manual, Volume I":
//   * A jump through `ra` or `t0` is predicted as a return. A jump through `t2` is not, and needs
//     no landing pad if those are enforced (Zicfilp).
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage (`tp`); `gp`; the floating-point control and status
// register (`fcsr`); the rounding mode and saturation flag of vectors (`vxrm`, `vxsat`); the
// hardware's shadow stack (Zicfiss), and Clang's.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 64  ..........     record + 64  ..........       record + 64  ..........
//   record + 56  entry          record + 56  its s1           record + 56  stale
//   record + 48  sp             record + 48  its sp           record + 48  stale
//   record + 40  start          record + 40  its resume addr  record + 40  stale
//   record + 32  record + 16    record + 32  its s0           record + 32  stale
//   record + 24  unset          record + 24  stale            record + 24  resumer's s1
//   record + 16  0              record + 16  0                record + 16  resumer's sp
//   record +  8  unset          record +  8  stale            record +  8  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's s0
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp                          ... frames ...                ... frames ...
//                               its sp                        sp
//
// `start` is `fringe_riscv64_start`, to which the first resume jumps. It loads `ra` with the
// address of the trampoline and jumps to `entry`, whose address is in `s1`. `s0` is `record + 16`
// then, and `entry` saves it beside the return address. A walker of frame pointers therefore finds
// the record above the frame of `entry`, and above the record the frame of the resumer. The
// trampoline is never called: if it called `entry`, the CPU would predict a return that does not
// happen. `Closed` reads the word at `record + 16`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes the
// first of `s1`, `s0` and `sp`. From the last store to the jump, the switch has rules of its own
// (the window): the side being left is described by the link record, whose address is in `a1`, or
// in `a2` in `Cancel`. In `Finish` they describe the resumer, from the first instruction on, as if
// it had called the frame. To an unwinder, `entry` returns into `fringe_riscv64_trampoline`, whose
// rules are the same with the record's address plus 16 in `s0`; they hold in
// `fringe_riscv64_start` too. In every case the CFA is the stack pointer the compiler assumes at
// the resume address. Unwinders look up the address before a return address: an instruction
// precedes each resume address and the trampoline, so that this address is in the same function.
//
// 5. Registers
//
//   in and out      a0 (the word), a1 (the record, or null), a2 (the record, if a1 is null)
//   saved by hand   sp s0 s1, and pc
//   clobbered       ra, t0-t6, a3-a7, s2-s11,
//                   ft0-ft11, fa0-fa7, fs0-fs11 (all of f0-f31),
//                   v0-v31 (GCC from 13 on, and if the file has V), vl and vtype (likewise, and
//                   Clang from 15 on)
//   reserved        zero, gp, tp, fcsr, vxrm, vxsat

#ifndef FRINGE_ARCH_RISCV64_H_
#define FRINGE_ARCH_RISCV64_H_

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

// The address of `fringe_riscv64_start`. In a variable, because a program at fixed addresses that
// uses a shared library has another address for the library's functions.
extern "C" void* const fringe_riscv64_start_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  record->generator.fp = &record->resumer.sp;  // just above the frame record
  record->generator.pc = fringe_riscv64_start_address;
  record->generator.sp = sp;
  record->generator.bp = reinterpret_cast<void*>(entry);
  record->resumer.sp = nullptr;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  size_t sp;
  asm volatile("mv %0, sp" : "=r"(sp));
  return reinterpret_cast<size_t>(address) - sp;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
// Every float register and, as far as the compiler has names for them, every vector register,
// whatever the file has: the statement is inlined into functions whose `target` attribute gives
// them more. GCC before 13 and Clang before 15 keep no value in vl or vtype across a statement.
#if defined(__clang__) || (defined(__riscv_vector) && __GNUC__ >= 13)
#define FRINGE_CLOBBERS_VECTORS                                               \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",                             \
  "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",                       \
  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",                     \
  "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",
#else
#define FRINGE_CLOBBERS_VECTORS
#endif
#if (defined(__clang__) && __clang_major__ >= 15) || \
    (!defined(__clang__) && defined(__riscv_vector) && __GNUC__ >= 13)
#define FRINGE_CLOBBERS_VTYPE                                                 \
  "vl", "vtype",
#else
#define FRINGE_CLOBBERS_VTYPE
#endif
// All registers are listed, except s0, s1, sp, which are saved by hand, and a0, a1, a2, which are
// operands.
#define FRINGE_CLOBBERS                                                       \
  "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6",                             \
  "a3", "a4", "a5", "a6", "a7",                                               \
  "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",               \
  "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7",                     \
  "ft8", "ft9", "ft10", "ft11",                                               \
  "fa0", "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7",                     \
  "fs0", "fs1", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7",                     \
  "fs8", "fs9", "fs10", "fs11",                                               \
  FRINGE_CLOBBERS_VECTORS                                                     \
  FRINGE_CLOBBERS_VTYPE                                                       \
  "memory"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of sp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x01 ra (the return address), 0x08 s0, 0x09 s1
//        s0 has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
#if FRINGE_ARCH_CFI
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" side "] + %c[sp], 0x06\n\t"            \
  ".cfi_escape 0x10, 0x01, 2, %c[breg], %c[" side "] + %c[pc]\n\t"            \
  ".cfi_escape 0x10, 0x08, 4, %c[breg], %c[" side "] + %c[fp], 0x23, 0x00\n\t"\
  ".cfi_escape 0x10, 0x09, 2, %c[breg], %c[" side "] + %c[bp]\n\t"
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "ld s1, %c[next] + %c[bp](%[base])\n\t"                                     \
  "ld s0, %c[next] + %c[fp](%[base])\n\t"                                     \
  "ld t2, %c[next] + %c[pc](%[base])\n\t"                                     \
  "ld sp, %c[next] + %c[sp](%[base])\n\t"                                     \
  "jr t2\n\t"                                                                 \
  FRINGE_WINDOW_END

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: a0 is the word, a1 the
// record or null, sp, s0 and s1 are as saved here, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  "lla t2, 0f\n\t"                                                            \
  "sd s0, %c[left] + %c[fp](%[base])\n\t"                                     \
  "sd t2, %c[left] + %c[pc](%[base])\n\t"                                     \
  "sd sp, %c[left] + %c[sp](%[base])\n\t"                                     \
  "sd s1, %c[left] + %c[bp](%[base])\n\t"                                     \
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
enum : unsigned { kDwOpBregA1 = 0x7b, kDwOpBregA2 = 0x7c };

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  register uintptr_t a0 asm("a0") = word;
  register LinkRecord* a1 asm("a1") = kCancels ? nullptr : record;
  if constexpr (kCancels) {
    register LinkRecord* a2 asm("a2") = record;
    asm volatile(
        FRINGE_SWITCH
        : "+r"(a0), "+r"(a1), [base] "+r"(a2)
        : [breg] "i"(kDwOpBregA2), [left] "i"(kOffset<kLeft>), [next] "i"(kOffsetOfOther<kLeft>),
          FRINGE_OFFSETS
        : FRINGE_CLOBBERS);
    return {{a0, a1}, a2};
  } else {
    register LinkRecord* a2 asm("a2");
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
  register uintptr_t a0 asm("a0") = word;
  register LinkRecord* a1 asm("a1") = nullptr;
  register LinkRecord* a2 asm("a2") = record;
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

#undef FRINGE_CLOBBERS_VTYPE
#undef FRINGE_CLOBBERS_VECTORS
#undef FRINGE_CLOBBERS
#undef FRINGE_WINDOW
#undef FRINGE_WINDOW_END
#undef FRINGE_CONTINUE
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_RISCV64_H_
