#include "default_stack.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fringe::internal {

void EndWithoutDefaultStack(const std::string& reason) {
  std::fprintf(stderr, "fringe: no default stack: %s\n", reason.c_str());
  std::abort();
}

}  // namespace fringe::internal
