// A stack of this project's, in a header that fringe has a namesake of.

#ifndef STACKS_DEFAULT_STACK_H_
#define STACKS_DEFAULT_STACK_H_

#include <cstddef>

#include "fringe/stacks/stack.h"

namespace consumer {

// The one range of static memory: there is no second one at a time.
class Stack {
 public:
  static Stack Create(size_t) { return Stack(); }

  std::byte* base() const noexcept { return memory_ + sizeof(memory_); }
  std::byte* limit() const noexcept { return memory_; }

 private:
  alignas(fringe::kStackAlignment) static inline std::byte memory_[1 << 16];
};

static_assert(fringe::Stack<Stack>);

}  // namespace consumer

#endif  // STACKS_DEFAULT_STACK_H_
