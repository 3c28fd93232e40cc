// A generator in an object file of its own, whose code hardening_test looks at.

#ifndef FRINGE_TESTING_HARDENING_HARDENED_GENERATOR_H_
#define FRINGE_TESTING_HARDENING_HARDENED_GENERATOR_H_

namespace fringe::testing {

// Returns: the sum of 0 to `count - 1`, which a generator gave one by one.
int SumOfGenerated(int count);

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_HARDENING_HARDENED_GENERATOR_H_
