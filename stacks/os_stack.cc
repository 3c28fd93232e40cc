#include "stacks/os_stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace fringe {
namespace {

// One page is what GCC and Clang probe in on x86 (GCC's -fstack-clash-protection, Windows' rule).
size_t GuardBytes(size_t page_bytes) { return page_bytes; }

size_t PageBytes() {
  static const auto page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return page_bytes;
}

absl::Status SystemError(const char* call, size_t size_bytes) {
  const int error = errno;
  return absl::ResourceExhaustedError(
      absl::StrCat(call, " for a stack of ", size_bytes, " bytes: ", std::strerror(error)));
}

// An unmap fails only on a range that was never mapped so, or where it would split a mapping at the
// limit of mappings; ours is whole.
void Unmap(std::byte* start, size_t length_bytes) {
  if (munmap(start, length_bytes) != 0) {
    std::perror("fringe: munmap of a stack");
    std::abort();
  }
}

}  // namespace

absl::StatusOr<OsStack> OsStack::Create(size_t size_bytes) {
  const size_t page_bytes = PageBytes();
  const size_t guard_bytes = GuardBytes(page_bytes);
  if (size_bytes > std::numeric_limits<ptrdiff_t>::max() - guard_bytes - page_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("mmap for a stack of ", size_bytes, " bytes: the size does not fit"));
  }
  if (size_bytes == 0) size_bytes = 1;
  const size_t rounded_bytes = (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
  const size_t mapped_bytes = guard_bytes + rounded_bytes;

  void* mapping = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) return SystemError("mmap", rounded_bytes);
  auto* const start = static_cast<std::byte*>(mapping);

  if (mprotect(start, guard_bytes, PROT_NONE) != 0) {
    absl::Status status = SystemError("mprotect of the guard", rounded_bytes);
    Unmap(start, mapped_bytes);
    return status;
  }
  // A huge page would make the first touch of a stack cost 2 MiB. Kernels without huge pages say
  // EINVAL, and then there is nothing to turn off.
  if (madvise(start, mapped_bytes, MADV_NOHUGEPAGE) != 0 && errno != EINVAL) {
    absl::Status status = SystemError("madvise(MADV_NOHUGEPAGE)", rounded_bytes);
    Unmap(start, mapped_bytes);
    return status;
  }
  return OsStack(start + guard_bytes, rounded_bytes);
}

OsStack::~OsStack() {
  if (limit_ == nullptr) return;
  const size_t guard_bytes = GuardBytes(PageBytes());
  Unmap(limit_ - guard_bytes, guard_bytes + size_bytes_);
}

}  // namespace fringe
