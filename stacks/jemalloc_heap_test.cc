// Stacks in jemalloc's arena: what its own statistics say of them.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/config.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/malloc_stack.h"
#include "stacks/stack.h"

#define JEMALLOC_NO_DEMANGLE
#include <jemalloc/jemalloc.h>

namespace fringe {
namespace {

// Returns: what jemalloc says to a question of its `mallctl`, which must exist.
template <typename T>
T Ask(const std::string& name) {
  T answer = {};
  size_t length_bytes = sizeof(answer);
  const int error = je_mallctl(name.c_str(), &answer, &length_bytes, nullptr, 0);
  EXPECT_EQ(error, 0) << name << ": " << std::strerror(error);
  EXPECT_EQ(length_bytes, sizeof(answer)) << name;
  return answer;
}

unsigned ArenaOf(void* block) {
  unsigned arena = 0;
  size_t length_bytes = sizeof(arena);
  EXPECT_EQ(je_mallctl("arenas.lookup", &arena, &length_bytes, &block, sizeof(block)), 0);
  return arena;
}

MallocStack NewStack(size_t size_bytes) { return *MallocStack::Create(size_bytes); }

// In jemalloc's caches of threads, and straight from the arena.
constexpr size_t kCachedBytes = size_t{16} << 10;
constexpr size_t kUncachedBytes = size_t{256} << 10;

class JemallocHeapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Ask<bool>("config.stats")) GTEST_SKIP() << "this jemalloc keeps no statistics";
    const MallocStack stack = NewStack(kUncachedBytes);
    arena_ = ArenaOf(stack.limit());
  }

  unsigned arena() const { return arena_; }

  // Returns: one of the arena's numbers, as it is by now.
  size_t Statistic(const std::string& name) const {
    uint64_t epoch = 1;
    EXPECT_EQ(je_mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch)), 0);
    return Ask<size_t>("stats.arenas." + std::to_string(arena_) + "." + name);
  }

  // Returns: how many bytes the arena has given out. What is in a thread's cache counts.
  size_t Allocated() const { return Statistic("small.allocated") + Statistic("large.allocated"); }

 private:
  unsigned arena_ = 0;
};

// Runs `f` on a thread, which ends.
template <typename F>
void OnThread(F f) {
  std::thread(std::move(f)).join();
}

TEST_F(JemallocHeapTest, StacksLiveInAnArenaOfTheirOwn) {
  std::vector<MallocStack> stacks;
  for (const size_t size_bytes : {size_t{16}, kCachedBytes, kUncachedBytes}) {
    stacks.push_back(NewStack(size_bytes));
    EXPECT_EQ(ArenaOf(stacks.back().limit()), arena()) << size_bytes;
  }
  OnThread([&] {
    stacks.push_back(NewStack(kCachedBytes));
    EXPECT_EQ(ArenaOf(stacks.back().limit()), arena());
  });
  for (const size_t size_bytes : {size_t{16}, kCachedBytes, kUncachedBytes}) {
    // Not `malloc`: where a sanitizer has its own, that is not jemalloc's.
    void* const block = je_mallocx(size_bytes, 0);
    EXPECT_NE(ArenaOf(block), arena()) << size_bytes;
    je_dallocx(block, 0);
  }
}

TEST_F(JemallocHeapTest, FreeingReturnsStacksToTheArena) {
  constexpr size_t kCount = 100;
  for (const size_t size_bytes : {kCachedBytes, kUncachedBytes}) {
    const size_t before = Allocated();
    OnThread([&] {
      std::vector<MallocStack> stacks;
      for (size_t i = 0; i < kCount; ++i) stacks.push_back(NewStack(size_bytes));
      EXPECT_GE(Allocated(), before + kCount * size_bytes);
    });
    // The thread's cache is gone with the thread.
    EXPECT_EQ(Allocated(), before) << size_bytes;
  }
}

TEST_F(JemallocHeapTest, AssignmentReturnsTheStackAssignedTo) {
  const size_t before = Allocated();
  MallocStack stack = NewStack(kUncachedBytes);
  const size_t with_one = Allocated();
  EXPECT_GT(with_one, before);
  MallocStack other = NewStack(kUncachedBytes);
  stack = std::move(other);
  EXPECT_EQ(Allocated(), with_one);
}

TEST_F(JemallocHeapTest, MemoryOfFreedStacksGoesBackToTheSystem) {
  constexpr size_t kCount = 64;
  std::vector<MallocStack> stacks;
  for (size_t i = 0; i < kCount; ++i) {
    stacks.push_back(NewStack(kUncachedBytes));
    std::memset(stacks.back().limit(), 1, kUncachedBytes);
  }
  const size_t resident = Statistic("resident");
  EXPECT_GE(resident, kCount * kUncachedBytes);
  stacks.clear();
  const std::string purge = "arena." + std::to_string(arena()) + ".purge";
  EXPECT_EQ(je_mallctl(purge.c_str(), nullptr, nullptr, nullptr, 0), 0);
  EXPECT_LE(Statistic("resident"), resident - kCount * kUncachedBytes);
}

TEST_F(JemallocHeapTest, ThreadGetsTheStackBackThatItFreed) {
  OnThread([] {
    // The first ones fill the cache.
    { const MallocStack stack = NewStack(kCachedBytes); }
    std::optional<MallocStack> stack = NewStack(kCachedBytes);
    std::byte* const limit = stack->limit();
    stack.reset();
    // Not another thread, while this one has it in its cache.
    OnThread([&] { EXPECT_NE(NewStack(kCachedBytes).limit(), limit); });
    EXPECT_EQ(NewStack(kCachedBytes).limit(), limit);
  });
}

TEST_F(JemallocHeapTest, StackMayBeFreedOnAnotherThread) {
  const size_t before = Allocated();
  for (const size_t size_bytes : {kCachedBytes, kUncachedBytes}) {
    // The thread that made it ends first.
    std::optional<MallocStack> stack;
    OnThread([&] { stack = NewStack(size_bytes); });
    std::memset(stack->limit(), 1, size_bytes);
    OnThread([&] { stack.reset(); });
    EXPECT_EQ(Allocated(), before) << size_bytes;
  }
}

// Lives until the thread ends, longer than the thread's cache does.
struct LastWill {
  ~LastWill() {
    stack.reset();
    const absl::StatusOr<MallocStack> last = MallocStack::Create(kCachedBytes);
    if (last.ok()) std::memset(last->limit(), 1, kCachedBytes);
    ++executed;
  }
  std::optional<MallocStack> stack;
  static inline std::atomic<int> executed = 0;
};
thread_local LastWill last_will;

TEST_F(JemallocHeapTest, StacksMayBeMadeAndFreedWhileTheThreadEnds) {
  const size_t before = Allocated();
  for (int i = 1; i <= 20; ++i) {
    OnThread([] {
      // Made before the cache, and so destroyed after it.
      last_will.stack.reset();
      last_will.stack = NewStack(kCachedBytes);
    });
    EXPECT_EQ(LastWill::executed, i);
    EXPECT_EQ(Allocated(), before);
  }
}

TEST_F(JemallocHeapTest, ThreadsHandStacksToOneAnother) {
  const size_t before = Allocated();
  constexpr size_t kThreads = 4;
  constexpr size_t kPlaces = 64;
  std::atomic<MallocStack*> places[kPlaces] = {};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&places, i] {
      uint32_t random = static_cast<uint32_t>(i) + 1;
      for (int j = 0; j < 20000; ++j) {
        random = random * 1664525 + 1013904223;
        const size_t size_bytes = size_t{1024} << (random >> 8) % 6;
        auto* stack = new MallocStack(NewStack(size_bytes));
        // Somebody else's block would show here, or crash there.
        std::memset(stack->limit(), static_cast<int>(i), size_bytes);
        stack = places[(random >> 16) % kPlaces].exchange(stack);
        if (stack == nullptr) continue;
        EXPECT_EQ(*stack->limit(), *(stack->base() - 1));
        delete stack;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::atomic<MallocStack*>& place : places) {
    OnThread([&] { delete place.exchange(nullptr); });
  }
  EXPECT_EQ(Allocated(), before);
}

// A compiler that keeps the address of one thread's cache over a suspend shows here.
TEST_F(JemallocHeapTest, GeneratorMakesStacksOnWhicheverThreadRunsIt) {
  const size_t before = Allocated();
  OnThread([&] {
    auto gen = Generator<int, void, MallocStack>::Unguarded(NewStack(64 << 10), [](auto& yielder) {
      std::vector<MallocStack> stacks;
      for (int i = 0; i < 100; ++i) {
        stacks.push_back(NewStack(kCachedBytes));
        yielder.Suspend(i);
        stacks.push_back(NewStack(kCachedBytes));
        if (i % 2 == 0) stacks.erase(stacks.begin());
      }
    });
    for (int i = 0; i < 100; ++i) {
      OnThread([&] { EXPECT_EQ(gen.Resume(), i); });
    }
    EXPECT_EQ(gen.Resume(), std::nullopt);
  });
  EXPECT_EQ(Allocated(), before);
}

TEST_F(JemallocHeapTest, ChildOfAForkGoesOn) {
  if (FRINGE_TSAN) {
    GTEST_SKIP() << "ThreadSanitizer's own locks do not outlive a fork among threads";
  }
  std::atomic<bool> stops = false;
  std::thread other([&stops] {
    while (!stops) {
      const MallocStack cached = NewStack(kCachedBytes);
      const MallocStack uncached = NewStack(kUncachedBytes);
    }
  });
  std::optional<MallocStack> stack = NewStack(kCachedBytes);
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(60);
      stack.reset();
      for (int j = 0; j < 100; ++j) {
        const absl::StatusOr<MallocStack> cached = MallocStack::Create(kCachedBytes);
        const absl::StatusOr<MallocStack> uncached = MallocStack::Create(kUncachedBytes);
        if (!cached.ok() || !uncached.ok()) _exit(1);
      }
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  stops = true;
  other.join();
}

TEST_F(JemallocHeapTest, ThreadsGoOnWhereJemallocHasNoMoreCaches) {
  std::vector<unsigned> caches;
  for (;;) {
    unsigned cache = 0;
    size_t length_bytes = sizeof(cache);
    if (je_mallctl("tcache.create", &cache, &length_bytes, nullptr, 0) != 0) break;
    caches.push_back(cache);
  }
  EXPECT_GT(caches.size(), 1000u);
  const size_t before = Allocated();
  OnThread([&] {
    std::optional<MallocStack> stack = NewStack(kCachedBytes);
    EXPECT_GE(Allocated(), before + kCachedBytes);
    stack.reset();
    // Into no cache.
    EXPECT_EQ(Allocated(), before);
  });
  for (unsigned& cache : caches) {
    EXPECT_EQ(je_mallctl("tcache.destroy", nullptr, nullptr, &cache, sizeof(cache)), 0);
  }
}

// Exits with 0 where a stack can be had as soon as there is memory again.
void FailOnceAndExit() {
  // The text of the error needs memory too: of each size some is there in the thread's cache.
  for (size_t size_bytes = 16; size_bytes <= 1024; size_bytes += 16) {
    void* const block = je_malloc(size_bytes);
    asm volatile("" : : "r"(block) : "memory");
    je_free(block);
  }
  rlimit usual;
  getrlimit(RLIMIT_AS, &usual);
  const rlimit none = {1, usual.rlim_max};
  setrlimit(RLIMIT_AS, &none);
  const absl::Status status = MallocStack::Create(4096).status();
  setrlimit(RLIMIT_AS, &usual);
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  const bool is_exhausted = status.code() == absl::StatusCode::kResourceExhausted;
  std::exit(is_exhausted && MallocStack::Create(4096).ok() ? 0 : 1);
}

// In a process that has no arena yet.
TEST(JemallocHeapDeathTest, NoArenaIsAnErrorAndMayBeHadLater) {
  if (FRINGE_ASAN || FRINGE_TSAN) {
    GTEST_SKIP() << "the sanitizer itself needs memory that this takes away";
  }
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(FailOnceAndExit(), ::testing::ExitedWithCode(0),
              "mallctl\\(\"arenas.create\"\\) of a stack of 4096 bytes: "
              "Resource temporarily unavailable");
}

}  // namespace
}  // namespace fringe
