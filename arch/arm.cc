// The frame below every generator's first: README.md, "The trampoline".
//
// The table of EHABI unwinds the trampoline; `vsp` is the stack pointer with which `Entry` began.
// The word there is the address of the link record, which begins with the resumer's words:
//   0xa0        pop r4                           the record's address
//   0x94        vsp = r4                         the first word
//   0x80, 0x08  pop r7                           the resumer's frame pointer, if it is T32 code
//   0x40        vsp = vsp - 4                    back
//   0x80, 0x80  pop r11                          the same, if it is A32 code
//   0x84, 0x00  pop lr                           its resume address
//   0x00        vsp = vsp + 4                    past its stack pointer
//   0x80, 0x04  pop r6
//   0x41        vsp = vsp - 8                    back
//   0x82, 0x00  pop sp                           its stack pointer
//   0xb0        finish: pc = lr
// `r4`, and of `r7` and `r11` the one that is not the frame pointer, are overwritten too. The
// switch clobbers them, so the resumer's own table restores them for its caller.
//
// The same in CFI, for debuggers:
//   0x0f DW_CFA_def_cfa_expression, length 4: 0x7d DW_OP_breg13 (sp) 0x00, 0x06 DW_OP_deref,
//        0x23 DW_OP_plus_uconst 8, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length: 0x7d DW_OP_breg13 (sp) 0x00, 0x06 DW_OP_deref,
//        0x23 DW_OP_plus_uconst, offset
//        registers: 0x0e lr (the return address), 0x07 r7, 0x0b r11, 0x06 r6
//
// The personality routine answers a backtrace by the unwinder's own routine, which follows the
// table. There is none on bare metal, where nothing asks.

// A build may compile every file of this folder.
#if defined(__arm__)

#include "arm.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.fp) == 0 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 4 &&
              offsetof(fringe::arch::LinkRecord, resumer.sp) == 8 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 12 &&
              offsetof(fringe::arch::LinkRecord, generator.bp) == 28);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_arm_start[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_arm_start_address = fringe_arm_start;

asm(R"(
  .pushsection .text
  .syntax unified
  .cfi_sections .debug_frame
  .thumb
  .balign 4
  .globl fringe_arm_start
  .hidden fringe_arm_start
  .type fringe_arm_start, %function
  .thumb_func
fringe_arm_start:
  .fnstart
  .cfi_startproc
  .cfi_escape 0x0f, 6, 0x7d, 0x00, 0x06, 0x23, 0x08, 0x06
  .cfi_escape 0x10, 0x0e, 5, 0x7d, 0x00, 0x06, 0x23, 0x04
  .cfi_escape 0x10, 0x07, 5, 0x7d, 0x00, 0x06, 0x23, 0x00
  .cfi_escape 0x10, 0x0b, 5, 0x7d, 0x00, 0x06, 0x23, 0x00
  .cfi_escape 0x10, 0x06, 5, 0x7d, 0x00, 0x06, 0x23, 0x0c
  .unwind_raw 0, 0xa0, 0x94, 0x80, 0x08, 0x40, 0x80, 0x80, 0x84, 0x00, 0x00, 0x80, 0x04, 0x41, 0x82, 0x00, 0xb0
  adr.w lr, 0f
  orr lr, lr, #1                @ T32 code
  mov r2, ip                    @ the third argument
  mov r7, ip
  mov r11, ip
  ldr r3, [ip, #28]             @ the Entry
  bx r3
  .size fringe_arm_start, . - fringe_arm_start
  .type __morestack, %function
  .thumb_func
__morestack:
  nop                           @ unwinders look up the address before a return address
  .type fringe_arm_trampoline, %function
  .thumb_func
fringe_arm_trampoline:
0:
  udf #0                        @ no Entry returns
  .cfi_endproc
  .size fringe_arm_trampoline, . - fringe_arm_trampoline
  .size __morestack, . - __morestack
  .personality .Lfringe_arm_personality
  .handlerdata
  .fnend
  .type .Lfringe_arm_personality, %function
  .thumb_func
.Lfringe_arm_personality:
  cmp r0, #8                    @ _US_VIRTUAL_UNWIND_FRAME | _US_FORCE_UNWIND: a backtrace
  itt ne
  movne r0, #9                  @ _URC_FAILURE
  bxne lr
  mov r0, r1
  mov r1, r2
  .weak __gnu_unwind_frame
  b __gnu_unwind_frame
  .popsection
)");

#endif  // defined(__arm__)
