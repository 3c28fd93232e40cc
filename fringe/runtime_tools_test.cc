// A stand-in for LeakSanitizer, which is found at run time: it must learn of each generator's stack
// and, in whichever way the generator ends, of the stack's end.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "fringe/sanitizer_hooks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/span_stack.h"

#if !FRINGE_RUNTIME_TOOLS

TEST(RuntimeToolsTest, AreNotFound) {
  GTEST_SKIP() << "in this build, no tool is found at run time";
}

#else

namespace {

using Regions = std::vector<std::pair<const void*, size_t>>;

Regions regions;  // that the stand-in knows

}  // namespace

extern "C" {

void __lsan_register_root_region(const void* begin, size_t size) {
  regions.emplace_back(begin, size);
}

void __lsan_unregister_root_region(const void* begin, size_t size) {
  EXPECT_EQ(std::erase(regions, std::pair(begin, size)), 1U);
}

}  // extern "C"

namespace fringe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kStackBytes = size_t{64} << 10;
alignas(64) std::byte memory[kStackBytes];

using Numbers = Generator<uint64_t, void, SpanStack>;

// Suspends once.
Numbers NewGenerator() {
  return Numbers::Unguarded(*SpanStack::Create(memory),
                            [](Yielder<uint64_t>& yielder) { yielder.Suspend(1); });
}

auto IsRegistered() { return ElementsAre(std::pair<const void*, size_t>(memory, kStackBytes)); }

TEST(RuntimeToolsTest, LearnOfAGeneratorThatFinishes) {
  {
    Numbers generator = NewGenerator();
    EXPECT_THAT(regions, IsRegistered());
    EXPECT_EQ(generator.Resume(), 1U);
    EXPECT_EQ(generator.Resume(), std::nullopt);
    EXPECT_EQ(generator.Resume(), std::nullopt);
    EXPECT_THAT(regions, IsRegistered());
  }
  EXPECT_THAT(regions, IsEmpty());
}

TEST(RuntimeToolsTest, LearnOfAGeneratorThatNeverStarts) {
  {
    const Numbers generator = NewGenerator();
    EXPECT_THAT(regions, IsRegistered());
  }
  EXPECT_THAT(regions, IsEmpty());
}

TEST(RuntimeToolsTest, LearnOfAGeneratorThatIsAssignedTo) {
  alignas(64) static std::byte other_memory[kStackBytes];
  {
    Numbers generator = NewGenerator();
    while (generator.Resume()) continue;
    generator = Numbers::Unguarded(*SpanStack::Create(other_memory), [](auto&) {});
    EXPECT_THAT(regions, ElementsAre(std::pair<const void*, size_t>(other_memory, kStackBytes)));
  }
  EXPECT_THAT(regions, IsEmpty());
}

TEST(RuntimeToolsTest, LearnOfAGeneratorThatIsUnwrapped) {
  Numbers generator = NewGenerator();
  while (generator.Resume()) continue;
  static_cast<void>(std::move(generator).Unwrap());
  EXPECT_THAT(regions, IsEmpty());
}

TEST(RuntimeToolsTest, LearnOfAGeneratorThatIsAbandoned) {
  Numbers generator = NewGenerator();
  EXPECT_EQ(generator.Resume(), 1U);
  static_cast<void>(std::move(generator).UnsafeUnwrap());
  EXPECT_THAT(regions, IsEmpty());
}

TEST(RuntimeToolsTest, LearnOfACall) {
  SpanStack stack = *SpanStack::Create(memory);
  OnStack(stack, [] { EXPECT_THAT(regions, IsRegistered()); });
  EXPECT_THAT(regions, IsEmpty());
}

#if FRINGE_EXCEPTIONS
TEST(RuntimeToolsTest, LearnOfAGeneratorThatIsUnwound) {
  {
    Numbers generator = NewGenerator();
    EXPECT_EQ(generator.Resume(), 1U);
    EXPECT_THAT(regions, IsRegistered());
  }
  EXPECT_THAT(regions, IsEmpty());
}

TEST(RuntimeToolsTest, LearnOfAGeneratorThatThrows) {
  {
    Numbers generator =
        Numbers::Unguarded(*SpanStack::Create(memory), [](Yielder<uint64_t>&) { throw 1; });
    EXPECT_THROW(generator.Resume(), int);
    EXPECT_THAT(regions, IsRegistered());
  }
  EXPECT_THAT(regions, IsEmpty());
}

TEST(RuntimeToolsTest, LearnOfACallThatThrows) {
  SpanStack stack = *SpanStack::Create(memory);
  EXPECT_THROW(OnStack(stack, [] { throw 1; }), int);
  EXPECT_THAT(regions, IsEmpty());
}
#endif

}  // namespace
}  // namespace fringe

#endif
