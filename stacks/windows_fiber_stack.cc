#include "windows_fiber_stack.h"

#include <cstddef>
#include <limits>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fringe {

absl::StatusOr<WindowsFiberStack> WindowsFiberStack::Create(size_t size_bytes,
                                                            const Options& options) {
  // Windows takes a size of 0 for the one in the program's header.
  if (size_bytes == 0) size_bytes = 1;
  const size_t commit_bytes = options.commit_bytes == 0 ? 1 : options.commit_bytes;
  // Half of the addresses belong to the system. A larger size could wrap around when it is rounded.
  if (size_bytes > std::numeric_limits<size_t>::max() / 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("a stack of ", size_bytes, " bytes is too large: ask for less"));
  }
  if (commit_bytes > size_bytes && commit_bytes > Options().commit_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a stack of ", size_bytes, " bytes cannot commit ", commit_bytes,
                     ": ask for a larger stack, or for fewer committed bytes"));
  }
  const char* failed_call = nullptr;
  unsigned long error = 0;
  arch::Fiber* const fiber = arch::Fiber::Create(size_bytes, commit_bytes, &failed_call, &error);
  if (fiber == nullptr) {
    const std::string words = std::system_category().message(static_cast<int>(error));
    return absl::ResourceExhaustedError(absl::StrCat(failed_call, " for a stack of ", size_bytes,
                                                     " bytes: ", words, " (error ", error, ")"));
  }
  return WindowsFiberStack(fiber);
}

}  // namespace fringe
