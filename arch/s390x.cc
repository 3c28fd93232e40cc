// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `r11`:
//   0x0f DW_CFA_def_cfa_expression, length 6: 0x7b DW_OP_breg11 (r11) 0x20, 0x06 DW_OP_deref,
//        0x23 DW_OP_plus_uconst 0xa0, 0x01 (160)
//   0x10 DW_CFA_expression, register, length 2: 0x7b DW_OP_breg11 (r11) offset
//        registers: 0x0b r11, 0x0c r12, 0x0d r13, 0x0e r14 (the return address), 0x0f r15
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.

// A build may compile every file of this folder.
#if defined(__s390x__)

#include "s390x.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x00 &&
              offsetof(fringe::arch::LinkRecord, resumer.got) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.literals) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x18 &&
              offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x20);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_s390x_start[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_s390x_start_address = fringe_s390x_start;

asm(R"(
  .pushsection .text
  .balign 8
  .globl fringe_s390x_start
  .hidden fringe_s390x_start
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
