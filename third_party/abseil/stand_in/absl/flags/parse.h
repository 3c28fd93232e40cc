// A stand-in for the part of Abseil that an example uses. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_FLAGS_PARSE_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_FLAGS_PARSE_H_

#include <vector>

namespace absl {

// Returns: all arguments. There are no flags.
inline std::vector<char*> ParseCommandLine(int argc, char* argv[]) {
  return std::vector<char*>(argv, argv + argc);
}

}  // namespace absl

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_FLAGS_PARSE_H_
