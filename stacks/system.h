// What the stacks ask of the operating system, in one place: memory, guards, and what went wrong.
// Not for users.

#ifndef FRINGE_STACKS_SYSTEM_H_
#define FRINGE_STACKS_SYSTEM_H_

#include <sys/types.h>

#include <cstddef>

#include "absl/status/status.h"

namespace fringe::internal {

// The system calls that stacks make. Tests put their own in the place of the C library's, to let
// them fail; nothing else writes here.
struct SystemCalls {
  void* (*mmap)(void* address, size_t length_bytes, int protection, int flags, int file,
                off_t offset);
  int (*mprotect)(void* address, size_t length_bytes, int protection);
  int (*madvise)(void* address, size_t length_bytes, int advice);
  int (*munmap)(void* address, size_t length_bytes);
  int (*mincore)(void* address, size_t length_bytes, unsigned char* pages);
};
extern SystemCalls system_calls;

// What a guard is made of.
enum class GuardKind {
  kLight,      // MADV_GUARD_INSTALL (Linux 6.13): entries in the page table, no mapping of its own
  kProtected,  // mprotect: two mappings more
};

// Returns: what the system can do, found out at the first call by a guard that is tried out;
//   `kProtected` where `--no//flags:light_guards` was given.
// Cost: a load and a comparison after the first call.
// Thread safety: any thread.
GuardKind SystemGuardKind();

// For tests: from now on `SystemGuardKind` says `kind`.
void ForceGuardKind(GuardKind kind);

// Returns: the size of a page, in bytes.
size_t PageBytes();

// Returns: how many bytes lie below a stack's limit: what the ABI asks for, in whole pages.
size_t GuardBytes();

// Rounds up to whole pages.
//
// Requires: the result fits.
size_t RoundUpToPages(size_t size_bytes);

// Maps memory for stacks: private, zero, without huge pages, no memory set aside for it.
//
// Returns: null where the system gives none; `errno` says why, and `failed_call` names the call.
std::byte* MapMemory(size_t length_bytes, const char** failed_call);

// Unmaps what `MapMemory` gave, the whole of it.
//
// Neighbours are one mapping to the system where their guards are light, and to take one from their
// middle splits it: the system refuses that to a process that has as many mappings as it may. Then
// the memory is given back, and the addresses when a later call of this function succeeds.
//
// Requires: the highest page may be written to.
// Errors: fatal where the system refuses for any other reason.
void UnmapMemory(std::byte* start, size_t length_bytes);

// Lets every access to a range of whole pages fault.
//
// Returns: null; the name of the call that failed otherwise, with `errno` as it left it.
const char* InstallGuard(std::byte* start, size_t length_bytes);

// Looks for memory in a range of whole pages.
//
// Returns: the lowest page from `start` on that has some; `end` where none has; null where the
// system
//   does not say.
// Cost: a system call for each MiB below that page.
std::byte* LowestResidentPage(std::byte* start, std::byte* end);

// Notes that stacks were made or are gone, for the text of errors.
void CountStacks(ptrdiff_t change);

// Returns: a kResourceExhausted error about `call`, which failed with `error` for a stack of
//   `size_bytes`. Where the process has as many mappings as it may have, the text says that, and
//   what to do; `of_pool` tells what advice is of use.
// Cost: where `error` is ENOMEM, reads the list of the process's mappings.
absl::Status SystemError(const char* call, int error, size_t size_bytes, bool of_pool);

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_SYSTEM_H_
