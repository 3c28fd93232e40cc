// Ways to end an image. All but the first are errors that the test must notice. An image calls one
// of them (case.cc).

#include "testing/bare_metal/machine.h"

namespace fringe::testing {

void EndsWell() {
  Write("well\n");
  End(kWell);
}

void EndsWrong() {
  Write("well\n");
  End(kWrong);
}

void SaysNothing() { End(kWell); }

void Returns() { Write("well\n"); }

void NeverEnds() {
  Write("well\n");
  for (;;) asm volatile("");
}

void Traps() {
  Write("well\n");
  __builtin_trap();
}

}  // namespace fringe::testing
