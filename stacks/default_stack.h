// The stack of generators that do not name one.
//
// The build chooses it: `--@fringe//flags:default_stack=@fringe//stacks:pooled_stack` for
// everything, or `stack = "@fringe//stacks:pooled_stack"` for one target of `@fringe//:defs.bzl`.

#ifndef FRINGE_STACKS_DEFAULT_STACK_H_
#define FRINGE_STACKS_DEFAULT_STACK_H_

#include <concepts>
#include <cstddef>
#include <string>
#include <utility>

#include "stack.h"

// There is none where the build checks the headers that a library with a default of its own
// includes.
#if !defined(FRINGE_HEADERS_NAME_THEIR_STACKS)

// The stack that the build chooses. A library with a default of its own defines the name of its
// header; Bazel writes the other for everything else.
#if defined(FRINGE_DEFAULT_STACK_CHOICE)
#include FRINGE_DEFAULT_STACK_CHOICE
#elif __has_include("stacks/fringe_default_stack_choice.h")
#include "stacks/fringe_default_stack_choice.h"
#else
// No Bazel: as it chooses unless it is told otherwise.
#include "system_stack.h"

#define FRINGE_UNGUARDED_DEFAULT_STACK 0

namespace fringe::internal {

struct DefaultStackChoice {
  using Type = SystemStack;
  static constexpr size_t kBytes = 256 << 10;
  static auto Create() { return Type::Create(kBytes); }
};

}  // namespace fringe::internal
#endif

namespace fringe {

// The stack of generators that do not name one: an `OsStack`, or on Windows a
// `WindowsFiberStack`, unless the build chooses another.
using DefaultStack = internal::DefaultStackChoice::Type;

static_assert(Stack<DefaultStack>,
              "the default stack must satisfy fringe::Stack (stacks/stack.h).");
static_assert(GuardedStack<DefaultStack> || FRINGE_UNGUARDED_DEFAULT_STACK,
              "a default stack without a guard must be allowed: set `unguarded_stack = True` with "
              "`stack`, or --@fringe//flags:unguarded_default_stack.");

// How large such a stack is, in bytes. Only the pages that are touched take memory. (Not `inline`:
// translation units may differ in it.)
constexpr size_t kDefaultStackBytes = internal::DefaultStackChoice::kBytes;

namespace internal {

[[noreturn]] void EndWithoutDefaultStack(const std::string& reason);

}  // namespace internal

// Returns: a new stack of `kDefaultStackBytes` or more. Ends the program where there is none to be
//   had, with the text of the error.
// Thread safety: any thread, where the stack's own creation is so.
template <typename Choice = internal::DefaultStackChoice>
typename Choice::Type CreateDefaultStack() {
  auto stack = Choice::Create();
  if constexpr (std::same_as<decltype(stack), typename Choice::Type>) {
    return stack;
  } else {
    if constexpr (requires { stack.status().message(); }) {
      if (!stack.ok()) internal::EndWithoutDefaultStack(std::string(stack.status().message()));
    } else {
      if (!stack) internal::EndWithoutDefaultStack("its creation gave none");
    }
    return *std::move(stack);
  }
}

}  // namespace fringe

#endif  // FRINGE_HEADERS_NAME_THEIR_STACKS
#endif  // FRINGE_STACKS_DEFAULT_STACK_H_
