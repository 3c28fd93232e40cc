// Generators that move from thread to thread.

#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/support/new_stack.h"

#if FRINGE_EXCEPTIONS
#include <exception>
#endif

namespace fringe {
namespace {

using ::testing::ElementsAre;
using ::testing::ExitedWithCode;
using ::testing::HasSubstr;
using testing::NewStack;
using ::testing::Optional;
using testing::TestStack;

using IntGenerator = Generator<int, void, TestStack>;

// A number per thread, zero until it is set. docs/threads.md shows these functions as the safe way
// to use a thread-local variable in a generator. A compiler can neither inline them nor assume that
// their results are equal.
thread_local int thread_number = 0;

[[gnu::noinline]] int ThreadNumber() {
  asm volatile("");
  return thread_number;
}

[[gnu::noinline]] void SetThreadNumber(int number) {
  asm volatile("");
  thread_number = number;
}

// A value that passes from thread to thread. Each thread waits for its turn.
class Turn {
 public:
  void WaitFor(int turn) {
    for (int seen = turn_.load(std::memory_order_acquire); seen != turn;
         seen = turn_.load(std::memory_order_acquire)) {
#if defined(_WIN32)
      std::this_thread::yield();  // std::atomic::wait of GCC 12 misses notifications there
#else
      turn_.wait(seen, std::memory_order_acquire);
#endif
    }
  }
  void Set(int turn) {
    turn_.store(turn, std::memory_order_release);
    turn_.notify_all();
  }

 private:
  std::atomic<int> turn_ = 0;
};

// --- Hand-over -----------------------------------------------------------------------------------

TEST(ThreadTest, CreatedResumedAndDestroyedOnDifferentThreads) {
  std::optional<IntGenerator> gen;
  std::thread([&gen] {
    gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      for (;;) yielder.Suspend(ThreadNumber());
    });
  }).join();
  for (int i = 1; i < 20; ++i) {
    std::thread([&gen, i] {
      SetThreadNumber(i);
      EXPECT_THAT(gen->Resume(), Optional(i));
    }).join();
  }
#if FRINGE_EXCEPTIONS
  std::thread([&gen] { gen.reset(); }).join();
#else
  (void)std::move(*gen).UnsafeUnwrap();
#endif
}

// No lock: only the turn orders the resumes. One thread writes to the body's frame and the next
// reads it.
TEST(ThreadTest, HandedOverByAnAtomic) {
  constexpr int kRounds = 2000;
  constexpr int kThreads = 3;
  int in_frame = 0;
  auto gen = MakeGenerator<int>(NewStack(), [&in_frame](Yielder<int>& yielder) {
    std::array<int, 8> frame = {};
    for (int i = 0; i < kRounds * kThreads; ++i) {
      EXPECT_EQ(frame[static_cast<size_t>(i) % 8], i < 8 ? 0 : i - 8);
      frame[static_cast<size_t>(i) % 8] = i;
      in_frame = i;
      yielder.Suspend(ThreadNumber());
    }
  });
  Turn turn;
  auto work = [&](int number) {
    SetThreadNumber(number + 1);
    for (int round = 0; round < kRounds; ++round) {
      const int mine = round * kThreads + number;
      turn.WaitFor(mine);
      EXPECT_THAT(gen.Resume(), Optional(number + 1));
      EXPECT_EQ(in_frame, mine);
      turn.Set(mine + 1);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

// Generators move into and out of a queue, as in a scheduler.
TEST(ThreadTest, HandedOverByAQueueUnderAMutex) {
  constexpr int kGenerators = 16;
  constexpr int kSteps = 500;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<IntGenerator> queue;
  int unfinished = kGenerators;
  std::atomic<int> steps = 0;
  for (int id = 0; id < kGenerators; ++id) {
    queue.push_back(MakeGenerator<int>(NewStack(), [&steps](Yielder<int>& yielder) {
      for (int i = 0; i < kSteps; ++i) {
        steps.fetch_add(1, std::memory_order_relaxed);
        yielder.Suspend(i);
      }
    }));
  }
  auto work = [&] {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return !queue.empty() || unfinished == 0; });
      if (unfinished == 0) return;
      IntGenerator gen = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      const bool goes_on = gen.Resume().has_value();
      lock.lock();
      if (goes_on) {
        queue.push_back(std::move(gen));
        changed.notify_one();
      } else if (--unfinished == 0) {
        changed.notify_all();
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(steps.load(), kGenerators * kSteps);
}

// A generator resumes another, and both move. The inner one returns to the current thread of its
// resumer.
TEST(ThreadTest, GeneratorsInsideOneAnotherMoveTogether) {
  auto outer = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    auto inner = MakeGenerator<int>(NewStack(), [](Yielder<int>& inner_yielder) {
      for (int i = 0; i < 10; ++i) inner_yielder.Suspend(ThreadNumber());
    });
    while (std::optional<int> number = inner.Resume()) {
      EXPECT_EQ(*number, ThreadNumber());
      yielder.Suspend(*number);
    }
  });
  for (int i = 1; i <= 10; ++i) {
    std::thread([&outer, i] {
      SetThreadNumber(i);
      EXPECT_THAT(outer.Resume(), Optional(i));
    }).join();
  }
  EXPECT_EQ(outer.Resume(), std::nullopt);
}

#if FRINGE_EXCEPTIONS

// --- The library's thread-local variable ---------------------------------------------------------
//
// `Resume` uses the exception state of the current thread. A body may resume another generator in a
// loop, and be moved to another thread in between. A compiler that treats the address of the state
// as constant would then use the wrong thread's. A scene has such a generator, and a thread that
// keeps its own exception state constant.

// Returns: the number that is being handled, or -1.
[[gnu::noinline]] int HandledNumber() {
  if (std::current_exception() == nullptr) return -1;
  try {
    throw;
  } catch (int number) {
    return number;
  }
}

// Runs `first` on this thread and `second` on another. They take turns. Each keeps its position, in
// a handler or not, while the other runs.
template <typename First, typename Second>
void RunOnTwoThreads(First first, Second second) {
  Turn turn;
  std::thread other([&] { second(turn); });
  first(turn);
  other.join();
}

// The form of the outer generator. Compilers treat a constant in a loop differently from one in
// consecutive statements.
enum class Shape { kLoop, kStraight };

// A generator that resumes another at each step. `handles` selects the steps at which it is in its
// own handler when it suspends.
class Nest {
 public:
  static constexpr int kSteps = 6;
  using Handles = std::array<bool, kSteps>;

  explicit Nest(const Handles& handles) : handles_(handles) {}

  IntGenerator Make(Shape shape) {
    return MakeGenerator<int>(NewStack(), [this, shape](Yielder<int>& yielder) {
      auto inner = MakeGenerator<int>(NewStack(), [this](Yielder<int>& y) { Inner(y); });
      if (shape == Shape::kLoop) {
        while (const std::optional<int> value = inner.Resume()) {
          // The inner generator's exception is not visible here.
          yielder.Suspend(HandledNumber() == -1 ? *value : -100);
        }
      } else {
        Straight(yielder, inner);
        EXPECT_EQ(inner.Resume(), std::nullopt);
      }
    });
  }

 private:
  void Inner(Yielder<int>& yielder) const {
    for (const bool handle : handles_) {
      if (!handle) {
        yielder.Suspend(HandledNumber());
        continue;
      }
      try {
        throw 7;
      } catch (int) {
        yielder.Suspend(HandledNumber());
      }
    }
  }

  static void Straight(Yielder<int>& yielder, IntGenerator& inner) {
    int value = inner.Resume().value_or(-200);
    yielder.Suspend(HandledNumber() == -1 ? value : -100);
    value = inner.Resume().value_or(-200);
    yielder.Suspend(HandledNumber() == -1 ? value : -100);
    value = inner.Resume().value_or(-200);
    yielder.Suspend(HandledNumber() == -1 ? value : -100);
    value = inner.Resume().value_or(-200);
    yielder.Suspend(HandledNumber() == -1 ? value : -100);
    value = inner.Resume().value_or(-200);
    yielder.Suspend(HandledNumber() == -1 ? value : -100);
    value = inner.Resume().value_or(-200);
    yielder.Suspend(HandledNumber() == -1 ? value : -100);
  }

  Handles handles_;
};

class ThreadLocalTest : public ::testing::TestWithParam<Shape> {};

INSTANTIATE_TEST_SUITE_P(Shapes, ThreadLocalTest, ::testing::Values(Shape::kLoop, Shape::kStraight),
                         [](const auto& instance) {
                           return instance.param == Shape::kLoop ? "Loop" : "Straight";
                         });

// The old thread handles nothing. The new thread continues from a generator that is in a handler.
TEST_P(ThreadLocalTest, HandlerIsSetAsideOnTheThreadOfNow) {
  Nest nest({false, false, true, false, true, false});
  auto gen = nest.Make(GetParam());
  RunOnTwoThreads(
      [&](Turn& turn) {
        EXPECT_THAT(gen.Resume(), Optional(-1));
        EXPECT_THAT(gen.Resume(), Optional(-1));
        turn.Set(1);
        turn.WaitFor(2);
        EXPECT_EQ(HandledNumber(), -1);
        EXPECT_THAT(gen.Resume(), Optional(-1));
        EXPECT_EQ(HandledNumber(), -1);
        EXPECT_THAT(gen.Resume(), Optional(7));
        EXPECT_EQ(HandledNumber(), -1);
        EXPECT_THAT(gen.Resume(), Optional(-1));
        EXPECT_EQ(gen.Resume(), std::nullopt);
      },
      [&](Turn& turn) {
        turn.WaitFor(1);
        EXPECT_THAT(gen.Resume(), Optional(7));
        EXPECT_EQ(HandledNumber(), -1);
        turn.Set(2);
      });
}

// The old thread is in a handler, and the new one is not.
TEST_P(ThreadLocalTest, HandlerOfTheThreadLeftBehindStays) {
  Nest nest({});
  auto gen = nest.Make(GetParam());
  RunOnTwoThreads(
      [&](Turn& turn) {
        EXPECT_THAT(gen.Resume(), Optional(-1));
        EXPECT_THAT(gen.Resume(), Optional(-1));
        try {
          throw 1;
        } catch (int) {
          turn.Set(1);
          turn.WaitFor(2);
          EXPECT_EQ(HandledNumber(), 1);
          EXPECT_THAT(gen.Resume(), Optional(-1));
          EXPECT_EQ(HandledNumber(), 1);
        }
        EXPECT_EQ(HandledNumber(), -1);
        EXPECT_THAT(gen.Resume(), Optional(-1));
        EXPECT_EQ(gen.Resume(), std::nullopt);
      },
      [&](Turn& turn) {
        turn.WaitFor(1);
        EXPECT_THAT(gen.Resume(), Optional(-1));
        EXPECT_THAT(gen.Resume(), Optional(-1));
        turn.Set(2);
      });
}

// Both threads are in handlers, and the inner generator too.
TEST_P(ThreadLocalTest, EachThreadKeepsItsHandler) {
  Nest nest({true, true, true, true, true, true});
  auto gen = nest.Make(GetParam());
  RunOnTwoThreads(
      [&](Turn& turn) {
        try {
          throw 1;
        } catch (int) {
          EXPECT_THAT(gen.Resume(), Optional(7));
          EXPECT_EQ(HandledNumber(), 1);
          turn.Set(1);
          turn.WaitFor(2);
          EXPECT_EQ(HandledNumber(), 1);
          EXPECT_THAT(gen.Resume(), Optional(7));
          EXPECT_EQ(HandledNumber(), 1);
          turn.Set(3);
          turn.WaitFor(4);
        }
        EXPECT_EQ(HandledNumber(), -1);
        EXPECT_THAT(gen.Resume(), Optional(7));
        EXPECT_THAT(gen.Resume(), Optional(7));
        EXPECT_EQ(gen.Resume(), std::nullopt);
      },
      [&](Turn& turn) {
        turn.WaitFor(1);
        try {
          throw 2;
        } catch (int) {
          EXPECT_THAT(gen.Resume(), Optional(7));
          EXPECT_EQ(HandledNumber(), 2);
          turn.Set(2);
          turn.WaitFor(3);
          EXPECT_EQ(HandledNumber(), 2);
          EXPECT_THAT(gen.Resume(), Optional(7));
          EXPECT_EQ(HandledNumber(), 2);
          turn.Set(4);
        }
        EXPECT_EQ(HandledNumber(), -1);
      });
}

// A thread whose memory was released.
TEST_P(ThreadLocalTest, ThreadLeftBehindMayEnd) {
  Nest nest({true, true, true, true, true, true});
  auto gen = nest.Make(GetParam());
  for (int i = 0; i < Nest::kSteps; ++i) {
    std::thread([&gen] {
      EXPECT_THAT(gen.Resume(), Optional(7));
      EXPECT_EQ(HandledNumber(), -1);
    }).join();
  }
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

#else

TEST(ThreadLocalTest, ExceptionsAreOff) {
  GTEST_SKIP() << "compiled with -fno-exceptions: the library has no thread-local to use";
}

#endif  // FRINGE_EXCEPTIONS

// --- Two threads at once -------------------------------------------------------------------------

// Resumes a generator on another thread, where it never leaves its body. Calls `then` with it once
// it is there.
template <typename F>
void WhileItRunsElsewhere(F then) {
  // Not std::latch, whose std::atomic::wait misses notifications with MinGW's GCC 12.
  std::promise<void> entered;
  std::promise<void> never;
  auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    yielder.Suspend(1);
    entered.set_value();
    never.get_future().wait();
  });
  (void)gen.Resume();
  std::thread other([&gen] { (void)gen.Resume(); });
  entered.get_future().wait();
  then(gen);
  std::_Exit(0);
}

TEST(ThreadDeathTest, ResumedFromTwoThreadsAtOnce) {
  constexpr char kSentence[] =
      "fringe: a running generator cannot be resumed, by itself or by a generator it has "
      "resumed.\n";
  EXPECT_DEATH(WhileItRunsElsewhere([](IntGenerator& gen) { (void)gen.Resume(); }),
               HasSubstr(kSentence));
  // By a thread that has never resumed a generator before.
  EXPECT_DEATH(WhileItRunsElsewhere(
                   [](IntGenerator& gen) { std::thread([&gen] { (void)gen.Resume(); }).join(); }),
               HasSubstr(kSentence));
#if FRINGE_EXCEPTIONS
  // In a handler.
  EXPECT_DEATH(WhileItRunsElsewhere([](IntGenerator& gen) {
                 try {
                   throw 1;
                 } catch (int) {
                   (void)gen.Resume();
                 }
               }),
               HasSubstr(kSentence));
#endif
}

TEST(ThreadDeathTest, DestroyedOnOneThreadWhileItRunsOnAnother) {
  EXPECT_DEATH(WhileItRunsElsewhere([](IntGenerator& gen) { std::destroy_at(&gen); }),
               HasSubstr("fringe: a generator cannot be destroyed"));
}

// --- The end of a thread inside a generator ------------------------------------------------------

#if FRINGE_EXCEPTIONS

#if defined(_WIN32)

TEST(ThreadTest, PthreadExitInABodyUnwindsTheResumerToo) {
  GTEST_SKIP() << "Windows does not unwind a thread that ends";
}

#elif defined(__GLIBCXX__) && !FRINGE_TSAN

// The C library unwinds the thread: first the body, then the resumer.
TEST(ThreadTest, PthreadExitInABodyUnwindsTheResumerToo) {
  static std::vector<std::string> destroyed;
  struct Named {
    ~Named() { destroyed.emplace_back(name); }
    const char* name;
  };
  destroyed.clear();
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, nullptr,
                [](void*) -> void* {
                  Named resumer{"resumer"};
                  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
                    Named body{"body"};
                    yielder.Suspend(1);
                    pthread_exit(&destroyed);
                  });
                  EXPECT_EQ(gen.Resume(), 1);
                  (void)gen.Resume();
                  return nullptr;
                },
                nullptr),
            0);
  void* result = nullptr;
  ASSERT_EQ(pthread_join(thread, &result), 0);
  EXPECT_EQ(result, &destroyed);
  EXPECT_THAT(destroyed, ElementsAre("body", "resumer"));
}

#else

// LLVM's runtime does not catch the end of a thread, and ThreadSanitizer ends the program with a
// check of its own. docs/threads.md describes this.
TEST(ThreadDeathTest, PthreadExitInABodyIsFatal) {
  auto run = [] {
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>&) { pthread_exit(nullptr); });
    std::thread([&gen] { (void)gen.Resume(); }).join();
  };
  EXPECT_DEATH(run(), "");
}

#endif

#endif  // FRINGE_EXCEPTIONS

// --- Reports of ThreadSanitizer ------------------------------------------------------------------

#if FRINGE_TSAN

// Runs `first` and then `second` on two threads, in this order in time, but without synchronisation
// between their memory accesses.
template <typename First, typename Second>
[[noreturn]] void RunUnordered(First first, Second second) {
  std::atomic<bool> done = false;
  std::thread one([&] {
    first();
    done.store(true, std::memory_order_relaxed);
  });
  std::thread two([&] {
    while (!done.load(std::memory_order_relaxed)) std::this_thread::yield();
    second();
  });
  one.join();
  two.join();
  std::exit(0);  // TSan changes the status to 66 if it has reported an error
}

TEST(ThreadSanitizerDeathTest, UnorderedHandOverIsReported) {
  auto run = [] {
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      for (;;) yielder.Suspend(1);
    });
    RunUnordered([&gen] { (void)gen.Resume(); }, [&gen] { (void)gen.Resume(); });
  };
  EXPECT_EXIT(run(), ExitedWithCode(66), HasSubstr("WARNING: ThreadSanitizer: data race"));
}

TEST(ThreadSanitizerDeathTest, RaceBetweenTheBodiesOfTwoGeneratorsIsReported) {
  auto run = [] {
    int shared = 0;
    auto body = [&shared](Yielder<int>& yielder) {
      for (;;) yielder.Suspend(++shared);
    };
    auto first = MakeGenerator<int>(NewStack(), body);
    auto second = MakeGenerator<int>(NewStack(), body);
    RunUnordered([&first] { (void)first.Resume(); }, [&second] { (void)second.Resume(); });
  };
  EXPECT_EXIT(run(), ExitedWithCode(66), HasSubstr("WARNING: ThreadSanitizer: data race"));
}

#endif  // FRINGE_TSAN

}  // namespace
}  // namespace fringe
