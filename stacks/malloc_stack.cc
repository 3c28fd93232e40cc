#include "malloc_stack.h"

#include <cerrno>
#include <cstring>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "heap.h"

namespace fringe {

absl::StatusOr<MallocStack> MallocStack::Create(size_t size_bytes) {
  if (size_bytes > std::numeric_limits<size_t>::max() - kStackAlignment) {
    return absl::InvalidArgumentError(
        absl::StrCat("a stack of ", size_bytes, " bytes on the heap: the size does not fit"));
  }
  if (size_bytes == 0) size_bytes = 1;
  const size_t rounded_bytes =
      (size_bytes + kStackAlignment - 1) / kStackAlignment * kStackAlignment;
  const char* failed_call = nullptr;
  std::byte* const limit = internal::AllocateBlock(rounded_bytes, &failed_call);
  if (limit == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat(failed_call, " of a stack of ", rounded_bytes,
                                                     " bytes: ", std::strerror(errno)));
  }
  return MallocStack(limit, rounded_bytes);
}

MallocStack::~MallocStack() { internal::FreeBlock(limit_, size_bytes_); }

}  // namespace fringe
