// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `rbp`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x76 DW_OP_breg6 (rbp) 0x10, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x76 DW_OP_breg6 (rbp) offset
//        registers: 0x10 return address, 0x06 rbp, 0x03 rbx
//        rbp has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
// What AT&T's and Intel's syntax write differently is in bytes, so that the file compiles under
// -masm=intel.

// A build may compile every file of this folder.
#if defined(__x86_64__) && defined(__LP64__)

#include "x86_64.h"

#include "object_format.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x00 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x18);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_x86_64_trampoline[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_x86_64_return_address = fringe_x86_64_trampoline;

// clang-format off
asm(
  FRINGE_TEXT
  FRINGE_FUNCTION("__morestack") R"(
  .cfi_startproc
)" FRINGE_PERSONALITY("fringe_x86_64_personality") R"(
  .cfi_escape 0x0f, 3, 0x76, 0x10, 0x06
  .cfi_escape 0x10, 0x10, 2, 0x76, 0x08
  .cfi_escape 0x10, 0x06, 4, 0x76, 0x00, 0x23, 0x00
  .cfi_escape 0x10, 0x03, 2, 0x76, 0x18
  nop                           # unwinders look up the address before a return address
)" FRINGE_HIDDEN("fringe_x86_64_trampoline")
  FRINGE_ENTRY("fringe_x86_64_trampoline") R"(
  ud2                           # no Entry returns
  .cfi_endproc
)" FRINGE_END_FUNCTION("fringe_x86_64_trampoline")
  FRINGE_END_FUNCTION("__morestack")
  FRINGE_PERSONALITY_FUNCTION("fringe_x86_64_personality") R"(
  endbr64
  .byte 0xb8, 3, 0, 0, 0        # movl $3, %eax: _URC_FATAL_PHASE1_ERROR
  ret
)" FRINGE_END_TEXT);
// clang-format on

#endif  // defined(__x86_64__) && defined(__LP64__)

#if !defined(__clang__)
// The switch of functions that have AVX-512 by an attribute, which GCC cannot be told that a
// statement clobbers ("Registers" in x86_64.h). In an asm statement of a function, because only
// there can the syntax be chosen under -masm=intel.
//
//   in and out      rdi, rsi as in the statement
//   in              r8 (the words of the side that is left), r9 (those of the other side),
//                   r10 (the return address)
//   preserved       rax rcx, xmm16-31 (with zmm), k0-7
//
// The frame is below the red zone, and its CFA is the caller's stack pointer. In the window its
// registers are in the words that it has saved: breg8 (r8) is 0x78, the rest as above. It does not
// save rbx, which the statement clobbers.
//
//   CFA - 128         the red zone
//   rsp + 88          zmm16 to zmm31
//   rsp + 24          k0 to k7
//   rsp + 16          rcx
//   rsp +  8          rax
//   rsp +  0          return address
// clang-format off
#define FRINGE_SWITCH_SAVING(name, kmov)                                                          \
  ".globl " name "\n\t"                                                                           \
  ".type " name ", @function\n"                                                                   \
  name ":\n\t"                                                                                    \
  ".cfi_startproc\n\t"                                                                            \
  ".cfi_def_cfa 7, 0\n\t"                                                                         \
  ".cfi_register 16, 10\n\t"                                                                      \
  "endbr64\n\t"                                                                                   \
  "leaq -(128 + 1112)(%%rsp), %%rsp\n\t"                                                          \
  ".cfi_def_cfa_offset 128 + 1112\n\t"                                                            \
  "movq %%r10, (%%rsp)\n\t"                                                                       \
  ".cfi_offset 16, -(128 + 1112)\n\t"                                                             \
  "movq %%rax, 8(%%rsp)\n\t"                                                                      \
  "movq %%rcx, 16(%%rsp)\n\t"                                                                     \
  ".irp i, 0, 1, 2, 3, 4, 5, 6, 7\n\t"                                                            \
  kmov " %%k\\i, 24 + 8 * \\i(%%rsp)\n\t"                                                         \
  ".endr\n\t"                                                                                     \
  ".irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"                    \
  "vmovups %%zmm\\i, 88 + 64 * (\\i - 16)(%%rsp)\n\t"                                             \
  ".endr\n\t"                                                                                     \
  "leaq 0f(%%rip), %%rax\n\t"                                                                     \
  "movq %%rbp, %c[fp](%%r8)\n\t"                                                                  \
  "movq %%rax, %c[pc](%%r8)\n\t"                                                                  \
  "movq %%rsp, %c[sp](%%r8)\n\t"                                                                  \
  ".cfi_remember_state\n\t"                                                                       \
  ".cfi_escape 0x0f, 3, 0x78, %c[sp], 0x06\n\t"                                                   \
  ".cfi_escape 0x10, 0x10, 2, 0x78, %c[pc]\n\t"                                                   \
  ".cfi_escape 0x10, 0x06, 4, 0x78, %c[fp], 0x23, 0x00\n\t"                                       \
  "movq %c[bp](%%r9), %%rbx\n\t"                                                                  \
  "movq %c[fp](%%r9), %%rbp\n\t"                                                                  \
  "movq %c[sp](%%r9), %%rsp\n\t"                                                                  \
  "jmpq *%c[pc](%%r9)\n\t"                                                                        \
  ".cfi_restore_state\n\t"                                                                        \
  "nop  # unwinders look up the address before the resume address\n"                              \
  "0:\n\t"                                                                                        \
  "endbr64\n\t"                                                                                   \
  ".irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"                    \
  "vmovups 88 + 64 * (\\i - 16)(%%rsp), %%zmm\\i\n\t"                                             \
  ".endr\n\t"                                                                                     \
  ".irp i, 0, 1, 2, 3, 4, 5, 6, 7\n\t"                                                            \
  kmov " 24 + 8 * \\i(%%rsp), %%k\\i\n\t"                                                         \
  ".endr\n\t"                                                                                     \
  "movq 16(%%rsp), %%rcx\n\t"                                                                     \
  "movq 8(%%rsp), %%rax\n\t"                                                                      \
  "movq (%%rsp), %%r10\n\t"                                                                       \
  ".cfi_register 16, 10\n\t"                                                                      \
  "leaq 128 + 1112(%%rsp), %%rsp\n\t"                                                             \
  ".cfi_def_cfa_offset 0\n\t"                                                                     \
  "jmpq *%%r10\n\t"                                                                               \
  ".cfi_endproc\n\t"                                                                              \
  ".size " name ", . - " name "\n\t"

[[gnu::used, gnu::noipa]] static void DefineSavingSwitches() {
  asm volatile(
      "{|.att_syntax prefix\n\t}"
      ".pushsection .text.fringe, \"ax\", @progbits\n\t"
      FRINGE_SWITCH_SAVING("fringe_x86_64_switch_avx512f", "kmovw")
      FRINGE_SWITCH_SAVING("fringe_x86_64_switch_avx512bw", "kmovq")
      ".popsection\n\t"
      "{|.intel_syntax noprefix\n\t}"
      :
      : [fp] "i"(offsetof(fringe::arch::SavedRegisters, fp)),
        [pc] "i"(offsetof(fringe::arch::SavedRegisters, pc)),
        [sp] "i"(offsetof(fringe::arch::SavedRegisters, sp)),
        [bp] "i"(offsetof(fringe::arch::SavedRegisters, bp)));
}
// clang-format on

#undef FRINGE_SWITCH_SAVING
#endif
