// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `ebp`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x75 DW_OP_breg5 (ebp) 0x08, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x75 DW_OP_breg5 (ebp) offset
//        registers: 0x08 return address, 0x05 ebp, 0x06 esi
//        ebp has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4. What AT&T's and Intel's syntax write differently is in
// bytes, so that the file compiles under -masm=intel.

// A build may compile every file of this folder.
#if defined(__i386__)

#include "x86.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x04 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x00 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x0c);

// Not functions: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" {
[[gnu::visibility("hidden")]] extern char fringe_x86_start[];
[[gnu::visibility("hidden")]] extern char fringe_x86_trampoline[];
}

// The declarations gave them C linkage.
void* const fringe::arch::fringe_x86_start_address = fringe_x86_start;
void* const fringe::arch::fringe_x86_return_address = fringe_x86_trampoline;

asm(R"(
  .pushsection .text
  .globl fringe_x86_start
  .hidden fringe_x86_start
  .type fringe_x86_start, @function
fringe_x86_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_x86_personality
  .cfi_escape 0x0f, 3, 0x75, 0x08, 0x06
  .cfi_escape 0x10, 0x08, 2, 0x75, 0x04
  .cfi_escape 0x10, 0x05, 4, 0x75, 0x00, 0x23, 0x00
  .cfi_escape 0x10, 0x06, 2, 0x75, 0x0c
  endbr32
  .byte 0x89, 0x44, 0x24, 4     # movl %eax, 4(%esp)
  .byte 0x89, 0x54, 0x24, 8     # movl %edx, 8(%esp)
  .byte 0x89, 0x4c, 0x24, 12    # movl %ecx, 12(%esp)
  .byte 0xff, 0xe6              # jmp *%esi
  .size fringe_x86_start, . - fringe_x86_start
  .type __morestack, @function
__morestack:
  nop                           # unwinders look up the address before a return address
  .globl fringe_x86_trampoline
  .hidden fringe_x86_trampoline
  .type fringe_x86_trampoline, @function
fringe_x86_trampoline:
  ud2                           # no Entry returns
  .cfi_endproc
  .size fringe_x86_trampoline, . - fringe_x86_trampoline
  .size __morestack, . - __morestack
.Lfringe_x86_personality:
  endbr32
  .byte 0xb8, 3, 0, 0, 0        # movl $3, %eax: _URC_FATAL_PHASE1_ERROR
  ret
  .popsection
)");

#endif  // defined(__i386__)
