// The stacks' interface to the operating system: memory, guards, and the text of its errors. Not
// for users.

#ifndef FRINGE_STACKS_SYSTEM_H_
#define FRINGE_STACKS_SYSTEM_H_

#include <sys/types.h>

#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "absl/status/status.h"

namespace fringe::internal {

// The system calls that stacks make. Tests replace them to let them fail; nothing else may store
// here.
struct SystemCalls {
  void* (*mmap)(void* address, size_t length_bytes, int protection, int flags, int file,
                off_t offset);
  int (*mprotect)(void* address, size_t length_bytes, int protection);
  int (*madvise)(void* address, size_t length_bytes, int advice);
  int (*munmap)(void* address, size_t length_bytes);
  int (*mincore)(void* address, size_t length_bytes, unsigned char* pages);
};
extern SystemCalls system_calls;

// How a guard is made.
enum class GuardKind {
  kLight,      // MADV_GUARD_INSTALL (Linux 6.13): page table entries, no mapping of its own
  kProtected,  // mprotect: two mappings more
};

// Returns: the kind that the system supports, found out at the first call by trying a guard;
//   `kProtected` if the build has `--no//flags:light_guards`.
// Cost: a load and a comparison after the first call.
// Thread safety: any thread.
GuardKind SystemGuardKind();

// For tests: from now on `SystemGuardKind` returns `kind`.
void ForceGuardKind(GuardKind kind);

// The size of a guard unless the user chooses another. GCC and Clang probe a large frame only with
// `-fstack-clash-protection`; without it, a frame up to this size cannot jump over a guard.
inline constexpr size_t kDefaultGuardBytes = size_t{64} << 10;

// The largest guard that can be asked for. It costs addresses, and with MADV_GUARD_INSTALL also
// page tables, which is why a guard larger than `kMaximumLightGuardBytes` is made with mprotect.
inline constexpr size_t kMaximumGuardBytes = size_t{1} << 30;
inline constexpr size_t kMaximumLightGuardBytes = size_t{1} << 20;

// Returns: the size of a page, in bytes.
size_t PageBytes();

// Rounds up to whole pages.
//
// Requires: the result fits.
size_t RoundUpToPages(size_t size_bytes);

// Returns: the size of a guard for which the user has asked `size_bytes`: whole pages, and no less
//   than the steps in which the ABI's compilers probe.
// Requires: `size_bytes` is at most `kMaximumGuardBytes`.
size_t GuardBytes(size_t size_bytes);

// Maps memory for stacks: private, zero, without huge pages, not committed.
//
// Returns: null if the system gives none; `errno` says why, and `failed_call` names the call.
std::byte* MapMemory(size_t length_bytes, const char** failed_call);

// Unmaps all of what `MapMemory` has returned. It needs no memory. If the process has too many
// mappings to split one, the range gives its pages back at once, and its addresses when a later
// call can (unmap_queue.h).
//
// Errors: fatal if the system refuses for any other reason.
void UnmapMemory(std::byte* start, size_t length_bytes);

// Replaces a range of whole pages by new memory, as `MapMemory` gives it. Guards in it are gone,
// and so are the mappings that they took.
//
// Returns: whether the system did so; if not, the range is as before.
bool RemapMemory(std::byte* start, size_t length_bytes);

// Makes every access to a range of whole pages fault.
//
// Returns: null if that was done, and then `kind` says how; otherwise the name of the call that
//   failed, with `errno` as the call left it.
const char* InstallGuard(std::byte* start, size_t length_bytes, GuardKind* kind);

// Looks for resident memory in a range of whole pages.
//
// Returns: the lowest page from `start` on that has some; `end` if none has; null if the system
//   does not say.
// Cost: a system call for each MiB below that page.
std::byte* LowestResidentPage(std::byte* start, std::byte* end);

// Looks for resident memory downwards from `end`, and stops at the first MiB without any.
//
// Returns: the lowest resident page above that MiB; `end` if there is none; null if the system does
//   not say.
// Cost: a system call for each MiB that has memory, and one.
std::byte* LowestPageInUse(std::byte* start, std::byte* end);

// Counts the stacks that there are, for the text of errors.
void CountStacks(ptrdiff_t change);

// Returns: an error with that text; one without text if the heap has no memory for it. Never
// throws.
absl::Status MakeError(absl::StatusCode code, std::initializer_list<std::string_view> text);

// A number as text, for `MakeError`. It must outlive the view of it.
class Decimal {
 public:
  explicit Decimal(size_t number);
  Decimal(const Decimal&) = delete;
  Decimal& operator=(const Decimal&) = delete;
  operator std::string_view() const { return {first_, static_cast<size_t>(end() - first_)}; }

 private:
  const char* end() const { return digits_ + sizeof(digits_); }

  char digits_[20];
  const char* first_;
};

// Returns: a kResourceExhausted error about `call`, which failed with `error` for a stack of
//   `size_bytes`. If the process is at its limit of mappings, the text says so, and what to do.
//   `of_pool` chooses the advice.
// Cost: if `error` is ENOMEM, reads the list of the process's mappings.
absl::Status SystemError(const char* call, int error, size_t size_bytes, bool of_pool);

// Returns: kInvalidArgument errors about a size that cannot be had.
absl::Status StackTooLarge(size_t size_bytes);
absl::Status GuardTooLarge(size_t size_bytes);

// Calls around a fork, for the locks of pools. Those of this file are handled by itself.
struct ForkHandlers {
  void (*before)();
  void (*after_in_parent)();
  void (*after_in_child)();
};

// Adds the handlers, which must outlive the program. May be called once.
void SetForkHandlers(const ForkHandlers* handlers);

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_SYSTEM_H_
