// Unwinding of an unfinished generator through the C library's frames, `noexcept` functions,
// destructors and handlers. generator_exception_test.cc has the simple cases.

#include "fringe/config.h"
#include "gtest/gtest.h"

#if !FRINGE_EXCEPTIONS

TEST(DestructionTest, ExceptionsAreOff) {
  GTEST_SKIP() << "compiled with -fno-exceptions: an unfinished generator cannot be destroyed";
}

#else

#if !defined(_WIN32)
#include <ftw.h>
#endif
#include <malloc.h>
#include <search.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "testing/support/finally.h"
#include "testing/support/new_stack.h"

#if FRINGE_ASAN
#include <sanitizer/lsan_interface.h>
#endif

namespace fringe {
namespace {

using ::testing::ElementsAre;
using testing::Finally;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::NewStack;
using ::testing::Optional;
using testing::TestStack;

using IntGenerator = Generator<int, void, TestStack>;

// --- Through callbacks of the C library ----------------------------------------------------------

// The generator whose body is inside a C function. The callback uses it.
thread_local Yielder<int>* calling = nullptr;
thread_local int unwound = 0;

// Suspends with a local that has a destructor.
void SuspendInCallback(int value) {
  const Finally count([] { ++unwound; });
  calling->Suspend(value);
}

int CompareAndSuspend(const void* a, const void* b) {
  const int left = *static_cast<const int*>(a);
  const int right = *static_cast<const int*>(b);
  SuspendInCallback(left);
  return (left > right) - (left < right);
}

// Runs `call` in a generator, which suspends from a callback. Destroys the generator after `steps`
// suspends.
template <typename F>
void DestroyInside(F call, int steps = 3) {
  unwound = 0;
  bool outer_unwound = false;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
      const Finally note([&] { outer_unwound = std::uncaught_exceptions() == 1; });
      calling = &yielder;
      call();
      ADD_FAILURE() << "it has returned";
    });
    for (int i = 0; i < steps; ++i) EXPECT_TRUE(gen.Resume().has_value());
    EXPECT_EQ(unwound, steps - 1);
  }
  EXPECT_EQ(unwound, steps);
  EXPECT_TRUE(outer_unwound);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(DestructionTest, ThroughQsort) {
  std::array<int, 16> values;
  std::iota(values.rbegin(), values.rend(), 0);
  DestroyInside([&] { std::qsort(values.data(), values.size(), sizeof(int), CompareAndSuspend); });
}

TEST(DestructionTest, ThroughBsearch) {
  std::array<int, 100> values;
  std::iota(values.begin(), values.end(), 0);
  const int key = 99;
  DestroyInside([&] {
    [[maybe_unused]] const void* const found =
        std::bsearch(&key, values.data(), values.size(), sizeof(int), CompareAndSuspend);
  });
}

TEST(DestructionTest, ThroughTwalk) {
  std::array<int, 5> values = {3, 1, 4, 2, 5};
  void* root = nullptr;
  auto compare = [](const void* a, const void* b) {
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
  };
  for (int& value : values) tsearch(&value, &root, compare);
  DestroyInside([&] {
    twalk(root, [](const void* node, VISIT visit, int) {
      if (visit == postorder || visit == leaf) SuspendInCallback(**static_cast<int* const*>(node));
    });
  });
  for (int& value : values) tdelete(&value, &root, compare);
}

// One comparison inside another, so that two C functions are unwound.
TEST(DestructionTest, ThroughNestedCallbacks) {
  DestroyInside(
      [] {
        std::array<int, 4> values = {4, 3, 2, 1};
        std::qsort(values.data(), values.size(), sizeof(int), [](const void*, const void*) {
          std::array<int, 4> inner = {4, 3, 2, 1};
          std::qsort(inner.data(), inner.size(), sizeof(int), CompareAndSuspend);
          return 0;
        });
      },
      4);
}

#if defined(__GLIBC__) && !FRINGE_ASAN && !FRINGE_TSAN

// The C library has no destructors, so a function that is unwound leaks its resources. `qsort` of
// the GNU C library has a buffer on the heap if the array is larger than 1 KiB (2.36; not 2.37 and
// 2.38).
TEST(DestructionTest, WhatQsortHoldsIsLeaked) {
  std::vector<int> values(64 << 10);
  std::iota(values.rbegin(), values.rend(), 0);
  const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  DestroyInside([&] { std::qsort(values.data(), values.size(), sizeof(int), CompareAndSuspend); });
  const size_t leaked = mallinfo2().uordblks + mallinfo2().hblkhd - before;
  RecordProperty("leaked_bytes", static_cast<int>(leaked));
#if __GLIBC__ == 2 && __GLIBC_MINOR__ <= 36
  EXPECT_GE(leaked, values.size() * sizeof(int));
#endif
}

#endif  // __GLIBC__

#if defined(_WIN32)

TEST(DestructionTest, WhatNftwHoldsIsLeaked) { GTEST_SKIP() << "Windows has no nftw"; }
TEST(DestructionTest, CallbackThatReturnsFirstLeaksNothing) {
  GTEST_SKIP() << "Windows has no nftw";
}

#else

// A folder with nested folders. The destructor removes it.
class ScratchTree {
 public:
  ScratchTree() {
    std::string name = ::testing::TempDir() + "/destruction_test.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    for (const char* folder : {"a", "a/b", "a/b/c", "d"}) {
      std::filesystem::create_directory(path_ / folder);
      std::ofstream(path_ / folder / "file") << folder;
    }
  }
  ScratchTree(const ScratchTree&) = delete;
  ScratchTree& operator=(const ScratchTree&) = delete;
  ~ScratchTree() { std::filesystem::remove_all(path_); }

  const char* path() const { return path_.c_str(); }

 private:
  std::filesystem::path path_;
};

int CountOpenFiles() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

// `nftw` holds a descriptor and memory for each open directory.
TEST(DestructionTest, WhatNftwHoldsIsLeaked) {
  const ScratchTree tree;
  const int before = CountOpenFiles();
#if FRINGE_ASAN
  __lsan_disable();  // the leak is known
#endif
  DestroyInside(
      [&] {
        nftw(
            tree.path(),
            [](const char*, const struct stat*, int, struct FTW* place) {
              SuspendInCallback(place->level);
              return 0;
            },
            16, FTW_PHYS);
      },
      4);
#if FRINGE_ASAN
  __lsan_enable();
#endif
  EXPECT_GT(CountOpenFiles(), before);
}

// The correct way to leave such a function: let it return. The callback catches the exception that
// unwinds the generator and returns a value that ends the function. The body then rethrows.
TEST(DestructionTest, CallbackThatReturnsFirstLeaksNothing) {
  const ScratchTree tree;
  const int before = CountOpenFiles();
  static thread_local std::exception_ptr caught;
  bool outer_unwound = false;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
      const Finally note([&] { outer_unwound = std::uncaught_exceptions() == 1; });
      calling = &yielder;
      nftw(
          tree.path(),
          [](const char*, const struct stat*, int, struct FTW* place) {
            try {
              calling->Suspend(place->level);
              return 0;
            } catch (...) {
              caught = std::current_exception();
              return 1;
            }
          },
          16, FTW_PHYS);
      if (caught != nullptr) std::rethrow_exception(std::exchange(caught, nullptr));
      ADD_FAILURE() << "it has returned";
    });
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(gen.Resume().has_value());
    EXPECT_GT(CountOpenFiles(), before);
  }
  EXPECT_TRUE(outer_unwound);
  EXPECT_EQ(CountOpenFiles(), before);
}

#endif  // _WIN32

// --- Order, place and count ----------------------------------------------------------------------

// Logs the place of its destruction and the number of exceptions in flight.
class Logs {
 public:
  Logs(std::vector<std::string>* log, std::string name) : log_(log), name_(std::move(name)) {}
  Logs(const Logs&) = delete;
  Logs& operator=(const Logs&) = delete;
  ~Logs() { log_->push_back(name_ + " " + std::to_string(std::uncaught_exceptions())); }

 private:
  std::vector<std::string>* log_;
  std::string name_;
};

TEST(DestructionTest, CountStartsFromTheGeneratorsOwn) {
  std::vector<std::string> log;
  auto body = [&log](Yielder<int>& yielder) {
    const Logs outer(&log, "outer");
    try {
      throw 1;
    } catch (int) {
      const Logs inner(&log, "inner");
      yielder.Suspend(1);
    }
  };
  // While the resumer is being unwound and two exceptions are in flight.
  try {
    const Finally first([&] {
      try {
        std::optional<IntGenerator> gen = MakeGenerator<int>(NewStack(), body);
        gen->Resume();
        const Finally second([&] {
          EXPECT_EQ(std::uncaught_exceptions(), 2);
          gen.reset();
          EXPECT_EQ(std::uncaught_exceptions(), 2);
        });
        throw 2;
      } catch (int number) {
        EXPECT_EQ(number, 2);
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      }
    });
    throw 3;
  } catch (int number) {
    EXPECT_EQ(number, 3);
  }
  EXPECT_THAT(log, ElementsAre("inner 1", "outer 1"));
  EXPECT_EQ(std::current_exception(), nullptr);
}

// By a generator that is itself being destroyed, from a destructor in it, on another thread.
TEST(DestructionTest, ByAGeneratorThatIsBeingDestroyedOnAnotherThread) {
  std::vector<std::string> log;
  std::optional<IntGenerator> victim =
      MakeGenerator<int>(NewStack(), [&log](Yielder<int>& yielder) {
        const Logs local(&log, "victim");
        try {
          throw 1;
        } catch (int) {
          yielder.Suspend(1);
        }
      });
  victim->Resume();
  std::optional<IntGenerator> gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    const Logs outer(&log, "outer");
    const Finally destroy([&] { victim.reset(); });
    const Logs inner(&log, "inner");
    yielder.Suspend(1);
  });
  gen->Resume();
  std::thread([&] {
    try {
      throw 5;
    } catch (int) {
      gen.reset();
      EXPECT_THROW(throw, int);
    }
  }).join();
  EXPECT_THAT(log, ElementsAre("inner 1", "victim 1", "outer 1"));
}

TEST(DestructionTest, DestructorsMayThrowAndCatchResumeAndDestroy) {
  std::vector<int> seen;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&seen](Yielder<int>& yielder) {
      const Finally busy([&seen] {
        try {
          throw 1;
        } catch (int number) {
          seen.push_back(number);
        }
        auto other = MakeGenerator<int>(NewStack(), [](Yielder<int>& inner) {
          inner.Suspend(2);
          inner.Suspend(3);
        });
        seen.push_back(other.Resume().value_or(-1));
      });
      yielder.Suspend(1);
    });
    gen.Resume();
  }
  EXPECT_THAT(seen, ElementsAre(1, 2));
}

TEST(DestructionTest, ChainIsUnwoundFromTheInnermost) {
  std::vector<std::string> log;
  struct Chain {
    static void Run(Yielder<int>& yielder, std::vector<std::string>* log, int depth) {
      const Logs local(log, std::to_string(depth));
      if (depth == 5) {
        yielder.Suspend(depth);
        return;
      }
      auto next = MakeGenerator<int>(
          NewStack(), [log, depth](Yielder<int>& inner) { Run(inner, log, depth + 1); });
      while (std::optional<int> value = next.Resume()) yielder.Suspend(*value);
    }
  };
  {
    auto gen = MakeGenerator<int>(NewStack(),
                                  [&log](Yielder<int>& yielder) { Chain::Run(yielder, &log, 1); });
    EXPECT_THAT(gen.Resume(), Optional(5));
  }
  EXPECT_THAT(log, ElementsAre("5 1", "4 1", "3 1", "2 1", "1 1"));
}

// --- Obstacles -----------------------------------------------------------------------------------

// `exit` runs the destructors of static objects on the stack of the body that has called it.
TEST(DestructionDeathTest, ExitInTheBodyOfAStaticGeneratorLeavesIt) {
#if FRINGE_ASAN
  GTEST_SKIP() << "LeakSanitizer does not see the frames below main if exit runs on another stack";
#elif defined(_WIN32)
  GTEST_SKIP() << "on Windows fringe cannot tell that exit was called";
#elif defined(__arm__) || defined(__mips__) || defined(__riscv)
  GTEST_SKIP() << "Debian's C library for this CPU has no unwind tables, which would show exit";
#endif
  auto run = [] {
    static Generator<int, void, TestStack> inner =
        MakeGenerator<int>(NewStack(), [](Yielder<int>&) { std::exit(7); });
    static Generator<int, void, TestStack> outer =
        MakeGenerator<int>(NewStack(), [](Yielder<int>&) { (void)inner.Resume(); });
    (void)outer.Resume();
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(7), "");
}

// No exception may leave a `noexcept` function, and unwinding would violate that. So a generator
// that is suspended below one must be run to its end or abandoned with `UnsafeUnwrap`.
TEST(DestructionDeathTest, NoexceptFunctionOnTheWayTerminates) {
  auto run = [] {
    std::set_terminate([] {
      std::fprintf(stderr, "terminated\n");
      std::abort();
    });
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      auto strict = [&yielder]() noexcept { yielder.Suspend(1); };
      strict();
    });
    gen.Resume();
  };
  EXPECT_DEATH(run(), HasSubstr("terminated\n"));
}

// Destructors are `noexcept` by default.
TEST(DestructionDeathTest, SuspendedInADestructorTerminates) {
  auto run = [] {
    std::set_terminate([] {
      std::fprintf(stderr, "terminated\n");
      std::abort();
    });
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      const Finally suspend([&yielder] { yielder.Suspend(1); });
    });
    gen.Resume();
  };
  EXPECT_DEATH(run(), HasSubstr("terminated\n"));
}

// A `noexcept` function that handles the exception is no obstacle.
TEST(DestructionTest, NoexceptFunctionThatSwallowsAndReturns) {
  std::vector<std::string> log;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&log](Yielder<int>& yielder) {
      const Logs outer(&log, "outer");
      auto strict = [&yielder]() noexcept {
        try {
          yielder.Suspend(1);
        } catch (...) {
        }
      };
      strict();
      log.push_back("after");
    });
    gen.Resume();
  }
  EXPECT_THAT(log, ElementsAre("after", "outer 0"));
}

// --- Abandoning ----------------------------------------------------------------------------------

TEST(DestructionTest, UnsafeUnwrapRunsNoDestructor) {
  std::vector<std::string> log;
  TestStack stack = NewStack();
  {
    auto gen = MakeGenerator<int>(std::move(stack), [&log](Yielder<int>& yielder) {
      const Logs local(&log, "local");
      try {
        throw 1;
      } catch (int) {
        yielder.Suspend(1);
      }
    });
#if FRINGE_ASAN
    __lsan_disable();  // the exception that is being handled is leaked too
#endif
    gen.Resume();
#if FRINGE_ASAN
    __lsan_enable();
#endif
    stack = std::move(gen).UnsafeUnwrap();
  }
  EXPECT_THAT(log, IsEmpty());
  EXPECT_EQ(std::current_exception(), nullptr);
  // The stack can be used again.
  {
    auto gen = MakeGenerator<int>(std::move(stack), [&log](Yielder<int>& yielder) {
      const Logs local(&log, "next");
      yielder.Suspend(std::current_exception() == nullptr ? 2 : -1);
    });
    EXPECT_THAT(gen.Resume(), Optional(2));
  }
  EXPECT_THAT(log, ElementsAre("next 1"));
}

}  // namespace
}  // namespace fringe

#endif  // FRINGE_EXCEPTIONS
