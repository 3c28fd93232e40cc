// AddressSanitizer on generators' stacks: it reports errors there, and accepts correct code. BUILD
// runs the test with detect_stack_use_after_return=1, which moves locals to fake stacks.
// ThreadSanitizer names generators in its reports.

#include "fringe/config.h"
#include "gtest/gtest.h"

#if FRINGE_TSAN

#include <atomic>
#include <cstdlib>
#include <thread>

#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "testing/support/new_stack.h"

namespace fringe {
namespace {

int shared = 0;
std::atomic<int> increments = 0;

// Increments when the other thread has done so `before` times. Both generators live until both have
// incremented: ThreadSanitizer reports no race with an access whose generator is gone. Relaxed
// operations order nothing.
void IncrementInAGenerator(int before) {
  auto generator = MakeGenerator<int>(testing::NewStack(), [](auto& yielder) {
    ++shared;
    yielder.Suspend(1);
  });
  while (increments.load(std::memory_order_relaxed) != before) std::this_thread::yield();
  generator.Resume();
  increments.fetch_add(1, std::memory_order_relaxed);
  while (increments.load(std::memory_order_relaxed) != 2) std::this_thread::yield();
}

TEST(SanitizerDeathTest, ReportOfADataRaceNamesTheGenerator) {
  const auto race = [] {
    std::thread first(&IncrementInAGenerator, 0);
    std::thread second(&IncrementInAGenerator, 1);
    first.join();
    second.join();
    std::exit(0);
  };
  // The status depends on the version of the runtime.
  EXPECT_EXIT(
      race(), [](int) { return true; }, ::testing::HasSubstr("'fringe generator'"));
}

}  // namespace
}  // namespace fringe

#elif !FRINGE_ASAN

TEST(SanitizerTest, AddressSanitizerIsOff) { GTEST_SKIP() << "not compiled with AddressSanitizer"; }

#else

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gmock/gmock.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "testing/support/new_stack.h"

namespace fringe {
namespace {

using ::testing::ExitedWithCode;
using ::testing::HasSubstr;
using testing::NewStack;
using ::testing::Optional;

// AddressSanitizer creates no fake frame for a function with an asm statement, so that is here.
[[gnu::noinline]] void Escape(const void* address) { asm volatile("" : : "r"(address) : "memory"); }

[[gnu::noinline]] const int* Launder(const int* address) {
  asm volatile("" : "+r"(address));
  return address;
}

// Fills a frame that has redzones.
[[gnu::noinline]] int Frame(int n) {
  std::array<int, 64> values;
  std::iota(values.begin(), values.end(), n);
  Escape(values.data());
  return values[static_cast<size_t>(n) % values.size()];
}

[[gnu::noinline]] void Read(const int* address) { asm volatile("" : : "r"(*address)); }

// --- Correct code --------------------------------------------------------------------------------

TEST(SanitizerTest, FramesOnBothSidesAreLetBe) {
  std::array<int, 16> resumers = {};
  auto gen = MakeGenerator<int>(NewStack(), [&resumers](Yielder<int>& yielder) {
    std::array<int, 16> own = {};
    for (size_t i = 0;; ++i) {
      own[i % 16] = Frame(static_cast<int>(i));
      resumers[i % 16] = own[i % 16];
      yielder.Suspend(own[i % 16]);
    }
  });
  for (int i = 0; i < 1000; ++i) {
    const std::optional<int> value = gen.Resume();
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(resumers[static_cast<size_t>(i) % 16], *value);
    Frame(i);
  }
#if !FRINGE_EXCEPTIONS
  (void)std::move(gen).UnsafeUnwrap();
#endif
}

TEST(SanitizerTest, ResumedByOtherThreads) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    std::array<int, 16> own = {};
    for (int i = 0; i < 10; ++i) {
      own[static_cast<size_t>(i)] = Frame(i);
      yielder.Suspend(own[static_cast<size_t>(i)]);
    }
  });
  for (int i = 0; i < 10; ++i) {
    std::thread([&gen, i] {
      Frame(i);
      EXPECT_TRUE(gen.Resume().has_value());
      Frame(i);
    }).join();
  }
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(SanitizerTest, StackOfOneThatWasGivenUpHasNoPoisonLeft) {
  OsStack stack = NewStack();
  for (int i = 0; i < 10; ++i) {
    auto gen = MakeGenerator<int>(std::move(stack), [](Yielder<int>& yielder) {
      std::array<int, 256> own = {};
      Escape(own.data());
      yielder.Suspend(own[17]);
    });
    EXPECT_THAT(gen.Resume(), Optional(0));
    stack = std::move(gen).UnsafeUnwrap();
    // All of it may be used for any purpose.
    for (std::byte* p = stack.limit(); p != stack.base(); ++p) *p = std::byte{1};
  }
}

#if FRINGE_EXCEPTIONS

TEST(SanitizerTest, ThrowOnAGeneratorsStackLeavesNoPoison) {
  struct Thrower {
    [[gnu::noinline]] static void Descend(int depth, Yielder<int>& yielder) {
      std::array<int, 32> own = {};
      Escape(own.data());
      if (depth == 0) {
        yielder.Suspend(1);
        throw depth;
      }
      Descend(depth - 1, yielder);
      Escape(own.data());
    }
  };
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    for (int i = 0; i < 20; ++i) {
      try {
        Thrower::Descend(i, yielder);
      } catch (int) {
        Frame(i);
        yielder.Suspend(2);
      }
      Frame(i);
    }
    Thrower::Descend(20, yielder);
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(gen.Resume(), Optional(1));
    Frame(i);
    EXPECT_THAT(gen.Resume(), Optional(2));
  }
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_THROW(gen.Resume(), int);
  Frame(1);
}

TEST(SanitizerTest, UnwoundFramesLeaveNoPoison) {
  OsStack stack = NewStack();
  for (int i = 0; i < 10; ++i) {
    OnStack(stack, [] { return Frame(3); });
    std::array<int, 64> outside = {};
    {
      auto gen = Generator<int, void, MallocStack>::Unguarded(*MallocStack::Create(64 << 10),
                                                              [&outside](Yielder<int>& yielder) {
                                                                std::array<int, 64> own = {};
                                                                Escape(own.data());
                                                                Escape(outside.data());
                                                                yielder.Suspend(own[3]);
                                                              });
      EXPECT_THAT(gen.Resume(), Optional(0));
    }
    Frame(outside[0]);
  }
}

TEST(SanitizerTest, ThrowOnTheResumersSideWhileAGeneratorIsSuspended) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    std::array<int, 64> own = {};
    for (;;) {
      Escape(own.data());
      yielder.Suspend(own[5]);
    }
  });
  for (int i = 0; i < 10; ++i) {
    EXPECT_THROW(
        {
          gen.Resume();
          throw Frame(i);
        },
        int);
  }
}

#endif  // FRINGE_EXCEPTIONS

// --- Leaks ---------------------------------------------------------------------------------------

// Memory that only a suspended generator points to is not a leak.
TEST(SanitizerDeathTest, HeapOfASuspendedGeneratorIsNoLeak) {
  auto run = [] {
    static std::optional<Generator<int, void, OsStack>> suspended;
    suspended = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      auto* volatile held = new std::vector<int>(100, 1);
      yielder.Suspend(1);
      delete held;
    });
    (void)suspended->Resume();
    // Skips the destructors of static objects, which would unwind it.
    static auto* const kept =
        new std::optional<Generator<int, void, OsStack>>(std::move(suspended));
    suspended.reset();
    Escape(kept);
    std::exit(0);
  };
  EXPECT_EXIT(run(), ExitedWithCode(0), "");
}

// --- Errors --------------------------------------------------------------------------------------

// Runs a generator with the body `f` to its end.
template <typename F>
void RunBody(F f) {
  auto gen = MakeGenerator<int>(NewStack(), [f](Yielder<int>& yielder) {
    yielder.Suspend(1);
    f();
    yielder.Suspend(2);
  });
  while (gen.Resume()) {
  }
}

TEST(SanitizerDeathTest, UseAfterScopeIsFound) {
  auto body = [] {
    const int* address = nullptr;
    {
      int local = 1;
      Escape(&local);
      address = Launder(&local);
    }
    Read(address);
  };
  EXPECT_DEATH(RunBody(body), HasSubstr("stack-use-after-scope"));
}

[[gnu::noinline]] const int* AddressOfALocal() {
  int local = 1;
  return Launder(&local);
}

TEST(SanitizerDeathTest, UseAfterReturnIsFound) {
  EXPECT_DEATH(RunBody([] { Read(AddressOfALocal()); }), HasSubstr("stack-use-after-return"));
}

TEST(SanitizerDeathTest, OverflowOfALocalIsFound) {
  auto body = [] {
    std::array<int, 8> own = {};
    Read(Launder(own.data()) + 8);
  };
  EXPECT_DEATH(RunBody(body), HasSubstr("stack-buffer-overflow"));
}

TEST(SanitizerDeathTest, UseOfAResumersLocalAfterItsScopeIsFound) {
  auto run = [] {
    const int* address = nullptr;
    auto gen = MakeGenerator<int>(NewStack(), [&address](Yielder<int>& yielder) {
      for (;;) {
        if (address != nullptr) Read(address);
        yielder.Suspend(1);
      }
    });
    {
      int local = 1;
      Escape(&local);
      address = &local;
      (void)gen.Resume();
    }
    (void)gen.Resume();
  };
  EXPECT_DEATH(run(), HasSubstr("stack-use-after-scope"));
}

}  // namespace
}  // namespace fringe

#endif  // FRINGE_ASAN
