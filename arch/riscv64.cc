// The frame below every generator's first: see "Unwinding" in riscv64.h.
//
// The rules are those of a frame whose registers lie in the link record, 16 bytes into which `s0`
// points:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x78 DW_OP_breg8 (s0) 0x00, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x78 DW_OP_breg8 (s0) offset
//        registers: 0x01 ra (the return address), 0x08 s0, 0x09 s1
//        offsets: 0x78 is -8 and 0x70 is -16
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
#if defined(__riscv) && __riscv_xlen == 64

#include "riscv64.h"

asm(R"(
  .pushsection .text
  .balign 4
  .globl fringe_riscv64_start
  .type fringe_riscv64_start, @function
fringe_riscv64_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_riscv64_personality
  .cfi_escape 0x0f, 3, 0x78, 0x00, 0x06
  .cfi_escape 0x10, 0x01, 2, 0x78, 0x78
  .cfi_escape 0x10, 0x08, 2, 0x78, 0x70
  .cfi_escape 0x10, 0x09, 2, 0x78, 0x08
  lla ra, fringe_riscv64_trampoline
  mv t2, s1
  jr t2
  .size fringe_riscv64_start, . - fringe_riscv64_start
  .type __morestack, @function
__morestack:
  nop                           # unwinders look up the address before a return address: this one
  .type fringe_riscv64_trampoline, @function
fringe_riscv64_trampoline:
  unimp                         # no Entry returns
  .cfi_endproc
  .size fringe_riscv64_trampoline, . - fringe_riscv64_trampoline
  .size __morestack, . - __morestack
  .type .Lfringe_riscv64_personality, @function
.Lfringe_riscv64_personality:
  li a0, 3                      # _URC_FATAL_PHASE1_ERROR
  ret
  .popsection
)");

#endif  // defined(__riscv) && __riscv_xlen == 64
