// The shadow stacks of generators: mapped by the kernel, and kept for the next generator.
//
// Only the CPU can store to a shadow stack. A token at its top, from which it continues, is stored
// by the kernel when it is mapped, and again by the switch that leaves it empty. So one that is
// empty can be used again, and one that is not, because its generator was abandoned, is unmapped.

#if defined(__linux__) && (defined(__aarch64__) || defined(__x86_64__))

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <utility>

#include "../arch/fatal.h"
#include "../arch/shadow_stack.h"

namespace {

// From the kernel's interface: "Documentation/arch/x86/shstk.rst" and
// "Documentation/arch/arm64/gcs.rst".
constexpr long kMapShadowStack = 453;
constexpr unsigned long kSetToken = 1;

// For signal handlers on an alternate stack, which has no shadow stack of its own.
constexpr size_t kExtraBytes = 4096;

// Returns: the size of the shadow stack for a stack of that size. There are few sizes, so that one
// can be used for another stack of nearly the same size.
size_t ShadowStackBytes(size_t stack_bytes) {
  const size_t entries = stack_bytes / fringe::arch::kStackBytesPerCall;
  const size_t bytes = entries * sizeof(void*) + kExtraBytes;
  const auto page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t step = std::max(page_bytes, std::bit_floor(bytes) / 4);
  return (bytes + step - 1) / step * step;
}

struct Mapping {
  std::byte* start;
  size_t bytes;
};

void Unmap(Mapping mapping) {
  if (munmap(mapping.start, mapping.bytes) != 0) {
    fringe_fatal("munmap of a generator's shadow stack failed.");
  }
}

// Empty shadow stacks of any thread.
class Cache {
 public:
  // Returns: the latest of that size that was added; null if there is none.
  std::byte* Take(size_t bytes) {
    if (!Lock()) return nullptr;
    std::byte* start = nullptr;
    for (size_t i = count_; i-- != 0;) {
      if (mappings_[i].bytes != bytes) continue;
      start = mappings_[i].start;
      mappings_[i] = mappings_[--count_];
      break;
    }
    Unlock();
    return start;
  }

  // Returns: one that must be unmapped; of zero bytes if none must.
  Mapping Add(Mapping mapping) {
    if (!Lock()) return mapping;
    Mapping displaced = {nullptr, 0};
    if (count_ < kCapacity) {
      mappings_[count_++] = mapping;
    } else {
      // In turn, so that those of a size that is no longer used go.
      displaced = std::exchange(mappings_[next_displaced_], mapping);
      next_displaced_ = (next_displaced_ + 1) % kCapacity;
    }
    Unlock();
    return displaced;
  }

 private:
  static constexpr size_t kCapacity = 1024;

  // Gives up, because the thread that has the lock may not be there: after a `fork`, or below a
  // signal handler. The caller then does without the cache.
  bool Lock() {
    for (int i = 0; i < 1000; ++i) {
      if (!is_locked_.test(std::memory_order_relaxed) &&
          !is_locked_.test_and_set(std::memory_order_acquire)) {
        return true;
      }
    }
    return false;
  }
  void Unlock() { is_locked_.clear(std::memory_order_release); }

  std::atomic_flag is_locked_;
  size_t count_ = 0;
  size_t next_displaced_ = 0;
  Mapping mappings_[kCapacity] = {};
};

constinit Cache cache;

}  // namespace

void* fringe_acquire_shadow_stack(size_t stack_bytes) noexcept {
  const size_t bytes = ShadowStackBytes(stack_bytes);
  std::byte* start = cache.Take(bytes);
  if (start == nullptr) {
    const long result = syscall(kMapShadowStack, 0, bytes, kSetToken);
    if (result == -1) return nullptr;
    start = reinterpret_cast<std::byte*>(result);
  }
  return start + bytes - sizeof(void*);
}

void fringe_release_shadow_stack(fringe::arch::ShadowStack shadow_stack,
                                 size_t stack_bytes) noexcept {
  const size_t bytes = ShadowStackBytes(stack_bytes);
  Mapping mapping = {static_cast<std::byte*>(shadow_stack.empty_token) + sizeof(void*) - bytes,
                     bytes};
  if (shadow_stack.token == shadow_stack.empty_token) mapping = cache.Add(mapping);
  if (mapping.bytes != 0) Unmap(mapping);
}

#endif
