// What a `PooledStack` refers to: the public part of its pool's record. Not for users.

#ifndef FRINGE_STACKS_STACK_BOUNDS_H_
#define FRINGE_STACKS_STACK_BOUNDS_H_

#include <cstddef>

namespace fringe::internal {

struct StackBounds {
  std::byte* base;
  std::byte* limit;
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_STACK_BOUNDS_H_
