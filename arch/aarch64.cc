// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `x29`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x8d DW_OP_breg29 (x29) 0x10, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x8d DW_OP_breg29 (x29) offset
//        registers: 0x1e x30 (the return address), 0x1d x29, 0x13 x19
//        x29 has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.

// A build may compile every file of this folder.
#if defined(__aarch64__) && defined(__LP64__)

#include "aarch64.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x00 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x18);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_aarch64_start[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_aarch64_start_address = fringe_aarch64_start;

asm(R"(
  .pushsection .text
  .balign 4
  .globl fringe_aarch64_start
  .hidden fringe_aarch64_start
  .type fringe_aarch64_start, %function
fringe_aarch64_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_aarch64_personality
  .cfi_escape 0x0f, 3, 0x8d, 0x10, 0x06
  .cfi_escape 0x10, 0x1e, 2, 0x8d, 0x08
  .cfi_escape 0x10, 0x1d, 4, 0x8d, 0x00, 0x23, 0x00
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
