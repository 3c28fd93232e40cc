// Exceptions that leave a generator or pass through it, and the unwinding of a generator that is
// destroyed before its end.

#include "fringe/config.h"
#include "gtest/gtest.h"

#if !FRINGE_EXCEPTIONS

TEST(GeneratorExceptionTest, ExceptionsAreOff) {
  GTEST_SKIP() << "compiled with -fno-exceptions: there is nothing to throw";
}

#else

#include <array>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "testing/support/finally.h"
#include "testing/support/new_stack.h"

#if FRINGE_MEMORY_STACKS
#include "stacks/malloc_stack.h"
#include "stacks/span_stack.h"
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

// A non-standard exception type with a payload.
struct Trouble {
  int number;
  std::unique_ptr<std::string> text;

  Trouble(int n, std::string t) : number(n), text(std::make_unique<std::string>(std::move(t))) {}
  // `throw` requires a copy constructor. `copies` shows that nothing else uses it.
  Trouble(const Trouble& other)
      : number(other.number), text(std::make_unique<std::string>(*other.text)) {
    ++copies;
  }
  Trouble& operator=(const Trouble&) = delete;

  static inline int copies = 0;
};

// Adds its name to `*log` when it is destroyed.
class Logs {
 public:
  Logs(std::vector<std::string>* log, std::string name) : log_(log), name_(std::move(name)) {}
  Logs(Logs&& other) noexcept
      : log_(std::exchange(other.log_, nullptr)), name_(std::move(other.name_)) {}
  Logs& operator=(Logs&&) = delete;
  ~Logs() {
    if (log_ != nullptr) log_->push_back(name_);
  }

 private:
  std::vector<std::string>* log_;
  std::string name_;
};

// --- Out of Resume -------------------------------------------------------------------------------

TEST(GeneratorExceptionTest, LeavesTheFirstResume) {
  auto gen = MakeGenerator<int>(NewStack(), [](auto&) { throw Trouble(7, "at once"); });
  try {
    gen.Resume();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Trouble& trouble) {
    EXPECT_EQ(trouble.number, 7);
    EXPECT_EQ(*trouble.text, "at once");
  }
}

TEST(GeneratorExceptionTest, LeavesTheResumeAfterASwitch) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    yielder.Suspend(1);
    yielder.Suspend(2);
    throw std::out_of_range("after two");
  });
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_THROW(gen.Resume(), std::out_of_range);
}

TEST(GeneratorExceptionTest, IsTheSameObject) {
  const void* thrown = nullptr;
  Trouble::copies = 0;
  auto gen = MakeGenerator<int>(NewStack(), [&thrown](auto&) {
    try {
      throw Trouble(1, "one");
    } catch (Trouble& trouble) {
      thrown = &trouble;
      trouble.number = 2;
      throw;
    }
  });
  try {
    gen.Resume();
    ADD_FAILURE() << "nothing was thrown";
  } catch (Trouble& trouble) {
    EXPECT_EQ(&trouble, thrown);
    EXPECT_EQ(trouble.number, 2);
  }
  EXPECT_EQ(Trouble::copies, 0);
}

TEST(GeneratorExceptionTest, MayBeOfAnyType) {
  auto gen = MakeGenerator<int>(NewStack(), [](auto&) { throw 42; });
  try {
    gen.Resume();
    ADD_FAILURE() << "nothing was thrown";
  } catch (int number) {
    EXPECT_EQ(number, 42);
  }
}

TEST(GeneratorExceptionTest, MakesTheGeneratorUnavailable) {
  auto gen = MakeGenerator<int>(NewStack(), [](auto&) { throw Trouble(1, "one"); });
  EXPECT_THROW(gen.Resume(), Trouble);
  EXPECT_EQ(gen.state(), State::kUnavailable);
  // It is thrown only once.
  EXPECT_EQ(gen.Resume(), std::nullopt);
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorExceptionTest, UnwrapAfterwardsGivesTheStackBackForAnother) {
  TestStack stack = NewStack();
  std::byte* const base = stack.base();
  auto gen = MakeGenerator<int>(std::move(stack), [](auto&) { throw Trouble(1, "one"); });
  EXPECT_THROW(gen.Resume(), Trouble);
  stack = std::move(gen).Unwrap();
  EXPECT_EQ(stack.base(), base);
  auto next = MakeGenerator<int>(std::move(stack), [](auto& yielder) { yielder.Suspend(1); });
  EXPECT_THAT(next.Resume(), Optional(1));
  EXPECT_EQ(next.Resume(), std::nullopt);
}

TEST(GeneratorExceptionTest, DestroysTheFramesAndTheBodyBeforeItLeavesResume) {
  std::vector<std::string> log;
  auto gen = MakeGenerator<int>(NewStack(), [body = Logs(&log, "body"), &log](auto&) {
    const Logs outer(&log, "outer");
    const Logs inner(&log, "inner");
    throw Trouble(1, "one");
  });
  try {
    gen.Resume();
  } catch (const Trouble&) {
    log.push_back("caught");
  }
  EXPECT_THAT(log, ElementsAre("inner", "outer", "body", "caught"));
}

TEST(GeneratorExceptionTest, PassesThroughGeneratorsInsideOneAnother) {
  std::vector<std::string> log;
  auto gen = MakeGenerator<int>(NewStack(), [&log](auto&) {
    const Logs outer(&log, "outer");
    auto inner = MakeGenerator<int>(NewStack(), [&log](auto&) {
      const Logs local(&log, "inner");
      throw Trouble(3, "three");
    });
    inner.Resume();
    log.push_back("not reached");
  });
  try {
    gen.Resume();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Trouble& trouble) {
    EXPECT_EQ(*trouble.text, "three");
  }
  EXPECT_THAT(log, ElementsAre("inner", "outer"));
}

TEST(GeneratorExceptionTest, ThrownAndCaughtInsideDoesNotShow) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    for (int i = 0; i < 3; ++i) {
      try {
        throw i;
      } catch (int number) {
        yielder.Suspend(number);
      }
    }
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(gen.Resume(), Optional(i));
    EXPECT_EQ(std::current_exception(), nullptr);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  }
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorExceptionTest, IsThrownFromTheIterator) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    yielder.Suspend(1);
    throw Trouble(1, "one");
  });
  std::vector<int> values;
  EXPECT_THROW(
      {
        for (int i : gen) values.push_back(i);
      },
      Trouble);
  EXPECT_THAT(values, ElementsAre(1));
}

TEST(GeneratorExceptionTest, InputOfTheResumeThatThrowsIsDroppedOnce) {
  auto shared = std::make_shared<int>(1);
  auto gen = MakeGenerator<int, std::shared_ptr<int>>(
      NewStack(), [](auto&, std::shared_ptr<int>) { throw Trouble(1, "one"); });
  EXPECT_THROW(gen.Resume(shared), Trouble);
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(GeneratorExceptionTest, ThrowingMoveOfAnOutputLeavesTheGeneratorSuspended) {
  struct Fickle {
    explicit Fickle(bool t) : throws(t) {}
    Fickle(Fickle&& other) : throws(other.throws) {
      if (throws) throw Trouble(1, "moved");
    }
    bool throws;
  };
  auto gen = MakeGenerator<Fickle>(NewStack(), [](Yielder<Fickle>& yielder) {
    yielder.Suspend(Fickle(true));
    yielder.Suspend(Fickle(false));
  });
  EXPECT_THROW(gen.Resume(), Trouble);
  EXPECT_EQ(gen.state(), State::kRunnable);
  EXPECT_TRUE(gen.Resume().has_value());
  EXPECT_FALSE(gen.Resume().has_value());
}

TEST(GeneratorExceptionTest, ThrowingMoveOfTheBodyReleasesTheStack) {
  struct Fickle {
    explicit Fickle(int* m) : moves(m) {}
    Fickle(Fickle&& other) : moves(other.moves) {
      if (++*moves == 3) throw Trouble(3, "moved");
    }
    void operator()(Yielder<int>&) const {}
    int* moves;
  };
  int moves = 0;
  EXPECT_THROW(MakeGenerator<int>(NewStack(), Fickle(&moves)), Trouble);
  EXPECT_EQ(moves, 3);
}

// --- Handlers on both sides ----------------------------------------------------------------------

TEST(GeneratorExceptionTest, ResumedInADestructorWhileAnotherPropagates) {
  std::vector<int> values;
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    try {
      throw 5;
    } catch (int number) {
      yielder.Suspend(number);
    }
    yielder.Suspend(6);
  });
  try {
    const Finally resume([&] {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      while (std::optional<int> value = gen.Resume()) {
        values.push_back(*value);
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      }
    });
    throw Trouble(1, "one");
  } catch (const Trouble& trouble) {
    EXPECT_EQ(*trouble.text, "one");
  }
  EXPECT_THAT(values, ElementsAre(5, 6));
  EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(GeneratorExceptionTest, ThrowsIntoADestructorThatCatchesWhileAnotherPropagates) {
  auto gen = MakeGenerator<int>(NewStack(), [](auto&) { throw Trouble(2, "two"); });
  bool caught = false;
  try {
    const Finally resume([&] {
      try {
        gen.Resume();
      } catch (const Trouble& trouble) {
        caught = trouble.number == 2;
      }
    });
    throw Trouble(1, "one");
  } catch (const Trouble& trouble) {
    EXPECT_EQ(trouble.number, 1);
  }
  EXPECT_TRUE(caught);
}

TEST(GeneratorExceptionTest, ResumersHandlerIsNotTheGenerators) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    EXPECT_EQ(std::current_exception(), nullptr);
    yielder.Suspend(1);
    EXPECT_EQ(std::current_exception(), nullptr);
  });
  try {
    throw Trouble(1, "one");
  } catch (const Trouble&) {
    EXPECT_THAT(gen.Resume(), Optional(1));
    EXPECT_EQ(gen.Resume(), std::nullopt);
    // Still the exception that is handled here.
    EXPECT_THROW(throw, Trouble);
  }
}

TEST(GeneratorExceptionTest, SuspendedInAHandlerRethrowsItsOwn) {
  auto body = [](int number) {
    return [number](Yielder<int>& yielder) {
      try {
        throw number;
      } catch (...) {
        yielder.Suspend(0);
        try {
          throw;
        } catch (int again) {
          yielder.Suspend(again);
        }
        throw;
      }
    };
  };
  std::vector<IntGenerator> gens;
  for (int i = 0; i < 10; ++i) gens.push_back(MakeGenerator<int>(NewStack(), body(i)));
  for (auto& gen : gens) EXPECT_THAT(gen.Resume(), Optional(0));
  // In a different order from the start.
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_THAT(gens[i * 7 % 10].Resume(), Optional(static_cast<int>(i * 7 % 10)));
  }
  for (size_t i = 0; i < 10; ++i) {
    try {
      gens[i * 3 % 10].Resume();
      ADD_FAILURE() << "nothing was thrown";
    } catch (int number) {
      EXPECT_EQ(number, static_cast<int>(i * 3 % 10));
    }
  }
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(GeneratorExceptionTest, SuspendsInADestructorDuringUnwinding) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      const Finally suspend([&yielder] {
        EXPECT_EQ(std::uncaught_exceptions(), 1);
        yielder.Suspend(1);
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      });
      throw Trouble(2, "two");
    } catch (const Trouble& trouble) {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      yielder.Suspend(trouble.number);
    }
  });
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

// --- Destruction before the end ------------------------------------------------------------------

// Suspends below `depth` calls. Each has a local with a destructor.
void Descend(Yielder<int>& yielder, std::vector<std::string>* log, int depth) {
  const Logs local(log, std::to_string(depth));
  if (depth == 3) {
    yielder.Suspend(depth);
    log->push_back("not reached");
    return;
  }
  Descend(yielder, log, depth + 1);
}

TEST(GeneratorDestructionTest, RunsEveryDestructorInOrder) {
  std::vector<std::string> log;
  {
    auto gen = MakeGenerator<int>(
        NewStack(),
        [body = Logs(&log, "body"), &log](Yielder<int>& yielder) { Descend(yielder, &log, 1); });
    EXPECT_THAT(gen.Resume(), Optional(3));
    EXPECT_THAT(log, IsEmpty());
  }
  EXPECT_THAT(log, ElementsAre("3", "2", "1", "body"));
}

TEST(GeneratorDestructionTest, UnwindsOnItsOwnStackWithOneUncaught) {
  TestStack stack = NewStack();
  std::byte* const base = stack.base();
  std::byte* const limit = stack.limit();
  const void* frame = nullptr;
  int uncaught = 0;
  {
    auto gen = MakeGenerator<int>(std::move(stack), [&](Yielder<int>& yielder) {
      const Finally look([&] {
        frame = __builtin_frame_address(0);
        uncaught = std::uncaught_exceptions();
      });
      yielder.Suspend(1);
    });
    gen.Resume();
  }
  EXPECT_GE(frame, limit);
  EXPECT_LT(frame, base);
  EXPECT_EQ(uncaught, 1);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(GeneratorDestructionTest, NeverStartedIsDestroyedWithoutRunning) {
  std::vector<std::string> log;
  {
    auto gen = MakeGenerator<int>(
        NewStack(), [body = Logs(&log, "body"), &log](auto&) { log.push_back("not reached"); });
  }
  EXPECT_THAT(log, ElementsAre("body"));
}

TEST(GeneratorDestructionTest, DropsTheValueThatWasSuspendedWithAndTheInput) {
  auto shared = std::make_shared<int>(1);
  {
    using Shared = std::shared_ptr<int>;
    auto gen = MakeGenerator<Shared, Shared>(
        NewStack(),
        [](Yielder<Shared, Shared>& yielder, const Shared& input) { yielder.Suspend(input); });
    const std::optional<Shared> output = gen.Resume(shared);
    // One here, one in the body's argument, and one in `output`.
    EXPECT_EQ(shared.use_count(), 3);
  }
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(GeneratorDestructionTest, MoveAssignmentOverAnUnfinishedOneUnwindsIt) {
  std::vector<std::string> log;
  auto body = [&log](std::string name) {
    return [&log, name](Yielder<int>& yielder) {
      const Logs local(&log, name);
      yielder.Suspend(1);
      yielder.Suspend(2);
    };
  };
  auto gen = MakeGenerator<int>(NewStack(), body("first"));
  gen.Resume();
  auto other = MakeGenerator<int>(NewStack(), body("second"));
  other.Resume();
  gen = std::move(other);
  EXPECT_THAT(log, ElementsAre("first"));
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(gen.Resume(), std::nullopt);
  EXPECT_THAT(log, ElementsAre("first", "second"));
}

TEST(GeneratorDestructionTest, InAVectorUnwindsEach) {
  std::vector<std::string> log;
  std::vector<IntGenerator> gens;
  for (int i = 0; i < 3; ++i) {
    gens.push_back(MakeGenerator<int>(NewStack(), [&log, i](Yielder<int>& yielder) {
      const Logs local(&log, std::to_string(i));
      yielder.Suspend(i);
    }));
    gens.back().Resume();
  }
  gens.erase(gens.begin() + 1);
  EXPECT_THAT(log, ElementsAre("1"));
  gens.clear();
  EXPECT_EQ(log.size(), 3u);
}

TEST(GeneratorDestructionTest, CatchAllThatRethrowsSeesIt) {
  std::vector<std::string> log;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&log](Yielder<int>& yielder) {
      const Logs outer(&log, "outer");
      try {
        const Logs inner(&log, "inner");
        yielder.Suspend(1);
      } catch (...) {
        log.push_back("catch");
        throw;
      }
      log.push_back("not reached");
    });
    gen.Resume();
  }
  EXPECT_THAT(log, ElementsAre("inner", "catch", "outer"));
}

TEST(GeneratorDestructionTest, IsNoStandardException) {
  std::vector<std::string> log;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&log](Yielder<int>& yielder) {
      try {
        yielder.Suspend(1);
      } catch (const std::exception&) {
        log.push_back("not reached");
      }
      log.push_back("not reached");
    });
    gen.Resume();
  }
  EXPECT_THAT(log, IsEmpty());
}

TEST(GeneratorDestructionTest, CatchAllThatSwallowsAndReturnsIsFine) {
  std::vector<std::string> log;
  {
    auto gen =
        MakeGenerator<int>(NewStack(), [body = Logs(&log, "body"), &log](Yielder<int>& yielder) {
          try {
            yielder.Suspend(1);
          } catch (...) {
            log.push_back("catch");
          }
          log.push_back("return");
        });
    gen.Resume();
  }
  EXPECT_THAT(log, ElementsAre("catch", "return", "body"));
}

TEST(GeneratorDestructionTest, CatchAllThatSuspendsAgainIsThrownAtAgain) {
  int thrown = 0;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&thrown](Yielder<int>& yielder) {
      while (thrown < 3) {
        try {
          yielder.Suspend(1);
        } catch (...) {
          ++thrown;
        }
      }
    });
    gen.Resume();
  }
  EXPECT_EQ(thrown, 3);
}

TEST(GeneratorDestructionTest, CatchAllThatSuspendsInsideTheHandlerIsThrownAtAgain) {
  std::vector<std::string> log;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&log](Yielder<int>& yielder) {
      try {
        yielder.Suspend(1);
      } catch (...) {
        const Logs local(&log, "local of the handler");
        yielder.Suspend(2);
        log.push_back("not reached");
      }
    });
    gen.Resume();
  }
  EXPECT_THAT(log, ElementsAre("local of the handler"));
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(GeneratorDestructionDeathTest, CatchAllThatSuspendsForEverIsFatal) {
  auto run = [](bool inside_handler) {
    auto gen = MakeGenerator<int>(NewStack(), [inside_handler](Yielder<int>& yielder) {
      for (;;) {
        try {
          for (;;) yielder.Suspend(1);
        } catch (...) {
          if (inside_handler) {
            try {
              yielder.Suspend(2);
            } catch (...) {
            }
          }
        }
      }
    });
    gen.Resume();
  };
  constexpr char kSentence[] =
      "fringe: a generator that is being destroyed cannot go on suspending: a catch (...) must "
      "rethrow, and a body must return when TrySuspend says so.\n";
  EXPECT_DEATH(run(false), HasSubstr(kSentence));
  EXPECT_DEATH(run(true), HasSubstr(kSentence));
}

TEST(GeneratorDestructionDeathTest, AnotherExceptionThatLeavesTheBodyTerminates) {
  auto run = [] {
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      try {
        yielder.Suspend(1);
      } catch (...) {
        throw std::runtime_error("out of an unwound body");
      }
    });
    gen.Resume();
  };
  EXPECT_DEATH(run(), HasSubstr("out of an unwound body"));
}

TEST(GeneratorDestructionTest, FromInsideAnotherGenerator) {
  std::vector<std::string> log;
  std::optional<IntGenerator> victim = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    const Logs local(&log, "victim");
    yielder.Suspend(1);
  });
  victim->Resume();
  auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    victim.reset();
    log.push_back("killer");
    yielder.Suspend(2);
  });
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_THAT(log, ElementsAre("victim", "killer"));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(GeneratorDestructionTest, UnwindsTheGeneratorsInItsFrames) {
  std::vector<std::string> log;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&log](Yielder<int>& yielder) {
      const Logs outer(&log, "outer");
      auto inner = MakeGenerator<int>(NewStack(), [&log](Yielder<int>& inner_yielder) {
        const Logs local(&log, "inner");
        inner_yielder.Suspend(1);
      });
      yielder.Suspend(*inner.Resume());
    });
    gen.Resume();
  }
  EXPECT_THAT(log, ElementsAre("inner", "outer"));
}

TEST(GeneratorDestructionTest, WhileAnotherExceptionPropagates) {
  std::vector<std::string> log;
  try {
    auto gen = MakeGenerator<int>(NewStack(), [&log](Yielder<int>& yielder) {
      const Logs outer(&log, "outer");
      try {
        yielder.Suspend(1);
      } catch (...) {
        log.push_back("catch");
        throw;
      }
    });
    gen.Resume();
    throw Trouble(9, "nine");
  } catch (const Trouble& trouble) {
    EXPECT_EQ(trouble.number, 9);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  }
  EXPECT_THAT(log, ElementsAre("catch", "outer"));
}

TEST(GeneratorDestructionTest, InsideAHandlerOfTheResumer) {
  std::vector<std::string> log;
  std::optional<IntGenerator> gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    try {
      throw 1;
    } catch (int) {
      const Logs local(&log, "in a handler");
      yielder.Suspend(1);
    }
  });
  gen->Resume();
  try {
    throw Trouble(4, "four");
  } catch (const Trouble&) {
    gen.reset();
    EXPECT_THROW(throw, Trouble);
  }
  EXPECT_THAT(log, ElementsAre("in a handler"));
}

TEST(GeneratorDestructionTest, OnAnotherThread) {
  std::vector<std::string> log;
  std::optional<IntGenerator> gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    const Logs local(&log, "local");
    yielder.Suspend(1);
  });
  gen->Resume();
  std::thread([&gen] { gen.reset(); }).join();
  EXPECT_THAT(log, ElementsAre("local"));
}

#if FRINGE_MEMORY_STACKS

TEST(GeneratorDestructionTest, OnAnUnguardedStack) {
  std::vector<std::string> log;
  {
    auto gen = Generator<int, void, MallocStack>::Unguarded(*MallocStack::Create(64 << 10),
                                                            [&log](Yielder<int>& yielder) {
                                                              const Logs local(&log, "local");
                                                              yielder.Suspend(1);
                                                            });
    gen.Resume();
  }
  EXPECT_THAT(log, ElementsAre("local"));
}

// Keeps the exception that unwinds a generator on `stack`, and throws it out of another generator
// on `other_stack`.
void KeepAndThrow(SpanStack stack, SpanStack other_stack) {
  using SpanGenerator = Generator<int, void, SpanStack>;
  std::exception_ptr kept;
  {
    auto gen = SpanGenerator::Unguarded(stack, [&kept](Yielder<int>& yielder) {
      try {
        yielder.Suspend(1);
      } catch (...) {
        kept = std::current_exception();
        throw;
      }
    });
    gen.Resume();
  }
  auto other =
      SpanGenerator::Unguarded(other_stack, [&kept](auto&) { std::rethrow_exception(kept); });
  EXPECT_ANY_THROW(other.Resume());
  EXPECT_EQ(other.state(), State::kUnavailable);
}

using Memory = std::array<std::byte, 64 << 10>;

TEST(GeneratorDestructionTest, KeptAndThrownInAnotherGeneratorLeavesItsResume) {
  const auto memory = std::make_unique<std::array<Memory, 2>>();
  KeepAndThrow(*SpanStack::Create((*memory)[0]), *SpanStack::Create((*memory)[1]));
}

// The second generator has the address of the first, and is not being destroyed.
TEST(GeneratorDestructionTest, KeptAndThrownInTheNextOnTheSameStackLeavesItsResume) {
  const auto memory = std::make_unique<Memory>();
  KeepAndThrow(*SpanStack::Create(*memory), *SpanStack::Create(*memory));
}

#else

FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorDestructionTest, OnAnUnguardedStack)
FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorDestructionTest,
                                  KeptAndThrownInAnotherGeneratorLeavesItsResume)
FRINGE_SKIP_WITHOUT_MEMORY_STACKS(GeneratorDestructionTest,
                                  KeptAndThrownInTheNextOnTheSameStackLeavesItsResume)

#endif  // FRINGE_MEMORY_STACKS

}  // namespace
}  // namespace fringe

#endif  // FRINGE_EXCEPTIONS
