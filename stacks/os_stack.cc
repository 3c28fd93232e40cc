#include "os_stack.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <limits>

#include "absl/status/status.h"
#include "colour.h"
#include "system.h"

namespace fringe {

absl::StatusOr<OsStack> OsStack::Create(size_t size_bytes, const Options& options) {
  using internal::kMaximumColourBytes;
  if (options.guard_bytes > internal::kMaximumGuardBytes) {
    return internal::GuardTooLarge(options.guard_bytes);
  }
  const size_t guard_bytes = internal::GuardBytes(options.guard_bytes);
  if (size_bytes > std::numeric_limits<ptrdiff_t>::max() - guard_bytes - 2 * internal::PageBytes() -
                       kMaximumColourBytes) {
    return internal::StackTooLarge(size_bytes);
  }
  if (size_bytes == 0) size_bytes = 1;
  const size_t rounded_bytes = internal::RoundUpToPages(size_bytes);
  const size_t room_bytes = internal::RoundUpToPages(rounded_bytes + kMaximumColourBytes);
  const size_t mapped_bytes = guard_bytes + room_bytes;

  const char* failed_call = nullptr;
  std::byte* const start = internal::MapMemory(mapped_bytes, &failed_call);
  if (start == nullptr) {
    return internal::SystemError(failed_call, errno, rounded_bytes, /*of_pool=*/false);
  }
  internal::GuardKind kind;
  failed_call = internal::InstallGuard(start, guard_bytes, &kind);
  if (failed_call != nullptr) {
    absl::Status status =
        internal::SystemError(failed_call, errno, rounded_bytes, /*of_pool=*/false);
    internal::UnmapMemory(start, mapped_bytes);
    return status;
  }
  internal::CountStacks(1);
  static constinit std::atomic<size_t> next_colour = 0;
  const size_t colour_bytes =
      internal::ColourBytes(next_colour.fetch_add(1, std::memory_order_relaxed));
  return OsStack(start + guard_bytes, room_bytes - colour_bytes, guard_bytes);
}

OsStack::~OsStack() {
  if (limit_ == nullptr) return;
  internal::CountStacks(-1);
  // From the base to the end of the mapping there is less than a page.
  internal::UnmapMemory(limit_ - guard_bytes_,
                        guard_bytes_ + internal::RoundUpToPages(size_bytes_));
}

}  // namespace fringe
