// The backend for x86_64 on System V systems (Linux, the BSDs, bare metal).
//
// 1. ABI facts
//
// From "System V Application Binary Interface, AMD64 Architecture Processor Supplement":
//   * The stack grows down and `rsp` is a multiple of 16 just before a `call`; a function therefore
//     begins with `rsp + 8` a multiple of 16.
//   * The 128 bytes below `rsp` (the red zone) belong to the running function. The switch does not
//     store there: it stores to the link record alone.
//   * `rbp` is the frame pointer in functions that have one: `0(rbp)` holds the caller's `rbp` and
//     `8(rbp)` the return address. The first two words of the link record have the same form.
//   * The first three arguments of a function are in `rdi`, `rsi` and `rdx`.
// From the compilers:
//   * GCC rejects a clobber of `rbp` in functions that have a frame pointer, and Clang accepts it
//     and crashes. It is saved by hand.
//   * Clang keeps the address of over-aligned locals in `rbx` in functions that also call `alloca`.
//     Version 14 then ignores a clobber of `rbx`, and version 19 writes wrong unwind tables. Code
//     that Clang compiles saves `rbx` by hand. Every switch restores `rbx`, because the other side
//     may be such code.
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage; the floating-point control words (`MXCSR`, the x87 control
// word); the configuration of AMX tiles; the direction flag, which the ABI requires to be clear;
// segment registers; the hardware shadow stack.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 64  ..........     record + 64  ..........       record + 64  ..........
//   record + 56  unset          record + 56  its rbx *        record + 56  stale
//   record + 48  sp - 8         record + 48  its rsp          record + 48  stale
//   record + 40  entry          record + 40  its resume addr  record + 40  stale
//   record + 32  record         record + 32  its rbp          record + 32  stale
//   record + 24  unset          record + 24  stale            record + 24  resumer's rbx *
//   record + 16  0              record + 16  0                record + 16  resumer's rsp
//   record +  8  unset          record +  8  stale            record +  8  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's rbp
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp -  8      trampoline     sp -  8      trampoline       sp -  8      trampoline
//                               ... frames ...                ... frames ...
//                               its rsp                       rsp
//   * stale if GCC has compiled that side
//
// The word at `sp - 8` is the return address of `entry`, and `rbp` is `record` when `entry` begins.
// A walker of frame pointers therefore finds the record above the frame of `entry`, and above the
// record the frame of the resumer. The trampoline is never called: if it called `entry`, the CPU
// would predict a return that does not happen. `Closed` reads the word at `record + 16`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes `rsp`.
// From the last store to the jump, the switch has rules of its own (the window): the side being
// left is described by the link record, whose address is in `rsi`, or in `rdx` in `Cancel`. In
// `Finish` they describe the resumer, from the first instruction on, as if it had called the
// frame. To an unwinder, `entry` returns into `fringe_x86_64_trampoline`, whose rules are the same
// with the record's address in `rbp`. In every case the CFA is the stack pointer the compiler
// assumes at the resume address. Unwinders look up the address before a return address: a `nop`,
// and perhaps padding, precedes each resume address and the trampoline, so that this address is in
// the same function.
//
// 5. Registers
//
//   in and out      rdi (the word), rsi (the record, or null), rdx (the record, if rsi is null)
//   saved by hand   rsp rbp, and rip; rbx (Clang)
//   clobbered       rax rbx (GCC) rcx r8 r9 r10 r11 r12 r13 r14 r15, r16-r31 (Clang from 19
//                   on, or if the file has APX), xmm0-31 (with ymm and zmm), k0-7,
//                   tmm0-7 (Clang), st0-7 (unless -mno-80387), mm0-7, the flags
//   reserved        fs (thread pointer), gs, ds, es, ss, cs

#ifndef FRINGE_ARCH_X86_64_H_
#define FRINGE_ARCH_X86_64_H_

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

// The address of `fringe_x86_64_trampoline`. In a variable, because a program at fixed addresses
// that uses a shared library has another address for the library's functions.
extern "C" void* const fringe_x86_64_return_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void** const return_address = reinterpret_cast<void**>(sp) - 1;
  *return_address = fringe_x86_64_return_address;
  record->generator.fp = record;
  record->generator.pc = reinterpret_cast<void*>(entry);
  record->generator.sp = return_address;
  record->resumer.sp = nullptr;
}

inline bool HasStarted(const LinkRecord* record) {
  // The record's address may stay in `rbp`, but not together with the trampoline's at `rsp`.
  return record->generator.fp != record ||
         *static_cast<void* const*>(record->generator.sp) != fringe_x86_64_return_address;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  auto distance = reinterpret_cast<size_t>(address);
  asm volatile("{subq %%rsp, %0|sub %0, rsp}" : "+r"(distance) : : "cc");
  return distance;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
// Clang accepts the name of any register. GCC accepts those that the function has into which the
// statement is inlined, so only those of the file's own flags can be listed.
#if defined(__clang__) || defined(__AVX512F__)
#define FRINGE_HAS_AVX512 1
#else
#define FRINGE_HAS_AVX512 0
#endif
#if defined(__APX_F__) || defined(__APX_EGPR__) || (defined(__clang__) && __clang_major__ >= 19)
#define FRINGE_CLOBBERS_APX                                                   \
  "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23",                     \
  "r24", "r25", "r26", "r27", "r28", "r29", "r30", "r31",
#else
#define FRINGE_CLOBBERS_APX
#endif
#if defined(__clang__) || defined(__SSE__)
#define FRINGE_CLOBBERS_SSE                                                   \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",             \
  "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
#else
#define FRINGE_CLOBBERS_SSE
#endif
// A side that does not save rbx has no rule for it either: its value is of no use.
#if defined(__clang__)
#define FRINGE_CLOBBERS_BP
#define FRINGE_SAVE_BP                                                        \
  "movq %%rbx, %c[left] + %c[bp]" FRINGE_BASE "\n\t"
#define FRINGE_BP_RULE(side)                                                  \
  ".cfi_escape 0x10, 0x03, 2, %c[breg], %c[" side "] + %c[bp]\n\t"
#else
#define FRINGE_CLOBBERS_BP                                                    \
  "rbx",
#define FRINGE_SAVE_BP
#define FRINGE_BP_RULE(side)
#endif
#if FRINGE_HAS_AVX512
#define FRINGE_CLOBBERS_AVX512                                                \
  "rax", "rcx",                                                               \
  "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",     \
  "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31",     \
  "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define FRINGE_CLOBBERS_AVX512
#endif
// GCC has no names for the tiles: it never keeps a value in one across a statement.
#if defined(__clang__)
#define FRINGE_CLOBBERS_AMX                                                   \
  "tmm0", "tmm1", "tmm2", "tmm3", "tmm4", "tmm5", "tmm6", "tmm7",
#else
#define FRINGE_CLOBBERS_AMX
#endif
// There is no macro for the unit, but GCC has one for its absence (-mno-80387).
#if !defined(_SOFT_FLOAT)
#define FRINGE_CLOBBERS_X87                                                   \
  "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
#else
#define FRINGE_CLOBBERS_X87
#endif
#if defined(__clang__) || defined(__MMX__)
#define FRINGE_CLOBBERS_MMX                                                   \
  "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7",
#else
#define FRINGE_CLOBBERS_MMX
#endif
// All registers are listed, except rbp, rsp and Clang's rbx, which are saved by hand, and rdx, rsi,
// rdi, which are operands.
#define FRINGE_CLOBBERS                                                       \
  FRINGE_CLOBBERS_BP                                                          \
  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",                       \
  FRINGE_CLOBBERS_APX                                                         \
  FRINGE_CLOBBERS_SSE                                                         \
  FRINGE_CLOBBERS_AVX512                                                      \
  FRINGE_CLOBBERS_AMX                                                         \
  FRINGE_CLOBBERS_X87                                                         \
  FRINGE_CLOBBERS_MMX                                                         \
  "cc", "memory"

// GCC, without AVX-512 in the file: whether the function has it, by its `target` attribute or by
// link-time optimisation, shows in the registers that GCC chooses for two operands. They are mask
// registers if the function has those, of 64 bits only with AVX512BW, and otherwise rcx and rax,
// which the plain switch clobbers. With them the switch is a function in x86_64.cc, which saves
// xmm16-31 and k0-7 on the stack, and rax and rcx, because GCC does not know that they are
// clobbered. Every operand then has three alternatives.
#if FRINGE_HAS_AVX512
#define FRINGE_ALTERNATIVES(constraint) constraint
#define FRINGE_MASKS
#define FRINGE_PLAIN
#define FRINGE_SAVING
#else
#define FRINGE_ALTERNATIVES(constraint) constraint "," constraint "," constraint
#define FRINGE_MASKS                                                          \
  , [mask16] "=&k,&k,&?????????c"(mask16), [mask64] "=&k,&?????????a,&?????????a"(mask64)
#define FRINGE_PLAIN                                                          \
  ".ifc {%[mask16]|%%%[mask16]},%%cx\n\t"
#define FRINGE_SAVING                                                         \
  ".else\n\t"                                                                 \
  "leaq %c[left]" FRINGE_BASE ", %%r8\n\t"                                    \
  "leaq %c[next]" FRINGE_BASE ", %%r9\n\t"                                    \
  "leaq 1f(%%rip), %%r10\n\t"                                                 \
  ".ifc {%[mask64]|%%%[mask64]},%%rax\n\t"                                    \
  "jmpq *fringe_x86_64_switch_avx512f@GOTPCREL(%%rip)\n\t"                    \
  ".else\n\t"                                                                 \
  "jmpq *fringe_x86_64_switch_avx512bw@GOTPCREL(%%rip)\n\t"                   \
  ".endif\n"                                                                  \
  "1:\n\t"                                                                    \
  FRINGE_LANDING_PAD                                                          \
  ".endif\n\t"
#endif

// The text is in AT&T's syntax, also under -masm=intel.
#define FRINGE_BEGIN                                                          \
  "{|.att_syntax prefix\n\t}"
#define FRINGE_END                                                            \
  "{|.intel_syntax noprefix\n\t}"
#define FRINGE_BASE                                                           \
  "({%[base]|%%%[base]})"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of sp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x10 return address, 0x06 rbp, 0x03 rbx
//        rbp has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
#if FRINGE_ARCH_CFI
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" side "] + %c[sp], 0x06\n\t"            \
  ".cfi_escape 0x10, 0x10, 2, %c[breg], %c[" side "] + %c[pc]\n\t"            \
  ".cfi_escape 0x10, 0x06, 4, %c[breg], %c[" side "] + %c[fp], 0x23, 0x00\n\t"\
  FRINGE_BP_RULE(side)
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_WINDOW_END
#endif

// With -fcf-protection=branch, an indirect branch must land on an `endbr64`.
#if defined(__CET__) && (__CET__ & 1)
#define FRINGE_LANDING_PAD                                                    \
  "endbr64\n\t"
#else
#define FRINGE_LANDING_PAD
#endif

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "movq %c[next] + %c[bp]" FRINGE_BASE ", %%rbx\n\t"                          \
  "movq %c[next] + %c[fp]" FRINGE_BASE ", %%rbp\n\t"                          \
  "movq %c[next] + %c[sp]" FRINGE_BASE ", %%rsp\n\t"                          \
  "jmpq *%c[next] + %c[pc]" FRINGE_BASE "\n\t"                                \
  FRINGE_WINDOW_END

// The resume address (label 0) starts a cache line. Golden Cove keeps decoded instructions by line,
// and a jump to the middle of one probably gets it fewer of them in the next cycle: in random
// positions, loops took up to 1.4 times as long (docs/design.md). It costs 31 bytes of code on
// average, so code that is compiled for size does without.
#if defined(__OPTIMIZE_SIZE__)
#define FRINGE_ALIGN_RESUME_ADDRESS
#else
#define FRINGE_ALIGN_RESUME_ADDRESS                                           \
  ".p2align 6\n"
#endif

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: rdi is the word, rsi the
// record or null, rsp and rbp are as saved here, rbx too if it was saved, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  FRINGE_BEGIN                                                                \
  FRINGE_PLAIN                                                                \
  "leaq 0f(%%rip), %%rax\n\t"                                                 \
  "movq %%rbp, %c[left] + %c[fp]" FRINGE_BASE "\n\t"                          \
  "movq %%rax, %c[left] + %c[pc]" FRINGE_BASE "\n\t"                          \
  "movq %%rsp, %c[left] + %c[sp]" FRINGE_BASE "\n\t"                          \
  FRINGE_SAVE_BP                                                              \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nop  # unwinders look up the address before the resume address\n\t"        \
  FRINGE_ALIGN_RESUME_ADDRESS                                                 \
  "0:\n\t"                                                                    \
  FRINGE_LANDING_PAD                                                          \
  FRINGE_SAVING                                                               \
  FRINGE_END

#define FRINGE_OFFSETS(side)                                                  \
  [left] FRINGE_ALTERNATIVES("i")(kOffset<side>),                             \
  [next] FRINGE_ALTERNATIVES("i")(kOffsetOfOther<side>),                      \
  [fp] FRINGE_ALTERNATIVES("i")(offsetof(SavedRegisters, fp)),                \
  [pc] FRINGE_ALTERNATIVES("i")(offsetof(SavedRegisters, pc)),                \
  [sp] FRINGE_ALTERNATIVES("i")(offsetof(SavedRegisters, sp)),                \
  [bp] FRINGE_ALTERNATIVES("i")(offsetof(SavedRegisters, bp))
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregRdx = 0x71, kDwOpBregRsi = 0x74 };

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  LinkRecord* arrived = kCancels ? nullptr : record;
  [[maybe_unused]] uint16_t mask16;
  [[maybe_unused]] uint64_t mask64;
  if constexpr (kCancels) {
    asm volatile(FRINGE_SWITCH
                 : "+" FRINGE_ALTERNATIVES("D")(word), "+" FRINGE_ALTERNATIVES("S")(arrived),
                   [base] "+" FRINGE_ALTERNATIVES("d")(record) FRINGE_MASKS
                 : [breg] FRINGE_ALTERNATIVES("i")(kDwOpBregRdx), FRINGE_OFFSETS(kLeft)
                 : FRINGE_CLOBBERS);
  } else {
    asm volatile(FRINGE_SWITCH
                 : "+" FRINGE_ALTERNATIVES("D")(word), [base] "+" FRINGE_ALTERNATIVES("S")(arrived),
                   "=" FRINGE_ALTERNATIVES("d")(record) FRINGE_MASKS
                 : [breg] FRINGE_ALTERNATIVES("i")(kDwOpBregRsi), FRINGE_OFFSETS(kLeft)
                 : FRINGE_CLOBBERS);
  }
  return {{word, arrived}, record};
}

[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  LinkRecord* const arrived = nullptr;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  asm volatile(FRINGE_BEGIN FRINGE_WINDOW("next") FRINGE_CONTINUE FRINGE_END
               :
               : FRINGE_ALTERNATIVES("D")(word),
                 FRINGE_ALTERNATIVES("S")(arrived), [base] FRINGE_ALTERNATIVES("d")(record),
                 [breg] FRINGE_ALTERNATIVES("i")(kDwOpBregRdx), FRINGE_OFFSETS(Side::kGenerator)
               : "memory");
  __builtin_unreachable();
}

#undef FRINGE_HAS_AVX512
#undef FRINGE_CLOBBERS_APX
#undef FRINGE_CLOBBERS_SSE
#undef FRINGE_CLOBBERS_BP
#undef FRINGE_SAVE_BP
#undef FRINGE_BP_RULE
#undef FRINGE_CLOBBERS_AVX512
#undef FRINGE_CLOBBERS_AMX
#undef FRINGE_CLOBBERS_X87
#undef FRINGE_CLOBBERS_MMX
#undef FRINGE_CLOBBERS
#undef FRINGE_ALTERNATIVES
#undef FRINGE_MASKS
#undef FRINGE_PLAIN
#undef FRINGE_SAVING
#undef FRINGE_BEGIN
#undef FRINGE_END
#undef FRINGE_BASE
#undef FRINGE_WINDOW
#undef FRINGE_WINDOW_END
#undef FRINGE_LANDING_PAD
#undef FRINGE_CONTINUE
#undef FRINGE_ALIGN_RESUME_ADDRESS
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_X86_64_H_
