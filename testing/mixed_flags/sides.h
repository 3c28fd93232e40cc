// One program of translation units with different flags. Each side has the same functions, compiled
// with its own flags. Only types that are the same in every mode pass between them.

#ifndef FRINGE_TESTING_MIXED_SIDES_H_
#define FRINGE_TESTING_MIXED_SIDES_H_

#include <functional>

namespace mixed {

struct Side {
  // Whether it was compiled with exceptions and with RTTI.
  bool has_exceptions;
  bool has_rtti;
  // Returns: the sum of the outputs of one of its generators.
  int (*sum)(int n);
  // Returns: a function that resumes a generator of this side, and returns -1 at its end. The
  //   generator suspends with the results of `next`, called on its stack, until one is negative.
  std::function<int()> (*make)(std::function<int()> next);
};

const Side& WithExceptions();
const Side& WithoutExceptions();
const Side& WithoutRtti();

}  // namespace mixed

#endif  // FRINGE_TESTING_MIXED_SIDES_H_
