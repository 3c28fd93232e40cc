// A generator in a separate object file, whose code hardening_test examines.

#ifndef FRINGE_TESTING_HARDENING_HARDENED_GENERATOR_H_
#define FRINGE_TESTING_HARDENING_HARDENED_GENERATOR_H_

namespace fringe::testing {

// Returns: the sum of 0 to `count - 1`, which a generator yields one by one.
int SumOfGenerated(int count);

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_HARDENING_HARDENED_GENERATOR_H_
