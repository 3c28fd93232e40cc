// A user-defined stack: memory of the program, declared guarded.

#ifndef FRINGE_TESTING_DEFAULT_STACK_OWN_STACK_H_
#define FRINGE_TESTING_DEFAULT_STACK_OWN_STACK_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "stacks/os_stack.h"
#include "stacks/stack.h"

namespace own {

class OwnStack {
 public:
  // Returns: `nullopt` if the system has no memory for it.
  static std::optional<OwnStack> Create(size_t size_bytes) {
    auto memory = fringe::OsStack::Create(size_bytes);
    if (!memory.ok()) return std::nullopt;
    return OwnStack(*std::move(memory));
  }

  std::byte* base() const noexcept { return memory_.base(); }
  std::byte* limit() const noexcept { return memory_.limit(); }

 private:
  explicit OwnStack(fringe::OsStack memory) : memory_(std::move(memory)) {}

  fringe::OsStack memory_;
};

}  // namespace own

template <>
inline constexpr bool fringe::enable_guarded_stack<own::OwnStack> = true;

#endif  // FRINGE_TESTING_DEFAULT_STACK_OWN_STACK_H_
