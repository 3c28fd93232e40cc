// Stacks that cannot be created.

#ifndef FRINGE_TESTING_DEFAULT_STACK_ABSENT_STACK_H_
#define FRINGE_TESTING_DEFAULT_STACK_ABSENT_STACK_H_

#include <cstddef>
#include <optional>

#include "absl/status/statusor.h"
#include "stacks/os_stack.h"

namespace own {

inline std::optional<fringe::OsStack> CreateNone(size_t) { return std::nullopt; }

// Larger than the memory of any 64-bit machine.
inline absl::StatusOr<fringe::OsStack> CreateTooLarge(size_t) {
  return fringe::OsStack::Create(size_t{1} << (sizeof(size_t) > 4 ? 60 : 30));
}

}  // namespace own

#endif  // FRINGE_TESTING_DEFAULT_STACK_ABSENT_STACK_H_
