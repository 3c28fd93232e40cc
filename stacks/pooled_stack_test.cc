#include "stacks/pooled_stack.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/config.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/failing_calls.h"
#include "stacks/stack.h"
#include "stacks/system.h"
#include "testing/support/emulator.h"

namespace fringe {
namespace {

using internal::Call;
using internal::FailingCalls;
using internal::ForceGuardKind;
using internal::GuardKind;
using internal::SystemGuardKind;
using testing::Emulator;
using ::testing::ExitedWithCode;
using ::testing::HasSubstr;
using ::testing::KilledBySignal;

static_assert(GuardedStack<PooledStack>);
static_assert(!std::is_copy_constructible_v<PooledStack>);
static_assert(!std::is_move_constructible_v<StackPool>);

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t SizeOf(const PooledStack& stack) {
  return static_cast<size_t>(stack.base() - stack.limit());
}

void Fill(const PooledStack& stack, int value) { std::memset(stack.limit(), value, SizeOf(stack)); }

bool IsFilledWith(const PooledStack& stack, unsigned char value) {
  for (const std::byte* byte = stack.limit(); byte != stack.base(); ++byte) {
    if (*byte != std::byte{value}) return false;
  }
  return true;
}

size_t ResidentBytes(std::byte* limit, size_t size_bytes) {
  const size_t pages = (size_bytes + PageBytes() - 1) / PageBytes();
  std::vector<unsigned char> resident(pages);
  EXPECT_EQ(mincore(limit, pages * PageBytes(), resident.data()), 0);
  size_t bytes = 0;
  for (const unsigned char page : resident) bytes += (page & 1) * PageBytes();
  return bytes;
}

std::vector<PooledStack> AcquireMany(StackPool& pool, size_t count) {
  std::vector<PooledStack> stacks;
  for (size_t i = 0; i < count; ++i) stacks.push_back(*pool.Acquire());
  return stacks;
}

// --- One thread
// -----------------------------------------------------------------------------------

TEST(StackPoolTest, GivesStacksOfTheSizeThatWasAskedFor) {
  const size_t page = PageBytes();
  // As large as there are addresses for.
  const size_t large = size_t{1} << (sizeof(size_t) == 8 ? 30 : 22);
  for (const size_t asked : {size_t{0}, size_t{1}, page, page + 1, size_t{64} << 10, large}) {
    StackPool pool({.stack_bytes = asked});
    for (const PooledStack& stack : AcquireMany(pool, 40)) {
      EXPECT_GE(SizeOf(stack), asked);
      EXPECT_GE(SizeOf(stack), page);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.base()) % 64, 0u);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.limit()) % page, 0u);
      stack.base()[-1] = std::byte{1};
      *stack.limit() = std::byte{1};
    }
  }
}

TEST(StackPoolTest, SizesThatDoNotFitAreErrors) {
  constexpr size_t kMax = std::numeric_limits<size_t>::max();
  for (const size_t asked : {kMax, kMax - 1, kMax / 2, kMax / 64}) {
    StackPool pool({.stack_bytes = asked});
    for (int i = 0; i < 2; ++i) {
      const absl::Status status = pool.Acquire().status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(asked) + " bytes"));
    }
    EXPECT_EQ(pool.Stats().mapped_bytes, 0u);
  }
  StackPool guards({.guard_bytes = kMax});
  EXPECT_EQ(guards.Acquire().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(StackPoolTest, SizesThatTheSystemDoesNotHaveAreErrors) {
#if UINTPTR_MAX > UINT32_MAX
  for (const size_t asked : {size_t{1} << 48, size_t{1} << 56}) {
    StackPool pool({.stack_bytes = asked});
    const absl::Status status = pool.Acquire().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("mmap"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(asked) + " bytes"));
    EXPECT_EQ(pool.Stats().mapped_bytes, 0u);
  }
#else
  GTEST_SKIP() << "an address space of 32 bits holds any size that fits";
#endif
}

TEST(StackPoolTest, ReleasedStackIsUsedAgain) {
  StackPool pool;
  std::optional<PooledStack> stack = *pool.Acquire();
  std::byte* const base = stack->base();
  for (int i = 0; i < 100; ++i) {
    stack.reset();
    stack = *pool.Acquire();
    EXPECT_EQ(stack->base(), base);
  }
  const StackPool::Statistics stats = pool.Stats();
  EXPECT_EQ(stats.live, 1u);
  EXPECT_EQ(stats.cached, 0u);
  EXPECT_EQ(stats.hits, 100u);
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.peak, 1u);
}

TEST(StackPoolTest, StacksAreReusedHoweverManyThereAre) {
  StackPool pool({.thread_cached_stacks = 4, .depot_cached_stacks = 8});
  std::set<std::byte*> bases;
  for (int round = 0; round < 5; ++round) {
    const std::vector<PooledStack> stacks = AcquireMany(pool, 100);
    for (const PooledStack& stack : stacks) bases.insert(stack.base());
  }
  EXPECT_EQ(bases.size(), 100u);
  const StackPool::Statistics stats = pool.Stats();
  EXPECT_EQ(stats.live, 0u);
  EXPECT_EQ(stats.cached, 100u);
  EXPECT_EQ(stats.peak, 100u);
  EXPECT_EQ(stats.hits + stats.misses, 500u);
}

TEST(StackPoolTest, NothingCachedIsAPoolToo) {
  StackPool pool({.thread_cached_stacks = 0, .depot_cached_stacks = 0});
  for (int round = 0; round < 3; ++round) {
    const std::vector<PooledStack> stacks = AcquireMany(pool, 20);
    for (const PooledStack& stack : stacks) Fill(stack, round);
  }
  const StackPool::Statistics stats = pool.Stats();
  EXPECT_EQ(stats.hits, 0u);
  EXPECT_EQ(stats.cached, 20u);
  // The slots of them, and nothing else.
  EXPECT_LE(stats.resident_bytes, 4 * PageBytes());
}

TEST(StackPoolTest, MaximumIsAnErrorUntilOneComesBack) {
  StackPool pool({.maximum_stacks = 3});
  std::vector<PooledStack> stacks = AcquireMany(pool, 3);
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = pool.Acquire().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("maximum of 3 stacks"));
  }
  stacks.pop_back();
  EXPECT_TRUE(pool.Acquire().ok());
}

TEST(StackPoolTest, PeakIsTheMostThatLivedAtOnce) {
  StackPool pool({.thread_cached_stacks = 8});
  AcquireMany(pool, 50);
  EXPECT_EQ(pool.Stats().peak, 50u);
  AcquireMany(pool, 20);
  EXPECT_EQ(pool.Stats().peak, 50u);
  AcquireMany(pool, 63);
  EXPECT_EQ(pool.Stats().peak, 63u);
}

TEST(StackPoolTest, StatisticsArePrinted) {
  StackPool pool;
  const PooledStack stack = *pool.Acquire();
  std::ostringstream stream;
  stream << pool.Stats();
  EXPECT_EQ(stream.str(), pool.Stats().ToString());
  EXPECT_THAT(stream.str(),
              HasSubstr("live      1 stacks\ncached    0 stacks\npeak      1 stacks\n"));
}

TEST(StackPoolTest, BasesAreStaggeredUnlessAskedNotTo) {
  for (const bool colours : {true, false}) {
    StackPool pool({.colours = colours});
    std::set<uintptr_t> lines;
    for (const PooledStack& stack : AcquireMany(pool, 32)) {
      lines.insert(reinterpret_cast<uintptr_t>(stack.base()) % PageBytes());
    }
    EXPECT_EQ(lines.size(), colours ? 32u : 1u);
  }
}

TEST(StackPoolTest, GeneratorsRunOnThem) {
  StackPool pool;
  for (int round = 0; round < 3; ++round) {
    std::vector<Generator<int, void, PooledStack>> generators;
    for (int i = 0; i < 100; ++i) {
      generators.push_back(MakeGenerator<int>(*pool.Acquire(), [i](auto& yielder) {
        for (int j = 0; j < 3; ++j) yielder.Suspend(i + j);
      }));
    }
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 100; ++i) EXPECT_EQ(generators[static_cast<size_t>(i)].Resume(), i + j);
    }
    for (auto& generator : generators) EXPECT_EQ(generator.Resume(), std::nullopt);
  }
  EXPECT_EQ(pool.Stats().live, 0u);
}

TEST(StackPoolTest, DefaultPoolIsOne) {
  EXPECT_EQ(&StackPool::Default(), &StackPool::Default());
  EXPECT_TRUE(StackPool::Default().Acquire().ok());
}

// More than a thread has quick access to at a time.
TEST(StackPoolTest, ManyPoolsAtOnceAndOneAfterAnother) {
  std::vector<std::unique_ptr<StackPool>> pools;
  for (int i = 0; i < 100; ++i) pools.push_back(std::make_unique<StackPool>());
  for (int round = 0; round < 3; ++round) {
    for (const auto& pool : pools) EXPECT_TRUE(pool->Acquire().ok());
  }
  for (const auto& pool : pools) {
    EXPECT_EQ(pool->Stats().hits + pool->Stats().misses, 3u);
    EXPECT_EQ(pool->Stats().cached, 1u);
  }
  for (int i = 0; i < 200; ++i) {
    StackPool pool;
    EXPECT_TRUE(pool.Acquire().ok());
  }
}

// --- Memory
// ---------------------------------------------------------------------------------------

TEST(StackPoolTest, WhatWasUsedDeeplyGoesBackToTheSystem) {
  const size_t page = PageBytes();
  StackPool pool({.stack_bytes = 64 * page, .resident_bytes = 4 * page});
  for (int round = 0; round < 3; ++round) {
    std::optional<PooledStack> stack = *pool.Acquire();
    Fill(*stack, 1);
    std::byte* const limit = stack->limit();
    EXPECT_GE(ResidentBytes(limit, SizeOf(*stack)), 64 * page);
    stack.reset();
    EXPECT_LE(ResidentBytes(limit, 65 * page), 4 * page);
    EXPECT_EQ(pool.Stats().returns, static_cast<uint64_t>(round + 1));
  }
}

TEST(StackPoolTest, WhatWasUsedLittleStays) {
  const size_t page = PageBytes();
  StackPool pool({.stack_bytes = 64 * page, .resident_bytes = 4 * page});
  FailingCalls counting(Call::kMadvise, 0, 0, 0);
  long calls = 0;
  for (int round = 0; round < 100; ++round) {
    PooledStack stack = *pool.Acquire();
    std::memset(stack.base() - 3 * page, 1, 3 * page - 2048);
    if (round == 0) calls = counting.calls();
  }
  EXPECT_EQ(counting.calls(), calls);
  EXPECT_EQ(pool.Stats().returns, 0u);
}

// A stack that is used a page deeper each time is looked at each time, and then no more.
TEST(StackPoolTest, LooksOnlyWhenAStackWasUsedDeeperThanBefore) {
  const size_t page = PageBytes();
  StackPool pool({.stack_bytes = 64 * page, .resident_bytes = 16 * page});
  FailingCalls counting(Call::kMincore, 0, 0, 0);
  for (size_t depth = 1; depth < 10; ++depth) {
    for (int round = 0; round < 50; ++round) {
      const PooledStack stack = *pool.Acquire();
      std::memset(stack.base() - depth * page, 1, depth * page);
    }
  }
  EXPECT_LE(counting.calls(), 20);
  EXPECT_EQ(pool.Stats().returns, 0u);
}

// What lies across the mark without writing to it is found by looking now and then.
TEST(StackPoolTest, MemoryBelowAnUntouchedMarkIsFoundLater) {
  const size_t page = PageBytes();
  StackPool pool({.stack_bytes = 64 * page, .resident_bytes = page});
  std::byte* limit = nullptr;
  { Fill(*pool.Acquire(), 1); }
  {
    const PooledStack stack = *pool.Acquire();
    limit = stack.limit();
    std::memset(limit, 1, 32 * page);
  }
  EXPECT_GE(ResidentBytes(limit, 64 * page), 32 * page);
  for (int i = 0; i < 20000; ++i) ASSERT_TRUE(pool.Acquire().ok());
  EXPECT_LE(ResidentBytes(limit, 64 * page), page);
}

TEST(StackPoolTest, TrimGivesEverythingBack) {
  if (Emulator() != nullptr) {
    GTEST_SKIP() << Emulator() << " cannot tell what is resident beside protected memory";
  }
  StackPool pool;
  {
    const std::vector<PooledStack> stacks = AcquireMany(pool, 500);
    for (const PooledStack& stack : stacks) stack.base()[-1] = std::byte{1};
    EXPECT_GE(pool.Stats().resident_bytes, 500 * PageBytes());
  }
  EXPECT_GE(pool.Stats().resident_bytes, 500 * PageBytes());
  pool.Trim();
  StackPool::Statistics stats = pool.Stats();
  EXPECT_EQ(stats.resident_bytes, 0u);
  EXPECT_EQ(stats.mapped_bytes, 0u);
  EXPECT_EQ(stats.arenas, 0u);
  EXPECT_EQ(stats.cached, 0u);
  EXPECT_EQ(stats.peak, 500u);
  EXPECT_TRUE(pool.Acquire().ok());
}

TEST(StackPoolTest, TrimKeepsArenasOfLivingStacks) {
  StackPool pool;
  std::vector<PooledStack> stacks = AcquireMany(pool, 500);
  std::vector<PooledStack> kept;
  kept.push_back(std::move(stacks[3]));
  kept.push_back(std::move(stacks[300]));
  Fill(kept[0], 7);
  Fill(kept[1], 8);
  stacks.clear();
  pool.Trim();
  EXPECT_TRUE(IsFilledWith(kept[0], 7));
  EXPECT_TRUE(IsFilledWith(kept[1], 8));
  EXPECT_EQ(pool.Stats().arenas, 2u);
  EXPECT_EQ(pool.Stats().live, 2u);
  // What is cold can be used again, each once.
  std::set<std::byte*> bases = {kept[0].base(), kept[1].base()};
  for (PooledStack& stack : stacks = AcquireMany(pool, 600)) {
    EXPECT_TRUE(bases.insert(stack.base()).second);
    *stack.limit() = std::byte{1};
  }
}

TEST(StackPoolTest, DepotKeepsMemoryOfNoMoreThanItsBound) {
  StackPool pool({.thread_cached_stacks = 4, .depot_cached_stacks = 10});
  {
    const std::vector<PooledStack> stacks = AcquireMany(pool, 300);
    for (const PooledStack& stack : stacks) stack.base()[-1] = std::byte{1};
  }
  // The caches of both, and the slots.
  EXPECT_LE(pool.Stats().resident_bytes, (14 + 8) * PageBytes());
}

// --- Misuse
// ---------------------------------------------------------------------------------------

TEST(StackPoolDeathTest, SecondReleaseIsFatal) {
  EXPECT_DEATH(
      {
        StackPool pool;
        auto stack = std::make_unique<PooledStack>(*pool.Acquire());
        alignas(PooledStack) std::byte bytes[sizeof(PooledStack)];
        std::memcpy(bytes, static_cast<void*>(stack.get()), sizeof(PooledStack));
        std::destroy_at(std::launder(static_cast<PooledStack*>(static_cast<void*>(bytes))));
        stack.reset();
        _exit(0);
      },
      "fringe: this stack was already returned to its pool\\.");
}

TEST(StackPoolDeathTest, ReleaseToAnotherPoolIsFatal) {
  EXPECT_DEATH(
      {
        StackPool one;
        StackPool other;
        other.Release(*one.Acquire());
      },
      "fringe: this stack belongs to another pool, or was moved from\\.");
}

TEST(StackPoolDeathTest, ReleaseOfAMovedFromStackIsFatal) {
  EXPECT_DEATH(
      {
        StackPool pool;
        PooledStack stack = *pool.Acquire();
        const PooledStack moved = std::move(stack);
        pool.Release(std::move(stack));
      },
      "fringe: this stack belongs to another pool, or was moved from\\.");
}

TEST(StackPoolTest, ReleaseIsWhatTheDestructorDoes) {
  StackPool pool;
  pool.Release(*pool.Acquire());
  EXPECT_EQ(pool.Stats().live, 0u);
  EXPECT_EQ(pool.Stats().cached, 1u);
}

TEST(StackPoolTest, MoveAssignmentReleasesTheOldOne) {
  StackPool pool;
  PooledStack stack = *pool.Acquire();
  PooledStack other = *pool.Acquire();
  stack = std::move(other);
  EXPECT_EQ(pool.Stats().live, 1u);
  EXPECT_EQ(pool.Stats().cached, 1u);
}

TEST(StackPoolDeathTest, PoolThatGoesBeforeItsStacksIsFatal) {
  EXPECT_DEATH(
      {
        auto pool = std::make_unique<StackPool>();
        const std::vector<PooledStack> stacks = AcquireMany(*pool, 3);
        pool.reset();
      },
      "fringe: a StackPool was destroyed while 3 of its stacks were in use: ");
}

void WriteAt(std::byte* byte) {
  std::signal(SIGSEGV, SIG_DFL);
  *static_cast<volatile std::byte*>(byte) = std::byte{1};
}

class StackPoolGuardDeathTest : public ::testing::TestWithParam<GuardKind> {
 protected:
  void SetUp() override {
    if (GetParam() == GuardKind::kLight && SystemGuardKind() != GuardKind::kLight) {
      GTEST_SKIP() << "this kernel or build has no light guards";
    }
    ForceGuardKind(GetParam());
  }
  void TearDown() override { ForceGuardKind(usual_); }

 private:
  const GuardKind usual_ = SystemGuardKind();
};

INSTANTIATE_TEST_SUITE_P(, StackPoolGuardDeathTest,
                         ::testing::Values(GuardKind::kLight, GuardKind::kProtected),
                         [](const auto& test) {
                           return test.param == GuardKind::kLight ? "Light" : "Protected";
                         });

// Also after its memory went back to the system, and in a stack that was used before.
TEST_P(StackPoolGuardDeathTest, EveryStackIsGuarded) {
  for (const size_t guard : {size_t{0}, size_t{1}, 3 * PageBytes()}) {
    StackPool pool({.guard_bytes = guard, .depot_cached_stacks = 1});
    const size_t guard_bytes = std::max(guard, PageBytes());
    for (int round = 0; round < 2; ++round) {
      std::vector<PooledStack> stacks = AcquireMany(pool, 60);
      for (const PooledStack& stack : stacks) Fill(stack, 1);
      for (const size_t i : {size_t{0}, size_t{20}, size_t{59}}) {
        EXPECT_EXIT(WriteAt(stacks[i].limit() - 1), KilledBySignal(SIGSEGV), "");
        EXPECT_EXIT(WriteAt(stacks[i].limit() - guard_bytes), KilledBySignal(SIGSEGV), "");
      }
      if (round == 0) {
        const PooledStack kept = std::move(stacks.back());
        stacks.clear();
        pool.Trim();
      }
    }
  }
}

// --- Threads
// --------------------------------------------------------------------------------------

TEST(StackPoolTest, StacksReleasedOnAnotherThreadComeBack) {
  StackPool pool({.thread_cached_stacks = 8});
  std::set<std::byte*> bases;
  for (int round = 0; round < 20; ++round) {
    std::vector<PooledStack> stacks = AcquireMany(pool, 100);
    for (const PooledStack& stack : stacks) bases.insert(stack.base());
    std::thread([&stacks] { stacks.clear(); }).join();
  }
  EXPECT_EQ(bases.size(), 100u);
  EXPECT_EQ(pool.Stats().cached, 100u);
}

// One thread acquires for good, another releases.
TEST(StackPoolTest, ProducerAndConsumerNeedNoMoreThanIsOnTheWay) {
  StackPool pool({.thread_cached_stacks = 8});
  constexpr size_t kOnTheWay = 16;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<PooledStack> on_the_way;
  constexpr int kStacks = 5000;
  std::thread consumer([&] {
    for (int i = 0; i < kStacks; ++i) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return !on_the_way.empty(); });
      PooledStack stack = std::move(on_the_way.back());
      on_the_way.pop_back();
      changed.notify_all();
      lock.unlock();
    }
  });
  for (int i = 0; i < kStacks; ++i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return on_the_way.size() < kOnTheWay; });
    on_the_way.push_back(*pool.Acquire());
    changed.notify_all();
  }
  consumer.join();
  EXPECT_EQ(pool.Stats().live, 0u);
  EXPECT_LE(pool.Stats().cached, kOnTheWay + 2 * 8 + 2);
}

TEST(StackPoolTest, ThreadThatEndsGivesItsCacheBack) {
  StackPool pool;
  std::thread([&pool] { AcquireMany(pool, 20); }).join();
  StackPool::Statistics stats = pool.Stats();
  EXPECT_EQ(stats.cached, 20u);
  EXPECT_EQ(stats.hits + stats.misses, 20u);
  AcquireMany(pool, 20);
  EXPECT_EQ(pool.Stats().cached, 20u);
}

// A thread may end, and may go on with other pools, after one that it has used is gone.
TEST(StackPoolTest, PoolMayGoBeforeThreadsThatUsedIt) {
  auto pool = std::make_unique<StackPool>();
  StackPool other;
  std::atomic<int> step = 0;
  std::thread thread([&] {
    AcquireMany(*pool, 20);
    step = 1;
    while (step != 2) std::this_thread::yield();
    AcquireMany(other, 20);
  });
  while (step != 1) std::this_thread::yield();
  pool.reset();
  // In the place of the first, as likely as not.
  pool = std::make_unique<StackPool>();
  step = 2;
  thread.join();
  EXPECT_EQ(pool->Stats().cached, 0u);
  EXPECT_EQ(other.Stats().cached, 20u);
}

// Thread-locals that end after the pool's own.
TEST(StackPoolTest, ThreadThatIsEndingStillReleases) {
  static StackPool& pool = *new StackPool;
  struct Holder {
    std::optional<PooledStack> stack;
  };
  std::thread([] {
    static thread_local Holder holder;  // before the pool's: it goes later
    holder.stack.reset();
    AcquireMany(pool, 3);
    holder.stack = *pool.Acquire();
  }).join();
  EXPECT_EQ(pool.Stats().live, 0u);
  EXPECT_EQ(pool.Stats().cached, 3u);
}

// Stacks are acquired, filled, checked, handed to other threads and released in random order.
TEST(StackPoolTest, NobodyElseWritesToAStack) {
  constexpr int kThreads = 8;
  constexpr int kSteps = FRINGE_TSAN || FRINGE_ASAN ? 1500 : 6000;
  StackPool pool({.stack_bytes = 8 << 10,
                  .thread_cached_stacks = 6,
                  .depot_cached_stacks = 12,
                  .resident_bytes = 4 << 10});
  struct Filled {
    PooledStack stack;
    unsigned char value;
  };
  std::mutex mutex;
  std::vector<Filled> handed_over;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::vector<Filled> mine;
      for (int i = 0; i < kSteps; ++i) {
        const unsigned choice = random() % 16;
        if (choice < 7 && mine.size() < 30) {
          mine.push_back({*pool.Acquire(), static_cast<unsigned char>(random())});
          Fill(mine.back().stack, mine.back().value);
        } else if (choice < 13 && !mine.empty()) {
          std::swap(mine[random() % mine.size()], mine.back());
          if (!IsFilledWith(mine.back().stack, mine.back().value)) ++wrong;
          mine.pop_back();
        } else if (choice < 14 && !mine.empty()) {
          const std::lock_guard lock(mutex);
          handed_over.push_back(std::move(mine.back()));
          mine.pop_back();
        } else if (choice < 15) {
          const std::lock_guard lock(mutex);
          if (!handed_over.empty()) {
            mine.push_back(std::move(handed_over.back()));
            handed_over.pop_back();
          }
        } else if (random() % 32 == 0) {
          pool.Trim();
          static_cast<void>(pool.Stats());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  handed_over.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pool.Stats().live, 0u);
}

// --- fork
// -----------------------------------------------------------------------------------------

TEST(StackPoolDeathTest, ChildOfAForkGoesOn) {
  if (Emulator() != nullptr) {
    GTEST_SKIP() << Emulator() << " does not survive a fork among running threads";
  }
  if (FRINGE_TSAN) GTEST_SKIP() << "ThreadSanitizer starts no threads after a fork";
  if (FRINGE_ASAN) GTEST_SKIP() << "AddressSanitizer's heap may be locked after a fork";
  StackPool pool({.thread_cached_stacks = 16});
  std::vector<PooledStack> stacks = AcquireMany(pool, 40);
  for (size_t i = 0; i < stacks.size(); ++i) Fill(stacks[i], static_cast<int>(i));
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!done) AcquireMany(pool, 25);
    });
  }
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(30);
      for (size_t k = 0; k < stacks.size(); ++k) {
        if (!IsFilledWith(stacks[k], static_cast<unsigned char>(k))) _exit(2);
      }
      stacks.clear();
      std::set<std::byte*> bases;
      for (PooledStack& stack : stacks = AcquireMany(pool, 200)) {
        if (!bases.insert(stack.base()).second) _exit(3);
        Fill(stack, 1);
      }
      stacks.clear();
      pool.Trim();
      std::thread([&pool] { AcquireMany(pool, 50); }).join();
      static_cast<void>(pool.Stats());
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < stacks.size(); ++i) {
    EXPECT_TRUE(IsFilledWith(stacks[i], static_cast<unsigned char>(i)));
  }
}

TEST(StackPoolDeathTest, ChildOfAForkHasWhatOtherThreadsHadCached) {
  if (FRINGE_TSAN) GTEST_SKIP() << "ThreadSanitizer starts no threads after a fork";
  StackPool pool({.maximum_stacks = 20});
  std::atomic<int> step = 0;
  std::thread thread([&] {
    AcquireMany(pool, 20);
    step = 1;
    while (step != 2) std::this_thread::yield();
  });
  while (step != 1) std::this_thread::yield();
  EXPECT_FALSE(pool.Acquire().ok());
  const pid_t child = fork();
  if (child == 0) {
    AcquireMany(pool, 20);
    _exit(pool.Stats().cached == 20 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  step = 2;
  thread.join();
}

// --- Faults
// ---------------------------------------------------------------------------------------

// Each call of each kind fails in its turn, once and for good. Whatever happens, there is an error
// or a stack, the pool goes on, and nothing stays mapped.
void Exercise(StackPool& pool, int& errors) {
  std::vector<PooledStack> stacks;
  for (int i = 0; i < 60; ++i) {
    absl::StatusOr<PooledStack> stack = pool.Acquire();
    if (!stack.ok()) {
      ++errors;
      EXPECT_EQ(stack.status().code(), absl::StatusCode::kResourceExhausted);
      EXPECT_THAT(std::string(stack.status().message()), HasSubstr("bytes: "));
      continue;
    }
    Fill(*stack, i);
    stacks.push_back(*std::move(stack));
  }
  for (size_t i = 1; i < stacks.size(); ++i) EXPECT_NE(stacks[i - 1].base(), stacks[i].base());
  stacks.clear();
  pool.Trim();
}

class StackPoolFaultTest
    : public ::testing::TestWithParam<std::tuple<Call, GuardKind, /*for good*/ bool>> {};

TEST_P(StackPoolFaultTest, EachCallFailsInItsTurn) {
  const auto [call, kind, for_good] = GetParam();
  const GuardKind usual = SystemGuardKind();
  if (kind == GuardKind::kLight && usual != kind) GTEST_SKIP() << "there are no light guards here";
  ForceGuardKind(kind);
  const StackPool::Options options = {.stack_bytes = 8 << 10,
                                      .thread_cached_stacks = 4,
                                      .depot_cached_stacks = 10,
                                      .resident_bytes = 4 << 10};
  int most_errors = 0;
  for (long skipped = 0;; ++skipped) {
    long calls = 0;
    {
      StackPool pool(options);
      int errors = 0;
      {
        const FailingCalls failing(call, ENOMEM, skipped,
                                   for_good ? std::numeric_limits<long>::max() : 1);
        Exercise(pool, errors);
        calls = failing.calls();
      }
      most_errors = std::max(most_errors, errors);
      int later = 0;
      Exercise(pool, later);
      EXPECT_EQ(later, 0);
      const StackPool::Statistics stats = pool.Stats();
      EXPECT_EQ(stats.live, 0u);
      EXPECT_EQ(stats.mapped_bytes, 0u);
    }
    if (HasFatalFailure() || HasNonfatalFailure() || calls <= skipped) break;
  }
  // A refusal to return memory is not an error for the callers that acquire a stack.
  if (call == Call::kMincore || call == Call::kMunmap) {
    EXPECT_EQ(most_errors, 0);
  }
  if (call == Call::kMmap) {
    EXPECT_EQ(most_errors > 0, for_good);
  }
  if (call == Call::kMprotect) {
    EXPECT_EQ(most_errors > 0, kind == GuardKind::kProtected);
  }
  ForceGuardKind(usual);
}

INSTANTIATE_TEST_SUITE_P(
    , StackPoolFaultTest,
    ::testing::Combine(::testing::Values(Call::kMmap, Call::kMprotect, Call::kMadvise,
                                         Call::kMunmap, Call::kMincore),
                       ::testing::Values(GuardKind::kLight, GuardKind::kProtected),
                       ::testing::Bool()));

TEST(StackPoolTest, RefusalsAreCounted) {
  StackPool pool({.resident_bytes = 4 << 10});
  {
    const PooledStack stack = *pool.Acquire();
    Fill(stack, 1);
  }
  EXPECT_EQ(pool.Stats().refusals, 0u);
  {
    const PooledStack stack = *pool.Acquire();
    Fill(stack, 1);
    const FailingCalls failing(Call::kMadvise, EINVAL);
    pool.Release(std::move(const_cast<PooledStack&>(stack)));
  }
  EXPECT_EQ(pool.Stats().refusals, 1u);
}

TEST(StackPoolDeathTest, LimitOfAddressSpaceIsAnError) {
  if (Emulator() != nullptr) {
    GTEST_SKIP() << Emulator() << " has addresses of its own, and no limit to them";
  }
  if (FRINGE_ASAN || FRINGE_TSAN) {
    GTEST_SKIP() << "the sanitizer itself takes more addresses than the limit";
  }
  EXPECT_EXIT(
      {
        StackPool pool({.stack_bytes = 1 << 20});
        size_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        rlimit limit;
        limit.rlim_cur = limit.rlim_max = pages * PageBytes() + (size_t{1} << 28);
        setrlimit(RLIMIT_AS, &limit);
        std::vector<PooledStack> stacks;
        stacks.reserve(1000);
        absl::Status status;
        while (stacks.size() < 1000) {
          absl::StatusOr<PooledStack> stack = pool.Acquire();
          status = stack.status();
          if (!stack.ok()) break;
          stacks.push_back(*std::move(stack));
        }
        // Arenas become smaller before there is an error: most of the room is used.
        const bool well = status.code() == absl::StatusCode::kResourceExhausted &&
                          stacks.size() > 150 && stacks.size() < 256;
        stacks.pop_back();
        _exit(well && pool.Acquire().ok() ? 0 : 1);
      },
      ExitedWithCode(0), "");
}

}  // namespace
}  // namespace fringe
