#include "stacks/span_stack.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "gtest/gtest.h"
#include "stacks/stack.h"

namespace fringe {
namespace {

static_assert(Stack<SpanStack>);
static_assert(!GuardedStack<SpanStack>);
// It borrows: a copy is as good.
static_assert(std::is_trivially_copyable_v<SpanStack>);

class SpanStackTest : public ::testing::Test {
 protected:
  // Begins at a multiple of `kStackAlignment`.
  std::span<std::byte> memory() { return memory_; }

 private:
  alignas(kStackAlignment) std::array<std::byte, 16 * kStackAlignment> memory_;
};

TEST_F(SpanStackTest, AlignedMemoryIsUsedWhole) {
  const std::optional<SpanStack> stack = SpanStack::Create(memory());
  ASSERT_TRUE(stack.has_value());
  EXPECT_EQ(stack->limit(), memory().data());
  EXPECT_EQ(stack->base(), memory().data() + memory().size());
}

TEST_F(SpanStackTest, UnalignedBeginIsRoundedUp) {
  const std::optional<SpanStack> stack = SpanStack::Create(memory().subspan(1));
  ASSERT_TRUE(stack.has_value());
  EXPECT_EQ(stack->limit(), memory().data() + kStackAlignment);
  EXPECT_EQ(stack->base(), memory().data() + memory().size());
}

TEST_F(SpanStackTest, UnalignedEndIsRoundedDown) {
  const std::optional<SpanStack> stack = SpanStack::Create(memory().first(memory().size() - 1));
  ASSERT_TRUE(stack.has_value());
  EXPECT_EQ(stack->limit(), memory().data());
  EXPECT_EQ(stack->base(), memory().data() + memory().size() - kStackAlignment);
}

// Whatever lies where: the largest aligned part, and nothing of what lies outside.
TEST_F(SpanStackTest, TakesTheLargestAlignedPart) {
  for (size_t begin = 0; begin < 2 * kStackAlignment; ++begin) {
    for (size_t end = begin; end < 5 * kStackAlignment; ++end) {
      size_t limit = begin;
      while (limit % kStackAlignment != 0) ++limit;
      size_t base = end;
      while (base % kStackAlignment != 0) --base;
      const std::optional<SpanStack> stack =
          SpanStack::Create(memory().subspan(begin, end - begin));
      ASSERT_EQ(stack.has_value(), limit < base) << begin << " to " << end;
      if (!stack.has_value()) continue;
      ASSERT_EQ(stack->limit(), memory().data() + limit) << begin << " to " << end;
      ASSERT_EQ(stack->base(), memory().data() + base) << begin << " to " << end;
    }
  }
}

TEST_F(SpanStackTest, TooSmallIsNoStack) {
  EXPECT_FALSE(SpanStack::Create(memory().first(kStackAlignment - 1)).has_value());
  // Of the right size in the wrong place.
  EXPECT_FALSE(SpanStack::Create(memory().subspan(1, kStackAlignment)).has_value());
  EXPECT_TRUE(SpanStack::Create(memory().first(kStackAlignment)).has_value());
}

TEST_F(SpanStackTest, EmptyIsNoStack) {
  EXPECT_FALSE(SpanStack::Create({}).has_value());
  EXPECT_FALSE(SpanStack::Create(memory().first(0)).has_value());
  EXPECT_FALSE(SpanStack::Create(memory().subspan(3, 0)).has_value());
}

}  // namespace
}  // namespace fringe
