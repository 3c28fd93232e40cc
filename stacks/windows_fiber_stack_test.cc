#include "stacks/windows_fiber_stack.h"

#include <windows.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/config.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/default_stack.h"
#include "stacks/stack.h"
#include "stacks/system_stack.h"
#include "stacks/windows_fiber_pool.h"

namespace fringe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

static_assert(std::is_same_v<DefaultStack, WindowsFiberStack>);
static_assert(std::is_same_v<SystemStack, WindowsFiberStack>);

WindowsFiberStack NewStack(size_t size_bytes = 256 << 10) {
  return *WindowsFiberStack::Create(size_bytes);
}

void CountToThree(Yielder<int>& yielder) {
  for (int i = 1; i <= 3; ++i) yielder.Suspend(i);
}

size_t Bytes(const WindowsFiberStack& stack) {
  return static_cast<size_t>(stack.base() - stack.limit());
}

// --- Creation ------------------------------------------------------------------------------------

TEST(WindowsFiberStackTest, HasAboutTheSizeAskedFor) {
  for (const size_t size_bytes : {size_t{0}, size_t{1}, size_t{64} << 10, size_t{1} << 20,
                                  (size_t{2} << 20) + 1, size_t{64} << 20}) {
    const WindowsFiberStack stack = NewStack(size_bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.base()) % 64, 0U);
    EXPECT_GE(Bytes(stack) + (16 << 10), size_bytes);
    EXPECT_GE(Bytes(stack), size_t{40} << 10);
  }
}

TEST(WindowsFiberStackTest, EveryByteIsUsable) {
  const WindowsFiberStack stack = NewStack(64 << 10);
  const size_t frame_bytes = 4096;
  OnStack(stack, [&] {
    // Windows grows a stack only page by page, from the top.
    const auto here = reinterpret_cast<std::byte*>(__builtin_frame_address(0));
    for (std::byte* p = here - frame_bytes; p >= stack.limit(); p -= 512) {
      *reinterpret_cast<volatile std::byte*>(p) = std::byte(1);
    }
    *reinterpret_cast<volatile std::byte*>(stack.limit()) = std::byte(1);
  });
}

TEST(WindowsFiberStackTest, TooLargeASizeIsAnError) {
  const absl::Status invalid =
      WindowsFiberStack::Create(std::numeric_limits<size_t>::max()).status();
  EXPECT_EQ(invalid.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(invalid.message()), HasSubstr("is too large: ask for less"));
  const absl::Status exhausted = WindowsFiberStack::Create(size_t{1} << 60).status();
  EXPECT_EQ(exhausted.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(exhausted.message()),
              HasSubstr("CreateFiberEx for a stack of 1152921504606846976 bytes: "));
}

TEST(WindowsFiberStackTest, CommitOfMoreThanTheStackIsAnError) {
  const absl::Status status =
      WindowsFiberStack::Create(64 << 10, {.commit_bytes = 1 << 20}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(WindowsFiberStack::Create(1 << 20, {.commit_bytes = 256 << 10}).ok());
}

absl::Status FromTheHeader(int* sum) {
  auto body = [](Yielder<int>& yielder) { CountToThree(yielder); };
  absl::StatusOr<fringe::WindowsFiberStack> stack = fringe::WindowsFiberStack::Create(64 << 10);
  if (!stack.ok()) return stack.status();
  auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);
  while (std::optional<int> i = gen.Resume()) *sum += *i;
  return absl::OkStatus();
}

absl::Status OnTheSystemsStack(int* sum) {
  absl::StatusOr<fringe::SystemStack> stack = fringe::SystemStack::Create(64 << 10);
  if (!stack.ok()) return stack.status();
  *sum += OnStack(*stack, [] { return 6; });
  return absl::OkStatus();
}

absl::Status FromAPool(int* sum) {
  auto body = [](Yielder<int>& yielder) { CountToThree(yielder); };
  fringe::WindowsFiberPool pool({.stack_bytes = 128 << 10});
  absl::StatusOr<fringe::PooledWindowsFiberStack> stack = pool.Acquire();
  if (!stack.ok()) return stack.status();
  auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);
  while (std::optional<int> i = gen.Resume()) *sum += *i;
  return absl::OkStatus();
}

TEST(WindowsFiberStackTest, ExamplesOfTheHeaders) {
  for (auto* const example : {&FromTheHeader, &OnTheSystemsStack, &FromAPool}) {
    int sum = 0;
    EXPECT_TRUE(example(&sum).ok());
    EXPECT_EQ(sum, 6);
  }
}

// --- Use again -----------------------------------------------------------------------------------

TEST(WindowsFiberStackTest, EndsStayTheSameAtEveryUse) {
  WindowsFiberStack stack = NewStack();
  std::byte* const base = stack.base();
  std::byte* const limit = stack.limit();
  struct Large {
    void operator()(Yielder<int>& yielder) const { CountToThree(yielder); }
    std::array<std::byte, 20000> padding = {};
  };
  for (int i = 0; i < 20; ++i) {
    auto small = MakeGenerator<int>(std::move(stack), &CountToThree);
    EXPECT_THAT(small.Resume(), Optional(1));
    EXPECT_EQ(small.stack().base(), base);
    auto large = MakeGenerator<int>(std::move(small).UnsafeUnwrap(), Large());
    while (large.Resume().has_value()) continue;
    stack = std::move(large).Unwrap();
    EXPECT_EQ(stack.base(), base);
    EXPECT_EQ(stack.limit(), limit);
  }
}

// What was abandoned stays on the stack until the next generator is made there.
TEST(WindowsFiberStackTest, AbandonedInDeepFramesAndUsedAgain) {
  WindowsFiberStack stack = NewStack();
  for (int i = 0; i < 20; ++i) {
    struct Deep {
      static void Suspend(Yielder<int>& yielder, int depth) {
        [[maybe_unused]] volatile char frame[512] = {};
        if (depth == 0) {
          yielder.Suspend(1);
        } else {
          Suspend(yielder, depth - 1);
        }
        frame[0] = 1;
      }
    };
    auto gen = MakeGenerator<int>(std::move(stack),
                                  [](Yielder<int>& yielder) { Deep::Suspend(yielder, 100); });
    EXPECT_THAT(gen.Resume(), Optional(1));
    stack = std::move(gen).UnsafeUnwrap();
    EXPECT_EQ(OnStack(stack, [i] { return i; }), i);
  }
}

TEST(WindowsFiberPoolTest, ReusesTheLatestReleased) {
  WindowsFiberPool pool;
  arch::Fiber* first = nullptr;
  arch::Fiber* second = nullptr;
  {
    const PooledWindowsFiberStack a = *pool.Acquire();
    const PooledWindowsFiberStack b = *pool.Acquire();
    first = b.fiber();
    second = a.fiber();
    EXPECT_NE(first, second);
  }
  // `b` was destroyed first.
  const PooledWindowsFiberStack c = *pool.Acquire();
  PooledWindowsFiberStack d = *pool.Acquire();
  EXPECT_EQ(c.fiber(), second);
  EXPECT_EQ(d.fiber(), first);
  PooledWindowsFiberStack moved = std::move(d);
  EXPECT_EQ(moved.fiber(), first);
  d = std::move(moved);
  EXPECT_EQ(d.fiber(), first);
}

TEST(WindowsFiberPoolTest, KeepsNoMoreThanItMay) {
  WindowsFiberPool pool({.unused_fibers = 1});
  {
    std::vector<PooledWindowsFiberStack> stacks;
    for (int i = 0; i < 4; ++i) stacks.push_back(*pool.Acquire());
    const std::byte* const kept = stacks[0].limit();
    // They are released in order.
    stacks.clear();
    EXPECT_EQ(pool.Acquire()->limit(), kept);
  }
}

TEST(WindowsFiberPoolDeathTest, DestroyedWhileAStackIsInUse) {
  EXPECT_DEATH(
      {
        std::optional<WindowsFiberPool> pool(std::in_place);
        const PooledWindowsFiberStack stack = *pool->Acquire();
        pool.reset();
      },
      HasSubstr("fringe: a WindowsFiberPool was destroyed while its stacks were in use: destroy "
                "their generators first."));
}

TEST(WindowsFiberPoolTest, IsSharedByThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 200; ++i) {
        auto gen = MakeGenerator<int>(*WindowsFiberPool::Default().Acquire(), &CountToThree);
        EXPECT_THAT(gen.Resume(), Optional(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// --- The guard -----------------------------------------------------------------------------------

// There is memory below the limit that belongs to the stack, and some of it faults.
TEST(WindowsFiberStackTest, GuardIsBelowTheLimit) {
  const WindowsFiberStack stack = NewStack(64 << 10);
  MEMORY_BASIC_INFORMATION lowest;
  ASSERT_NE(VirtualQuery(stack.limit(), &lowest, sizeof(lowest)), 0U);
  const auto* page = static_cast<const std::byte*>(lowest.AllocationBase);
  ASSERT_LT(page, stack.limit());
  bool faults = false;
  while (page < stack.limit()) {
    MEMORY_BASIC_INFORMATION range;
    ASSERT_NE(VirtualQuery(page, &range, sizeof(range)), 0U);
    EXPECT_EQ(range.AllocationBase, lowest.AllocationBase);
    faults = faults || range.State != MEM_COMMIT || (range.Protect & PAGE_GUARD) != 0;
    page = static_cast<const std::byte*>(range.BaseAddress) + range.RegionSize;
  }
  EXPECT_TRUE(faults);
}

// --- Threads and fibers --------------------------------------------------------------------------

TEST(WindowsFiberTest, ThreadIsConvertedWhenItFirstResumes) {
  auto gen = MakeGenerator<int>(NewStack(), &CountToThree);
  std::thread([&gen] {
    EXPECT_FALSE(IsThreadAFiber());
    EXPECT_THAT(gen.Resume(), Optional(1));
    EXPECT_TRUE(IsThreadAFiber());
  }).join();
  EXPECT_THAT(gen.Resume(), Optional(2));
}

// A thread-local object that is created first is destroyed last. A thread can be joined before.
constexpr int kUnknown = -1;
std::atomic<int> was_fiber = kUnknown;
struct AtTheEndOfTheThread {
  ~AtTheEndOfTheThread() { was_fiber = IsThreadAFiber(); }
  void Begin() { was_fiber = kUnknown; }
};
thread_local AtTheEndOfTheThread at_the_end;

// Returns: whether the thread was a fiber when it ended.
int WasFiberAtItsEnd() {
  for (int i = 0; i < 1000 && was_fiber == kUnknown; ++i) Sleep(10);
  return was_fiber;
}

TEST(WindowsFiberTest, ThreadIsConvertedBackAtItsEnd) {
  std::thread([] {
    at_the_end.Begin();
    auto gen = MakeGenerator<int>(NewStack(), &CountToThree);
    EXPECT_THAT(gen.Resume(), Optional(1));
    EXPECT_TRUE(IsThreadAFiber());
  }).join();
  EXPECT_EQ(WasFiberAtItsEnd(), FALSE);
}

TEST(WindowsFiberTest, ThreadThatTheProgramHasConvertedIsLeftAsItIs) {
  std::thread([] {
    at_the_end.Begin();
    void* const own = ConvertThreadToFiber(nullptr);
    ASSERT_NE(own, nullptr);
    auto gen = MakeGenerator<int>(NewStack(), &CountToThree);
    EXPECT_THAT(gen.Resume(), Optional(1));
    EXPECT_EQ(GetCurrentFiber(), own);
  }).join();
  EXPECT_EQ(WasFiberAtItsEnd(), TRUE);
}

TEST(WindowsFiberTest, ThreadConvertedBackByTheProgramIsConvertedAgain) {
  std::thread([] {
    auto gen = MakeGenerator<int>(NewStack(), &CountToThree);
    EXPECT_THAT(gen.Resume(), Optional(1));
    ASSERT_TRUE(ConvertFiberToThread());
    EXPECT_THAT(gen.Resume(), Optional(2));
    EXPECT_TRUE(IsThreadAFiber());
  }).join();
}

// A generator returns to the fiber that has resumed it, whichever that is.
TEST(WindowsFiberTest, ResumedOnAFiberOfTheProgram) {
  struct Program {
    Generator<int, void, WindowsFiberStack> gen;
    void* main_fiber;
    std::vector<int> seen;
  };
  std::thread([] {
    void* const main_fiber = ConvertThreadToFiber(nullptr);
    ASSERT_NE(main_fiber, nullptr);
    {
      Program program = {MakeGenerator<int>(NewStack(), &CountToThree), main_fiber, {}};
      auto resume = [](void* argument) {
        auto* const p = static_cast<Program*>(argument);
        p->seen.push_back(*p->gen.Resume());
        SwitchToFiber(p->main_fiber);
      };
      void* const fiber = CreateFiber(0, +resume, &program);
      ASSERT_NE(fiber, nullptr);
      program.seen.push_back(*program.gen.Resume());
      SwitchToFiber(fiber);
      program.seen.push_back(*program.gen.Resume());
      DeleteFiber(fiber);
      EXPECT_THAT(program.seen, ElementsAre(1, 2, 3));
#if !FRINGE_EXCEPTIONS
      static_cast<void>(std::move(program.gen).UnsafeUnwrap());
#endif
    }
    EXPECT_TRUE(ConvertFiberToThread());
  }).join();
}

TEST(WindowsFiberTest, ThousandsAreSuspendedAtOnce) {
  std::vector<Generator<int, void, WindowsFiberStack>> gens;
  for (int i = 0; i < 2000; ++i) {
    gens.push_back(MakeGenerator<int>(NewStack(64 << 10), &CountToThree));
    EXPECT_THAT(gens.back().Resume(), Optional(1));
  }
  for (auto& gen : gens) EXPECT_THAT(gen.Resume(), Optional(2));
#if !FRINGE_EXCEPTIONS
  for (auto& gen : gens) static_cast<void>(std::move(gen).UnsafeUnwrap());
#endif
}

}  // namespace
}  // namespace fringe
