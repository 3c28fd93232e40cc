// jemalloc's heap: one arena for all stacks, and for each thread a cache of stacks only. What lies
// in neither is never mixed with them, so that stacks do not fragment the rest of the heap, and a
// block that is freed is there for the next stack.

#include "heap.h"

#if FRINGE_MALLOC_IS_JEMALLOC

#include <atomic>
#include <cerrno>
#include <cstddef>

// The names with the prefix are right however jemalloc was configured.
#define JEMALLOC_NO_DEMANGLE
#include <jemalloc/jemalloc.h>

namespace fringe::internal {
namespace {

// jemalloc aligns like this by itself. Asked for it, it passes its caches by for all but small
// blocks.
static_assert(kStackAlignment <= alignof(std::max_align_t));

// The arena's index and one; 0 where there is none yet. There is no lock: a fork while another
// thread holds it would leave the child without an arena.
constinit std::atomic<unsigned> arena_and_one = 0;

// Returns: false where jemalloc gives no arena; `errno` says why. A later call may succeed.
bool FindArena(unsigned* arena) {
  unsigned known = arena_and_one.load(std::memory_order_acquire);
  if (known == 0) {
    unsigned created = 0;
    size_t length_bytes = sizeof(created);
    const int error = je_mallctl("arenas.create", &created, &length_bytes, nullptr, 0);
    if (error != 0) {
      errno = error;
      return false;
    }
    if (arena_and_one.compare_exchange_strong(known, created + 1, std::memory_order_acq_rel)) {
      known = created + 1;
    } else {
      // Another thread was faster. An empty arena that stays costs some memory and nothing else.
      size_t name[3];
      size_t name_length = 3;
      if (je_mallctlnametomib("arena.0.destroy", name, &name_length) == 0) {
        name[1] = created;
        je_mallctlbymib(name, name_length, nullptr, nullptr, nullptr, 0);
      }
    }
  }
  *arena = known - 1;
  return true;
}

// The running thread's cache. It may be used by no other thread, and jemalloc does not end it with
// the thread.
class ThreadCache {
 public:
  constexpr ThreadCache() = default;
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;
  // What is in it goes to the arena.
  ~ThreadCache() {
    if (flags_ != 0 && flags_ != MALLOCX_TCACHE_NONE) {
      je_mallctl("tcache.destroy", nullptr, nullptr, &index_, sizeof(index_));
    }
    // Thread-locals that are destroyed later may hold stacks.
    ended_ = true;
  }

  // Returns: the flags that let jemalloc use the cache; those for none where the thread is ending,
  //   or jemalloc has no more: it gives some 4,000.
  static int Flags() {
    if (ended_) [[unlikely]] {
      return MALLOCX_TCACHE_NONE;
    }
    return mine_.FlagsWhileItRuns();
  }

 private:
  int FlagsWhileItRuns() {
    if (flags_ == 0) [[unlikely]] {
      size_t length_bytes = sizeof(index_);
      const int error = je_mallctl("tcache.create", &index_, &length_bytes, nullptr, 0);
      flags_ = error == 0 ? MALLOCX_TCACHE(index_) : MALLOCX_TCACHE_NONE;
    }
    return flags_;
  }

  static thread_local constinit bool ended_;
  static thread_local constinit ThreadCache mine_;

  unsigned index_ = 0;
  int flags_ = 0;  // before the first use
};

thread_local constinit bool ThreadCache::ended_ = false;
thread_local constinit ThreadCache ThreadCache::mine_;

}  // namespace

// Not to be inlined, this and `FreeBlock`: a compiler may keep the address of a thread-local over a
// switch, of ours and of a jemalloc that is optimised together with it, after which the generator
// may be on another thread.
[[gnu::noinline]] std::byte* AllocateBlock(size_t size_bytes, const char** failed_call) {
  unsigned arena = 0;
  if (!FindArena(&arena)) {
    *failed_call = "mallctl(\"arenas.create\")";
    return nullptr;
  }
  *failed_call = "mallocx";
  void* const block = je_mallocx(size_bytes, MALLOCX_ARENA(arena) | ThreadCache::Flags());
  if (block == nullptr) errno = ENOMEM;  // jemalloc leaves whatever its own system calls did
  return static_cast<std::byte*>(block);
}

[[gnu::noinline]] void FreeBlock(std::byte* block, size_t size_bytes) {
  if (block != nullptr) je_sdallocx(block, size_bytes, ThreadCache::Flags());
}

}  // namespace fringe::internal

#endif  // FRINGE_MALLOC_IS_JEMALLOC
