// Stacks whose addresses are in a known order.
//
//   OrderedStacks stacks;
//   OnStack(stacks.middle, [&] {
//     auto gen = Generator<int, void, SpanStack>::Unguarded(stacks.above, body);
//     gen.Resume();   // to a stack above this one
//   });

#ifndef FRINGE_TESTING_SUPPORT_ORDERED_STACKS_H_
#define FRINGE_TESTING_SUPPORT_ORDERED_STACKS_H_

#include <cstddef>
#include <memory>
#include <span>

#include "stacks/span_stack.h"

namespace fringe::testing {

// Three stacks in one block of memory. The system chooses the position of the thread's own stack,
// so a test of both orders runs the resumer on `middle`.
class OrderedStacks {
 private:
  static constexpr size_t kBytes = 256 << 10;
  const std::unique_ptr<std::byte[]> memory_ = std::make_unique<std::byte[]>(3 * kBytes);

  SpanStack Part(size_t i) const {
    return *SpanStack::Create(std::span(memory_.get() + i * kBytes, kBytes));
  }

 public:
  const SpanStack below = Part(0);
  const SpanStack middle = Part(1);
  const SpanStack above = Part(2);
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_ORDERED_STACKS_H_
