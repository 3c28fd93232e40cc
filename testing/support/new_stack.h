// Creates the stack of a test's generator.

#ifndef FRINGE_TESTING_SUPPORT_NEW_STACK_H_
#define FRINGE_TESTING_SUPPORT_NEW_STACK_H_

#include "stacks/os_stack.h"

namespace fringe::testing {

// Sanitizers and code without optimization need more than a body by itself.
inline OsStack NewStack() { return *OsStack::Create(256 << 10); }

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_NEW_STACK_H_
