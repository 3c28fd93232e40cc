// Creates the stack of a test's generator.

#ifndef FRINGE_TESTING_SUPPORT_NEW_STACK_H_
#define FRINGE_TESTING_SUPPORT_NEW_STACK_H_

#include <cstddef>

#include "stacks/system_stack.h"

// Whether any memory can be a stack.
#if defined(_WIN32)
#define FRINGE_MEMORY_STACKS 0
#else
#define FRINGE_MEMORY_STACKS 1
#endif

// In place of a test that needs such a stack, where there is none.
#define FRINGE_SKIP_WITHOUT_MEMORY_STACKS(Suite, Name) \
  TEST(Suite, Name) { GTEST_SKIP() << "only a fiber of the system has a stack here"; }

namespace fringe::testing {

// The stack that every system has.
using TestStack = SystemStack;

// Sanitizers and code without optimization need more than a body by itself.
inline TestStack NewStack(size_t size_bytes = 256 << 10) { return *TestStack::Create(size_bytes); }

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_NEW_STACK_H_
