// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `r31`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x8f DW_OP_breg31 (r31) 0x08, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x8f DW_OP_breg31 (r31) offset
//        registers: 0x41 lr (the return address), 0x02 r2, 0x1f r31, 0x1e r30
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.

// A build may compile every file of this folder.
#if defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)

#include "ppc64le.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.toc) == 0x18 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x20 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x28);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_ppc64le_start[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_ppc64le_start_address = fringe_ppc64le_start;

asm(R"(
  .pushsection .text
  .balign 4
  .globl fringe_ppc64le_start
  .hidden fringe_ppc64le_start
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
