// One thread's unused stacks of one pool. Not for users.

#ifndef FRINGE_STACKS_THREAD_CACHE_H_
#define FRINGE_STACKS_THREAD_CACHE_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "stack_slot.h"

namespace fringe::internal {

class ThreadCaches;

// A chain of slots, the latest first, and counters.
//
// Thread safety: only the owning thread calls what is not marked otherwise. What moves more than
// one slot needs the pool's lock as well, so that a fork never sees it half done. `Pop` and `Push`
// store in such an order that the chain is whole at every instant: a forked child walks it.
class alignas(128) ThreadCache {
 public:
  // How often a look is due, in acquisitions. Odd, and a prime, so that it falls on each stack of a
  // set that is used in turn.
  static constexpr uint64_t kHitsPerLook = 139;
  // The same while threads look in turn. Each look then takes 0.1 to 0.2 us longer, because the
  // kernel's locks are in the cache of another CPU.
  static constexpr uint64_t kHitsPerLookInTurn = 191;
  // How many of these are left when `BeginLastHits` returns true. After a look that was put off, as
  // many go by until the next try.
  static constexpr uint64_t kLastHits = 8;

  constexpr ThreadCache() = default;  // of no pool
  ThreadCache(PoolCore* core, ThreadCaches* owner, size_t capacity)
      : core_(core), owner_(owner), capacity_(MaximumCount(capacity)) {}
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;

  // Returns: the largest count that a cache can have, up to `count`.
  static uint32_t MaximumCount(size_t count) {
    return static_cast<uint32_t>(std::min<size_t>(count, std::numeric_limits<uint32_t>::max()));
  }

  // Any thread. Null once the pool is gone.
  PoolCore* core() const { return core_.load(std::memory_order_relaxed); }
  const ThreadCaches* owner() const { return owner_; }
  uint32_t capacity() const { return capacity_; }

  // Any thread.
  uint32_t count() const { return static_cast<uint32_t>(state_.load(std::memory_order_relaxed)); }
  // Any thread. The least count since the cache last met the depot.
  uint32_t low() const { return low_.load(std::memory_order_relaxed); }
  // Any thread. How many times `Pop` has returned a slot.
  uint64_t hits() const {
    return earlier_hits_.load(std::memory_order_relaxed) +
           (state_.load(std::memory_order_relaxed) - kNoHits) / kHit;
  }

  // Returns: the slot pushed last, as acquired; null if there is none or a look is due.
  StackSlot* Pop() {
    StackSlot* const slot = top_.load(std::memory_order_relaxed);
    if (slot == nullptr) [[unlikely]] {
      return nullptr;
    }
    uint64_t state = state_.load(std::memory_order_relaxed);
    if (__builtin_add_overflow(state, kHit - 1, &state)) [[unlikely]] {
      return nullptr;
    }
    top_.store(slot->next, std::memory_order_release);
    state_.store(state, std::memory_order_relaxed);
    const auto count = static_cast<uint32_t>(state);
    if (count < low_.load(std::memory_order_relaxed)) [[unlikely]] {
      low_.store(count, std::memory_order_relaxed);
    }
    slot->next = StackSlot::Acquired();
    return slot;
  }

  // Returns: false if the cache is full.
  bool Push(StackSlot* slot) {
    const uint64_t state = state_.load(std::memory_order_relaxed);
    if (static_cast<uint32_t>(state) == capacity_) [[unlikely]] {
      return false;
    }
    slot->next = top_.load(std::memory_order_relaxed);
    top_.store(slot, std::memory_order_release);
    state_.store(state + 1, std::memory_order_relaxed);
    return true;
  }

  // Whether `Pop` returns null though there are slots, until one of the next three is called.
  bool look_is_due() const {
    return count() != 0 && state_.load(std::memory_order_relaxed) >= kNoHitLeft;
  }
  // Returns: whether the look is due only after `kLastHits` more, so that it can be prepared.
  bool BeginLastHits() {
    if (looks_soon_) return false;
    looks_soon_ = true;
    Continue(kLastHits);
    return true;
  }
  void PutOffLook() { Continue(kLastHits); }
  // After a look. The next one is due in `hits_per_look` acquisitions.
  void BeginPeriod(uint64_t hits_per_look) {
    looks_soon_ = false;
    Continue(hits_per_look - kLastHits);
  }
  // Returns: a slot that is still in the chain, another one each time; null if it is empty. The
  //   walk covers the latest `kMaximumWalk`.
  StackSlot* NextToLookAt();

  // Moves up to `maximum` slots from the front of `chain` into the cache. Needs the pool's lock.
  void Refill(SlotChain* chain, size_t maximum);
  // Takes out the `count` slots that have been in the cache for longest. Needs the pool's lock.
  SlotChain Flush(size_t count);
  // Takes out all. Any thread, with the pool's lock, while the owner cannot run.
  SlotChain Clear();

  // Any thread, with the lock of all pools: the pool is gone, and its slots with it.
  void Orphan();

  ThreadCache* next = nullptr;  // in the pool's list

 private:
  static constexpr uint64_t kFirstHits = kHitsPerLook - kLastHits;
  static constexpr uint64_t kMostHits = kHitsPerLookInTurn - kLastHits;
  // The upper half of `state_`: `Pop` stops where one more would wrap it around.
  static constexpr uint64_t kHit = uint64_t{1} << 32;
  static constexpr uint64_t kNoHitLeft = uint64_t{0} - kHit;
  static constexpr uint64_t kNoHits = kNoHitLeft - kMostHits * kHit;
  static constexpr size_t kMaximumWalk = 64;

  // Lets `Pop` continue for `hits_left`, at most `kMostHits`.
  void Continue(uint64_t hits_left) {
    // `hits` counts what is missing in `state_`, so this may wrap around.
    earlier_hits_.store(hits() - (kMostHits - hits_left), std::memory_order_relaxed);
    state_.store((kNoHitLeft - hits_left * kHit) | count(), std::memory_order_relaxed);
  }

  void SetCount(size_t count) {
    const uint64_t hits = state_.load(std::memory_order_relaxed) / kHit * kHit;
    state_.store(hits | count, std::memory_order_relaxed);
    low_.store(static_cast<uint32_t>(count), std::memory_order_relaxed);
  }

  std::atomic<PoolCore*> core_ = nullptr;
  std::atomic<StackSlot*> top_ = nullptr;
  // How many slots there are, and above that the hits: so an acquisition stores one word for both.
  std::atomic<uint64_t> state_ = kNoHitLeft - kFirstHits * kHit;
  std::atomic<uint32_t> low_ = 0;
  ThreadCaches* owner_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t looks_ = 0;
  bool looks_soon_ = false;
  std::atomic<uint64_t> earlier_hits_ = kFirstHits - kMostHits;  // not in `state_`
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_THREAD_CACHE_H_
