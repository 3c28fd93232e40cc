// Misuse ends the program with one sentence, in every build mode.

#include <fenv.h>

#include <array>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/stack.h"
#include "testing/support/any_stack.h"
#include "testing/support/new_stack.h"

#if FRINGE_MEMORY_STACKS
#include "stacks/span_stack.h"
#endif

namespace fringe {
namespace {

using testing::AnyStack;
using ::testing::HasSubstr;
using testing::NewStack;
using ::testing::Optional;
using testing::TestStack;

// The messages on standard error, each one whole line.
constexpr char kResumedWhileItRuns[] =
    "fringe: a running generator cannot be resumed, by itself or by a generator it has resumed.\n";
constexpr char kMovedFrom[] = "fringe: a moved-from generator cannot be resumed.\n";
constexpr char kSuspendedElsewhere[] =
    "fringe: Suspend must be called from the generator's own body, on its own stack, while it is "
    "running.\n";
constexpr char kUnwrappedUnfinished[] =
    "fringe: a generator must have returned or thrown before Unwrap.\n";
constexpr char kDestroyedFromInside[] =
    "fringe: a generator cannot be destroyed while it is running.\n";
constexpr char kMisaligned[] = "fringe: the stack's base must be aligned to kStackAlignment.\n";
constexpr char kTooSmall[] =
    "fringe: the stack is too small for the generator's body and its frames.\n";

using IntGenerator = Generator<int, void, TestStack>;

IntGenerator NumbersTo(int last) {
  return MakeGenerator<int>(NewStack(), [last](Yielder<int>& yielder) {
    for (int i = 1; i <= last; ++i) yielder.Suspend(i);
  });
}

// --- Resume --------------------------------------------------------------------------------------

TEST(GeneratorMisuseDeathTest, ResumedFromInsideItself) {
  IntGenerator* self = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&self](auto&) { self->Resume(); });
  self = &gen;
  EXPECT_DEATH(gen.Resume(), HasSubstr(kResumedWhileItRuns));
}

TEST(GeneratorMisuseDeathTest, ResumedFromInsideItselfAfterASuspend) {
  IntGenerator* self = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&self](Yielder<int>& yielder) {
    yielder.Suspend(1);
    self->Resume();
  });
  self = &gen;
  EXPECT_DEATH(
      {
        gen.Resume();
        gen.Resume();
      },
      HasSubstr(kResumedWhileItRuns));
}

TEST(GeneratorMisuseDeathTest, ResumedFromInsideItselfThroughAnotherGenerator) {
  IntGenerator* self = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&self](auto&) {
    auto other = MakeGenerator<int>(NewStack(), [&self](auto&) { self->Resume(); });
    other.Resume();
  });
  self = &gen;
  EXPECT_DEATH(gen.Resume(), HasSubstr(kResumedWhileItRuns));
}

TEST(GeneratorMisuseDeathTest, TwoThatResumeEachOther) {
  IntGenerator* b_address = nullptr;
  auto a = MakeGenerator<int>(NewStack(), [&b_address](auto&) { b_address->Resume(); });
  auto b = MakeGenerator<int>(NewStack(), [&a](auto&) { a.Resume(); });
  b_address = &b;
  EXPECT_DEATH(a.Resume(), HasSubstr(kResumedWhileItRuns));
}

TEST(GeneratorMisuseDeathTest, IteratedFromInsideItself) {
  IntGenerator* self = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&self](auto&) { self->begin(); });
  self = &gen;
  EXPECT_DEATH(gen.Resume(), HasSubstr(kResumedWhileItRuns));
}

TEST(GeneratorMisuseDeathTest, ResumedAfterAMove) {
  auto gen = NumbersTo(1);
  auto moved = std::move(gen);
  EXPECT_DEATH(gen.Resume(), HasSubstr(kMovedFrom));  // NOLINT(bugprone-use-after-move)
  EXPECT_DEATH(gen.begin(), HasSubstr(kMovedFrom));   // NOLINT(bugprone-use-after-move)
}

TEST(GeneratorMisuseDeathTest, ResumedAfterUnwrap) {
  auto gen = NumbersTo(0);
  gen.Resume();
  (void)std::move(gen).Unwrap();
  EXPECT_DEATH(gen.Resume(), HasSubstr(kMovedFrom));  // NOLINT(bugprone-use-after-move)
}

// --- Suspend -------------------------------------------------------------------------------------

TEST(GeneratorMisuseDeathTest, YielderKeptAfterTheEnd) {
  Yielder<int>* kept = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&kept](Yielder<int>& yielder) { kept = &yielder; });
  gen.Resume();
  EXPECT_DEATH(kept->Suspend(1), HasSubstr(kSuspendedElsewhere));
}

TEST(GeneratorMisuseDeathTest, YielderOfASuspendedOneUsedByTheResumer) {
  Yielder<int>* kept = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&kept](Yielder<int>& yielder) {
    kept = &yielder;
    yielder.Suspend(1);
  });
  gen.Resume();
  EXPECT_DEATH(kept->Suspend(2), HasSubstr(kSuspendedElsewhere));
  gen.Resume();
}

TEST(GeneratorMisuseDeathTest, YielderOfAResumerUsedByTheGeneratorItResumes) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    auto inner = MakeGenerator<int>(NewStack(), [&yielder](auto&) { yielder.Suspend(1); });
    inner.Resume();
  });
  EXPECT_DEATH(gen.Resume(), HasSubstr(kSuspendedElsewhere));
}

TEST(GeneratorMisuseDeathTest, YielderOfASuspendedOneUsedByAnothersBody) {
  Yielder<int>* kept = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&kept](Yielder<int>& yielder) {
    kept = &yielder;
    yielder.Suspend(1);
  });
  gen.Resume();
  auto other = MakeGenerator<int>(NewStack(), [&kept](auto&) { kept->Suspend(2); });
  EXPECT_DEATH(other.Resume(), HasSubstr(kSuspendedElsewhere));
  gen.Resume();
}

#if FRINGE_MEMORY_STACKS

// The check compares addresses, so it must work in both orders of the stacks.
TEST(GeneratorMisuseDeathTest, YielderUsedOnAStackAboveOrBelow) {
  constexpr size_t kBytes = 64 << 10;
  const auto memory = std::make_unique<std::array<std::byte, 2 * kBytes>>();
  const SpanStack low = *SpanStack::Create(std::span(*memory).first(kBytes));
  const SpanStack high = *SpanStack::Create(std::span(*memory).last(kBytes));
  using SpanGenerator = Generator<int, void, SpanStack>;
  auto run = [](SpanStack outer_stack, SpanStack inner_stack) {
    auto outer = SpanGenerator::Unguarded(outer_stack, [&](Yielder<int>& yielder) {
      auto inner = SpanGenerator::Unguarded(inner_stack, [&yielder](auto&) { yielder.Suspend(1); });
      inner.Resume();
    });
    outer.Resume();
  };
  EXPECT_DEATH(run(low, high), HasSubstr(kSuspendedElsewhere));
  EXPECT_DEATH(run(high, low), HasSubstr(kSuspendedElsewhere));
}

#else

FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorMisuseDeathTest, YielderUsedOnAStackAboveOrBelow)

#endif  // FRINGE_MEMORY_STACKS

// --- Unwrap and destruction ----------------------------------------------------------------------

TEST(GeneratorMisuseDeathTest, UnwrappedWhileSuspended) {
  auto gen = NumbersTo(1);
  gen.Resume();
  EXPECT_DEATH((void)std::move(gen).Unwrap(), HasSubstr(kUnwrappedUnfinished));
  gen.Resume();
}

TEST(GeneratorMisuseDeathTest, UnwrappedBeforeItsStart) {
  auto gen = NumbersTo(1);
  EXPECT_DEATH((void)std::move(gen).Unwrap(), HasSubstr(kUnwrappedUnfinished));
}

TEST(GeneratorMisuseDeathTest, UnwrappedAfterAMove) {
  auto gen = NumbersTo(0);
  gen.Resume();
  auto moved = std::move(gen);
  EXPECT_DEATH((void)std::move(gen).Unwrap(),  // NOLINT(bugprone-use-after-move)
               HasSubstr(kUnwrappedUnfinished));
}

TEST(GeneratorMisuseDeathTest, UnwrappedFromInsideItself) {
  IntGenerator* self = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&self](auto&) { (void)std::move(*self).Unwrap(); });
  self = &gen;
  EXPECT_DEATH(gen.Resume(), HasSubstr(kUnwrappedUnfinished));
}

TEST(GeneratorMisuseDeathTest, DestroyedFromInsideItself) {
  std::optional<IntGenerator> gen;
  gen = MakeGenerator<int>(NewStack(), [&gen](auto&) { gen.reset(); });
  EXPECT_DEATH(gen->Resume(), HasSubstr(kDestroyedFromInside));
}

TEST(GeneratorMisuseDeathTest, DestroyedByAGeneratorThatItResumes) {
  std::optional<IntGenerator> gen;
  gen = MakeGenerator<int>(NewStack(), [&gen](auto&) {
    auto inner = MakeGenerator<int>(NewStack(), [&gen](auto&) { gen.reset(); });
    inner.Resume();
  });
  EXPECT_DEATH(gen->Resume(), HasSubstr(kDestroyedFromInside));
}

TEST(GeneratorMisuseDeathTest, AssignedOverFromInsideItself) {
  IntGenerator* self = nullptr;
  auto gen = MakeGenerator<int>(NewStack(), [&self](auto&) { *self = NumbersTo(1); });
  self = &gen;
  EXPECT_DEATH(gen.Resume(), HasSubstr(kDestroyedFromInside));
}

#if !FRINGE_EXCEPTIONS
TEST(GeneratorMisuseDeathTest, DestroyedUnfinishedWithoutExceptions) {
  constexpr char kSentence[] =
      "fringe: an unfinished generator cannot be destroyed with -fno-exceptions: run it to its "
      "end, suspend by TrySuspend, or call UnsafeUnwrap.\n";
  EXPECT_DEATH(NumbersTo(1).Resume(), HasSubstr(kSentence));
}
#endif

// --- Stacks --------------------------------------------------------------------------------------

class GeneratorStackMisuseDeathTest : public ::testing::Test {
 protected:
  std::byte* end() { return memory_->data() + memory_->size(); }
  AnyStack OfBytes(size_t size_bytes) { return AnyStack(end() - size_bytes, end()); }

 private:
  struct alignas(4096) Memory : std::array<std::byte, 8192> {};
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
};

// A large function object that does nothing.
struct LargeBody {
  void operator()(Yielder<int>&) const {}
  std::array<std::byte, 4096> padding = {};
};

TEST_F(GeneratorStackMisuseDeathTest, BaseIsNotAligned) {
  for (size_t off = 1; off < kStackAlignment; ++off) {
    const AnyStack stack(end() - 8192, end() - off);
    EXPECT_DEATH(MakeGenerator<int>(stack, [](auto&) {}), HasSubstr(kMisaligned)) << off;
  }
}

TEST_F(GeneratorStackMisuseDeathTest, TooSmallForTheBody) {
  EXPECT_DEATH(MakeGenerator<int>(OfBytes(4096), LargeBody()), HasSubstr(kTooSmall));
  EXPECT_DEATH((Generator<int, void, AnyStack>::Unguarded(OfBytes(2048), LargeBody())),
               HasSubstr(kTooSmall));
}

TEST_F(GeneratorStackMisuseDeathTest, LargeEnoughForTheBodyIsNotFatal) {
#if !FRINGE_MEMORY_STACKS
  GTEST_SKIP() << "only a fiber of the system has a stack here";
#endif
  auto gen = MakeGenerator<int>(OfBytes(8192), LargeBody());
  EXPECT_EQ(gen.state(), State::kRunnable);
}

TEST_F(GeneratorStackMisuseDeathTest, TooSmallForAnyBody) {
  auto body = [](Yielder<int>&) {};
  for (const size_t size_bytes : {0u, 16u, 64u, 128u, 256u}) {
    EXPECT_DEATH(MakeGenerator<int>(OfBytes(size_bytes), body), HasSubstr(kTooSmall)) << size_bytes;
  }
}

TEST_F(GeneratorStackMisuseDeathTest, LimitAboveBase) {
  EXPECT_DEATH(MakeGenerator<int>(AnyStack(end(), end() - 4096), [](auto&) {}),
               HasSubstr(kTooSmall));
}

// --- Faults --------------------------------------------------------------------------------------

// A switch does not change the floating-point control words: a trap that the resumer has unmasked
// works in the generator too.
TEST(GeneratorTrapDeathTest, FloatingPointTrapOfTheResumerIsRaisedInTheGenerator) {
#if defined(_WIN32)
  GTEST_SKIP() << "each fiber has floating-point control words of its own";
#else
  if (feenableexcept(FE_DIVBYZERO) == -1) GTEST_SKIP() << "this CPU has no floating-point traps";
  fedisableexcept(FE_DIVBYZERO);
  auto gen = MakeGenerator<double>(NewStack(), [](Yielder<double>& yielder) {
    volatile double zero = 0;
    yielder.Suspend(zero);
    yielder.Suspend(1 / zero);
  });
  EXPECT_THAT(gen.Resume(), Optional(0.0));
  EXPECT_EXIT(
      {
        // Sanitizers have their own handlers.
        std::signal(SIGFPE, SIG_DFL);
        feenableexcept(FE_DIVBYZERO);
        gen.Resume();
      },
      ::testing::KilledBySignal(SIGFPE), "");
  // If there were no trap, the result would be infinity.
  EXPECT_THAT(gen.Resume(), Optional(HUGE_VAL));
  gen.Resume();
#endif
}

}  // namespace
}  // namespace fringe
