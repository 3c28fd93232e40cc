// The frame below every generator's first: README.md, "The trampoline".
//
// Its registers are in the link record, whose address is in `x29`:
//   0x0f DW_CFA_def_cfa_expression, length 3: 0x8d DW_OP_breg29 (x29) 0x10, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: 0x8d DW_OP_breg29 (x29) offset
//        registers: 0x1e x30 (the return address), 0x1d x29, 0x13 x19
//        x29 has length 4, with 0x23 DW_OP_plus_uconst 0: README.md, "libunwind"

// A build may compile every file of this folder.
#if defined(__aarch64__) && defined(__LP64__)

#include "aarch64.h"

#include "object_format.h"

static_assert(offsetof(fringe::arch::LinkRecord, resumer.sp) == 0x10 &&
              offsetof(fringe::arch::LinkRecord, resumer.pc) == 0x08 &&
              offsetof(fringe::arch::LinkRecord, resumer.fp) == 0x00 &&
              offsetof(fringe::arch::LinkRecord, resumer.bp) == 0x18);

// Not a function: Clang's -fsanitize=cfi replaces the address of a function by that of a jump.
extern "C" [[gnu::visibility("hidden")]] char fringe_aarch64_start[];

// The declaration gave it C linkage.
void* const fringe::arch::fringe_aarch64_start_address = fringe_aarch64_start;

// clang-format off
asm(
  FRINGE_TEXT R"(
  .balign 4
)" FRINGE_HIDDEN("fringe_aarch64_start")
  FRINGE_FUNCTION("fringe_aarch64_start") R"(
  .cfi_startproc
)" FRINGE_PERSONALITY("fringe_aarch64_personality") R"(
  .cfi_escape 0x0f, 3, 0x8d, 0x10, 0x06
  .cfi_escape 0x10, 0x1e, 2, 0x8d, 0x08
  .cfi_escape 0x10, 0x1d, 4, 0x8d, 0x00, 0x23, 0x00
  .cfi_escape 0x10, 0x13, 2, 0x8d, 0x18
  hint 36                       // bti j
  adr x30, )" FRINGE_NEAR("fringe_aarch64_trampoline") R"(
  mov x16, x19
  br x16
)" FRINGE_END_FUNCTION("fringe_aarch64_start")
  FRINGE_ENTRY("__morestack") R"(
  nop                           // unwinders look up the address before a return address: this one
)" FRINGE_ENTRY("fringe_aarch64_trampoline") R"(
  udf 0                         // no Entry returns
  .cfi_endproc
)" FRINGE_END_FUNCTION("fringe_aarch64_trampoline")
  FRINGE_END_FUNCTION("__morestack")
  FRINGE_PERSONALITY_FUNCTION("fringe_aarch64_personality") R"(
  hint 34                       // bti c
  mov w0, 3                     // _URC_FATAL_PHASE1_ERROR
  ret
)" FRINGE_END_TEXT);
// clang-format on

#endif  // defined(__aarch64__) && defined(__LP64__)
