// Generators with a guarded control stack of their own, in a program and threads that have one.

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "arch/shadow_stack.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/support/own_code.h"

namespace {

int maps = 0;
int unmaps = 0;
bool refuses_to_map = false;

}  // namespace

// The program is linked with -Wl,--wrap=syscall,--wrap=munmap.
extern "C" {
long __real_syscall(long number, ...);
int __real_munmap(void* start, size_t bytes);
long __wrap_syscall(long number, ...);
int __wrap_munmap(void* start, size_t bytes);

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == 453) {  // map_shadow_stack
    ++maps;
    if (refuses_to_map) {
      errno = ENOMEM;
      return -1;
    }
  }
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}

int __wrap_munmap(void* start, size_t bytes) {
  ++unmaps;
  return __real_munmap(start, bytes);
}
}

namespace fringe {
namespace {

constexpr size_t kStackBytes = 64 << 10;

using IntGenerator = Generator<int, void, OsStack>;

OsStack NewStack(size_t bytes = kStackBytes) { return *OsStack::Create(bytes); }

// Returns: the address of the guarded control stack's top entry (`gcspr_el0`).
[[gnu::always_inline]] inline uintptr_t Top() {
  uintptr_t top;
  asm volatile("mrs %0, s3_3_c2_c5_1" : "=r"(top));
  return top;
}

// Turns the thread's guarded control stack on or off. Where it was turned on, the calling function
// must not return.
[[gnu::always_inline]] inline void Enable(bool on) {
  register long x8 asm("x8") = SYS_prctl;
  register long x0 asm("x0") = 75;  // PR_SET_SHADOW_STACK_STATUS
  register long x1 asm("x1") = on ? 1 : 0;
  register long x2 asm("x2") = 0;
  register long x3 asm("x3") = 0;
  register long x4 asm("x4") = 0;
  asm volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x8) : "memory");
  if (x0 != 0) std::abort();
}

// Suspends at every depth.
[[gnu::noinline]] void Walk(Yielder<int>& yielder, int depth) {
  if (depth == 0) return;
  Walk(yielder, depth - 1);
  yielder.Suspend(depth);
  Walk(yielder, depth - 1);
}

int Sum(IntGenerator& generator) {
  int sum = 0;
  for (const int value : generator) sum += value;
  return sum;
}

auto NewWalk(OsStack stack = NewStack()) {
  return MakeGenerator<int>(std::move(stack), [](auto& yielder) { Walk(yielder, 6); });
}

TEST(GuardedControlStackTest, ProgramAndThreadsHaveOne) {
  EXPECT_TRUE(arch::ShadowStackIsOn());
  bool is_on = false;
  std::thread([&] { is_on = arch::ShadowStackIsOn(); }).join();
  EXPECT_TRUE(is_on);
}

TEST(GuardedControlStackTest, EachGeneratorHasItsOwn) {
  std::vector<uintptr_t> tops = {Top()};
  const auto body = [&](auto& yielder) {
    tops.push_back(Top());
    yielder.Suspend(1);
    tops.push_back(Top());
    yielder.Suspend(2);
  };
  auto first = MakeGenerator<int>(NewStack(), body);
  auto second = MakeGenerator<int>(NewStack(), body);
  first.Resume();
  second.Resume();
  first.Resume();
  second.Resume();
  ASSERT_EQ(tops.size(), 5U);
  EXPECT_EQ(Top(), tops[0]);
  EXPECT_EQ(tops[3], tops[1]);
  EXPECT_EQ(tops[4], tops[2]);
  EXPECT_NE(tops[1], tops[2]);
  EXPECT_GT(tops[1] > tops[0] ? tops[1] - tops[0] : tops[0] - tops[1], 4096U);
}

TEST(GuardedControlStackTest, SuspendsFromAnyDepth) {
  auto generator = NewWalk();
  EXPECT_EQ(Sum(generator), 120);
}

TEST(GuardedControlStackTest, NestsAndCallsOnOtherStacks) {
  auto outer = MakeGenerator<int>(NewStack(), [](auto& yielder) {
    auto inner = NewWalk();
    const OsStack stack = NewStack();
    for (const int value : inner) yielder.Suspend(OnStack(stack, [&] { return 2 * value; }));
  });
  EXPECT_EQ(Sum(outer), 240);
  const OsStack stack = NewStack();
  EXPECT_EQ(OnStack(stack,
                    [] {
                      auto generator = NewWalk();
                      return Sum(generator);
                    }),
            120);
}

// Calls itself until the stack is nearly full, in frames as small as they can be.
[[gnu::noinline, gnu::optimize("O2")]] size_t Deep(const std::byte* limit, size_t calls) {
  if (arch::StackBytesBelow(limit) > kStackBytes) {
    size_t result = calls;
    if (static_cast<size_t>(static_cast<std::byte*>(__builtin_frame_address(0)) - limit) > 4096) {
      result = Deep(limit, calls + 1);
    }
    asm volatile("" : "+r"(result));
    return result;
  }
  return calls;
}

TEST(GuardedControlStackTest, IsLargeEnoughForTheStack) {
  const OsStack stack = NewStack();
  const size_t calls = OnStack(stack, [&] { return Deep(stack.limit(), 0); });
  EXPECT_GT(calls, kStackBytes / 40);
}

TEST(GuardedControlStackTest, ExceptionsAndUnwinding) {
  struct Counts {
    explicit Counts(int& counter) : destroyed(counter) {}
    ~Counts() { ++destroyed; }
    int& destroyed;
  };
  int count = 0;
  const auto body = [&](auto& yielder) {
    Counts outer(count);
    try {
      Counts inner(count);
      Walk(yielder, 3);
      throw 5;
    } catch (int) {
      yielder.Suspend(50);
      throw;
    }
  };
  auto generator = MakeGenerator<int>(NewStack(), body);
  int values = 0;
  const auto run = [&] {
    while (generator.Resume()) ++values;
  };
  EXPECT_THROW(run(), int);
  EXPECT_EQ(values, 8);
  EXPECT_EQ(count, 2);
  for (int resumes = 0; resumes < 9; ++resumes) {
    count = 0;
    {
      auto unfinished = MakeGenerator<int>(NewStack(), body);
      for (int i = 0; i < resumes; ++i) unfinished.Resume();
    }
    EXPECT_EQ(count, resumes == 0 ? 0 : 2);
  }
}

TEST(GuardedControlStackTest, SignalHandlersRunInGenerators) {
  static volatile sig_atomic_t handled;
  handled = 0;
  ASSERT_NE(std::signal(SIGUSR1, [](int) { handled = 1; }), SIG_ERR);
  auto generator = MakeGenerator<int>(NewStack(), [](auto& yielder) {
    raise(SIGUSR1);
    yielder.Suspend(1);
    raise(SIGUSR1);
  });
  generator.Resume();
  EXPECT_EQ(handled, 1);
  EXPECT_FALSE(generator.Resume().has_value());
}

TEST(GuardedControlStackTest, ContinuesOnOtherThreads) {
  auto generator = NewWalk();
  int sum = 0;
  for (int i = 0; i < 63; ++i) {
    const auto resume = [&] { sum += *generator.Resume(); };
    i % 2 == 0 ? resume() : std::thread(resume).join();
  }
  EXPECT_EQ(sum, 120);
  std::thread([&] { generator = NewWalk(); }).join();
}

[[gnu::noinline]] void ResumeOnce(IntGenerator& generator) {
  generator.Resume();
  asm volatile("");
}

TEST(GuardedControlStackTest, BacktraceReachesTheResumer) {
  static bool found;
  found = false;
  auto generator = MakeGenerator<int>(NewStack(), [](auto&) {
    _Unwind_Backtrace(
        [](_Unwind_Context* context, void*) {
          void* const start =
              _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(_Unwind_GetIP(context)));
          found = found || start == reinterpret_cast<void*>(&ResumeOnce);
          return _URC_NO_REASON;
        },
        nullptr);
  });
  ResumeOnce(generator);
  EXPECT_TRUE(found);
}

TEST(GuardedControlStackTest, LifetimesShareOne) {
  { NewWalk().Resume(); }
  OsStack stack = NewStack();
  maps = unmaps = 0;
  for (int i = 0; i < 100; ++i) {
    auto generator = NewWalk(std::move(stack));
    if (i % 2 == 0) {
      EXPECT_EQ(Sum(generator), 120);
    } else {
      generator.Resume();
    }
    { [[maybe_unused]] const auto unfinished = std::move(generator); }
    stack = NewStack();
  }
  EXPECT_EQ(maps, 0);
}

TEST(GuardedControlStackTest, NeverResumedNeedsNone) {
  // No other test has a stack of this size, so that none of these shadow stacks is kept.
  constexpr size_t kOwnStackBytes = 3 << 20;
  maps = 0;
  {
    std::vector<IntGenerator> generators;
    for (int i = 0; i < 10; ++i) generators.push_back(NewWalk(NewStack(kOwnStackBytes)));
  }
  EXPECT_EQ(maps, 0);
  NewWalk(NewStack(kOwnStackBytes)).Resume();
  EXPECT_EQ(maps, 1);
}

TEST(GuardedControlStackTest, ThoseAtTheSameTimeAreMappedAndKept) {
  constexpr int kGenerators = 1200;  // more than are kept
  std::vector<IntGenerator> generators;
  maps = 0;
  for (int i = 0; i < kGenerators; ++i) {
    generators.push_back(NewWalk(NewStack(16 << 10)));
    generators.back().Resume();
  }
  EXPECT_GE(maps, kGenerators - 2);
  EXPECT_LE(maps, kGenerators);
  unmaps = 0;
  generators.clear();
  EXPECT_GE(unmaps, kGenerators + (kGenerators - 1024));
  maps = 0;
  for (int i = 0; i < 1000; ++i) {
    generators.push_back(NewWalk(NewStack(16 << 10)));
    generators.back().Resume();
  }
  EXPECT_EQ(maps, 0);
}

TEST(GuardedControlStackTest, AbandonedIsUnmapped) {
  auto generator = NewWalk();
  for (int i = 0; i < 5; ++i) generator.Resume();
  unmaps = 0;
  OsStack stack = std::move(generator).UnsafeUnwrap();
  EXPECT_EQ(unmaps, 1);
  auto again = NewWalk(std::move(stack));
  EXPECT_EQ(Sum(again), 120);
}

TEST(GuardedControlStackTest, MayBeFirstResumedWhereThereIsOne) {
  std::optional<IntGenerator> generator;
  std::thread([&] {
    Enable(false);
    generator.emplace(NewWalk());
  }).join();
  EXPECT_EQ(Sum(*generator), 120);
}

TEST(GuardedControlStackTest, ThreadsWithoutOneHaveGeneratorsToo) {
  int sum = 0;
  bool is_on = true;
  std::thread([&] {
    Enable(false);
    is_on = arch::ShadowStackIsOn();
    auto generator = NewWalk();
    sum = Sum(generator);
  }).join();
  EXPECT_FALSE(is_on);
  EXPECT_EQ(sum, 120);
}

TEST(GuardedControlStackDeathTest, CannotContinueWithoutOne) {
  auto generator = NewWalk();
  generator.Resume();
  EXPECT_DEATH(std::thread([&] {
                 Enable(false);
                 generator.Resume();
               }).join(),
               "fringe: a generator that was started with a hardware shadow stack cannot continue "
               "without one: turn it on in every thread\\.");
}

TEST(GuardedControlStackDeathTest, CannotContinueWithOneIfStartedWithout) {
  EXPECT_DEATH(
      {
        std::optional<IntGenerator> generator;
        std::thread([&] {
          Enable(false);
          generator.emplace(NewWalk());
          generator->Resume();
        }).join();
        generator->Resume();
      },
      "fringe: a generator that was started without a hardware shadow stack cannot continue with "
      "one: turn it on before the first generator is resumed\\.");
}

TEST(GuardedControlStackDeathTest, NoMemoryIsFatal) {
  EXPECT_DEATH(
      {
        refuses_to_map = true;
        auto generator = NewWalk(NewStack(1 << 20));
        generator.Resume();
      },
      "fringe: map_shadow_stack failed for a generator: destroy other generators, or raise the "
      "limits of memory and vm.max_map_count\\.");
}

// Removes the instructions that switch the guarded control stack.
//
// Returns: how many there were.
int RemoveSwitches() {
  return testing::PatchOwnCode(4, 4, [](unsigned char* code) {
    constexpr uint32_t kGcsss1 = 0xd50b7740, kGcsss2 = 0xd52b7760, kNop = 0xd503201f;
    auto* const word = reinterpret_cast<uint32_t*>(code);
    const uint32_t instruction = *word & ~uint32_t{31};
    const bool switches = instruction == kGcsss1 || instruction == kGcsss2;
    if (switches) *word = kNop;
    return switches;
  });
}

// The negative control.
TEST(GuardedControlStackDeathTest, WithoutItsSwitchTheProgramDies) {
  EXPECT_EXIT(
      {
        if (RemoveSwitches() == 0) std::_Exit(1);
        auto generator = NewWalk();
        Sum(generator);
        std::_Exit(0);
      },
      ::testing::KilledBySignal(SIGSEGV), "");
}

}  // namespace
}  // namespace fringe
