#include "leak_roots.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// AddressSanitizer's runtime has its own such functions.
#if !FRINGE_ASAN

namespace {

using Regions = std::vector<std::pair<const void*, size_t>>;

// What LeakSanitizer knows, in its order, and the number of regions that it has looked at.
Regions regions;
size_t steps = 0;

}  // namespace

// As LLVM 14 and GCC 12 have them.
extern "C" {

void __lsan_register_root_region(const void* begin, size_t size) {
  regions.emplace_back(begin, size);
}

void __lsan_unregister_root_region(const void* begin, size_t size) {
  const auto found = std::find(regions.begin(), regions.end(), std::pair(begin, size));
  ASSERT_NE(found, regions.end());
  steps += static_cast<size_t>(found - regions.begin()) + 1;
  *found = regions.back();
  regions.pop_back();
}

}  // extern "C"

namespace fringe::internal {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr size_t kStackBytes = 64;
std::byte memory[50'000 * kStackBytes];

std::byte* Stack(size_t number) { return &memory[number * kStackBytes]; }

TEST(LeakRootsTest, AreExactWhileThereAreFew) {
  ASSERT_TRUE(HasLeakSanitizer());
  for (size_t i = 0; i < 3; ++i) AddLeakRoot(Stack(i), kStackBytes);
  RemoveLeakRoot(Stack(0));
  EXPECT_THAT(regions, UnorderedElementsAre(std::pair(Stack(1), kStackBytes),
                                            std::pair(Stack(2), kStackBytes)));
  RemoveLeakRoot(Stack(2));
  RemoveLeakRoot(Stack(1));
  EXPECT_THAT(regions, IsEmpty());
}

// In each order, with half of the memory used again.
TEST(LeakRootsTest, CostTheSameWithMany) {
  for (const size_t count : {size_t{5'000}, size_t{50'000}}) {
    for (const bool backwards : {false, true}) {
      steps = 0;
      for (size_t i = 0; i < count; ++i) AddLeakRoot(Stack(i), kStackBytes);
      for (size_t i = 0; i < count; i += 2) RemoveLeakRoot(Stack(i));
      for (size_t i = 0; i < count; i += 2) AddLeakRoot(Stack(i), kStackBytes);
      for (size_t i = 0; i < count; ++i) RemoveLeakRoot(Stack(backwards ? count - 1 - i : i));
      EXPECT_THAT(regions, IsEmpty());
      // A thousand roots that are searched one by one, and a few steps for each of the others.
      EXPECT_LT(steps, 1'000 * 1'000 + 8 * count);
    }
  }
}

// At most as many as there are others.
TEST(LeakRootsTest, FewRemovedOnesAreKept) {
  constexpr size_t kCount = 4'000;
  for (size_t i = 0; i < kCount; ++i) AddLeakRoot(Stack(i), kStackBytes);
  for (size_t i = 0; i < kCount; ++i) {
    RemoveLeakRoot(Stack(i));
    EXPECT_LE(regions.size(), 2 * (kCount - i));
  }
  EXPECT_THAT(regions, IsEmpty());
}

}  // namespace
}  // namespace fringe::internal

#else

TEST(LeakRootsTest, AreExactWhileThereAreFew) {
  GTEST_SKIP() << "AddressSanitizer's runtime has the functions that this test replaces";
}

#endif
