#include "stacks/malloc_stack.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fringe {

absl::StatusOr<MallocStack> MallocStack::Create(size_t size_bytes) {
  if (size_bytes > std::numeric_limits<size_t>::max() - kStackAlignment) {
    return absl::InvalidArgumentError(
        absl::StrCat("aligned_alloc of a stack of ", size_bytes, " bytes: the size does not fit"));
  }
  if (size_bytes == 0) size_bytes = 1;
  const size_t rounded_bytes =
      (size_bytes + kStackAlignment - 1) / kStackAlignment * kStackAlignment;
  errno = ENOMEM;  // the C standard asks for no errno
  void* memory = std::aligned_alloc(kStackAlignment, rounded_bytes);
  if (memory == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("aligned_alloc of a stack of ", rounded_bytes,
                                                     " bytes: ", std::strerror(errno)));
  }
  return MallocStack(static_cast<std::byte*>(memory), rounded_bytes);
}

MallocStack::~MallocStack() { std::free(limit_); }

}  // namespace fringe
