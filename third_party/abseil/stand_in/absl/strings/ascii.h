// A stand-in for the part of Abseil that an example uses. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STRINGS_ASCII_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STRINGS_ASCII_H_

namespace absl {

inline bool ascii_isspace(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace absl

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STRINGS_ASCII_H_
