#include "system.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "../arch/arch.h"
#include "../arch/fatal.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mutex.h"

// Whether to use the kernel's guards that take no mapping: `--//flags:light_guards`.
#if !defined(FRINGE_LIGHT_GUARDS)
#define FRINGE_LIGHT_GUARDS 1
#endif

namespace fringe::internal {
namespace {

// From Linux's include/uapi/asm-generic/mman-common.h; the C library's headers are older.
constexpr int kMadvGuardInstall = 102;

enum : int { kUnknown, kHasLight, kHasProtectedOnly };
std::atomic<int> light_guards = kUnknown;

std::atomic<ptrdiff_t> stack_count = 0;

// Tries a light guard out. Emulators and sandboxes may take the advice and do nothing: the guard
// must also keep the kernel from writing there, which needs no signal handler to see.
int ProbeLightGuards() {
  const size_t page_bytes = PageBytes();
  void* const page = system_calls.mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return kUnknown;
  const bool works =
      system_calls.madvise(page, page_bytes, kMadvGuardInstall) == 0 &&
      system_calls.mincore(page, page_bytes, static_cast<unsigned char*>(page)) != 0 &&
      errno == EFAULT;
  system_calls.munmap(page, page_bytes);
  return works ? kHasLight : kHasProtectedOnly;
}

// Returns: the number that a file of /proc begins with, or 0.
long ReadNumber(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t length = read(file, text, sizeof(text) - 1);
  close(file);
  return length > 0 ? std::strtol(text, nullptr, 10) : 0;
}

// Returns: how many mappings the process has, or 0. Allocates nothing, and needs little stack: it
// may run on a generator's.
long CountMappings() {
  const int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[1024];
  long lines = 0;
  for (ssize_t length; (length = read(file, text, sizeof(text))) > 0;) {
    lines += std::count(text, text + length, '\n');
  }
  close(file);
  return lines;
}

// Memory that was to be unmapped. This lies at its end.
struct Kept {
  std::byte* start;
  size_t length_bytes;
  Kept* next;
};

constinit Mutex kept_mutex;
constinit Kept* kept ABSL_GUARDED_BY(kept_mutex) = nullptr;
// So that the usual case takes no lock.
std::atomic<bool> keeps_any = false;

void Keep(std::byte* start, size_t length_bytes) {
  // Nothing is left to do should this fail: the memory stays until it is unmapped.
  system_calls.madvise(start, length_bytes, MADV_DONTNEED);
  auto* const node = new (start + length_bytes - sizeof(Kept)) Kept{start, length_bytes, nullptr};
  MutexLock lock(&kept_mutex);
  node->next = kept;
  kept = node;
  keeps_any.store(true, std::memory_order_relaxed);
}

// Unmaps what was kept, as far as it goes by now.
void UnmapKept() {
  MutexLock lock(&kept_mutex);
  while (kept != nullptr) {
    Kept* const next = kept->next;
    if (system_calls.munmap(kept->start, kept->length_bytes) != 0) return;
    kept = next;
  }
  keeps_any.store(false, std::memory_order_relaxed);
}

// mincore's pointers are of different types in different C libraries.
int Mincore(void* address, size_t length_bytes, unsigned char* pages) {
  return mincore(address, length_bytes, pages);
}

}  // namespace

SystemCalls system_calls = {&mmap, &mprotect, &madvise, &munmap, &Mincore};

GuardKind SystemGuardKind() {
  int has = light_guards.load(std::memory_order_relaxed);
  if (has == kUnknown) {
    has = FRINGE_LIGHT_GUARDS ? ProbeLightGuards() : kHasProtectedOnly;
    // Who finds out at the same time finds the same; what a test forces meanwhile stays.
    int unknown = kUnknown;
    light_guards.compare_exchange_strong(unknown, has, std::memory_order_relaxed);
  }
  return has == kHasLight ? GuardKind::kLight : GuardKind::kProtected;
}

void ForceGuardKind(GuardKind kind) {
  light_guards.store(kind == GuardKind::kLight ? kHasLight : kHasProtectedOnly,
                     std::memory_order_relaxed);
}

size_t PageBytes() {
  static const auto page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return page_bytes;
}

size_t GuardBytes() { return RoundUpToPages(arch::kGuardBytes); }

size_t RoundUpToPages(size_t size_bytes) {
  const size_t page_bytes = PageBytes();
  return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

std::byte* MapMemory(size_t length_bytes, const char** failed_call) {
  void* const memory =
      system_calls.mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    *failed_call = "mmap";
    return nullptr;
  }
  // A huge page would make the first touch of a stack cost 2 MiB. Kernels without huge pages say
  // EINVAL, and then there is nothing to turn off.
  if (system_calls.madvise(memory, length_bytes, MADV_NOHUGEPAGE) != 0 && errno != EINVAL) {
    const int error = errno;
    UnmapMemory(static_cast<std::byte*>(memory), length_bytes);
    errno = error;
    *failed_call = "madvise(MADV_NOHUGEPAGE)";
    return nullptr;
  }
  return static_cast<std::byte*>(memory);
}

void UnmapMemory(std::byte* start, size_t length_bytes) {
  if (system_calls.munmap(start, length_bytes) == 0) {
    if (keeps_any.load(std::memory_order_relaxed)) [[unlikely]] {
      UnmapKept();
    }
    return;
  }
  if (errno != ENOMEM) fringe_fatal("only its owner unmaps the memory of a stack.");
  Keep(start, length_bytes);
}

const char* InstallGuard(std::byte* start, size_t length_bytes) {
  if (SystemGuardKind() == GuardKind::kLight) {
    if (system_calls.madvise(start, length_bytes, kMadvGuardInstall) == 0) return nullptr;
    // Memory that is locked (`mlockall`) takes no light guard.
    if (errno != EINVAL) return "madvise(MADV_GUARD_INSTALL)";
  }
  return system_calls.mprotect(start, length_bytes, PROT_NONE) == 0 ? nullptr
                                                                    : "mprotect of the guard";
}

std::byte* LowestResidentPage(std::byte* start, std::byte* end) {
  const size_t page_bytes = PageBytes();
  unsigned char pages[256];
  while (start < end) {
    const size_t length_bytes =
        std::min(static_cast<size_t>(end - start), sizeof(pages) * page_bytes);
    if (system_calls.mincore(start, length_bytes, pages) != 0) return nullptr;
    unsigned char* const pages_end = pages + length_bytes / page_bytes;
    unsigned char* const resident =
        std::find_if(pages, pages_end, [](unsigned char page) { return (page & 1) != 0; });
    if (resident != pages_end) return start + static_cast<size_t>(resident - pages) * page_bytes;
    start += length_bytes;
  }
  return end;
}

void CountStacks(ptrdiff_t change) { stack_count.fetch_add(change, std::memory_order_relaxed); }

absl::Status SystemError(const char* call, int error, size_t size_bytes, bool of_pool) {
  std::string text =
      absl::StrCat(call, " for a stack of ", size_bytes, " bytes: ", std::strerror(error));
  if (error == ENOMEM) {
    const long limit = ReadNumber("/proc/sys/vm/max_map_count");
    // A mapping that cannot be split fails one or two short of the limit.
    if (limit > 0 && CountMappings() + 2 >= limit) {
      absl::StrAppend(&text, ". The process is at the limit of mappings: vm.max_map_count is ",
                      limit, ", and ", stack_count.load(std::memory_order_relaxed),
                      " stacks live. ");
      if (SystemGuardKind() == GuardKind::kProtected) {
        absl::StrAppend(&text,
                        "Each guard takes mappings, as there is no MADV_GUARD_INSTALL: a StackPool "
                        "would not have hit it on Linux 6.13 or later. ");
      } else if (!of_pool) {
        absl::StrAppend(&text, "A StackPool would not have hit it. ");
      }
      absl::StrAppend(&text, "sysctl raises the limit.");
    }
  }
  return absl::ResourceExhaustedError(text);
}

}  // namespace fringe::internal
