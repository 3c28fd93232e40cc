// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `rbp`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x76 DW_OP_breg6 (rbp) 0x10, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x76 DW_OP_breg6 (rbp) offset
//        registers: 0x10 return address, 0x06 rbp, 0x03 rbx
//        rbp has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"
// 0x1b is DW_EH_PE_pcrel | DW_EH_PE_sdata4. What AT&T's and Intel's syntax write differently is in
// bytes, so that the file compiles under -masm=intel.

// A build may compile every file of this folder.
#if defined(__x86_64__) && defined(__LP64__)

#include "x86_64.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x00 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x18);

extern "C" [[gnu::visibility("hidden")]] void fringe_x86_64_trampoline();

// The declaration gave it C linkage.
void* const fringe::arch::fringe_x86_64_return_address =
    reinterpret_cast<void*>(&fringe_x86_64_trampoline);

asm(R"(
  .pushsection .text
  .type __morestack, @function
__morestack:
  .cfi_startproc
  .cfi_personality 0x1b, .Lfringe_x86_64_personality
  .cfi_escape 0x0f, 3, 0x76, 0x10, 0x06
  .cfi_escape 0x10, 0x10, 2, 0x76, 0x08
  .cfi_escape 0x10, 0x06, 4, 0x76, 0x00, 0x23, 0x00
  .cfi_escape 0x10, 0x03, 2, 0x76, 0x18
  nop                           # unwinders look up the address before a return address
  .globl fringe_x86_64_trampoline
  .hidden fringe_x86_64_trampoline
  .type fringe_x86_64_trampoline, @function
fringe_x86_64_trampoline:
  ud2                           # no Entry returns
  .cfi_endproc
  .size fringe_x86_64_trampoline, . - fringe_x86_64_trampoline
  .size __morestack, . - __morestack
.Lfringe_x86_64_personality:
  endbr64
  .byte 0xb8, 3, 0, 0, 0        # movl $3, %eax: _URC_FATAL_PHASE1_ERROR
  ret
  .popsection
)");

#endif  // defined(__x86_64__) && defined(__LP64__)
