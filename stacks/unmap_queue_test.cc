#include "stacks/unmap_queue.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/system.h"

namespace fringe::internal {
namespace {

// A model of the kernel: mappings that neighbours share, and a limit to how many there are. No
// memory is mapped; the addresses are only numbers.
class FakeKernel {
 public:
  FakeKernel() : usual_(system_calls) {
    current = this;
    system_calls.munmap = [](void* address, size_t length_bytes) {
      return current->Munmap(reinterpret_cast<uintptr_t>(address), length_bytes);
    };
    system_calls.madvise = [](void* address, size_t length_bytes, int advice) {
      if (advice == MADV_DONTNEED) {
        current->emptied.emplace_back(reinterpret_cast<uintptr_t>(address), length_bytes);
      }
      return 0;
    };
  }
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;
  ~FakeKernel() { system_calls = usual_; }

  std::map<uintptr_t, uintptr_t> mappings;  // from start to end
  size_t limit = 1000;
  int error = ENOMEM;
  std::vector<std::pair<uintptr_t, size_t>> emptied;
  size_t refused = 0;

 private:
  int Munmap(uintptr_t start, size_t length_bytes) {
    const uintptr_t end = start + length_bytes;
    auto mapping = mappings.upper_bound(start);
    if (mapping == mappings.begin() || std::prev(mapping)->second < end) {
      // The queue's own memory.
      return usual_.munmap(reinterpret_cast<void*>(start), length_bytes);
    }
    --mapping;
    if (start > mapping->first && end < mapping->second && mappings.size() >= limit) {
      ++refused;
      errno = error;
      return -1;
    }
    const auto [mapping_start, mapping_end] = *mapping;
    mappings.erase(mapping);
    if (mapping_start < start) mappings[mapping_start] = start;
    if (end < mapping_end) mappings[end] = mapping_end;
    return 0;
  }

  static inline FakeKernel* current;
  const SystemCalls usual_;
};

constexpr uintptr_t kStart = uintptr_t{1} << 28;

std::byte* Address(size_t page) {
  return reinterpret_cast<std::byte*>(kStart + page * PageBytes());
}

void Unmap(UnmapQueue& queue, size_t page) { queue.Unmap(Address(page), PageBytes()); }

TEST(UnmapQueueTest, UnmapsAtOnceWhereItCan) {
  FakeKernel kernel;
  auto queue = std::make_unique<UnmapQueue>();
  kernel.mappings[kStart] = kStart + 10 * PageBytes();
  for (size_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(queue->Reserve());
    Unmap(*queue, (i * 3) % 10);
  }
  EXPECT_EQ(queue->waiting(), 0u);
  EXPECT_TRUE(kernel.mappings.empty());
  EXPECT_TRUE(kernel.emptied.empty());
}

TEST(UnmapQueueTest, RangeThatMustWaitIsEmptiedAtOnce) {
  FakeKernel kernel;
  auto queue = std::make_unique<UnmapQueue>();
  kernel.limit = 1;
  kernel.mappings[kStart] = kStart + 10 * PageBytes();
  for (size_t i = 0; i < 10; ++i) ASSERT_TRUE(queue->Reserve());
  Unmap(*queue, 5);
  EXPECT_EQ(queue->waiting(), 1u);
  ASSERT_EQ(kernel.emptied.size(), 1u);
  EXPECT_EQ(kernel.emptied[0], std::pair(kStart + 5 * PageBytes(), PageBytes()));
  // It is at an end of its mapping when its neighbour is unmapped.
  for (const size_t page : {9u, 8u, 7u, 6u}) Unmap(*queue, page);
  EXPECT_EQ(queue->waiting(), 0u);
  EXPECT_EQ(kernel.mappings[kStart], kStart + 5 * PageBytes());
}

TEST(UnmapQueueTest, NeighboursThatWaitAreUnmappedAsOne) {
  FakeKernel kernel;
  auto queue = std::make_unique<UnmapQueue>();
  kernel.limit = 1;
  kernel.mappings[kStart] = kStart + 4 * PageBytes();
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(queue->Reserve());
  Unmap(*queue, 1);
  Unmap(*queue, 2);
  EXPECT_EQ(queue->waiting(), 1u);
  Unmap(*queue, 0);
  EXPECT_EQ(queue->waiting(), 0u);
  Unmap(*queue, 3);
  EXPECT_TRUE(kernel.mappings.empty());
}

// The first that waits still fails; the second need not.
TEST(UnmapQueueTest, EarlierRangeThatFailsDoesNotKeepALaterOneFromBeingUnmapped) {
  FakeKernel kernel;
  auto queue = std::make_unique<UnmapQueue>();
  kernel.limit = 2;
  kernel.mappings[kStart] = kStart + 9 * PageBytes();
  kernel.mappings[kStart + 100 * PageBytes()] = kStart + 109 * PageBytes();
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(queue->Reserve());
  Unmap(*queue, 104);
  Unmap(*queue, 4);
  EXPECT_EQ(queue->waiting(), 2u);
  // Others make room: the lower range is now at an end of its mapping, the upper is not.
  kernel.mappings.erase(kStart);
  kernel.mappings[kStart] = kStart + 5 * PageBytes();
  kernel.mappings[kStart + 200 * PageBytes()] = kStart + 201 * PageBytes();
  kernel.limit = 3;
  Unmap(*queue, 200);
  kernel.limit = 1;
  EXPECT_LE(queue->waiting(), 1u);
  EXPECT_EQ(kernel.mappings[kStart], kStart + 4 * PageBytes());
}

TEST(UnmapQueueTest, AnyOrderLeavesNothing) {
  std::mt19937 random(2);
  for (int round = 0; round < 20; ++round) {
    FakeKernel kernel;
    auto queue = std::make_unique<UnmapQueue>();
    kernel.limit = 1 + random() % 30;
    const size_t pages = 1 + random() % 5000;
    kernel.mappings[kStart] = kStart + pages * PageBytes();
    std::vector<size_t> order;
    for (size_t i = 0; i < pages; ++i) {
      ASSERT_TRUE(queue->Reserve());
      order.push_back(i);
    }
    std::shuffle(order.begin(), order.end(), random);
    for (const size_t page : order) {
      Unmap(*queue, page);
      ASSERT_LE(kernel.mappings.size(), kernel.limit);
    }
    EXPECT_EQ(queue->waiting(), 0u);
    EXPECT_TRUE(kernel.mappings.empty());
    // Each page waits at most once.
    EXPECT_LE(kernel.emptied.size(), pages);
  }
}

TEST(UnmapQueueTest, UnmapWaitingTriesEverything) {
  FakeKernel kernel;
  auto queue = std::make_unique<UnmapQueue>();
  kernel.limit = 1;
  kernel.mappings[kStart] = kStart + 200 * PageBytes();
  for (size_t i = 0; i < 199; i += 2) {
    ASSERT_TRUE(queue->Reserve());
    if (i != 0) Unmap(*queue, i);
  }
  EXPECT_EQ(queue->waiting(), 99u);
  EXPECT_FALSE(queue->UnmapWaiting());
  kernel.limit = 1000;
  EXPECT_TRUE(queue->UnmapWaiting());
  EXPECT_EQ(queue->waiting(), 0u);
}

TEST(UnmapQueueTest, ReservationFailsWithoutMemoryAndCanBeRepeated) {
  auto queue = std::make_unique<UnmapQueue>();
  const SystemCalls usual = system_calls;
  system_calls.mmap = [](void*, size_t, int, int, int, off_t) {
    errno = ENOMEM;
    return MAP_FAILED;
  };
  size_t reserved = 0;
  while (reserved < 100000 && queue->Reserve()) ++reserved;
  EXPECT_GE(reserved, 100u);
  EXPECT_LT(reserved, 100000u);
  EXPECT_FALSE(queue->Reserve());
  system_calls = usual;
  EXPECT_TRUE(queue->Reserve());
}

TEST(UnmapQueueDeathTest, AnyOtherRefusalIsFatalAndNamed) {
  EXPECT_DEATH(
      {
        FakeKernel kernel;
        auto queue = std::make_unique<UnmapQueue>();
        kernel.limit = 0;
        kernel.error = EPERM;
        kernel.mappings[kStart] = kStart + 3 * PageBytes();
        queue->Reserve();
        Unmap(*queue, 1);
      },
      "fringe: munmap of a stack failed \\(Operation not permitted\\):");
}

}  // namespace
}  // namespace fringe::internal
