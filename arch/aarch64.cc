// The frame below every generator's first: see "Unwinding" in aarch64.h.
//
// The rules are those of a frame whose registers lie in the link record, the address of which is in
// `x29`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x8d DW_OP_breg29 (x29) 0x10, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x8d DW_OP_breg29 (x29) offset
//        registers: 0x1e x30 (the return address), 0x1d x29, 0x13 x19
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
#if defined(__aarch64__) && defined(__LP64__)

#include "aarch64.h"

asm(R"(
  .pushsection .text
  .balign 4
  .globl fringe_aarch64_start
  .type fringe_aarch64_start, %function
fringe_aarch64_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_aarch64_personality
  .cfi_escape 0x0f, 3, 0x8d, 0x10, 0x06
  .cfi_escape 0x10, 0x1e, 2, 0x8d, 0x08
  .cfi_escape 0x10, 0x1d, 2, 0x8d, 0x00
  .cfi_escape 0x10, 0x13, 2, 0x8d, 0x18
  hint 36                       // bti j
  adr x30, fringe_aarch64_trampoline
  mov x16, x19
  br x16
  .size fringe_aarch64_start, . - fringe_aarch64_start
  .type __morestack, %function
__morestack:
  nop                           // unwinders look up the address before a return address: this one
  .type fringe_aarch64_trampoline, %function
fringe_aarch64_trampoline:
  udf 0                         // no Entry returns
  .cfi_endproc
  .size fringe_aarch64_trampoline, . - fringe_aarch64_trampoline
  .size __morestack, . - __morestack
  .type .Lfringe_aarch64_personality, %function
.Lfringe_aarch64_personality:
  hint 34                       // bti c
  mov w0, 3                     // _URC_FATAL_PHASE1_ERROR
  ret
  .popsection
)");

#endif  // defined(__aarch64__) && defined(__LP64__)
