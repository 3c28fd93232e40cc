#include "leak_roots.h"

#include "config.h"

// On macOS only AddressSanitizer has these functions (sanitizer_hooks.h).
#if __STDC_HOSTED__ && (!defined(__APPLE__) || FRINGE_ASAN)

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

extern "C" {
// LeakSanitizer's interface (sanitizer/lsan_interface.h). Null in programs without it.
[[gnu::weak]] void __lsan_register_root_region(const void* begin, size_t size);
[[gnu::weak]] void __lsan_unregister_root_region(const void* begin, size_t size);
}

namespace fringe::internal {
namespace {

// LeakSanitizer of LLVM 14 and GCC 12 keeps its regions in an array. It searches for the one to
// unregister from the start of the array and fills the gap with the last one. So it takes quadratic
// time to unregister a million stacks in the order in which they were created last. This class
// unregisters stacks together once half of the array are removed ones: the first of the array,
// again and again, which is found at once. Then it registers those that are left.
class LeakRoots {
 public:
  void Add(const std::byte* limit, size_t size_bytes) {
    const std::lock_guard lock(mutex_);
    live_.emplace(Hidden(limit), size_bytes);
    Register({Hidden(limit), size_bytes});
  }

  void Remove(const std::byte* limit) {
    const std::lock_guard lock(mutex_);
    live_.erase(Hidden(limit));
    if (live_.empty()) {
      RegisterAnew();
      std::unordered_map<uintptr_t, size_t>().swap(live_);
      std::vector<Root>().swap(registered_);
    } else if (live_.size() < kExactRoots && registered_.size() == live_.size() + 1) {
      Unregister(std::find_if(registered_.begin(), registered_.end(), [limit](const Root& root) {
        return root.hidden_limit == Hidden(limit);
      }));
    } else if (live_.size() < kExactRoots || registered_.size() > 2 * live_.size()) {
      RegisterAnew();
    }
  }

 private:
  // Below this number, a removed root is unregistered at once.
  static constexpr size_t kExactRoots = 1000;

  // An address that LeakSanitizer does not recognize as such. A stack on the heap would otherwise
  // always be reachable.
  struct Root {
    uintptr_t hidden_limit;
    size_t size_bytes;

    const void* limit() const { return reinterpret_cast<const void*>(~hidden_limit); }
  };
  static uintptr_t Hidden(const std::byte* limit) { return ~reinterpret_cast<uintptr_t>(limit); }

  void Register(Root root) {
    __lsan_register_root_region(root.limit(), root.size_bytes);
    registered_.push_back(root);
  }

  void Unregister(std::vector<Root>::iterator root) {
    __lsan_unregister_root_region(root->limit(), root->size_bytes);
    *root = registered_.back();
    registered_.pop_back();
  }

  void RegisterAnew() {
    while (!registered_.empty()) Unregister(registered_.begin());
    for (const auto& [hidden_limit, size_bytes] : live_) Register({hidden_limit, size_bytes});
  }

  std::mutex mutex_;
  std::unordered_map<uintptr_t, size_t> live_;
  std::vector<Root> registered_;  // in LeakSanitizer's order, with some that were removed
};

// Never destroyed: generators of static lifetime may be destroyed later. Without roots it has no
// memory on the heap, so that a plug-in leaves none behind when it is unloaded.
LeakRoots& Roots() {
  alignas(LeakRoots) static std::byte place[sizeof(LeakRoots)];
  static LeakRoots& roots = *new (place) LeakRoots;
  return roots;
}

}  // namespace

bool HasLeakSanitizer() { return &__lsan_register_root_region != nullptr; }

void AddLeakRoot(const std::byte* limit, size_t size_bytes) { Roots().Add(limit, size_bytes); }

void RemoveLeakRoot(const std::byte* limit) { Roots().Remove(limit); }

}  // namespace fringe::internal

#endif
