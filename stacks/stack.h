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
// Whoever writes one promises that
//   * `base()` is a multiple of `kStackAlignment`;
//   * every byte from `limit()` up to `base()` may be read and written, by nobody else, for as long
//     as the stack or what it was moved into lives;
//   * neither address changes when the stack is moved.

#ifndef FRINGE_STACKS_STACK_H_
#define FRINGE_STACKS_STACK_H_

#include <concepts>
#include <cstddef>

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

// Specialise it to `true` to promise that an overflow of `S` is certain to fault rather than to
// corrupt: below `limit()` lies a guard, a range in which every access faults, at least as large as
// the steps in which the compiler probes a large frame.
//
//   template <>
//   inline constexpr bool fringe::enable_guarded_stack<MyStack> = true;
template <typename S>
inline constexpr bool enable_guarded_stack = false;

// A stack whose overflow is certain to fault.
template <typename S>
concept GuardedStack = Stack<S> && enable_guarded_stack<S>;

}  // namespace fringe

#endif  // FRINGE_STACKS_STACK_H_
