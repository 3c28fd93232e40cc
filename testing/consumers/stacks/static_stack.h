// A stack of this project.

#ifndef STATIC_STACK_H_
#define STATIC_STACK_H_

#include <cstddef>

#include "stacks/stack.h"

namespace consumer {

// The only range of static memory, for one stack at a time.
class StaticStack {
 public:
  static StaticStack Create(size_t) { return StaticStack(); }

  std::byte* base() const noexcept { return memory_ + sizeof(memory_); }
  std::byte* limit() const noexcept { return memory_; }

 private:
  alignas(fringe::kStackAlignment) static inline std::byte memory_[1 << 16];
};

static_assert(fringe::Stack<StaticStack>);

}  // namespace consumer

#endif  // STATIC_STACK_H_
