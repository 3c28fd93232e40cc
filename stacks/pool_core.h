// What a `StackPool` does when a thread's cache cannot serve. Not for users.

#ifndef FRINGE_STACKS_POOL_CORE_H_
#define FRINGE_STACKS_POOL_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "mutex.h"
#include "pooled_stack.h"
#include "stack_arena.h"
#include "stack_slot.h"
#include "thread_cache.h"

namespace fringe::internal {

// The depot, the arenas, and the policy on memory.
//
// A stack is in use, in a thread's cache, or in one of the depot's chains:
//
//   warm   has a guard, and may keep up to `keep_bytes_` of memory
//   cold   has a guard, and keeps no memory
//   bare   keeps no memory, and its guard's mappings were merged with its neighbours'
//
// The mark of a stack tells at its release whether it was used deeper than before. A frame can span
// the mark without storing there. So, now and then, the memory below what may be kept is returned
// without asking: at a look, which is due every `ThreadCache::kHitsPerLook` acquisitions by a
// thread, or every `kHitsPerLookInTurn` while threads look in turn, and each `kFlushesPerLook`th
// time that a stack comes to the depot. One thread at a time does so; a look that would have to
// wait is put off for some acquisitions.
class PoolCore {
 public:
  explicit PoolCore(const StackPool::Options& options);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;
  // Unmaps everything. `RemovePool` has been called.
  ~PoolCore();

  // `StackPool`'s operations, off the fast path.
  absl::Status Acquire(StackSlot** slot);
  void Release(StackSlot* slot);
  void Trim();
  StackPool::Statistics Stats() const;

  // Returns: how many stacks are in use.
  size_t LiveStacks() const;
  // Returns: whether another thread has a cache of this pool.
  bool IsUsedByOtherThreads() const;

  // Returns: a new cache for `owner`; null if there is no memory.
  ThreadCache* AddCache(ThreadCaches* owner);
  // Empties a cache of a thread that ends.
  void RemoveCache(ThreadCache* cache);
  // The pool is being destroyed.
  void OrphanCaches();

  // For the handlers of a fork. In the child, the stacks in caches of threads that are not there
  // are put into the depot.
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex_) { mutex_.Lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION(mutex_) { mutex_.Unlock(); }
  void AdoptCaches(const ThreadCaches* own) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void EndLooksOfOtherThreads();

  // In the list of all pools.
  PoolCore* next = nullptr;
  PoolCore* previous = nullptr;

 private:
  static constexpr unsigned kFlushesPerLook = 8;

  absl::Status AcquireFromDepot(ThreadCache* cache, StackSlot** slot);
  absl::Status Carve(StackSlot** slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AddArena() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Moves the `count` oldest of a cache to the depot.
  void Flush(ThreadCache* cache, size_t count);
  // Puts slots that are in no chain into the depot.
  void ToDepot(SlotChain chain);
  // Returns the memory of slots that are in no chain, and puts them into the depot.
  void ToCold(SlotChain chain);
  // Lets all but the first `room` of sorted slots, which keep no memory, lose their guards.
  //
  // Returns: those that have lost it. The others stay in `chain`.
  SlotChain TakeBare(SlotChain* chain, size_t room) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves what exceeds the bounds from warm to cold.
  void ShrinkDepot();

  // How much unused stacks may keep, given that threads' caches may fill.
  size_t MaximumUnused() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  size_t MaximumWarm() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  size_t MaximumCold() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  size_t Unused() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return warm_.count + cold_.count + bare_.count;
  }
  void NotePeak(const ThreadCache* cache) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Finds how deep an unused stack was used, returns what is too much, and marks it anew.
  void TrimToResidentLimit(StackSlot* slot);
  // Returns what lies below the part that may be kept, if there is any, without counting it. Needs
  // a `LookLock`.
  void ReturnBelowLimit(StackSlot* slot);
  void ReturnMemory(std::byte* start, size_t length_bytes);
  // Returns all of the memory of sorted slots.
  void ReturnMemoryOf(const SlotChain& chain);
  // For pools of zeroed stacks.
  void Zero(StackSlot* slot);

  const StackPool::Options options_;
  const bool fits_;  // no size overflows
  const StackLayout layout_;
  const size_t keep_bytes_;  // whole pages, at most `layout_.room_bytes`

  mutable Mutex mutex_;
  SlotChain warm_ ABSL_GUARDED_BY(mutex_);
  SlotChain cold_ ABSL_GUARDED_BY(mutex_);
  SlotChain bare_ ABSL_GUARDED_BY(mutex_);
  StackArena* arenas_ ABSL_GUARDED_BY(mutex_) = nullptr;  // the first has room to carve
  ThreadCache* caches_ ABSL_GUARDED_BY(mutex_) = nullptr;
  size_t allotted_ ABSL_GUARDED_BY(mutex_) = 0;  // the capacities of all caches
  size_t carved_ ABSL_GUARDED_BY(mutex_) = 0;    // stacks that there are
  size_t mapped_guards_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t next_colour_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t next_arena_stacks_ ABSL_GUARDED_BY(mutex_);
  // Peak, misses, and what ended threads have counted.
  StackPool::Statistics totals_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> returns_ = 0;
  std::atomic<uint64_t> refusals_ = 0;
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_POOL_CORE_H_
