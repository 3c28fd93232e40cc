// One program of translation units whose flags differ. Each side has the same functions, compiled
// with its own flags; only types that mean the same everywhere pass between them.

#ifndef FRINGE_TESTING_MIXED_SIDES_H_
#define FRINGE_TESTING_MIXED_SIDES_H_

#include <functional>

namespace mixed {

struct Side {
  // Whether it was compiled with exceptions, and with RTTI.
  bool has_exceptions;
  bool has_rtti;
  // Sums what a generator of its own suspends with.
  int (*sum)(int n);
  // A generator of its own behind a function that resumes it, -1 at its end. It suspends with what
  // `next` returns, called on its stack, until that is negative.
  std::function<int()> (*make)(std::function<int()> next);
};

const Side& WithExceptions();
const Side& WithoutExceptions();
const Side& WithoutRtti();

}  // namespace mixed

#endif  // FRINGE_TESTING_MIXED_SIDES_H_
