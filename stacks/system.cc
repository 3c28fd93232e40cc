#include "system.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "../arch/arch.h"
#include "../arch/fatal.h"
#include "unmap_queue.h"

#if !defined(FRINGE_LIGHT_GUARDS)
#define FRINGE_LIGHT_GUARDS 1
#endif

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

// Tries a light guard. Emulators and sandboxes may accept the advice and do nothing: the guard must
// also keep the kernel from writing there, which can be seen without a signal handler.
int ProbeLightGuards() {
  const size_t page_bytes = PageBytes();
  void* const page = system_calls.mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return kUnknown;
  int result = kHasProtectedOnly;
  if (system_calls.madvise(page, page_bytes, kMadvGuardInstall) == 0) {
    if (system_calls.mincore(page, page_bytes, static_cast<unsigned char*>(page)) != 0 &&
        errno == EFAULT) {
      result = kHasLight;
    }
  } else if (errno == ENOMEM || errno == EAGAIN) {
    result = kUnknown;
  }
  system_calls.munmap(page, page_bytes);
  return result;
}

int LightGuards() {
  int has = light_guards.load(std::memory_order_relaxed);
  if (has == kUnknown) {
    has = FRINGE_LIGHT_GUARDS ? ProbeLightGuards() : kHasProtectedOnly;
    // Concurrent probes give the same answer; one that a test forces meanwhile stays.
    int unknown = kUnknown;
    light_guards.compare_exchange_strong(unknown, has, std::memory_order_relaxed);
  }
  return has;
}

// Whether the error is that of a call which a sandbox does not allow.
bool IsRefusal(int error) { return error == EPERM || error == EACCES || error == ENOSYS; }

// Returns: the number at the beginning of a file of /proc, or 0.
size_t ReadNumber(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t length = read(file, text, sizeof(text) - 1);
  close(file);
  return length > 0 ? std::strtoul(text, nullptr, 10) : 0;
}

// Returns: how many mappings the process has, or 0. Allocates nothing and needs little stack: it
// may run on a generator's.
size_t CountMappings() {
  const int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[1024];
  size_t lines = 0;
  for (ssize_t length; (length = read(file, text, sizeof(text))) > 0;) {
    lines += static_cast<size_t>(std::count(text, text + length, '\n'));
  }
  close(file);
  return lines;
}

// What macOS lacks or declares in its own way.
#if defined(__APPLE__)
constexpr int kMapStack = 0;
int Mincore(void* address, size_t length_bytes, unsigned char* pages) {
  return mincore(address, length_bytes, reinterpret_cast<char*>(pages));
}
int AdviseNoHugePages(void*, size_t) { return 0; }
#else
constexpr int kMapStack = MAP_STACK;
// The pointers of `mincore` are of different types in different C libraries.
int Mincore(void* address, size_t length_bytes, unsigned char* pages) {
  return mincore(address, length_bytes, pages);
}
int AdviseNoHugePages(void* address, size_t length_bytes) {
  return system_calls.madvise(address, length_bytes, MADV_NOHUGEPAGE);
}
#endif

// How many pages one call of mincore is asked about.
constexpr size_t kPagesPerLook = 256;

// With internal linkage, as everything that `RegisterForkHandlers` uses: with link-time
// optimization gold keeps the constructor functions of library files that the program does not
// need, but not their variables.
constinit UnmapQueue unmap_queue;

std::atomic<const ForkHandlers*> fork_handlers = nullptr;

// A fork copies the locks in whatever state they are. So all are taken before it, and released
// after it in both processes. The queue's is the last that any thread takes.
void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (const ForkHandlers* const handlers = fork_handlers.load()) handlers->before();
  unmap_queue.Lock();
}
void AfterForkInParent() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  unmap_queue.Unlock();
  if (const ForkHandlers* const handlers = fork_handlers.load()) handlers->after_in_parent();
}
void AfterForkInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  unmap_queue.Unlock();
  if (const ForkHandlers* const handlers = fork_handlers.load()) handlers->after_in_child();
}

// When the program or the plug-in is loaded, since later a thread might fork at the same time.
[[gnu::constructor(101)]] void RegisterForkHandlers() {
  if (pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild) != 0) {
    fringe_fatal("pthread_atfork failed when the program was loaded: free some memory.");
  }
}

}  // namespace

SystemCalls system_calls = {&mmap, &mprotect, &madvise, &munmap, &Mincore};

GuardKind SystemGuardKind() {
  return LightGuards() == kHasLight ? GuardKind::kLight : GuardKind::kProtected;
}

void ForceGuardKind(GuardKind kind) {
  light_guards.store(kind == GuardKind::kLight ? kHasLight : kHasProtectedOnly,
                     std::memory_order_relaxed);
}

size_t PageBytes() {
  // Not a local static: a fork while another thread initializes it would hang the child.
  static constinit std::atomic<size_t> known = 0;
  size_t page_bytes = known.load(std::memory_order_relaxed);
  if (page_bytes == 0) [[unlikely]] {
    page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    known.store(page_bytes, std::memory_order_relaxed);
  }
  return page_bytes;
}

size_t RoundUpToPages(size_t size_bytes) {
  const size_t page_bytes = PageBytes();
  return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

size_t GuardBytes(size_t size_bytes) {
  return RoundUpToPages(std::max(size_bytes, arch::kGuardBytes));
}

std::byte* MapMemory(size_t length_bytes, const char** failed_call) {
  *failed_call = "mmap";
  if (!unmap_queue.Reserve()) return nullptr;
  auto map = [length_bytes] {
    return system_calls.mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | kMapStack, -1, 0);
  };
  void* memory = map();
  if (memory == MAP_FAILED) {
    const int error = errno;
    if (error == ENOMEM && unmap_queue.UnmapWaiting()) {
      memory = map();
    } else {
      errno = error;
    }
  }
  if (memory == MAP_FAILED) {
    const int error = errno;
    unmap_queue.Unreserve();
    errno = error;
    return nullptr;
  }
  // A huge page would make the first touch of a stack cost 2 MiB. Kernels without huge pages say
  // EINVAL, and a sandbox may forbid advice: stacks work without it.
  if (AdviseNoHugePages(memory, length_bytes) != 0 && errno != EINVAL && !IsRefusal(errno)) {
    const int error = errno;
    UnmapMemory(static_cast<std::byte*>(memory), length_bytes);
    errno = error;
    *failed_call = "madvise(MADV_NOHUGEPAGE)";
    return nullptr;
  }
  return static_cast<std::byte*>(memory);
}

void UnmapMemory(std::byte* start, size_t length_bytes) { unmap_queue.Unmap(start, length_bytes); }

bool RemapMemory(std::byte* start, size_t length_bytes) {
  if (system_calls.mmap(start, length_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | kMapStack | MAP_FIXED, -1,
                        0) == MAP_FAILED) {
    return false;
  }
  // The same advice as for the rest, so that the kernel merges the mappings.
  AdviseNoHugePages(start, length_bytes);
  return true;
}

const char* InstallGuard(std::byte* start, size_t length_bytes, GuardKind* kind) {
  *kind = GuardKind::kLight;
  if (length_bytes <= kMaximumLightGuardBytes && SystemGuardKind() == GuardKind::kLight) {
    if (system_calls.madvise(start, length_bytes, kMadvGuardInstall) == 0) return nullptr;
    // Locked memory (`mlockall`) takes no light guard, and a sandbox may have been entered.
    if (errno != EINVAL && !IsRefusal(errno)) return "madvise(MADV_GUARD_INSTALL)";
  }
  *kind = GuardKind::kProtected;
  return system_calls.mprotect(start, length_bytes, PROT_NONE) == 0 ? nullptr
                                                                    : "mprotect of the guard";
}

std::byte* LowestResidentPage(std::byte* start, std::byte* end) {
  const size_t page_bytes = PageBytes();
  unsigned char pages[kPagesPerLook];
  while (start < end) {
    const size_t length_bytes =
        std::min(static_cast<size_t>(end - start), kPagesPerLook * page_bytes);
    if (system_calls.mincore(start, length_bytes, pages) != 0) return nullptr;
    unsigned char* const pages_end = pages + length_bytes / page_bytes;
    unsigned char* const resident =
        std::find_if(pages, pages_end, [](unsigned char page) { return (page & 1) != 0; });
    if (resident != pages_end) return start + static_cast<size_t>(resident - pages) * page_bytes;
    start += length_bytes;
  }
  return end;
}

std::byte* LowestPageInUse(std::byte* start, std::byte* end) {
  std::byte* lowest = end;
  for (std::byte* chunk_end = end; chunk_end > start;) {
    const size_t length_bytes =
        std::min(static_cast<size_t>(chunk_end - start), kPagesPerLook * PageBytes());
    std::byte* const chunk = chunk_end - length_bytes;
    std::byte* const found = LowestResidentPage(chunk, chunk_end);
    if (found == nullptr) return nullptr;
    if (found == chunk_end) break;
    lowest = found;
    chunk_end = chunk;
  }
  return lowest;
}

void CountStacks(ptrdiff_t change) { stack_count.fetch_add(change, std::memory_order_relaxed); }

absl::Status MakeError(absl::StatusCode code, std::initializer_list<std::string_view> text) {
#if defined(__cpp_exceptions)
  try {
#endif
    std::string whole;
    for (const std::string_view part : text) whole.append(part);
    return absl::Status(code, whole);
#if defined(__cpp_exceptions)
  } catch (const std::bad_alloc&) {
    // Without text, a status is a number.
    return absl::Status(code, "");
  }
#endif
}

Decimal::Decimal(size_t number) {
  char* digit = digits_ + sizeof(digits_);
  do {
    *--digit = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  first_ = digit;
}

absl::Status SystemError(const char* call, int error, size_t size_bytes, bool of_pool) {
  constexpr absl::StatusCode kCode = absl::StatusCode::kResourceExhausted;
  const Decimal size(size_bytes);
  if (error == ENOMEM) {
    const size_t limit = ReadNumber("/proc/sys/vm/max_map_count");
    // A mapping that cannot be split fails one or two short of the limit.
    if (limit > 0 && CountMappings() + 2 >= limit) {
      const Decimal maximum(limit);
      const Decimal stacks(
          static_cast<size_t>(std::max<ptrdiff_t>(0, stack_count.load(std::memory_order_relaxed))));
      std::string_view advice;
      if (!FRINGE_LIGHT_GUARDS) {
        advice =
            "Each guard takes mappings of its own: build with --@fringe//flags:light_guards for "
            "Linux "
            "6.13 or later, or raise";
      } else if (light_guards.load(std::memory_order_relaxed) == kHasProtectedOnly) {
        advice =
            "Each guard takes mappings of its own, as MADV_GUARD_INSTALL does not work here: use "
            "Linux 6.13 or later, or raise";
      } else if (of_pool) {
        advice = "Release other mappings, or raise";
      } else {
        advice =
            "Use a StackPool, whose stacks share mappings in whatever order they end, or raise";
      }
      return MakeError(
          kCode, {call, " for a stack of ", size, " bytes: ", std::strerror(error),
                  ". The process is at its limit of mappings: vm.max_map_count is ", maximum,
                  ", and there are ", stacks, " stacks. ", advice, " the limit with sysctl."});
    }
  }
  return MakeError(kCode, {call, " for a stack of ", size, " bytes: ", std::strerror(error)});
}

absl::Status StackTooLarge(size_t size_bytes) {
  const Decimal size(size_bytes);
  return MakeError(absl::StatusCode::kInvalidArgument,
                   {"a stack of ", size, " bytes is too large: ask for less"});
}

absl::Status GuardTooLarge(size_t size_bytes) {
  const Decimal size(size_bytes);
  const Decimal maximum(kMaximumGuardBytes);
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      {"a guard of ", size, " bytes is too large: ask for at most ", maximum, " bytes"});
}

void SetForkHandlers(const ForkHandlers* handlers) { fork_handlers.store(handlers); }

}  // namespace fringe::internal
