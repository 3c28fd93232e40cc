// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `$fp`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x8e DW_OP_breg30 ($fp) 0x10, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x8e DW_OP_breg30 ($fp) offset
//        registers: 0x1f $ra (the return address), 0x1e $fp, 0x17 $s7, 0x1c $gp
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.

// A build may compile every file of this folder.
#if defined(__mips64) && _MIPS_SIM == _ABI64

#include "mips64.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x00 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x18 &&
              offsetof(fringe::arch::LinkRecord, resumer.gp) == 0x20);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_mips64_start[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_mips64_start_address = fringe_mips64_start;

asm(R"(
  .pushsection .text
  .balign 8
  .set push
  .set noreorder
  .globl fringe_mips64_start
  .hidden fringe_mips64_start
  .type fringe_mips64_start, @function
fringe_mips64_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_mips64_personality
  .cfi_escape 0x0f, 3, 0x8e, 0x10, 0x06
  .cfi_escape 0x10, 0x1f, 2, 0x8e, 0x08
  .cfi_escape 0x10, 0x1e, 2, 0x8e, 0x00
  .cfi_escape 0x10, 0x17, 2, 0x8e, 0x18
  .cfi_escape 0x10, 0x1c, 2, 0x8e, 0x20
  daddiu $31, $25, %lo(fringe_mips64_trampoline - fringe_mips64_start)
  move $25, $23
  jr $25
  nop                           # the delay slot
  .size fringe_mips64_start, . - fringe_mips64_start
  .type __morestack, @function
__morestack:
  nop                           # unwinders look up the address before a return address: this one
  .type fringe_mips64_trampoline, @function
fringe_mips64_trampoline:
  break                         # no Entry returns
  .cfi_endproc
  .size fringe_mips64_trampoline, . - fringe_mips64_trampoline
  .size __morestack, . - __morestack
  .balign 8
  .type .Lfringe_mips64_personality, @function
.Lfringe_mips64_personality:
  jr $31
  li $2, 3                      # _URC_FATAL_PHASE1_ERROR, in the delay slot
  .set pop
  .popsection
)");

#endif  // defined(__mips64) && _MIPS_SIM == _ABI64
