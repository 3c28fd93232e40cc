// What fringe asks of a stack.
//
// A stack is an object that owns, or borrows, a range of memory for somebody to run on:
//
//   class MyStack {
//    public:
//     MyStack(MyStack&&);                       // a stack is movable
//     MyStack& operator=(MyStack&&);
//     std::byte* base() const noexcept;         // one past the highest usable byte
//     std::byte* limit() const noexcept;        // the lowest usable byte
//     ...
//   };
//
// The author of a stack promises that
//   * `base()` is a multiple of `kStackAlignment`;
//   * every byte from `limit()` up to `base()` may be read and written, and nothing else uses it,
//     while the stack or the one that it was moved into exists;
//   * neither address changes when the stack is moved.

#ifndef FRINGE_STACKS_STACK_H_
#define FRINGE_STACKS_STACK_H_

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "../arch/arch.h"

namespace fringe {

// The alignment of `base()`, in bytes: what the ABI asks of a stack pointer.
inline constexpr size_t kStackAlignment = arch::kStackAlignment;

// What a compiler can check of the contract in stacks/stack.h.
template <typename S>
concept Stack = std::movable<S> && requires(const S& stack) {
  { stack.base() } noexcept -> std::same_as<std::byte*>;
  { stack.limit() } noexcept -> std::same_as<std::byte*>;
};

// A stack that comes with a fiber of the system. On Windows only such stacks can be used, because
// the system keeps facts about each stack (arch/windows_fiber.h). Elsewhere there are none.
template <typename S>
concept FiberStack = Stack<S> && requires(const S& stack) {
  stack.fiber()->MakeRoom(size_t());
  stack.fiber()->Attach(static_cast<arch::LinkRecord*>(nullptr));
};

// Specialise it to `true` to promise a guard: below `limit()` is a range in which every access
// faults, at least as large as the steps in which the compiler probes a large frame. An overflow
// then faults rather than corrupts, if no frame is larger than the guard or the code is compiled
// with -fstack-clash-protection, which probes such frames.
//
//   template <>
//   inline constexpr bool fringe::enable_guarded_stack<MyStack> = true;
template <typename S>
inline constexpr bool enable_guarded_stack = false;

// A stack with a guard.
template <typename S>
concept GuardedStack = Stack<S> && enable_guarded_stack<S>;

namespace internal {

// A `StatusOr` or `optional` that may hold a stack. Passing it as a stack is a common mistake.
template <typename S>
concept MaybeAStack =
    !Stack<S> && requires(S& maybe) { requires Stack<std::remove_cvref_t<decltype(*maybe)>>; };

// Prepares `stack` for objects that are constructed in the `bytes` below its base.
template <Stack S>
void MakeRoom([[maybe_unused]] const S& stack, [[maybe_unused]] size_t bytes) {
  static_assert(!arch::kStacksAreFibers || FiberStack<S>,
                "on Windows a generator needs the stack of a fiber: use DefaultStack or "
                "WindowsFiberStack (stacks/windows_fiber_stack.h) instead of this stack.");
  if constexpr (FiberStack<S>) stack.fiber()->MakeRoom(bytes);
}

// Lets the generator of `record`, which has been initialized, run on `stack`.
template <Stack S>
void Attach([[maybe_unused]] const S& stack, [[maybe_unused]] arch::LinkRecord* record) {
  if constexpr (FiberStack<S>) stack.fiber()->Attach(record);
}

}  // namespace internal

}  // namespace fringe

#endif  // FRINGE_STACKS_STACK_H_
