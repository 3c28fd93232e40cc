// The frame below every generator's first: see "Unwinding" in ppc64le.h.
//
// The rules are those of a frame whose registers lie in the link record, the address of which is in
// `r31`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x8f DW_OP_breg31 (r31) 0x08, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x8f DW_OP_breg31 (r31) offset
//        registers: 0x41 lr (the return address), 0x02 r2, 0x1f r31, 0x1e r30
//
// gdb gives up where frames run from a higher to a lower address, as they do when the generator's
// stack lies above the resumer's, except in a function called `__morestack`, which is what GCC's
// split stacks need. Hence the local symbol of that name, the last one before that frame's address.
// `.cfi_signal_frame` would serve gdb too, but would show as `<signal handler called>` and hide the
// inlined frame of the resume.
//
// Backtraces go on from here, exceptions do not: one would leave the generator behind as if it ran
// for ever. Those of a body with exceptions never come here; what a body without them lets through
// ends in `std::terminate`, as at a `noexcept` function, because the personality routine of this
// frame says that there is no going on. 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.

// A build may compile every file of this folder.
#if defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)

#include "ppc64le.h"

asm(R"(
  .pushsection .text
  .balign 4
  .globl fringe_ppc64le_start
  .type fringe_ppc64le_start, @function
fringe_ppc64le_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_ppc64le_personality
  .cfi_escape 0x0f, 3, 0x8f, 0x08, 0x06
  .cfi_escape 0x10, 0x41, 2, 0x8f, 0x10
  .cfi_escape 0x10, 0x02, 2, 0x8f, 0x18
  .cfi_escape 0x10, 0x1f, 2, 0x8f, 0x20
  .cfi_escape 0x10, 0x1e, 2, 0x8f, 0x28
  bcl 20, 31, 1f
1:
  mflr 12
  addi 12, 12, fringe_ppc64le_trampoline - 1b
  mtlr 12
  mr 12, 30
  mtctr 12
  bctr
  .size fringe_ppc64le_start, . - fringe_ppc64le_start
  .type __morestack, @function
__morestack:
  nop                           # unwinders look up the address before a return address
  .type fringe_ppc64le_trampoline, @function
fringe_ppc64le_trampoline:
  trap                          # no Entry returns
  .cfi_endproc
  .size fringe_ppc64le_trampoline, . - fringe_ppc64le_trampoline
  .size __morestack, . - __morestack
  .type .Lfringe_ppc64le_personality, @function
.Lfringe_ppc64le_personality:
  li 3, 3                       # _URC_FATAL_PHASE1_ERROR
  blr
  .popsection
)");

#endif  // defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
