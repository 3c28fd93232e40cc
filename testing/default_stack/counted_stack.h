// The type of another default stack, created in a different way.

#ifndef FRINGE_TESTING_DEFAULT_STACK_COUNTED_STACK_H_
#define FRINGE_TESTING_DEFAULT_STACK_COUNTED_STACK_H_

#include <cstddef>

#include "stacks/os_stack.h"

namespace own {

inline int stacks_created = 0;

inline fringe::OsStack CreateCounted(size_t size_bytes) {
  ++stacks_created;
  return *fringe::OsStack::Create(size_bytes);
}

}  // namespace own

#endif  // FRINGE_TESTING_DEFAULT_STACK_COUNTED_STACK_H_
