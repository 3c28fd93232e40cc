// The backend for i386 and its successors in 32-bit mode on System V systems (Linux, the BSDs, bare
// metal), position-independent or not.
//
// 1. ABI facts
//
// From "System V Application Binary Interface, Intel386 Architecture Processor Supplement":
//   * The stack grows down and `esp` is a multiple of 16 just before a `call`; a function therefore
//     begins with `esp + 4` a multiple of 16.
//   * There is no red zone: memory below `esp` is not preserved.
//   * `ebp` is the frame pointer in functions that have one: `0(ebp)` holds the caller's `ebp` and
//     `4(ebp)` the return address. The first two words of the link record have the same form.
//   * Arguments of a function are on the stack, the first at `4(esp)` when it begins.
//   * No instruction has an operand relative to its own address. Position-independent code finds
//     its address by a `call` to the next instruction, which pushes it.
// From the compilers:
//   * GCC rejects a clobber of `ebp` in functions that have a frame pointer, and Clang accepts it
//     and miscompiles. Clang keeps the address of over-aligned locals in `esi` in functions that
//     also call `alloca`, and then ignores a clobber of `esi`. Both are saved by hand.
//   * `ebx` holds the address of the global offset table around calls in position-independent code.
//     It is like any other register over an asm statement.
// From "Intel 64 and IA-32 Architectures Software Developer's Manual", on `CALL`:
//   * A `call` to the next instruction leaves the hardware's shadow stack as it is.
//
// 2. Not changed by a switch
//
// The signal mask; thread-local storage; the floating-point control words (`MXCSR`, the x87 control
// word) and the direction flag, which the ABI requires to be clear; segment registers; the hardware
// shadow stack.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 32  ..........     record + 32  ..........       record + 32  ..........
//   record + 28  entry          record + 28  its esi          record + 28  stale
//   record + 24  sp - 20        record + 24  its esp          record + 24  stale
//   record + 20  start          record + 20  its resume addr  record + 20  stale
//   record + 16  record         record + 16  its ebp          record + 16  stale
//   record + 12  unset          record + 12  stale            record + 12  resumer's esi
//   record +  8  0              record +  8  0                record +  8  resumer's esp
//   record +  4  unset          record +  4  stale            record +  4  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's ebp
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp -  4      unset          sp -  4      unset            sp -  4      unset
//   sp -  8      unset          sp -  8      3rd argument     sp -  8      3rd argument
//   sp - 12      unset          sp - 12      2nd argument     sp - 12      2nd argument
//   sp - 16      unset          sp - 16      1st argument     sp - 16      1st argument
//   sp - 20      trampoline     sp - 20      trampoline       sp - 20      trampoline
//                               ... frames ...                ... frames ...
//                               its esp                       esp
//
// `start` is `fringe_x86_start`, to which the first resume jumps. It stores the arguments of
// `entry` and jumps to it; its address is in `esi`. The word at `sp - 20` is the return address of
// `entry`, and `ebp` is `record` when `entry` begins. A walker of frame pointers therefore finds
// the record above the frame of `entry`, and above the record the frame of the resumer. The
// trampoline is never called: if it called `entry`, the CPU would predict a return that does not
// happen. `Closed` reads the word at `record + 8`.
//
// 4. Unwinding
//
// The compiler's CFI holds at every instruction of the switch before the one that changes `esp`.
// The exception is the instruction after the `call` by which position-independent code finds its
// own address: there, the rules are those at the beginning of a function. From the last store to
// the jump, the switch has rules of its own (the window): the side being left is described by the
// link record, whose address is in `edx`, or in `ecx` in `Cancel`. In `Finish` they describe the
// resumer, from the first instruction on, as if it had called the frame. To an unwinder, `entry`
// returns into `fringe_x86_trampoline`, whose rules are the same with the record's address in
// `ebp`; they hold in `fringe_x86_start` too. In every case the CFA is the stack pointer the
// compiler assumes at the resume address. Unwinders look up the address before a return address:
// an instruction precedes each resume address and the trampoline, so that this address is in the
// same function.
//
// 5. Registers
//
//   in and out      eax (the word), edx (the record, or null), ecx (the record, if edx is null)
//   saved by hand   esp ebp esi, and eip
//   clobbered       ebx edi, st0-7 (unless -mno-80387), the flags,
//                   xmm0-7 (with ymm and zmm), k0-7 and mm0-7 (GCC: if the file has them, and
//                   otherwise a function must not have xmm0-7 or k0-7)
//   reserved        gs (thread pointer), fs, ds, es, ss, cs

#ifndef FRINGE_ARCH_X86_H_
#define FRINGE_ARCH_X86_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"
#include "link_record.h"

namespace fringe::arch {

inline constexpr size_t kStackAlignment = 16;
inline constexpr size_t kGuardBytes = 4096;
inline constexpr size_t kMinimumFrameBytes = 256;

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 16 &&
              sizeof(LinkRecord) == 32);
static_assert(offsetof(SavedRegisters, fp) == 0 && offsetof(SavedRegisters, pc) == 4 &&
              offsetof(SavedRegisters, sp) == 8 && offsetof(SavedRegisters, bp) == 12);

// The addresses of `fringe_x86_start` and `fringe_x86_trampoline`. In variables, because a program
// at fixed addresses that uses a shared library has other addresses for the library's functions.
extern "C" void* const fringe_x86_start_address;
extern "C" void* const fringe_x86_return_address;

inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void** return_address = reinterpret_cast<void**>(sp) - 5;  // its arguments are above
  *return_address = fringe_x86_return_address;
  record->generator.fp = record;
  record->generator.pc = fringe_x86_start_address;
  record->generator.sp = return_address;
  record->generator.bp = reinterpret_cast<void*>(entry);
  record->resumer.sp = nullptr;
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  auto distance = reinterpret_cast<size_t>(address);
  asm volatile("{subl %%esp, %0|sub %0, esp}" : "+r"(distance) : : "cc");
  return distance;
}

// The registers that a switch clobbers, one class a line.
// clang-format off
// Clang accepts the name of any register. GCC accepts those that the function has into which the
// statement is inlined, so only those of the file's own flags can be listed.
#if defined(__clang__) || defined(__SSE__)
#define FRINGE_CLOBBERS_SSE                                                   \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
#else
#define FRINGE_CLOBBERS_SSE
#endif
#if defined(__clang__) || defined(__AVX512F__)
#define FRINGE_CLOBBERS_AVX512                                                \
  "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define FRINGE_CLOBBERS_AVX512
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
// With GCC, a function that has more of these by its `target` attribute than the file has is an
// error. The register shows it that GCC chooses for an operand: one of those that are not listed,
// or else edi or ebx, which the switch clobbers. Every operand then has two alternatives.
#if defined(__clang__) || defined(__AVX512F__)
#define FRINGE_ALTERNATIVES(constraint) constraint
#define FRINGE_PROBE
#define FRINGE_CHECK
#define FRINGE_CLOBBERS_SCRATCH                                               \
  "ebx", "edi",
#else
#define FRINGE_ALTERNATIVES(constraint) constraint "," constraint
#if defined(__SSE__)
#define FRINGE_PROBE                                                          \
  , [probe] "=&k,&?????????b"(mask)
#define FRINGE_CLOBBERS_SCRATCH                                               \
  "edi",
#define FRINGE_CHECK                                                          \
  ".ifnc {%[probe]|%%%[probe]},%%bx\n\t"                                      \
  FRINGE_ERROR                                                                \
  ".endif\n\t"
#else
#define FRINGE_PROBE                                                          \
  , [probe] "=&x,&?????????D"(number)
#define FRINGE_CLOBBERS_SCRATCH                                               \
  "ebx",
#define FRINGE_CHECK                                                          \
  ".ifnc {%[probe]|%%%[probe]},%%edi\n\t"                                     \
  FRINGE_ERROR                                                                \
  ".endif\n\t"
#endif
#define FRINGE_ERROR                                                          \
  ".error \"fringe: a function that resumes or suspends has registers by its " \
  "target attribute that GCC cannot save for it: compile the whole file with " \
  "the flags of the attribute.\"\n\t"
#endif
// All registers are listed, except ebp, esi, esp, which are saved by hand, and eax, ecx, edx,
// which are operands.
#define FRINGE_CLOBBERS                                                       \
  FRINGE_CLOBBERS_SCRATCH                                                     \
  FRINGE_CLOBBERS_SSE                                                         \
  FRINGE_CLOBBERS_AVX512                                                      \
  FRINGE_CLOBBERS_X87                                                         \
  FRINGE_CLOBBERS_MMX                                                         \
  "cc", "memory"

// The text is in AT&T's syntax, also under -masm=intel.
#define FRINGE_BEGIN                                                          \
  "{|.att_syntax prefix\n\t}"
#define FRINGE_END                                                            \
  "{|.intel_syntax noprefix\n\t}"
#define FRINGE_BASE                                                           \
  "({%[base]|%%%[base]})"

// Rules by which an unwinder continues from the words of `side`; `breg` is the DW_OP_breg of
// `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of esp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x08 return address, 0x05 ebp, 0x06 esi
//        ebp has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
// FRINGE_CALLED: the rules after a `call` has pushed the address of the next instruction, as at the
// beginning of a function. (A directive for the CFA, instead of the escape, outlives the
// `.cfi_restore_state` in Clang 14.)
//   0x0c DW_CFA_def_cfa: 0x04 esp, plus 4
#if FRINGE_ARCH_CFI
#define FRINGE_WINDOW(side)                                                   \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" side "] + %c[sp], 0x06\n\t"            \
  ".cfi_escape 0x10, 0x08, 2, %c[breg], %c[" side "] + %c[pc]\n\t"            \
  ".cfi_escape 0x10, 0x05, 4, %c[breg], %c[" side "] + %c[fp], 0x23, 0x00\n\t"\
  ".cfi_escape 0x10, 0x06, 2, %c[breg], %c[" side "] + %c[bp]\n\t"
#define FRINGE_CALLED                                                         \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0c, 0x04, 4\n\t"                                             \
  ".cfi_offset 8, -4\n\t"                                                     \
  ".cfi_same_value 3\n\t"                                                     \
  ".cfi_same_value 5\n\t"                                                     \
  ".cfi_same_value 6\n\t"                                                     \
  ".cfi_same_value 7\n\t"
#define FRINGE_WINDOW_END                                                     \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_WINDOW(side)
#define FRINGE_CALLED
#define FRINGE_WINDOW_END
#endif

// With -fcf-protection=branch, an indirect branch must land on an `endbr32`.
#if defined(__CET__) && (__CET__ & 1)
#define FRINGE_LANDING_PAD                                                    \
  "endbr32\n\t"
#else
#define FRINGE_LANDING_PAD
#endif

// Loads the address of label 1, which it defines, into a register.
#define FRINGE_LOAD_PC(reg)                                                   \
  "call 1f\n\t"                                                               \
  FRINGE_CALLED                                                               \
  "1: popl " reg "\n\t"                                                       \
  FRINGE_WINDOW_END

// Loads the address of label 0 into `edi`.
#if defined(__PIC__)
#define FRINGE_LOAD_RESUME_ADDRESS                                            \
  FRINGE_LOAD_PC("%%edi")                                                     \
  "addl $0f - 1b, %%edi\n\t"
#else
#define FRINGE_LOAD_RESUME_ADDRESS                                            \
  "movl $0f, %%edi\n\t"
#endif

// Continues the side `next` of the record at `base`.
#define FRINGE_CONTINUE                                                       \
  "movl %c[next] + %c[bp]" FRINGE_BASE ", %%esi\n\t"                          \
  "movl %c[next] + %c[fp]" FRINGE_BASE ", %%ebp\n\t"                          \
  "movl %c[next] + %c[sp]" FRINGE_BASE ", %%esp\n\t"                          \
  "jmp *%c[next] + %c[pc]" FRINGE_BASE "\n\t"                                 \
  FRINGE_WINDOW_END

// Saves the side `left` of the record at `base`, and continues the side `next`.
// At label 0 the registers are as the other side's statement left them: eax is the word, edx the
// record or null, esp, ebp and esi are as saved here, and all others are unknown.
#define FRINGE_SWITCH                                                         \
  FRINGE_BEGIN                                                                \
  FRINGE_CHECK                                                                \
  FRINGE_LOAD_RESUME_ADDRESS                                                  \
  "movl %%ebp, %c[left] + %c[fp]" FRINGE_BASE "\n\t"                          \
  "movl %%edi, %c[left] + %c[pc]" FRINGE_BASE "\n\t"                          \
  "movl %%esp, %c[left] + %c[sp]" FRINGE_BASE "\n\t"                          \
  "movl %%esi, %c[left] + %c[bp]" FRINGE_BASE "\n\t"                          \
  FRINGE_WINDOW("left")                                                       \
  FRINGE_CONTINUE                                                             \
  "nop  # unwinders look up the address before the resume address\n"          \
  "0:\n\t"                                                                    \
  FRINGE_LANDING_PAD                                                          \
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
enum : unsigned { kDwOpBregEcx = 0x71, kDwOpBregEdx = 0x72 };

template <Side kLeft, bool kCancels>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record) {
  LinkRecord* arrived = kCancels ? nullptr : record;
  [[maybe_unused]] uint16_t mask;
  [[maybe_unused]] float number;
  if constexpr (kCancels) {
    asm volatile(FRINGE_SWITCH
                 : "+" FRINGE_ALTERNATIVES("a")(word), "+" FRINGE_ALTERNATIVES("d")(arrived),
                   [base] "+" FRINGE_ALTERNATIVES("c")(record) FRINGE_PROBE
                 : [breg] FRINGE_ALTERNATIVES("i")(kDwOpBregEcx), FRINGE_OFFSETS(kLeft)
                 : FRINGE_CLOBBERS);
  } else {
    asm volatile(FRINGE_SWITCH
                 : "+" FRINGE_ALTERNATIVES("a")(word), [base] "+" FRINGE_ALTERNATIVES("d")(arrived),
                   "=" FRINGE_ALTERNATIVES("c")(record) FRINGE_PROBE
                 : [breg] FRINGE_ALTERNATIVES("i")(kDwOpBregEdx), FRINGE_OFFSETS(kLeft)
                 : FRINGE_CLOBBERS);
  }
  return {{word, arrived}, record};
}

[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  LinkRecord* const arrived = nullptr;
  // No clobbers, because nothing follows: they would make the compiler save registers.
  asm volatile(FRINGE_BEGIN FRINGE_WINDOW("next") FRINGE_CONTINUE FRINGE_END
               :
               : FRINGE_ALTERNATIVES("a")(word),
                 FRINGE_ALTERNATIVES("d")(arrived), [base] FRINGE_ALTERNATIVES("c")(record),
                 [breg] FRINGE_ALTERNATIVES("i")(kDwOpBregEcx), FRINGE_OFFSETS(Side::kGenerator)
               : "memory");
  __builtin_unreachable();
}

#if defined(__PIC__)
// Returns: the address of the module's global offset table.
[[gnu::always_inline]] inline uintptr_t GlobalOffsetTable() {
  uintptr_t address;
  asm volatile(FRINGE_BEGIN FRINGE_LOAD_PC(
                   "{%0|%%%0}") "addl $_GLOBAL_OFFSET_TABLE_ + (. - 1b), {%0|%%%0}\n\t" FRINGE_END
               : "=r"(address)
               :
               : "cc");
  return address;
}

// Returns: an address in the calling function, for tests.
[[gnu::always_inline]] inline uintptr_t ProgramCounter() {
  uintptr_t address;
  asm volatile(FRINGE_BEGIN FRINGE_LOAD_PC("{%0|%%%0}") FRINGE_END : "=r"(address));
  return address;
}
#endif

#undef FRINGE_CLOBBERS_SSE
#undef FRINGE_CLOBBERS_AVX512
#undef FRINGE_CLOBBERS_X87
#undef FRINGE_CLOBBERS_MMX
#undef FRINGE_ALTERNATIVES
#undef FRINGE_PROBE
#undef FRINGE_CHECK
#undef FRINGE_CLOBBERS_SCRATCH
#undef FRINGE_ERROR
#undef FRINGE_CLOBBERS
#undef FRINGE_BEGIN
#undef FRINGE_END
#undef FRINGE_BASE
#undef FRINGE_WINDOW
#undef FRINGE_CALLED
#undef FRINGE_WINDOW_END
#undef FRINGE_LANDING_PAD
#undef FRINGE_LOAD_PC
#undef FRINGE_LOAD_RESUME_ADDRESS
#undef FRINGE_CONTINUE
#undef FRINGE_SWITCH
#undef FRINGE_OFFSETS

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_X86_H_
