// The lifetime of a generator: start, resume, suspend, end, moves, and its stack. The other tests
// in this folder cover values, ranges, exceptions and misuse.

#include "fringe/generator.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "arch/arch.h"
#include "fringe/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/default_stack.h"
#include "stacks/stack.h"
#include "testing/support/new_stack.h"

#if FRINGE_MEMORY_STACKS
#include "stacks/malloc_stack.h"
#include "stacks/span_stack.h"
#endif

namespace fringe {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Eq;
using testing::NewStack;
using ::testing::Optional;
using testing::TestStack;

// 1, 2, ..., last.
auto CountTo(int last) {
  return [last](Yielder<int>& yielder) {
    for (int i = 1; i <= last; ++i) yielder.Suspend(i);
  };
}

// Increments `*counter` when it is destroyed, unless it was moved from.
class CountsItsEnd {
 public:
  explicit CountsItsEnd(int* counter) : counter_(counter) {}
  CountsItsEnd(CountsItsEnd&& other) noexcept : counter_(std::exchange(other.counter_, nullptr)) {}
  CountsItsEnd& operator=(CountsItsEnd&&) = delete;
  ~CountsItsEnd() {
    if (counter_ != nullptr) ++*counter_;
  }

 private:
  int* counter_;
};

using IntGenerator = Generator<int, void, TestStack>;
using CountBody = decltype(CountTo(0));

static_assert(std::is_nothrow_move_constructible_v<IntGenerator>);
static_assert(std::is_nothrow_move_assignable_v<IntGenerator>);
static_assert(!std::is_copy_constructible_v<IntGenerator>);
static_assert(!std::is_copy_assignable_v<IntGenerator>);
// A yielder cannot be copied or moved: it belongs to its stack.
static_assert(!std::is_move_constructible_v<Yielder<int>>);
static_assert(!std::is_copy_constructible_v<Yielder<int>>);
// Only `Unguarded` accepts an unguarded stack.
static_assert(std::is_constructible_v<IntGenerator, TestStack, CountBody>);
#if FRINGE_MEMORY_STACKS
static_assert(!std::is_constructible_v<Generator<int, void, MallocStack>, MallocStack, CountBody>);
static_assert(!std::is_constructible_v<Generator<int, void, SpanStack>, SpanStack, CountBody>);
static_assert(!std::is_constructible_v<Generator<int, void, MallocStack>, CountBody>);
#endif
// The form without a stack requires the default stack, and is explicit.
static_assert(std::is_constructible_v<Generator<int>, CountBody>);
static_assert(!std::is_convertible_v<CountBody, Generator<int>>);
// A type that cannot be called with the yielder is not a body.
static_assert(!std::is_constructible_v<IntGenerator, TestStack, void (*)()>);
static_assert(!std::is_constructible_v<Generator<int, int, TestStack>, TestStack, CountBody>);
static_assert(!std::is_constructible_v<IntGenerator, TestStack, int>);

TEST(GeneratorTest, GivesEachValueInOrder) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(3));
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_THAT(gen.Resume(), Optional(3));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorTest, ResumeAfterReturnGivesNullopt) {
  int calls = 0;
  auto gen = MakeGenerator<int>(NewStack(), [&calls](auto&) { ++calls; });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(gen.Resume(), std::nullopt);
  EXPECT_EQ(calls, 1);
}

TEST(GeneratorTest, BodyDoesNotRunBeforeTheFirstResume) {
  bool ran = false;
  auto gen = MakeGenerator<int>(NewStack(), [&ran](auto&) { ran = true; });
  EXPECT_FALSE(ran);
  gen.Resume();
  EXPECT_TRUE(ran);
}

TEST(GeneratorTest, MakeGeneratorDeducesTheStack) {
  auto gen = MakeGenerator<int, char>(NewStack(), [](Yielder<int, char>&, char) {});
  static_assert(std::is_same_v<decltype(gen), Generator<int, char, TestStack>>);
  EXPECT_EQ(gen.Resume('a'), std::nullopt);
}

TEST(GeneratorTest, WithoutAStackRunsOnANewDefaultStack) {
  Generator<int> gen(CountTo(2));
  static_assert(std::is_same_v<decltype(gen), Generator<int, void, DefaultStack>>);
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(gen.Resume(), std::nullopt);
  const DefaultStack stack = std::move(gen).Unwrap();
  EXPECT_GE(stack.base() - stack.limit(), ptrdiff_t{kDefaultStackBytes});
}

TEST(GeneratorTest, BodyRunsOnItsStack) {
  TestStack stack = NewStack();
  std::byte* const base = stack.base();
  std::byte* const limit = stack.limit();
  const void* local = nullptr;
  auto gen = MakeGenerator<void>(std::move(stack),
                                 [&local](auto&) { local = __builtin_frame_address(0); });
  EXPECT_FALSE(gen.Resume());
  EXPECT_GE(local, limit);
  EXPECT_LT(local, base);
}

int TwiceThrough(Yielder<int, int>& yielder, int input) { return yielder.Suspend(2 * input); }

void Doubles(Yielder<int, int>& yielder, int input) {
  while (input != 0) input = TwiceThrough(yielder, input);
}

TEST(GeneratorTest, BodyMayBeAFunction) {
  auto gen = MakeGenerator<int, int>(NewStack(), &Doubles);
  EXPECT_THAT(gen.Resume(4), Optional(8));
  EXPECT_THAT(gen.Resume(-3), Optional(-6));
  EXPECT_EQ(gen.Resume(0), std::nullopt);
}

TEST(GeneratorTest, BodyMayBeMoveOnlyAndChangeItsOwnState) {
  auto gen =
      MakeGenerator<int>(NewStack(), [i = std::make_unique<int>(0)](Yielder<int>& yielder) mutable {
        while (*i < 2) yielder.Suspend(++*i);
        i = nullptr;
      });
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorTest, BodyMayBeStdFunction) {
  auto gen = MakeGenerator<int>(NewStack(), std::function<void(Yielder<int>&)>(CountTo(1)));
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

template <size_t kAlignment>
void ExpectBodyIsAligned() {
  struct alignas(kAlignment) Aligned {
    int value = 7;
  };
  auto gen = MakeGenerator<uintptr_t>(NewStack(), [aligned = Aligned()](auto& yielder) {
    yielder.Suspend(reinterpret_cast<uintptr_t>(&aligned));
    yielder.Suspend(static_cast<uintptr_t>(aligned.value));
  });
  EXPECT_EQ(*gen.Resume() % kAlignment, 0u) << kAlignment;
  EXPECT_EQ(*gen.Resume(), 7u);
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

// Uses many alignments, so that no address satisfies all of them by chance.
TEST(GeneratorTest, OverAlignedBodyIsAligned) {
  ExpectBodyIsAligned<32>();
  ExpectBodyIsAligned<64>();
  ExpectBodyIsAligned<128>();
  ExpectBodyIsAligned<256>();
  ExpectBodyIsAligned<1024>();
}

TEST(GeneratorTest, BodyIsDestroyedOnceWhenItEnds) {
  int ends = 0;
  auto gen = MakeGenerator<int>(
      NewStack(), [guard = CountsItsEnd(&ends)](auto& yielder) { yielder.Suspend(1); });
  gen.Resume();
  EXPECT_EQ(ends, 0);
  gen.Resume();
  EXPECT_EQ(ends, 1);
  gen.Resume();
  (void)std::move(gen).Unwrap();
  EXPECT_EQ(ends, 1);
}

TEST(GeneratorTest, BodyThatNeverStartedIsDestroyedWithoutRunning) {
  int ends = 0;
  bool ran = false;
  {
    auto gen =
        MakeGenerator<int>(NewStack(), [guard = CountsItsEnd(&ends), &ran](auto&) { ran = true; });
    EXPECT_EQ(ends, 0);
  }
  EXPECT_EQ(ends, 1);
  EXPECT_FALSE(ran);
}

TEST(GeneratorTest, SuspendsFromAnyDepthOfCalls) {
  auto gen = MakeGenerator<int>(NewStack(4 << 20), [](Yielder<int>& yielder) {
    std::function<void(int)> descend = [&](int depth) {
      yielder.Suspend(depth);
      if (depth < 1000) descend(depth + 1);
      yielder.Suspend(-depth);
    };
    descend(1);
  });
  for (int depth = 1; depth <= 1000; ++depth) ASSERT_THAT(gen.Resume(), Optional(depth));
  for (int depth = 1000; depth > 0; --depth) ASSERT_THAT(gen.Resume(), Optional(-depth));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

// --- State ---------------------------------------------------------------------------------------

TEST(GeneratorTest, StateIsRunnableUntilTheEnd) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(1));
  EXPECT_EQ(gen.state(), State::kRunnable);
  gen.Resume();
  EXPECT_EQ(gen.state(), State::kRunnable);
  gen.Resume();
  EXPECT_EQ(gen.state(), State::kUnavailable);
  gen.Resume();
  EXPECT_EQ(gen.state(), State::kUnavailable);
}

TEST(GeneratorTest, StateIsUnavailableWhileItRuns) {
  IntGenerator* self = nullptr;
  std::vector<State> seen;
  auto gen = MakeGenerator<int>(NewStack(), [&](auto& yielder) {
    seen.push_back(self->state());
    auto inner = MakeGenerator<int>(NewStack(), [&](auto&) { seen.push_back(self->state()); });
    inner.Resume();
    yielder.Suspend(1);
    seen.push_back(self->state());
  });
  self = &gen;
  gen.Resume();
  gen.Resume();
  EXPECT_THAT(seen, ElementsAre(State::kUnavailable, State::kUnavailable, State::kUnavailable));
}

TEST(GeneratorTest, StateOfAMovedFromOneIsUnavailable) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(1));
  auto moved = std::move(gen);
  EXPECT_EQ(gen.state(), State::kUnavailable);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved.state(), State::kRunnable);
  while (moved.Resume()) continue;
}

// --- Moves ---------------------------------------------------------------------------------------

TEST(GeneratorTest, MayBeMovedBeforeItsStart) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(2));
  auto moved = std::move(gen);
  EXPECT_THAT(moved.Resume(), Optional(1));
  EXPECT_THAT(moved.Resume(), Optional(2));
  EXPECT_EQ(moved.Resume(), std::nullopt);
}

TEST(GeneratorTest, MayBeMovedAfterAResume) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(3));
  EXPECT_THAT(gen.Resume(), Optional(1));
  auto moved = std::move(gen);
  EXPECT_THAT(moved.Resume(), Optional(2));
  auto again = std::make_unique<IntGenerator>(std::move(moved));
  EXPECT_THAT(again->Resume(), Optional(3));
  EXPECT_EQ(again->Resume(), std::nullopt);
}

TEST(GeneratorTest, MayBeMovedAfterItsEnd) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(0));
  gen.Resume();
  auto moved = std::move(gen);
  EXPECT_EQ(moved.Resume(), std::nullopt);
  (void)std::move(moved).Unwrap();
}

TEST(GeneratorTest, MayBeMovedByItsOwnBody) {
  std::optional<IntGenerator> elsewhere;
  std::optional<IntGenerator> gen;
  gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    elsewhere = *std::move(gen);
    yielder.Suspend(1);
    yielder.Suspend(2);
  });
  EXPECT_THAT(gen->Resume(), Optional(1));
  EXPECT_THAT(elsewhere->Resume(), Optional(2));
  EXPECT_EQ(elsewhere->Resume(), std::nullopt);
}

TEST(GeneratorTest, LivesInAVectorThatGrows) {
  constexpr int kGenerators = 40;
  std::vector<IntGenerator> gens;
  for (int i = 0; i < kGenerators; ++i) {
    gens.push_back(MakeGenerator<int>(NewStack(), [i](auto& yielder) {
      yielder.Suspend(i);
      yielder.Suspend(100 + i);
    }));
    // The last generator has started when the next `push_back` moves it.
    EXPECT_THAT(gens.back().Resume(), Optional(i));
  }
  for (int i = 0; i < kGenerators; ++i) {
    EXPECT_THAT(gens[static_cast<size_t>(i)].Resume(), Optional(100 + i));
  }
  for (IntGenerator& gen : gens) EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorTest, MoveAssignmentOverAFinishedOneTakesOver) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(0));
  gen.Resume();
  auto other = MakeGenerator<int>(NewStack(), CountTo(2));
  other.Resume();
  gen = std::move(other);
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorTest, MoveAssignmentOverOneThatNeverStartedDestroysItsBody) {
  int ends = 0;
  auto body = [](int* counter) {
    return [guard = CountsItsEnd(counter)](Yielder<int>& yielder) { yielder.Suspend(5); };
  };
  int other_ends = 0;
  auto gen = MakeGenerator<int>(NewStack(), body(&ends));
  gen = MakeGenerator<int>(NewStack(), body(&other_ends));
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(other_ends, 0);
  EXPECT_THAT(gen.Resume(), Optional(5));
  EXPECT_EQ(gen.Resume(), std::nullopt);
  EXPECT_EQ(other_ends, 1);
}

TEST(GeneratorTest, MoveAssignmentToAMovedFromOneTakesOver) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(2));
  auto moved = std::move(gen);
  moved.Resume();
  gen = std::move(moved);
  EXPECT_EQ(moved.state(), State::kUnavailable);  // NOLINT(bugprone-use-after-move)
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorTest, MoveAssignmentToItselfChangesNothing) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(2));
  gen.Resume();
  IntGenerator& same = gen;
  gen = std::move(same);
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

// --- Stacks --------------------------------------------------------------------------------------

TEST(GeneratorTest, UnwrapAfterReturnGivesTheStackBackForAnother) {
  TestStack stack = NewStack();
  std::byte* const base = stack.base();
  for (int round = 0; round < 3; ++round) {
    auto gen = MakeGenerator<int>(std::move(stack), CountTo(round));
    for (int i = 1; i <= round; ++i) EXPECT_THAT(gen.Resume(), Optional(i));
    EXPECT_EQ(gen.Resume(), std::nullopt);
    stack = std::move(gen).Unwrap();
    EXPECT_EQ(stack.base(), base);
    EXPECT_EQ(gen.state(), State::kUnavailable);  // NOLINT(bugprone-use-after-move)
  }
}

TEST(GeneratorTest, UnsafeUnwrapOfASuspendedOneRunsNoDestructorAndFreesTheStack) {
  int ends = 0;
  int body_ends = 0;
  TestStack stack = NewStack();
  std::byte* const base = stack.base();
  auto gen = MakeGenerator<int>(std::move(stack),
                                [&ends, guard = CountsItsEnd(&body_ends)](auto& yielder) {
                                  const CountsItsEnd local(&ends);
                                  yielder.Suspend(1);
                                });
  gen.Resume();
  TestStack freed = std::move(gen).UnsafeUnwrap();
  EXPECT_EQ(freed.base(), base);
  EXPECT_EQ(gen.state(), State::kUnavailable);  // NOLINT(bugprone-use-after-move)

  auto next = MakeGenerator<int>(std::move(freed), CountTo(2));
  EXPECT_THAT(next.Resume(), Optional(1));
  EXPECT_THAT(next.Resume(), Optional(2));
  EXPECT_EQ(next.Resume(), std::nullopt);
  EXPECT_EQ(ends, 0);
  EXPECT_EQ(body_ends, 0);
}

TEST(GeneratorTest, UnsafeUnwrapBeforeTheStartRunsNoDestructor) {
  int ends = 0;
  auto gen = MakeGenerator<int>(NewStack(), [guard = CountsItsEnd(&ends)](auto&) {});
  TestStack stack = std::move(gen).UnsafeUnwrap();
  // Every byte can be used.
  std::memset(stack.limit(), 0xa5, static_cast<size_t>(stack.base() - stack.limit()));
  EXPECT_EQ(ends, 0);
}

TEST(GeneratorTest, UnsafeUnwrapAfterTheEndGivesTheStack) {
  auto gen = MakeGenerator<int>(NewStack(), CountTo(0));
  gen.Resume();
  const TestStack stack = std::move(gen).UnsafeUnwrap();
  EXPECT_GE(stack.base() - stack.limit(), 64 << 10);
}

// 1 KiB on CPUs with few registers.
constexpr size_t kSmallBytes = 768 + arch::kMinimumFrameBytes;

// Suspends with running sums, and calls nothing else, so that it measures what fringe itself needs.
void Sums(Yielder<int, int>& yielder, int input) {
  int sum = 0;
  for (;;) {
    sum += input;
    if (input == 0) return;
    input = yielder.Suspend(sum);
  }
}

#if FRINGE_MEMORY_STACKS

TEST(GeneratorTest, RunsOnASmallSpanAndStaysInIt) {
#if FRINGE_ASAN
  GTEST_SKIP() << "AddressSanitizer's frames and its part of a switch take more than that";
#endif
  // The outer parts are sentinels that an overflow would overwrite.
  struct alignas(kStackAlignment) Memory {
    std::array<std::byte, 4096> below;
    std::array<std::byte, kSmallBytes> stack;
    std::array<std::byte, 64> above;
  };
  auto memory = std::make_unique<Memory>();
  memory->below.fill(std::byte{0x5a});
  memory->above.fill(std::byte{0x5a});
  std::optional<SpanStack> stack = SpanStack::Create(memory->stack);
  ASSERT_TRUE(stack.has_value());
  auto gen = Generator<int, int, SpanStack>::Unguarded(*stack, &Sums);
  EXPECT_THAT(gen.Resume(1), Optional(1));
  EXPECT_THAT(gen.Resume(10), Optional(11));
  EXPECT_THAT(gen.Resume(100), Optional(111));
  EXPECT_EQ(gen.Resume(0), std::nullopt);
  EXPECT_THAT(memory->below, Each(Eq(std::byte{0x5a})));
  EXPECT_THAT(memory->above, Each(Eq(std::byte{0x5a})));
}

TEST(GeneratorTest, RunsOnASmallMallocStack) {
#if FRINGE_ASAN
  GTEST_SKIP() << "AddressSanitizer's frames and its part of a switch take more than that";
#endif
  auto gen = Generator<int, int, MallocStack>::Unguarded(*MallocStack::Create(kSmallBytes), &Sums);
  EXPECT_THAT(gen.Resume(1), Optional(1));
  EXPECT_THAT(gen.Resume(10), Optional(11));
  EXPECT_EQ(gen.Resume(0), std::nullopt);
  const MallocStack stack = std::move(gen).Unwrap();
  EXPECT_EQ(stack.base() - stack.limit(), ptrdiff_t{kSmallBytes});
}

#else

FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorTest, RunsOnASmallSpanAndStaysInIt)
FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorTest, RunsOnASmallMallocStack)

#endif  // FRINGE_MEMORY_STACKS

TEST(GeneratorTest, BodyLiesOnItsStack) {
  TestStack stack = NewStack();
  std::byte* const base = stack.base();
  std::byte* const limit = stack.limit();
  struct Body {
    void operator()(Yielder<const void*>& yielder) { yielder.Suspend(this); }
    std::array<char, 500> padding;
  };
  auto gen = MakeGenerator<const void*>(std::move(stack), Body());
  const void* const body = *gen.Resume();
  EXPECT_GE(body, limit);
  EXPECT_LT(body, base);
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

#if FRINGE_MEMORY_STACKS

// One stack in each half of a block, so that the order of their addresses is known.
class TwoStacks {
 public:
  SpanStack low() { return *SpanStack::Create(std::span(*memory_).first(kBytes)); }
  SpanStack high() { return *SpanStack::Create(std::span(*memory_).last(kBytes)); }

 private:
  static constexpr size_t kBytes = 64 << 10;
  std::unique_ptr<std::array<std::byte, 2 * kBytes>> memory_ =
      std::make_unique<std::array<std::byte, 2 * kBytes>>();
};

using SpanGenerator = Generator<int, void, SpanStack>;

// Resumes one generator from another.
//
// Returns: the numbers that the inner one counted.
std::vector<int> CountOn(SpanStack outer_stack, SpanStack inner_stack) {
  auto outer = SpanGenerator::Unguarded(outer_stack, [&](Yielder<int>& yielder) {
    auto inner = SpanGenerator::Unguarded(inner_stack, CountTo(3));
    while (std::optional<int> i = inner.Resume()) yielder.Suspend(10 * *i);
  });
  std::vector<int> values;
  while (std::optional<int> i = outer.Resume()) values.push_back(*i);
  return values;
}

TEST(GeneratorTest, StackMayLieAboveTheResumers) {
  TwoStacks stacks;
  ASSERT_TRUE(std::less<>()(stacks.low().base() - 1, stacks.high().limit()));
  EXPECT_THAT(CountOn(stacks.low(), stacks.high()), ElementsAre(10, 20, 30));
}

TEST(GeneratorTest, StackMayLieBelowTheResumers) {
  TwoStacks stacks;
  EXPECT_THAT(CountOn(stacks.high(), stacks.low()), ElementsAre(10, 20, 30));
}

TEST(GeneratorTest, StackMayLieInTheFrameOfAnotherGenerator) {
  auto outer = MakeGenerator<int>(NewStack(256 << 10), [](Yielder<int>& yielder) {
    std::array<std::byte, 64 << 10> memory;
    auto inner = SpanGenerator::Unguarded(*SpanStack::Create(memory), CountTo(3));
    while (std::optional<int> i = inner.Resume()) yielder.Suspend(10 * *i);
  });
  EXPECT_THAT(outer.Resume(), Optional(10));
  EXPECT_THAT(outer.Resume(), Optional(20));
  EXPECT_THAT(outer.Resume(), Optional(30));
  EXPECT_EQ(outer.Resume(), std::nullopt);
}

#else

FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorTest, StackMayLieAboveTheResumers)
FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorTest, StackMayLieBelowTheResumers)
FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorTest, StackMayLieInTheFrameOfAnotherGenerator)

#endif  // FRINGE_MEMORY_STACKS

// --- Generators that resume one another ----------------------------------------------------------

TEST(GeneratorTest, ManyAreInterleavedInAnyOrder) {
  constexpr size_t kGenerators = 16;
  constexpr int kSteps = 50;
  std::vector<Generator<int, int, TestStack>> gens;
  std::vector<int> sums(kGenerators, 0);
  for (size_t i = 0; i < kGenerators; ++i) {
    gens.push_back(MakeGenerator<int, int>(NewStack(), &Sums));
  }
  uint32_t random = 1;
  for (size_t step = 0; step < kGenerators * kSteps; ++step) {
    random = random * 1664525 + 1013904223;
    const size_t i = (random >> 16) % kGenerators;
    const int input = static_cast<int>(random >> 24) + 1;
    sums[i] += input;
    ASSERT_THAT(gens[i].Resume(input), Optional(sums[i]));
  }
  for (auto& gen : gens) EXPECT_EQ(gen.Resume(0), std::nullopt);
}

// Suspends with each output of a generator one level deeper, plus one.
void Nested(Yielder<int>& yielder, int depth) {
  if (depth == 0) {
    yielder.Suspend(0);
    yielder.Suspend(1000);
    return;
  }
  auto inner = MakeGenerator<int>(
      NewStack(), [depth](Yielder<int>& inner_yielder) { Nested(inner_yielder, depth - 1); });
  while (std::optional<int> i = inner.Resume()) yielder.Suspend(*i + 1);
}

TEST(GeneratorTest, GeneratorInAGeneratorAHundredDeep) {
  auto gen = MakeGenerator<int>(NewStack(), [](auto& yielder) { Nested(yielder, 100); });
  EXPECT_THAT(gen.Resume(), Optional(100));
  EXPECT_THAT(gen.Resume(), Optional(1100));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorTest, OneGeneratorIsResumedFromSeveralOthersInTurn) {
  auto shared = MakeGenerator<int>(NewStack(), CountTo(6));
  auto body = [&shared](Yielder<int>& yielder) {
    while (std::optional<int> i = shared.Resume()) yielder.Suspend(*i);
  };
  auto a = MakeGenerator<int>(NewStack(), body);
  auto b = MakeGenerator<int>(NewStack(), body);
  for (int i = 1; i <= 6; i += 2) {
    EXPECT_THAT(a.Resume(), Optional(i));
    EXPECT_THAT(b.Resume(), Optional(i + 1));
  }
  EXPECT_EQ(a.Resume(), std::nullopt);
  EXPECT_EQ(b.Resume(), std::nullopt);
}

// A filter pulls from the generator before it and yields to the one after it.
TEST(GeneratorTest, ChainsFeedEachOther) {
  auto numbers = MakeGenerator<int>(NewStack(), CountTo(20));
  auto odd = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    while (std::optional<int> i = numbers.Resume()) {
      if (*i % 2 != 0) yielder.Suspend(*i);
    }
  });
  auto squares = MakeGenerator<std::string>(NewStack(), [&](Yielder<std::string>& yielder) {
    while (std::optional<int> i = odd.Resume()) yielder.Suspend(std::to_string(*i * *i));
  });
  std::vector<std::string> values;
  while (std::optional<std::string> value = squares.Resume()) values.push_back(*std::move(value));
  EXPECT_THAT(values, ElementsAre("1", "9", "25", "49", "81", "121", "169", "225", "289", "361"));
}

// The other direction: each generator pushes to the one that it resumes.
TEST(GeneratorTest, ChainsPushIntoEachOther) {
  std::vector<std::string> lines;
  auto sink = MakeGenerator<void, std::string>(
      NewStack(), [&](Yielder<void, std::string>& yielder, std::string line) {
        for (; !line.empty(); line = yielder.Suspend()) lines.push_back(line);
      });
  auto splitter =
      MakeGenerator<void, char>(NewStack(), [&](Yielder<void, char>& yielder, char letter) {
        std::string line;
        for (; letter != '\0'; letter = yielder.Suspend()) {
          if (letter != ' ') {
            line += letter;
          } else if (!line.empty()) {
            sink.Resume(std::exchange(line, ""));
          }
        }
        sink.Resume(line);
        sink.Resume("");
      });
  for (char letter : std::string("call me  Ishmael")) EXPECT_TRUE(splitter.Resume(letter));
  EXPECT_FALSE(splitter.Resume('\0'));
  EXPECT_EQ(sink.state(), State::kUnavailable);
  EXPECT_THAT(lines, ElementsAre("call", "me", "Ishmael"));
}

struct Tree {
  std::unique_ptr<Tree> left;
  std::unique_ptr<Tree> right;
  int leaf = 0;
};

std::unique_ptr<Tree> Leaf(int value) {
  auto tree = std::make_unique<Tree>();
  tree->leaf = value;
  return tree;
}

std::unique_ptr<Tree> Join(std::unique_ptr<Tree> left, std::unique_ptr<Tree> right) {
  auto tree = std::make_unique<Tree>();
  tree->left = std::move(left);
  tree->right = std::move(right);
  return tree;
}

void Walk(const Tree& tree, Yielder<int>& yielder) {
  if (tree.left == nullptr) {
    yielder.Suspend(tree.leaf);
    return;
  }
  Walk(*tree.left, yielder);
  Walk(*tree.right, yielder);
}

bool SameFringe(const Tree& a, const Tree& b) {
  auto walk = [](const Tree& tree) {
    return MakeGenerator<int>(NewStack(), [&tree](auto& yielder) { Walk(tree, yielder); });
  };
  auto leaves_of_a = walk(a);
  auto leaves_of_b = walk(b);
  bool same = true;
  for (;;) {
    const std::optional<int> leaf_of_a = leaves_of_a.Resume();
    const std::optional<int> leaf_of_b = leaves_of_b.Resume();
    same = same && leaf_of_a == leaf_of_b;
    if (!leaf_of_a && !leaf_of_b) return same;
  }
}

TEST(GeneratorTest, RecursionOverTwoTreesComparesTheirFringes) {
  const auto a = Join(Join(Leaf(1), Leaf(2)), Join(Leaf(3), Leaf(4)));
  const auto b = Join(Leaf(1), Join(Leaf(2), Join(Leaf(3), Leaf(4))));
  const auto different = Join(Leaf(1), Join(Leaf(2), Join(Leaf(5), Leaf(4))));
  const auto longer = Join(Leaf(1), Join(Leaf(2), Join(Leaf(3), Join(Leaf(4), Leaf(5)))));
  EXPECT_TRUE(SameFringe(*a, *b));
  EXPECT_FALSE(SameFringe(*a, *different));
  EXPECT_FALSE(SameFringe(*a, *longer));
}

// A compiler may assume that the thread stays the same in a function, and keep its identity.
[[gnu::noinline]] std::thread::id ThreadId() {
  asm volatile("");
  return std::this_thread::get_id();
}

TEST(GeneratorTest, MayBeResumedOnAnotherThread) {
  std::vector<std::thread::id> ran_on;
  auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    for (int i = 1; i <= 3; ++i) {
      ran_on.push_back(ThreadId());
      yielder.Suspend(i);
    }
  });
  const std::thread::id here = ThreadId();
  EXPECT_THAT(gen.Resume(), Optional(1));
  std::thread::id there;
  std::thread([&] {
    there = ThreadId();
    EXPECT_THAT(gen.Resume(), Optional(2));
  }).join();
  EXPECT_THAT(gen.Resume(), Optional(3));
  EXPECT_EQ(gen.Resume(), std::nullopt);
  EXPECT_THAT(ran_on, ElementsAre(here, there, here));
}

}  // namespace
}  // namespace fringe
