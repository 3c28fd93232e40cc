// What a pool promises under load, faults and odd options. It replaces the heap's functions, so
// that each allocation can fail.

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/failing_calls.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/stack_mark.h"
#include "stacks/system.h"
#include "stacks/thread_cache.h"
#include "testing/support/emulator.h"

namespace {

// How many allocations of this thread succeed before one fails; then `failures_left` fail.
thread_local constinit long allocations_left = -1;
thread_local constinit long failures_left = 0;
thread_local constinit long allocations = 0;

bool Fails() {
  ++allocations;
  if (allocations_left < 0) return false;
  if (allocations_left > 0) {
    --allocations_left;
    return false;
  }
  if (failures_left == 0) return false;
  --failures_left;
  return true;
}

[[maybe_unused]] void* Allocate(size_t size_bytes, size_t alignment) {
  if (Fails()) return nullptr;
  return std::aligned_alloc(alignment, (size_bytes + alignment - 1) / alignment * alignment);
}

}  // namespace

// Clang links ThreadSanitizer's own operators, which a program cannot replace.
#if defined(__clang__) && FRINGE_TSAN
#define FRINGE_REPLACES_NEW 0
#else
#define FRINGE_REPLACES_NEW 1

void* operator new(size_t size_bytes) {
  void* const block = Allocate(size_bytes, 16);
#if defined(__cpp_exceptions)
  if (block == nullptr) throw std::bad_alloc();
#endif
  return block;
}
void* operator new(size_t size_bytes, const std::nothrow_t&) noexcept {
  return Allocate(size_bytes, 16);
}
void* operator new(size_t size_bytes, std::align_val_t alignment) {
  void* const block = Allocate(size_bytes, static_cast<size_t>(alignment));
#if defined(__cpp_exceptions)
  if (block == nullptr) throw std::bad_alloc();
#endif
  return block;
}
void* operator new(size_t size_bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return Allocate(size_bytes, static_cast<size_t>(alignment));
}
// Not inlined: GCC would warn that `free` does not match `operator new`.
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, size_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, size_t, std::align_val_t) noexcept {
  std::free(block);
}

#endif

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
using ::testing::Not;

class FailingAllocations {
 public:
  explicit FailingAllocations(long successes, long failures = std::numeric_limits<long>::max()) {
    allocations = 0;
    failures_left = failures;
    allocations_left = successes;
  }
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;
  ~FailingAllocations() { allocations_left = -1; }
};

size_t PageBytes() { return internal::PageBytes(); }

std::vector<PooledStack> AcquireMany(StackPool& pool, size_t count) {
  std::vector<PooledStack> stacks;
  stacks.reserve(count);
  for (size_t i = 0; i < count; ++i) stacks.push_back(*pool.Acquire());
  return stacks;
}

size_t ResidentBytes(const PooledStack& stack) {
  const auto size_bytes = static_cast<size_t>(stack.base() - stack.limit());
  std::vector<unsigned char> pages(internal::RoundUpToPages(size_bytes) / PageBytes());
  EXPECT_EQ(mincore(stack.limit(), pages.size() * PageBytes(), pages.data()), 0);
  size_t bytes = 0;
  for (const unsigned char page : pages) bytes += (page & 1) * PageBytes();
  return bytes;
}

size_t Mappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

// --- Memory that cannot be had ------------------------------------------------------------------

class StackPoolHeapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!FRINGE_REPLACES_NEW) GTEST_SKIP() << "the allocations of this program cannot fail";
  }
};

// On a thread that has not used the pool.
TEST_F(StackPoolHeapTest, FailedAllocationAtTheFirstUseIsAnError) {
  for (long successes = 0;; ++successes) {
    StackPool pool;
    bool failed = false;
    std::thread([&] {
      {
        const FailingAllocations failing(successes, 1);
        const absl::StatusOr<PooledStack> stack = pool.Acquire();
        failed = failures_left == 0;
        EXPECT_EQ(stack.ok(), !failed);
        if (failed) {
          EXPECT_EQ(stack.status().code(), absl::StatusCode::kResourceExhausted);
        }
      }
      EXPECT_TRUE(pool.Acquire().ok());
    }).join();
    EXPECT_EQ(pool.Stats().live, 0u);
    if (!failed) {
      EXPECT_GE(successes, 2);
      break;
    }
  }
}

#if defined(__cpp_exceptions)
TEST_F(StackPoolHeapTest, HeapWithoutAnyMemoryIsAnErrorToo) {
  StackPool pool({.maximum_stacks = 0});
  std::thread([&] {
    const FailingAllocations failing(0);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(pool.Acquire().status().code(), absl::StatusCode::kResourceExhausted);
    }
    EXPECT_EQ(
        OsStack::Create(0, {.guard_bytes = std::numeric_limits<size_t>::max() / 2}).status().code(),
        absl::StatusCode::kInvalidArgument);
  }).join();
}
#endif

TEST_F(StackPoolHeapTest, NothingAfterTheFirstUseAllocates) {
  StackPool pool({.thread_cached_stacks = 4, .depot_cached_stacks = 8});
  std::vector<PooledStack> stacks = AcquireMany(pool, 300);
  const FailingAllocations failing(0);
  while (!stacks.empty()) stacks.pop_back();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(pool.Acquire().ok());
  EXPECT_EQ(pool.Stats().cached, 300u);
  pool.Trim();
  EXPECT_EQ(pool.Stats().cached, 0u);
  EXPECT_EQ(allocations, 0);
}

TEST_F(StackPoolHeapTest, ReleaseOnANewThreadNeedsNoMemory) {
  StackPool pool;
  std::vector<PooledStack> stacks = AcquireMany(pool, 50);
  std::thread([&] {
    const FailingAllocations failing(0);
    while (!stacks.empty()) stacks.pop_back();
  }).join();
  EXPECT_EQ(pool.Stats().cached, 50u);
}

TEST_F(StackPoolHeapTest, EndOfAThreadNeedsNoMemory) {
  StackPool pool({.depot_cached_stacks = 2});
  std::thread([&] {
    AcquireMany(pool, 20);
    // Until the thread's end.
    failures_left = std::numeric_limits<long>::max();
    allocations_left = 0;
  }).join();
  EXPECT_EQ(pool.Stats().cached, 20u);
}

TEST_F(StackPoolHeapTest, ChildOfAForkNeedsNoMemory) {
  if (FRINGE_TSAN || FRINGE_ASAN) GTEST_SKIP() << "the sanitizer allocates in the child";
  StackPool pool;
  std::vector<PooledStack> stacks = AcquireMany(pool, 50);
  const pid_t child = fork();
  if (child == 0) {
    const FailingAllocations failing(0);
    while (!stacks.empty()) stacks.pop_back();
    pool.Trim();
    _exit(pool.Stats().cached == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(StackPoolHeapTest, LargeCacheCostsOnlyWhatIsUsed) {
  StackPool pool({.thread_cached_stacks = std::numeric_limits<size_t>::max()});
  EXPECT_TRUE(pool.Acquire().ok());
  EXPECT_EQ(pool.Stats().cached, 1u);
}

// --- Options ------------------------------------------------------------------------------------

TEST(StackPoolOptionsTest, AnyResidentBytes) {
  for (const size_t resident : {size_t{0}, size_t{1}, size_t{64} << 10, size_t{1} << 20,
                                std::numeric_limits<size_t>::max()}) {
    StackPool pool({.stack_bytes = 64 << 10, .resident_bytes = resident});
    std::byte* limit = nullptr;
    for (int i = 0; i < 300; ++i) {
      const PooledStack stack = *pool.Acquire();
      std::memset(stack.limit(), i, static_cast<size_t>(stack.base() - stack.limit()));
      EXPECT_TRUE(limit == nullptr || stack.limit() == limit);
      limit = stack.limit();
    }
    EXPECT_EQ(pool.Stats().cached, 1u);
  }
}

// A frame that leaves a gap of two pages where the mark is.
void UseDeeplyBelowAGap(const PooledStack& stack) {
  const size_t page = PageBytes();
  std::memset(stack.base() - page / 4, 1, page / 4);
  std::memset(stack.base() - 12 * page, 1, 9 * page);
}

TEST(StackMarkTest, EachWordCounts) {
  alignas(32) uint64_t mark[internal::kMarkWords];
  for (size_t i = 0; i < internal::kMarkWords; ++i) {
    for (const uint64_t stored :
         {uint64_t{0}, uint64_t{1}, ~uint64_t{0}, uint64_t{0x7fff'0000'1000},
          internal::kMarkPaint ^ uint64_t{1}, ~internal::kMarkPaint}) {
      internal::PaintMark(mark);
      ASSERT_TRUE(internal::IsIntact(mark));
      mark[i] = stored;
      EXPECT_FALSE(internal::IsIntact(mark)) << "word " << i << ", stored " << stored;
    }
  }
  for (const uint64_t stored : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
    std::fill(std::begin(mark), std::end(mark), stored);
    EXPECT_FALSE(internal::IsIntact(mark)) << "all words, stored " << stored;
  }
  EXPECT_TRUE(internal::IsIntact(internal::kIntactMark));
  EXPECT_FALSE(internal::IsIntact(internal::kBrokenMark));
}

TEST(StackPoolOptionsTest, MemoryBelowAGapIsReturnedWithinSomeLives) {
  StackPool pool({.resident_bytes = 2 * PageBytes()});
  pool.Acquire().value().base()[-1] = std::byte{1};
  { UseDeeplyBelowAGap(*pool.Acquire()); }
  EXPECT_GE(ResidentBytes(*pool.Acquire()), 8 * PageBytes());
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(pool.Acquire().ok());
  EXPECT_LE(ResidentBytes(*pool.Acquire()), 2 * PageBytes());
}

TEST(StackPoolOptionsTest, MemoryBelowAGapIsReturnedInStacksThatStayUnused) {
  StackPool pool({.resident_bytes = 2 * PageBytes()});
  AcquireMany(pool, 20);
  for (const PooledStack& stack : AcquireMany(pool, 20)) stack.base()[-1] = std::byte{1};
  for (const PooledStack& stack : AcquireMany(pool, 20)) UseDeeplyBelowAGap(stack);
  for (int i = 0; i < 20 * 150; ++i) ASSERT_TRUE(pool.Acquire().ok());
  for (const PooledStack& stack : AcquireMany(pool, 20)) {
    EXPECT_LE(ResidentBytes(stack), 2 * PageBytes());
  }
}

// More than a cache holds, so that they pass through the depot.
TEST(StackPoolOptionsTest, MemoryBelowAGapIsReturnedInTheDepot) {
  StackPool pool({.resident_bytes = 2 * PageBytes()});
  for (const PooledStack& stack : AcquireMany(pool, 300)) stack.base()[-1] = std::byte{1};
  for (const PooledStack& stack : AcquireMany(pool, 300)) UseDeeplyBelowAGap(stack);
  for (int i = 0; i < 20; ++i) AcquireMany(pool, 300);
  size_t bytes = 0;
  for (const PooledStack& stack : AcquireMany(pool, 300)) bytes += ResidentBytes(stack);
  EXPECT_LE(bytes / 300, 2 * PageBytes());
}

// Two looks at once would take much longer. One that was put off is made soon afterwards, and in a
// forked child too.
TEST(StackPoolOptionsTest, OneThreadLooksAtATime) {
  if (FRINGE_TSAN) GTEST_SKIP() << "ThreadSanitizer does not support fork with threads";
  static std::atomic<int> running;
  static std::atomic<bool> waits;
  static std::atomic<bool> overlap;
  running = 0;
  waits = true;
  overlap = false;
  StackPool pool({.resident_bytes = 2 * PageBytes()});
  const auto live = [&](int lives) {
    for (int i = 0; i < lives; ++i) ASSERT_TRUE(pool.Acquire().ok());
  };
  live(1);
  const internal::SystemCalls usual = internal::system_calls;
  internal::system_calls.madvise = [](void* address, size_t bytes, int advice) {
    if (advice != MADV_DONTNEED) return madvise(address, bytes, advice);
    if (running.fetch_add(1) != 0) {
      overlap = true;
      waits = false;
    }
    while (waits) std::this_thread::yield();
    const int result = madvise(address, bytes, advice);
    --running;
    return result;
  };
  std::atomic<bool> other_ended = false;
  std::thread other([&] {
    live(150);
    other_ended = true;
  });
  while (running == 0 && !other_ended) std::this_thread::yield();
  EXPECT_FALSE(other_ended) << "no look was made";

  live(150);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    waits = false;
    running = 0;
    { UseDeeplyBelowAGap(*pool.Acquire()); }
    live(20);
    _exit(ResidentBytes(*pool.Acquire()) <= 2 * PageBytes() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);

  waits = false;
  other.join();
  { UseDeeplyBelowAGap(*pool.Acquire()); }
  live(20);
  EXPECT_LE(ResidentBytes(*pool.Acquire()), 2 * PageBytes());
  EXPECT_FALSE(overlap);
  internal::system_calls = usual;
}

// A look costs more after one of another thread, so it is made less often then.
TEST(StackPoolOptionsTest, ThreadsThatLookInTurnLookLessOften) {
  static int looks;
  StackPool pool({.resident_bytes = 2 * PageBytes()});
  const internal::SystemCalls usual = internal::system_calls;
  internal::system_calls.madvise = [](void* address, size_t bytes, int advice) {
    looks += advice == MADV_DONTNEED;
    return madvise(address, bytes, advice);
  };
  // How many acquisitions it takes until the next look.
  const auto lives_until_look = [&] {
    looks = 0;
    int lives = 0;
    for (; looks == 0 && lives < 1000; ++lives) EXPECT_TRUE(pool.Acquire().ok());
    return lives;
  };
  const auto other_thread_looks = [&] { std::thread([&] { lives_until_look(); }).join(); };
  constexpr int kAlone = internal::ThreadCache::kHitsPerLook;
  constexpr int kInTurn = internal::ThreadCache::kHitsPerLookInTurn;

  ASSERT_TRUE(pool.Acquire().ok());
  lives_until_look();
  lives_until_look();
  EXPECT_EQ(lives_until_look(), kAlone);
  other_thread_looks();
  EXPECT_EQ(lives_until_look(), kAlone);  // This look follows the other thread's.
  other_thread_looks();
  EXPECT_EQ(lives_until_look(), kInTurn);
  EXPECT_EQ(lives_until_look(), kInTurn);
  EXPECT_EQ(lives_until_look(), kAlone);
  internal::system_calls = usual;
}

TEST(StackPoolOptionsTest, MemoryBelowAGapIsReturnedWhileThreadsLookInTurn) {
  StackPool pool({.resident_bytes = 2 * PageBytes()});
  const auto live = [&] {
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(pool.Acquire().ok());
  };
  live();
  for (int i = 0; i < 5; ++i) {
    std::thread(live).join();
    { UseDeeplyBelowAGap(*pool.Acquire()); }
    EXPECT_GE(ResidentBytes(*pool.Acquire()), 8 * PageBytes());
    live();
    EXPECT_LE(ResidentBytes(*pool.Acquire()), 2 * PageBytes());
  }
}

TEST(StackPoolOptionsTest, AllUnusedStacksTogetherAreBounded) {
  const size_t page = PageBytes();
  for (const size_t bound : {size_t{0}, 10 * page, 100 * page}) {
    StackPool pool({.resident_bytes = page, .unused_resident_bytes = bound});
    std::atomic<int> used = 0;
    std::atomic<bool> done = false;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (const PooledStack& stack : AcquireMany(pool, 60)) stack.base()[-1] = std::byte{1};
        ++used;
        while (!done) std::this_thread::yield();
      });
    }
    while (used != 8) std::this_thread::yield();
    // And the slots.
    const size_t records = (480 / (PageBytes() / 64) + 2 * pool.Stats().arenas) * page;
    EXPECT_LE(pool.Stats().resident_bytes, bound + records);
    done = true;
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(StackPoolOptionsTest, CostOfAReleaseDoesNotGrowWithTheStack) {
#if UINTPTR_MAX > UINT32_MAX
  StackPool pool({.stack_bytes = size_t{4} << 30});
  FailingCalls counting(Call::kMincore, 0, 0, 0);
  {
    const PooledStack stack = *pool.Acquire();
    std::memset(stack.base() - 5 * PageBytes(), 1, 5 * PageBytes());
  }
  EXPECT_LE(counting.calls(), 4);
#endif
}

TEST(StackPoolOptionsTest, AbsurdGuardIsRejectedAndNamed) {
  for (const size_t guard : {size_t{1} << 31, std::numeric_limits<size_t>::max()}) {
    StackPool pool({.guard_bytes = guard});
    FailingCalls counting(Call::kMmap, 0, 0, 0);
    for (const absl::Status& status :
         {pool.Acquire().status(), OsStack::Create(4096, {.guard_bytes = guard}).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr("a guard of " + std::to_string(guard) + " bytes is too large"));
    }
    EXPECT_EQ(counting.calls(), 0);
  }
}

TEST(StackPoolOptionsTest, ZeroedStacksAreZero) {
  for (const bool refused : {false, true}) {
    StackPool pool({.stack_bytes = 16 << 10, .thread_cached_stacks = 2, .zeroed = true});
    std::optional<FailingCalls> failing;
    if (refused) failing.emplace(Call::kMadvise, EPERM);
    for (int round = 0; round < 3; ++round) {
      for (const PooledStack& stack : AcquireMany(pool, 10)) {
        const auto size_bytes = static_cast<size_t>(stack.base() - stack.limit());
        for (size_t i = 0; i < size_bytes; ++i) ASSERT_EQ(stack.limit()[i], std::byte{0});
        std::memset(stack.limit(), 0x5a, size_bytes);
      }
    }
  }
}

// --- Caches and forks ---------------------------------------------------------------------------

TEST(StackPoolCachesTest, TrimCoversACacheThatWasNotUsedLast) {
  StackPool a;
  StackPool b;
  a.Acquire().value().base()[-1] = std::byte{1};
  EXPECT_TRUE(b.Acquire().ok());
  a.Trim();
  EXPECT_EQ(a.Stats().cached, 0u);
  EXPECT_EQ(a.Stats().arenas, 0u);
}

TEST(StackPoolCachesTest, PeakIsRightInAForkedChild) {
  StackPool pool({.thread_cached_stacks = 8});
  StackPool other;
  AcquireMany(pool, 40);
  pool.Trim();
  AcquireMany(pool, 40);
  AcquireMany(pool, 9);
  AcquireMany(other, 1);
  const pid_t child = fork();
  if (child == 0) {
    AcquireMany(pool, 1);
    const StackPool::Statistics stats = pool.Stats();
    _exit(stats.peak == 40 && stats.live == 0 && stats.cached == 40 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(StackPoolCachesTest, ForkWhileAnotherThreadUnmaps) {
  if (FRINGE_TSAN) GTEST_SKIP() << "ThreadSanitizer does not support it";
  std::optional<OsStack> mine;
  std::optional<OsStack> other;
  {
    const FailingCalls failing(Call::kMunmap, ENOMEM);
    OsStack kept = *OsStack::Create(65536);
    mine = *OsStack::Create(65536);
    other = *OsStack::Create(65536);
  }
  static std::atomic<int> calls;
  calls = 0;
  const internal::SystemCalls usual = internal::system_calls;
  internal::system_calls.munmap = [](void* address, size_t bytes) {
    if (++calls == 1) usleep(300000);
    return munmap(address, bytes);
  };
  std::thread thread([&] { other.reset(); });
  while (calls == 0) usleep(1000);
  const pid_t child = fork();
  if (child == 0) {
    alarm(5);
    mine.reset();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  thread.join();
  internal::system_calls = usual;
  EXPECT_EQ(status, 0);
}

// In time, the second half must not cost much more than the first.
TEST(StackPoolCachesTest, ManyPoolsOnOneThreadAreNotQuadratic) {
  constexpr size_t kPools = 4000;
  std::vector<std::unique_ptr<StackPool>> pools;
  auto add = [&] {
    const auto start = std::chrono::steady_clock::now();
    for (size_t i = 0; i < kPools; ++i) {
      pools.push_back(std::make_unique<StackPool>(
          StackPool::Options{.stack_bytes = 4096, .guard_bytes = 0, .maximum_stacks = 1}));
      EXPECT_TRUE(pools.back()->Acquire().ok());
    }
    return std::chrono::steady_clock::now() - start;
  };
  const auto first = add();
  add();
  add();
  EXPECT_LT(add(), 10 * first);
}

TEST(StackPoolCachesTest, PoolsThatEndLeaveNoCaches) {
  long most = 0;
  for (int i = 0; i < 1000; ++i) {
    StackPool pool;
    EXPECT_TRUE(pool.Acquire().ok());
    pool.Trim();
    most = std::max(most, allocations);
  }
  StackPool pool;
  EXPECT_TRUE(pool.Acquire().ok());
}

// --- Mappings -----------------------------------------------------------------------------------

TEST(StackPoolMappingsTest, PeakWithoutLightGuardsDoesNotKeepMappings) {
  if (FRINGE_ASAN || FRINGE_TSAN) GTEST_SKIP() << "the sanitizer needs mappings too";
  const GuardKind usual = SystemGuardKind();
  ForceGuardKind(GuardKind::kProtected);
  {
    const size_t before = Mappings();
    StackPool pool({.stack_bytes = 4096, .unused_mappings = 200});
    std::vector<PooledStack> stacks = AcquireMany(pool, 5000);
    for (const PooledStack& stack : stacks) stack.base()[-1] = std::byte{1};
    const size_t peak = Mappings();
    EXPECT_GE(peak, before + 9000);
    EXPECT_GE(pool.Stats().mappings, 10000u);
    std::vector<PooledStack> kept;
    for (size_t i = 0; i < 5000; i += 500) kept.push_back(std::move(stacks[i]));
    stacks.clear();
    EXPECT_LE(Mappings(), before + 500);
    EXPECT_LE(pool.Stats().mappings, 400u);
    // Their guards are there again when they are used.
    stacks = AcquireMany(pool, 4000);
    for (const size_t i : {size_t{0}, size_t{1000}, size_t{3999}}) {
      *stacks[i].limit() = std::byte{1};
      EXPECT_EXIT(
          {
            std::signal(SIGSEGV, SIG_DFL);
            *static_cast<volatile std::byte*>(stacks[i].limit() - 1) = std::byte{1};
          },
          KilledBySignal(SIGSEGV), "");
    }
  }
  ForceGuardKind(usual);
}

// --- Errors -------------------------------------------------------------------------------------

TEST(StackErrorsTest, RefusedAdviceDoesNotMakeEveryStackFail) {
  for (const int error : {EPERM, EACCES, ENOSYS}) {
    const FailingCalls failing(Call::kMadvise, error);
    absl::StatusOr<OsStack> stack = OsStack::Create(65536);
    ASSERT_TRUE(stack.ok()) << stack.status();
    StackPool pool;
    EXPECT_TRUE(pool.Acquire().ok());
    EXPECT_EXIT(
        {
          std::signal(SIGSEGV, SIG_DFL);
          *static_cast<volatile std::byte*>(stack->limit() - 1) = std::byte{1};
        },
        KilledBySignal(SIGSEGV), "");
  }
}

TEST(StackErrorsDeathTest, RefusedUnmapNamesTheCause) {
  EXPECT_DEATH(
      {
        std::optional<OsStack> stack = *OsStack::Create(65536);
        const FailingCalls failing(Call::kMunmap, EPERM);
        stack.reset();
      },
      "munmap of a stack failed \\(Operation not permitted\\):");
}

// --- The end of the program ---------------------------------------------------------------------

// The stack is destroyed after the pool.
TEST(StackPoolExitDeathTest, StaticPoolWithALiveStackIsLeftAlone) {
  EXPECT_EXIT(
      {
        static std::optional<PooledStack> stack;
        static StackPool pool;
        stack = *pool.Acquire();
        std::exit(3);
      },
      ExitedWithCode(3), "");
}

TEST(StackPoolExitDeathTest, OwnedByAStaticPointer) {
  EXPECT_EXIT(
      {
        static std::vector<PooledStack> stacks;
        static auto pool = std::make_unique<StackPool>();
        stacks = AcquireMany(*pool, 100);
        std::exit(3);
      },
      ExitedWithCode(3), "");
}

TEST(StackPoolExitDeathTest, ThreadLocalPool) {
  EXPECT_EXIT(
      {
        static std::optional<PooledStack> stack;
        static thread_local StackPool pool;
        stack = *pool.Acquire();
        std::exit(3);
      },
      ExitedWithCode(3), "");
}

// Nothing of a local pool is destroyed.
TEST(StackPoolExitDeathTest, LocalPool) {
  EXPECT_EXIT(
      {
        StackPool pool;
        const PooledStack stack = *pool.Acquire();
        std::exit(3);
      },
      ExitedWithCode(3), "");
}

TEST(StackPoolExitDeathTest, OtherWaysToEnd) {
  for (void (*end)(int) : {&std::quick_exit, &std::_Exit}) {
    EXPECT_EXIT(
        {
          static std::optional<PooledStack> stack;
          static StackPool pool;
          stack = *pool.Acquire();
          end(3);
        },
        ExitedWithCode(3), "");
  }
}

TEST(StackPoolExitDeathTest, ThreadsThatStillRunKeepUsingTheirStacks) {
  if (FRINGE_TSAN) GTEST_SKIP() << "ThreadSanitizer reports threads that run at exit";
  EXPECT_EXIT(
      {
        static StackPool pool;
        static std::atomic<int> rounds = 0;
        for (int t = 0; t < 3; ++t) {
          std::thread([] {
            for (;; ++rounds) {
              for (const PooledStack& stack : AcquireMany(pool, 50)) {
                *stack.limit() = std::byte{1};
              }
            }
          }).detach();
        }
        while (rounds < 100) std::this_thread::yield();
        std::atexit([] { usleep(1000); });
        std::exit(3);
      },
      ExitedWithCode(3), "");
}

TEST(StackPoolExitDeathTest, ExitOnAThread) {
  EXPECT_EXIT(
      {
        static std::optional<PooledStack> stack;
        static StackPool pool;
        stack = *pool.Acquire();
        std::thread([] { std::exit(3); }).join();
      },
      ExitedWithCode(3), "");
}

// A pthread key whose destructor runs after the pool's own: it releases, and acquires again.
TEST(StackPoolExitTest, DestructorsOfKeysReleaseAndAcquire) {
  static StackPool& pool = *new StackPool;
  static pthread_key_t key;
  ASSERT_EQ(pthread_key_create(&key,
                               [](void* value) {
                                 delete static_cast<PooledStack*>(value);
                                 AcquireMany(pool, 3);
                               }),
            0);
  std::thread([] {
    pthread_setspecific(key, new PooledStack(*pool.Acquire()));
    AcquireMany(pool, 5);
  }).join();
  EXPECT_EQ(pool.Stats().live, 0u);
  EXPECT_EQ(pool.Stats().cached, 6u);
}

TEST(StackPoolExitDeathTest, ThreadLocalPoolOfAThreadThatEndsIsNoExit) {
  EXPECT_DEATH(
      {
        static std::optional<PooledStack> stack;
        std::thread([] {
          static thread_local StackPool pool;
          stack = *pool.Acquire();
        }).join();
      },
      "a StackPool was destroyed while 1 of its stacks were in use");
}

// --- Signal handlers ----------------------------------------------------------------------------

TEST(StackPoolSignalDeathTest, HandlerThatInterruptsThePoolIsFatal) {
  EXPECT_DEATH(
      {
        static StackPool pool({.thread_cached_stacks = 0});
        std::signal(SIGALRM, [](int) { static_cast<void>(pool.Acquire()); });
        const internal::SystemCalls usual = internal::system_calls;
        internal::system_calls.mmap = [](void*, size_t, int, int, int, off_t) {
          std::raise(SIGALRM);
          return MAP_FAILED;
        };
        static_cast<void>(pool.Acquire());
        internal::system_calls = usual;
      },
      "fringe: a signal handler cannot create or release stacks");
}

}  // namespace
}  // namespace fringe
