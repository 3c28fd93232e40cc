// How reports and charts write numbers.

#ifndef FRINGE_BENCHMARKS_NUMBERS_H_
#define FRINGE_BENCHMARKS_NUMBERS_H_

#include <cstddef>
#include <cstdio>
#include <string>

namespace fringe::benchmarks {

inline std::string Fixed(double number, int decimals) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", decimals, number);
  return text;
}

// Returns: the number with three digits, or more if they are before the point.
inline std::string Short(double number) {
  return Fixed(number, number < 10 ? 2 : number < 100 ? 1 : 0);
}

// Returns: the digits with separators of thousands.
inline std::string WithCommas(std::string digits) {
  for (size_t i = digits.size(); i > 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_NUMBERS_H_
