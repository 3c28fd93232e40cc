// Whether a test runs in an emulator of its CPU: for what cannot be tested there, and for what
// starts other programs, which the emulator would leave to this machine's CPU.
//
//   if (Emulator() != nullptr) GTEST_SKIP() << "not under " << Emulator();
//   RunCommand(Emulated(program));

#ifndef FRINGE_TESTING_SUPPORT_EMULATOR_H_
#define FRINGE_TESTING_SUPPORT_EMULATOR_H_

#include <cstdlib>
#include <string>
#include <vector>

namespace fringe::testing {

// Returns: the emulator's name, as the configs of .bazelrc give it; null where there is none.
inline const char* Emulator() { return std::getenv("FRINGE_EMULATOR"); }

// Returns: the words of the command that runs `program`.
inline std::vector<std::string> Emulated(const std::string& program) {
  if (Emulator() == nullptr) return {program};
  return {Emulator(), program};
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_EMULATOR_H_
