// A stand-in for the part of Abseil that fringe's stacks use. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STRINGS_STR_CAT_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STRINGS_STR_CAT_H_

#include <sstream>
#include <string>

namespace absl {

template <typename... Parts>
std::string StrCat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <typename... Parts>
void StrAppend(std::string* text, const Parts&... parts) {
  *text += StrCat(parts...);
}

}  // namespace absl

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STRINGS_STR_CAT_H_
