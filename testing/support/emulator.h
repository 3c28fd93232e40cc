// Detects whether a test runs in an emulator of its CPU. Some tests cannot run there. Others start
// programs, which must also run in the emulator.
//
//   if (Emulator() != nullptr) GTEST_SKIP() << "not under " << Emulator();
//   RunCommand(Emulated(program));

#ifndef FRINGE_TESTING_SUPPORT_EMULATOR_H_
#define FRINGE_TESTING_SUPPORT_EMULATOR_H_

#include <cstdlib>
#include <string>
#include <vector>

namespace fringe::testing {

// Returns: the emulator's name, as set by the configs of .bazelrc; null if there is none.
inline const char* Emulator() { return std::getenv("FRINGE_EMULATOR"); }

// Returns: the words of the command that runs `program`.
inline std::vector<std::string> Emulated(const std::string& program) {
  if (Emulator() == nullptr) return {program};
  return {Emulator(), program};
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_EMULATOR_H_
