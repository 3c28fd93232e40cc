#include "thread_cache.h"

#include <atomic>
#include <cstddef>

namespace fringe::internal {

StackSlot* ThreadCache::NextToLookAt() {
  StackSlot* slot = top_.load(std::memory_order_relaxed);
  if (slot == nullptr) return nullptr;
  const size_t steps = looks_++ % std::min<size_t>(count(), kMaximumWalk);
  for (size_t i = 0; i < steps; ++i) slot = slot->next;
  return slot;
}

void ThreadCache::Refill(SlotChain* chain, size_t maximum) {
  size_t moved = count();
  const size_t limit = std::min<size_t>(capacity_, moved + maximum);
  StackSlot* top = top_.load(std::memory_order_relaxed);
  for (; moved < limit && !chain->empty(); ++moved) {
    StackSlot* const slot = chain->Pop();
    slot->next = top;
    top = slot;
  }
  top_.store(top, std::memory_order_release);
  SetCount(moved);
}

SlotChain ThreadCache::Flush(size_t flushed) {
  SlotChain chain = Clear();
  SlotChain oldest = chain.CutAfter(chain.count - std::min(flushed, chain.count));
  top_.store(chain.first, std::memory_order_release);
  SetCount(chain.count);
  return oldest;
}

SlotChain ThreadCache::Clear() {
  // The chain is walked, as `count` may be one off in a forked child.
  SlotChain chain;
  chain.first = top_.load(std::memory_order_acquire);
  for (StackSlot* slot = chain.first; slot != nullptr; slot = slot->next) {
    chain.last = slot;
    ++chain.count;
  }
  top_.store(nullptr, std::memory_order_release);
  SetCount(0);
  return chain;
}

void ThreadCache::Orphan() {
  core_.store(nullptr, std::memory_order_relaxed);
  top_.store(nullptr, std::memory_order_relaxed);
  SetCount(0);
}

}  // namespace fringe::internal
