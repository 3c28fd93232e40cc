// The runtime of every image without an operating system: the end at misuse and at unexpected
// exceptions.

#include "arch/fatal.h"
#include "testing/bare_metal/machine.h"

namespace fringe::testing {

constinit volatile Interruption fringe_testing_interruption = {};

// Called on misuse of a generator.
extern "C" void fringe_fatal(const char* sentence) {
  Write("fringe: ");
  Write(sentence);
  Write("\n");
  End(kFatal);
}

}  // namespace fringe::testing

void fringe_testing_on_unexpected() {
  fringe::testing::Write("an exception of the CPU that nobody expects\n");
  fringe::testing::End(fringe::testing::kUnexpected);
}
