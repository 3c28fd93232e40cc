// Unmaps ranges of memory, now or as soon as the kernel allows it. Not for users.
//
// The kernel merges neighbouring mappings. To unmap a range from the middle of one splits it, which
// the kernel refuses to a process at its limit of mappings (`vm.max_map_count`). Such a range gives
// its pages back at once and waits here. Neighbours that wait are unmapped as one range, which
// needs no split once the range reaches an end of its mapping.

#ifndef FRINGE_STACKS_UNMAP_QUEUE_H_
#define FRINGE_STACKS_UNMAP_QUEUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "mutex.h"

namespace fringe::internal {

// Thread safety: any thread.
class UnmapQueue {
 public:
  constexpr UnmapQueue() = default;
  UnmapQueue(const UnmapQueue&) = delete;
  UnmapQueue& operator=(const UnmapQueue&) = delete;

  // Reserves what `Unmap` of one range may need, so that `Unmap` itself never needs memory.
  //
  // Returns: false if the system gives no memory; `errno` says why.
  bool Reserve();
  // Undoes one `Reserve`, when there is no range to unmap.
  void Unreserve() { live_.fetch_sub(1); }

  // Unmaps a range for which `Reserve` was called. If the process is at its limit of mappings, the
  // range is emptied and waits. Then tries some of the ranges that wait.
  //
  // Errors: fatal if the system refuses for any other reason.
  void Unmap(std::byte* start, size_t length_bytes);

  // Tries every range that waits.
  //
  // Returns: whether any was unmapped.
  bool UnmapWaiting();

  // Returns: how many ranges wait.
  size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

  // For the handlers of a fork.
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex_) { mutex_.Lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION(mutex_) { mutex_.Unlock(); }

 private:
  using Index = uint32_t;
  static constexpr Index kNone = ~Index{0};
  static constexpr size_t kFixedNodes = 1024;

  // A range that waits, in a treap: a binary search tree by address that is a heap by `Priority`.
  struct Node {
    uintptr_t start;
    uintptr_t end;
    Index left;
    Index right;
  };

  static uint64_t Priority(const Node& node) {
    // Neighbours must not have similar priorities.
    return (node.start >> 12) * 0x9e37'79b9'7f4a'7c15;
  }

  Node* nodes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return mapped_nodes_ == nullptr ? fixed_nodes_ : mapped_nodes_;
  }
  const Node* nodes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return mapped_nodes_ == nullptr ? fixed_nodes_ : mapped_nodes_;
  }

  // Returns: false if the memory for more nodes is not to be had.
  bool Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns the memory of the nodes when none is in use.
  void Shrink() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Insert(uintptr_t start, uintptr_t end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(uintptr_t start) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns: the first range at or after `address`; the last one before it; `kNone` if none is.
  Index FirstFrom(uintptr_t address) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Index LastBefore(uintptr_t address) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void UnmapSlow(uintptr_t start, uintptr_t end, bool was_refused);
  // Tries ranges in turn until `maximum_failures` were refused or all were tried.
  bool Retry(size_t maximum_failures) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::atomic<size_t> live_ = 0;  // reserved, and not yet unmapped or waiting
  std::atomic<size_t> waiting_ = 0;
  std::atomic<size_t> capacity_ = kFixedNodes;  // never less than `live_` and `waiting_` together
  Node* mapped_nodes_ ABSL_GUARDED_BY(mutex_) = nullptr;  // when `fixed_nodes_` are too few
  Index root_ ABSL_GUARDED_BY(mutex_) = kNone;
  Index free_ ABSL_GUARDED_BY(mutex_) = kNone;  // linked by `left`
  Index fresh_ ABSL_GUARDED_BY(mutex_) = 0;     // from here on none was used
  uintptr_t next_retry_ ABSL_GUARDED_BY(mutex_) = 0;
  Node fixed_nodes_[kFixedNodes] ABSL_GUARDED_BY(mutex_) = {};
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_UNMAP_QUEUE_H_
