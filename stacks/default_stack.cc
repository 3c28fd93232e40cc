#include "stacks/default_stack.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace fringe {

DefaultStack CreateDefaultStack() {
  absl::StatusOr<DefaultStack> stack = DefaultStack::Create(kDefaultStackBytes);
  if (!stack.ok()) {
    std::fprintf(stderr, "fringe: no default stack: %s\n",
                 std::string(stack.status().message()).c_str());
    std::abort();
  }
  return *std::move(stack);
}

}  // namespace fringe
