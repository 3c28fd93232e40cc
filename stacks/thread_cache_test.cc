#include "stacks/thread_cache.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "stacks/stack_slot.h"

namespace fringe::internal {
namespace {

// A core is only compared, never used.
PoolCore* const kCore = reinterpret_cast<PoolCore*>(64);

std::vector<StackSlot> AcquiredSlots(size_t count) {
  std::vector<StackSlot> slots(count);
  for (StackSlot& slot : slots) slot.next = StackSlot::Acquired();
  return slots;
}

std::vector<const StackSlot*> Elements(const SlotChain& chain) {
  std::vector<const StackSlot*> elements;
  for (const StackSlot* slot = chain.first; slot != nullptr; slot = slot->next) {
    elements.push_back(slot);
  }
  EXPECT_EQ(elements.size(), chain.count);
  EXPECT_EQ(chain.last, elements.empty() ? nullptr : elements.back());
  return elements;
}

TEST(SlotChainTest, TheLatestIsPoppedFirst) {
  std::vector<StackSlot> slots(3);
  SlotChain chain;
  EXPECT_EQ(chain.Pop(), nullptr);
  for (StackSlot& slot : slots) chain.Push(&slot);
  EXPECT_EQ(chain.count, 3u);
  for (size_t i = 3; i-- > 0;) EXPECT_EQ(chain.Pop(), &slots[i]);
  EXPECT_TRUE(chain.empty());
  EXPECT_EQ(chain.last, nullptr);
}

TEST(SlotChainTest, CutAndPrependLoseNothing) {
  std::vector<StackSlot> slots(10);
  for (size_t kept = 0; kept <= 10; ++kept) {
    SlotChain chain;
    for (StackSlot& slot : slots) chain.Push(&slot);
    const std::vector<const StackSlot*> all = Elements(chain);
    SlotChain rest = chain.CutAfter(kept);
    EXPECT_EQ(Elements(chain), std::vector(all.begin(), all.begin() + static_cast<long>(kept)));
    EXPECT_EQ(Elements(rest), std::vector(all.begin() + static_cast<long>(kept), all.end()));
    rest.Prepend(std::move(chain));
    EXPECT_EQ(Elements(rest), all);
  }
}

TEST(SlotChainTest, SortsByAddress) {
  std::mt19937 random(1);
  for (size_t count = 0; count < 70; ++count) {
    std::vector<StackSlot> slots(count);
    std::vector<StackSlot*> order;
    for (StackSlot& slot : slots) order.push_back(&slot);
    std::shuffle(order.begin(), order.end(), random);
    SlotChain chain;
    for (StackSlot* slot : order) chain.Push(slot);
    chain.Sort();
    const std::vector<const StackSlot*> sorted = Elements(chain);
    ASSERT_EQ(sorted.size(), count);
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(sorted[i], &slots[i]);
  }
}

TEST(ThreadCacheTest, PopReturnsTheSlotPushedLast) {
  std::vector<StackSlot> slots = AcquiredSlots(3);
  ThreadCache cache(kCore, nullptr, 3);
  EXPECT_EQ(cache.Pop(), nullptr);
  for (StackSlot& slot : slots) {
    EXPECT_TRUE(cache.Push(&slot));
    EXPECT_FALSE(slot.acquired());
  }
  EXPECT_EQ(cache.count(), 3u);
  for (size_t i = 3; i-- > 0;) {
    EXPECT_EQ(cache.Pop(), &slots[i]);
    EXPECT_TRUE(slots[i].acquired());
    EXPECT_EQ(cache.count(), i);
  }
  EXPECT_EQ(cache.hits(), 3u);
}

TEST(ThreadCacheTest, PushFailsAtTheCapacity) {
  std::vector<StackSlot> slots = AcquiredSlots(3);
  ThreadCache cache(kCore, nullptr, 2);
  EXPECT_TRUE(cache.Push(&slots[0]));
  EXPECT_TRUE(cache.Push(&slots[1]));
  EXPECT_FALSE(cache.Push(&slots[2]));
  EXPECT_TRUE(slots[2].acquired());
  ThreadCache none(kCore, nullptr, 0);
  EXPECT_FALSE(none.Push(&slots[2]));
}

TEST(ThreadCacheTest, FlushTakesTheOldestAndSetsTheLowMark) {
  std::vector<StackSlot> slots = AcquiredSlots(8);
  ThreadCache cache(kCore, nullptr, 8);
  for (StackSlot& slot : slots) cache.Push(&slot);
  EXPECT_EQ(cache.low(), 0u);
  SlotChain oldest = cache.Flush(5);
  EXPECT_EQ(Elements(oldest),
            (std::vector<const StackSlot*>{&slots[4], &slots[3], &slots[2], &slots[1], &slots[0]}));
  EXPECT_EQ(cache.count(), 3u);
  EXPECT_EQ(cache.low(), 3u);
  EXPECT_EQ(cache.Pop(), &slots[7]);
  EXPECT_EQ(cache.low(), 2u);
  EXPECT_EQ(cache.Flush(100).count, 2u);
  EXPECT_EQ(cache.count(), 0u);
  EXPECT_EQ(cache.Pop(), nullptr);
}

TEST(ThreadCacheTest, RefillMovesNoMoreThanThereIsRoomFor) {
  std::vector<StackSlot> slots = AcquiredSlots(10);
  SlotChain depot;
  for (StackSlot& slot : slots) depot.Push(&slot);
  ThreadCache cache(kCore, nullptr, 6);
  cache.Refill(&depot, 4);
  EXPECT_EQ(cache.count(), 4u);
  EXPECT_EQ(cache.low(), 4u);
  EXPECT_EQ(depot.count, 6u);
  cache.Refill(&depot, 100);
  EXPECT_EQ(cache.count(), 6u);
  EXPECT_EQ(depot.count, 4u);
  for (int i = 0; i < 6; ++i) EXPECT_NE(cache.Pop(), nullptr);
  EXPECT_EQ(cache.Pop(), nullptr);
}

TEST(ThreadCacheTest, ClearLeavesNothing) {
  std::vector<StackSlot> slots = AcquiredSlots(4);
  ThreadCache cache(kCore, nullptr, 4);
  for (StackSlot& slot : slots) cache.Push(&slot);
  EXPECT_EQ(Elements(cache.Clear()).size(), 4u);
  EXPECT_EQ(cache.count(), 0u);
  EXPECT_EQ(cache.low(), 0u);
  EXPECT_EQ(cache.Pop(), nullptr);
}

TEST(ThreadCacheTest, OrphanBelongsToNoPool) {
  std::vector<StackSlot> slots = AcquiredSlots(1);
  ThreadCache cache(kCore, nullptr, 4);
  EXPECT_EQ(cache.core(), kCore);
  cache.Push(&slots[0]);
  cache.Orphan();
  EXPECT_EQ(cache.core(), nullptr);
  EXPECT_EQ(cache.count(), 0u);
  EXPECT_EQ(cache.Pop(), nullptr);
}

TEST(ThreadCacheTest, LookIsDueNowAndThenAndLosesNoHit) {
  std::vector<StackSlot> slots = AcquiredSlots(2);
  ThreadCache cache(kCore, nullptr, 2);
  for (StackSlot& slot : slots) cache.Push(&slot);
  uint64_t hits = 0;
  int looks = 0;
  while (hits < 10 * ThreadCache::kHitsPerLook) {
    StackSlot* slot = cache.Pop();
    if (slot == nullptr) {
      ASSERT_TRUE(cache.look_is_due());
      if (!cache.BeginLastHits()) {
        ++looks;
        cache.BeginPeriod(ThreadCache::kHitsPerLook);
      }
      slot = cache.Pop();
      ASSERT_NE(slot, nullptr);
    }
    EXPECT_EQ(cache.hits(), ++hits);
    ASSERT_TRUE(cache.Push(slot));
  }
  EXPECT_GE(looks, 9);
  EXPECT_LE(looks, 11);
}

TEST(ThreadCacheTest, LookIsPreparedBeforeItIsDueAndMayBePutOff) {
  std::vector<StackSlot> slots = AcquiredSlots(1);
  ThreadCache cache(kCore, nullptr, 1);
  cache.Push(&slots[0]);
  uint64_t hits = 0;
  const auto hits_until_stop = [&] {
    const uint64_t before = hits;
    while (StackSlot* const slot = cache.Pop()) {
      EXPECT_EQ(cache.hits(), ++hits);
      EXPECT_TRUE(cache.Push(slot));
    }
    EXPECT_TRUE(cache.look_is_due());
    EXPECT_EQ(cache.hits(), hits);
    return hits - before;
  };
  uint64_t before_look = 0;
  uint64_t period_hits = ThreadCache::kHitsPerLook;
  for (const uint64_t next_period_hits :
       {ThreadCache::kHitsPerLook, ThreadCache::kHitsPerLookInTurn, ThreadCache::kHitsPerLookInTurn,
        ThreadCache::kHitsPerLook, ThreadCache::kHitsPerLook}) {
    const uint64_t first_hits = hits_until_stop();
    EXPECT_TRUE(cache.BeginLastHits());
    EXPECT_EQ(hits_until_stop(), ThreadCache::kLastHits);
    EXPECT_EQ(hits - before_look, period_hits);
    EXPECT_EQ(first_hits, period_hits - ThreadCache::kLastHits);
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(cache.BeginLastHits());
      cache.PutOffLook();
      EXPECT_EQ(hits_until_stop(), ThreadCache::kLastHits);
    }
    EXPECT_FALSE(cache.BeginLastHits());
    cache.BeginPeriod(next_period_hits);
    period_hits = next_period_hits;
    before_look = hits;
  }
}

TEST(ThreadCacheTest, EveryUnusedSlotIsLookedAtInTurn) {
  std::vector<StackSlot> slots = AcquiredSlots(5);
  ThreadCache cache(kCore, nullptr, 5);
  EXPECT_EQ(cache.NextToLookAt(), nullptr);
  for (StackSlot& slot : slots) cache.Push(&slot);
  std::vector<const StackSlot*> seen;
  for (int i = 0; i < 5; ++i) seen.push_back(cache.NextToLookAt());
  std::sort(seen.begin(), seen.end());
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(seen[i], &slots[i]);
}

}  // namespace
}  // namespace fringe::internal
