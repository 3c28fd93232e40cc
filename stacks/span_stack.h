// A stack in memory that the user already has: a static array, a part of an arena.
//
//   alignas(fringe::kStackAlignment) static std::byte memory[4096];
//   auto gen = fringe::Generator<int, void, fringe::SpanStack>::Unguarded(
//       *fringe::SpanStack::Create(memory), [](auto& yielder) { yielder.Suspend(1); });

#ifndef FRINGE_STACKS_SPAN_STACK_H_
#define FRINGE_STACKS_SPAN_STACK_H_

#if defined(_WIN32)
#error "fringe::SpanStack cannot be used on Windows: use SystemStack (stacks/system_stack.h)."
#endif

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "stack.h"

namespace fringe {

// Borrows a range of memory, which must outlive it. Not guarded: an overflow runs into whatever
// lies below the range.
class SpanStack {
 public:
  // Takes the largest part of `memory` whose ends are multiples of `kStackAlignment`.
  //
  // Returns: `nullopt` where that part is empty.
  // Thread safety: any thread.
  static std::optional<SpanStack> Create(std::span<std::byte> memory) {
    const auto begin = reinterpret_cast<uintptr_t>(memory.data());
    const size_t before_limit = (kStackAlignment - begin % kStackAlignment) % kStackAlignment;
    const size_t after_base = (begin + memory.size()) % kStackAlignment;
    if (memory.size() < before_limit + after_base + kStackAlignment) return std::nullopt;
    return SpanStack(memory.data() + before_limit, memory.data() + memory.size() - after_base);
  }

  // The upper end, as of every `Stack`.
  std::byte* base() const noexcept {
    // `Create` has aligned it, so a generator need not check.
    return static_cast<std::byte*>(__builtin_assume_aligned(base_, kStackAlignment));
  }
  // The lower end, as of every `Stack`.
  std::byte* limit() const noexcept { return limit_; }

 private:
  SpanStack(std::byte* limit, std::byte* base) : limit_(limit), base_(base) {}

  std::byte* limit_;
  std::byte* base_;
};

static_assert(Stack<SpanStack> && !GuardedStack<SpanStack>);

}  // namespace fringe

#endif  // FRINGE_STACKS_SPAN_STACK_H_
