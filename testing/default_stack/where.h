// Finds the stack of a generator that does not name one.

#ifndef FRINGE_TESTING_DEFAULT_STACK_WHERE_H_
#define FRINGE_TESTING_DEFAULT_STACK_WHERE_H_

#include <cstddef>
#include <string>
#include <utility>

#include "fringe/generator.h"
#include "stacks/default_stack.h"

namespace fringe::testing {

// Returns: the name of `T`, as the compiler writes it.
template <typename T>
std::string NameOf() {
  const std::string text = __PRETTY_FUNCTION__;
  const size_t begin = text.find("T = ") + 4;
  return text.substr(begin, text.find_first_of(";]", begin) - begin);
}

namespace {  // each translation unit has its own default stack

// Runs a generator.
//
// Returns: the type of its stack, or "elsewhere" if the body's frame is not in such a stack.
[[maybe_unused]] std::string Where() {
  const std::byte* frame = nullptr;
  Generator<void> gen(
      [&frame](auto&) { frame = static_cast<const std::byte*>(__builtin_frame_address(0)); });
  gen.Resume();
  const DefaultStack stack = std::move(gen).Unwrap();
  if (frame < stack.limit() || frame >= stack.base()) return "elsewhere";
  return NameOf<DefaultStack>();
}

}  // namespace
}  // namespace fringe::testing

#endif  // FRINGE_TESTING_DEFAULT_STACK_WHERE_H_
