// The frame below every generator's first: see "Unwinding" in s390x.h.
//
// The rules are those of a frame whose registers lie in the link record, the address of which is in
// `r11`:
//   0x0f DW_CFA_def_cfa_expression, length 6: 0x7b DW_OP_breg11 (r11) 0x20, 0x06 DW_OP_deref,
//        0x23 DW_OP_plus_uconst 0xa0, 0x01 (160)
//   0x10 DW_CFA_expression, register, length 2: 0x7b DW_OP_breg11 (r11) offset
//        registers: 0x0b r11, 0x0c r12, 0x0d r13, 0x0e r14 (the return address), 0x0f r15
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
#if defined(__s390x__)

#include "s390x.h"

asm(R"(
  .pushsection .text
  .balign 8
  .globl fringe_s390x_start
  .type fringe_s390x_start, @function
fringe_s390x_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_s390x_personality
  .cfi_escape 0x0f, 6, 0x7b, 0x20, 0x06, 0x23, 0xa0, 0x01
  .cfi_escape 0x10, 0x0b, 2, 0x7b, 0x00
  .cfi_escape 0x10, 0x0c, 2, 0x7b, 0x08
  .cfi_escape 0x10, 0x0d, 2, 0x7b, 0x10
  .cfi_escape 0x10, 0x0e, 2, 0x7b, 0x18
  .cfi_escape 0x10, 0x0f, 2, 0x7b, 0x20
  larl %r14, fringe_s390x_trampoline
  br %r12
  .size fringe_s390x_start, . - fringe_s390x_start
  .type __morestack, @function
__morestack:
  nopr %r7                      # unwinders look up the address before a return address
  .type fringe_s390x_trampoline, @function
fringe_s390x_trampoline:
  .short 0                      # no instruction: no Entry returns
  .cfi_endproc
  .size fringe_s390x_trampoline, . - fringe_s390x_trampoline
  .size __morestack, . - __morestack
  .balign 8
  .type .Lfringe_s390x_personality, @function
.Lfringe_s390x_personality:
  lghi %r2, 3                   # _URC_FATAL_PHASE1_ERROR
  br %r14
  .popsection
)");

#endif  // defined(__s390x__)
