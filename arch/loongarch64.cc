// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, and `fp` is the record's address plus 16:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x86 DW_OP_breg22 (fp) 0x00, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x86 DW_OP_breg22 (fp) offset
//        registers: 0x01 ra (the return address), 0x16 fp, 0x1f s8
//        offsets: 0x78 is -8 and 0x70 is -16
//        fp has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4.

// A build may compile every file of this folder.
#if defined(__loongarch_lp64)

#include "loongarch64.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x10 - 8 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x10 - 16 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x10 + 8);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_loongarch64_start[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_loongarch64_start_address = fringe_loongarch64_start;

asm(R"(
  .pushsection .text
  .balign 4
  .globl fringe_loongarch64_start
  .hidden fringe_loongarch64_start
  .type fringe_loongarch64_start, @function
fringe_loongarch64_start:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_loongarch64_personality
  .cfi_escape 0x0f, 3, 0x86, 0x00, 0x06
  .cfi_escape 0x10, 0x01, 2, 0x86, 0x78
  .cfi_escape 0x10, 0x16, 4, 0x86, 0x70, 0x23, 0x00
  .cfi_escape 0x10, 0x1f, 2, 0x86, 0x08
  pcaddi $ra, %pcrel_20(fringe_loongarch64_trampoline)
  jr $s8
  .size fringe_loongarch64_start, . - fringe_loongarch64_start
  .type __morestack, @function
__morestack:
  nop                           # unwinders look up the address before a return address: this one
  .type fringe_loongarch64_trampoline, @function
fringe_loongarch64_trampoline:
  break 0                       # no Entry returns
  .cfi_endproc
  .size fringe_loongarch64_trampoline, . - fringe_loongarch64_trampoline
  .size __morestack, . - __morestack
  .type .Lfringe_loongarch64_personality, @function
.Lfringe_loongarch64_personality:
  ori $a0, $zero, 3             # _URC_FATAL_PHASE1_ERROR
  ret
  .popsection
)");

#endif  // defined(__loongarch_lp64)
