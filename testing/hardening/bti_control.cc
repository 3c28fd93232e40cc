// Branches to an instruction without a landing pad. Like bti_test, the whole program is marked for
// BTI. If BTI is enforced, it ends with SIGILL; otherwise with 0.

#include <cstdint>

extern "C" [[noreturn, gnu::used]] void fringe_testing_main();

asm(R"(
  .pushsection .text
  .globl _start
_start:
  hint 34                       // bti c
  adr x0, 0f
  br x0
0:
  nop                           // no landing pad
  bl fringe_testing_main
  .popsection
)");

void fringe_testing_main() {
  register uintptr_t x0 asm("x0") = 0;
  register uintptr_t x8 asm("x8") = 94;  // exit_group
  asm volatile("svc 0" : : "r"(x0), "r"(x8));
  __builtin_unreachable();
}
