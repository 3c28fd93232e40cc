// A stand-in for the part of Abseil that an example uses. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_FLAGS_USAGE_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_FLAGS_USAGE_H_

#include <string_view>

namespace absl {

// Without --help, nothing prints it.
inline void SetProgramUsageMessage(std::string_view) {}

}  // namespace absl

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_FLAGS_USAGE_H_
