// A stack of this project, in a header with the name of one of fringe's.

#ifndef STACKS_DEFAULT_STACK_H_
#define STACKS_DEFAULT_STACK_H_

#include <cstddef>

#include "fringe/stacks/stack.h"

namespace consumer {

// The only range of static memory, for one stack at a time.
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
