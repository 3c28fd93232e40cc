// Whether a test runs in an emulator of its CPU, for what cannot be tested there.
//
//   if (Emulator() != nullptr) GTEST_SKIP() << "not under " << Emulator();

#ifndef FRINGE_TESTING_EMULATOR_H_
#define FRINGE_TESTING_EMULATOR_H_

#include <cstdlib>

namespace fringe::testing {

// Returns: the emulator's name, as the configs of .bazelrc give it; null where there is none.
inline const char* Emulator() { return std::getenv("FRINGE_EMULATOR"); }

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_EMULATOR_H_
