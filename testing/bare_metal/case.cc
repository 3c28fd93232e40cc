// Calls the function that FRINGE_TESTING_CASE names. It is in another source.

#include "testing/bare_metal/machine.h"

namespace fringe::testing {

void FRINGE_TESTING_CASE();

}  // namespace fringe::testing

void fringe_testing_main() { fringe::testing::FRINGE_TESTING_CASE(); }
