// The frame below every generator's first: see "Unwinding" in x86.h.
//
// The rules are those of a frame whose registers lie in the link record, the address of which is in
// `ebp`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x75 DW_OP_breg5 (ebp) 0x08, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x75 DW_OP_breg5 (ebp) offset
//        registers: 0x08 return address, 0x05 ebp, 0x06 esi
//
// gdb gives up where frames run from a higher to a lower address, as they do when the generator's
// stack lies above the resumer's, except in a function called `__morestack`, which is what GCC's
// split stacks need. Hence the local symbol of that name. `.cfi_signal_frame` would serve gdb too,
// but would show as `<signal handler called>` and hide the inlined frame of the resume.
//
// Backtraces go on from here, exceptions do not: one would leave the generator behind as if it ran
// for ever. Those of a body with exceptions never come here; what a body without them lets through
// ends in `std::terminate`, as at a `noexcept` function, because the personality routine of this
// frame says that there is no going on. 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.

// A build may compile every file of this folder.
#if defined(__i386__)

#include "x86.h"

asm(R"(
  .pushsection .text
  .globl fringe_x86_start
  .type fringe_x86_start, @function
fringe_x86_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_x86_personality
  .cfi_escape 0x0f, 3, 0x75, 0x08, 0x06
  .cfi_escape 0x10, 0x08, 2, 0x75, 0x04
  .cfi_escape 0x10, 0x05, 2, 0x75, 0x00
  .cfi_escape 0x10, 0x06, 2, 0x75, 0x0c
  endbr32
  movl %eax, 4(%esp)
  movl %edx, 8(%esp)
  movl %ecx, 12(%esp)
  jmp *%esi
  .size fringe_x86_start, . - fringe_x86_start
  .type __morestack, @function
__morestack:
  nop                           # unwinders look up the address before a return address
  .globl fringe_x86_trampoline
  .type fringe_x86_trampoline, @function
fringe_x86_trampoline:
  ud2                           # no Entry returns
  .cfi_endproc
  .size fringe_x86_trampoline, . - fringe_x86_trampoline
  .size __morestack, . - __morestack
.Lfringe_x86_personality:
  endbr32
  movl $3, %eax                 # _URC_FATAL_PHASE1_ERROR
  ret
  .popsection
)");

#endif  // defined(__i386__)
