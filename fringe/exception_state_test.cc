// Each generator has its own exception state. Its resumer does not see the exceptions that it
// handles or that are in flight in it, and it does not see the resumer's.

#include "fringe/config.h"
#include "gtest/gtest.h"

#if !FRINGE_EXCEPTIONS

TEST(ExceptionStateTest, ExceptionsAreOff) {
  GTEST_SKIP() << "compiled with -fno-exceptions: there is no exception state";
}

#else

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "testing/support/finally.h"
#include "testing/support/new_stack.h"

namespace fringe {
namespace {

using ::testing::HasSubstr;
using testing::NewStack;
using ::testing::Optional;
using testing::TestStack;
using testing::ThrowingFinally;

using IntGenerator = Generator<int, void, TestStack>;

// An exception with a number. Live exceptions are counted.
class Trouble {
 public:
  explicit Trouble(int number) : number_(number), self_(std::make_unique<int>(number)) { ++alive; }
  Trouble(const Trouble& other) : Trouble(other.number_) {}
  Trouble& operator=(const Trouble&) = delete;
  ~Trouble() { --alive; }

  // The number it was created with, read from the heap, so that ASan finds a use after free.
  int number() const { return *self_; }

  static inline int alive = 0;

 private:
  int number_;
  std::unique_ptr<int> self_;
};

// Returns: the number of the `Trouble` that is being handled, or -1.
int Handled() {
  if (std::current_exception() == nullptr) return -1;
  try {
    throw;
  } catch (const Trouble& trouble) {
    return trouble.number();
  } catch (...) {
    return -2;
  }
}

class ExceptionStateTest : public ::testing::Test {
 protected:
  void SetUp() override { Trouble::alive = 0; }
  void TearDown() override {
    EXPECT_EQ(Handled(), -1);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(Trouble::alive, 0);
  }
};

// --- Suspended in a handler ----------------------------------------------------------------------

TEST_F(ExceptionStateTest, ResumerSeesNothingOfTheGeneratorsHandler) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      yielder.Suspend(Handled());
      yielder.Suspend(Handled());
    }
    yielder.Suspend(Handled());
  });
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_EQ(Handled(), -1);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_EQ(Handled(), -1);
  EXPECT_EQ(Trouble::alive, 1);
  EXPECT_THAT(gen.Resume(), Optional(-1));
  EXPECT_EQ(Trouble::alive, 0);
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST_F(ExceptionStateTest, NestedHandlersAreLeftOneByOne) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      try {
        throw Trouble(2);
      } catch (const Trouble&) {
        try {
          throw Trouble(3);
        } catch (const Trouble&) {
          yielder.Suspend(Handled());
        }
        yielder.Suspend(Handled());
      }
      yielder.Suspend(Handled());
    }
    yielder.Suspend(Handled());
  });
  for (const int handled : {3, 2, 1, -1}) {
    EXPECT_THAT(gen.Resume(), Optional(handled));
    EXPECT_EQ(Handled(), -1);
    EXPECT_EQ(Trouble::alive, handled == -1 ? 0 : handled);
    // Exceptions that the resumer throws and catches between two resumes do not affect the
    // generator.
    EXPECT_THROW(throw Trouble(9), Trouble);
  }
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST_F(ExceptionStateTest, RethrowsItsOwnWhileTheResumerHandlesAnother) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      throw Trouble(1);
    } catch (...) {
      yielder.Suspend(0);
      try {
        throw;
      } catch (const Trouble& trouble) {
        yielder.Suspend(trouble.number());
      }
      throw;
    }
  });
  EXPECT_THAT(gen.Resume(), Optional(0));
  try {
    throw Trouble(2);
  } catch (const Trouble&) {
    EXPECT_THAT(gen.Resume(), Optional(1));
    EXPECT_EQ(Handled(), 2);
    try {
      gen.Resume();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Trouble& trouble) {
      EXPECT_EQ(trouble.number(), 1);
      EXPECT_EQ(Handled(), 1);
    }
    EXPECT_EQ(Handled(), 2);
  }
}

// The generator enters its handler while the resumer is in one and leaves it while the resumer is
// not, and the reverse.
TEST_F(ExceptionStateTest, HandlersOfBothSidesMayOverlap) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    for (int i = 0; i < 4; ++i) {
      yielder.Suspend(Handled());
      try {
        throw Trouble(i);
      } catch (const Trouble&) {
        yielder.Suspend(Handled());
      }
    }
  });
  EXPECT_THAT(gen.Resume(), Optional(-1));
  try {
    throw Trouble(10);
  } catch (const Trouble&) {
    EXPECT_THAT(gen.Resume(), Optional(0));
    EXPECT_EQ(Handled(), 10);
  }
  EXPECT_EQ(Handled(), -1);
  EXPECT_THAT(gen.Resume(), Optional(-1));
  EXPECT_THAT(gen.Resume(), Optional(1));
  try {
    throw Trouble(11);
  } catch (const Trouble&) {
    EXPECT_THAT(gen.Resume(), Optional(-1));
    EXPECT_EQ(Handled(), 11);
    EXPECT_THAT(gen.Resume(), Optional(2));
    try {
      throw Trouble(12);
    } catch (const Trouble&) {
      EXPECT_THAT(gen.Resume(), Optional(-1));
      EXPECT_EQ(Handled(), 12);
    }
    EXPECT_EQ(Handled(), 11);
    EXPECT_THAT(gen.Resume(), Optional(3));
  }
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

// --- Suspended and resumed while an exception is in flight ---------------------------------------

TEST_F(ExceptionStateTest, SuspendedInADestructorDuringUnwinding) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      const ThrowingFinally outer([&] {
        yielder.Suspend(std::uncaught_exceptions());
        try {
          const ThrowingFinally inner([&] { yielder.Suspend(std::uncaught_exceptions()); });
          throw Trouble(2);
        } catch (const Trouble& trouble) {
          EXPECT_EQ(trouble.number(), 2);
          yielder.Suspend(std::uncaught_exceptions());
        }
        yielder.Suspend(std::uncaught_exceptions());
      });
      throw Trouble(1);
    } catch (const Trouble& trouble) {
      EXPECT_EQ(trouble.number(), 1);
      yielder.Suspend(std::uncaught_exceptions());
    }
  });
  for (const int uncaught : {1, 2, 1, 1, 0}) {
    EXPECT_THAT(gen.Resume(), Optional(uncaught));
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(Handled(), -1);
    EXPECT_THROW(throw Trouble(9), Trouble);
  }
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST_F(ExceptionStateTest, ResumedFromADestructorDuringUnwinding) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    yielder.Suspend(std::uncaught_exceptions());
    try {
      const ThrowingFinally suspend([&] { yielder.Suspend(10 + std::uncaught_exceptions()); });
      throw Trouble(1);
    } catch (const Trouble&) {
      yielder.Suspend(20 + std::uncaught_exceptions());
    }
    yielder.Suspend(30 + std::uncaught_exceptions());
  });
  try {
    const ThrowingFinally outer([&] {
      EXPECT_THAT(gen.Resume(), Optional(0));
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      try {
        const ThrowingFinally inner([&] {
          EXPECT_THAT(gen.Resume(), Optional(11));
          EXPECT_EQ(std::uncaught_exceptions(), 2);
        });
        throw Trouble(3);
      } catch (const Trouble& trouble) {
        EXPECT_EQ(trouble.number(), 3);
        EXPECT_THAT(gen.Resume(), Optional(20));
        EXPECT_EQ(std::uncaught_exceptions(), 1);
        EXPECT_EQ(Handled(), 3);
      }
      EXPECT_THAT(gen.Resume(), Optional(30));
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    });
    throw Trouble(2);
  } catch (const Trouble& trouble) {
    EXPECT_EQ(trouble.number(), 2);
  }
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST_F(ExceptionStateTest, ThrownOutOfResumeInADestructorDuringUnwinding) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>&) { throw Trouble(1); });
  try {
    const ThrowingFinally resume([&] {
      try {
        const ThrowingFinally look([] { EXPECT_EQ(std::uncaught_exceptions(), 2); });
        gen.Resume();
      } catch (const Trouble& trouble) {
        EXPECT_EQ(trouble.number(), 1);
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      }
    });
    throw Trouble(2);
  } catch (const Trouble& trouble) {
    EXPECT_EQ(trouble.number(), 2);
  }
}

// A scope guard that uses the count to distinguish an exception from a return, as in many
// libraries.
TEST_F(ExceptionStateTest, ScopeGuardsByCountAreRightOnBothSides) {
  class OnFailure {
   public:
    explicit OnFailure(bool* failed) : failed_(failed) {}
    ~OnFailure() { *failed_ = std::uncaught_exceptions() > count_; }

   private:
    bool* failed_;
    int count_ = std::uncaught_exceptions();
  };
  bool first = true;
  bool second = false;
  bool resumers = true;
  auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    {
      const OnFailure guard(&first);
      yielder.Suspend(1);
    }
    try {
      const OnFailure guard(&second);
      yielder.Suspend(2);
      throw Trouble(1);
    } catch (const Trouble&) {
    }
    yielder.Suspend(3);
  });
  EXPECT_THAT(gen.Resume(), Optional(1));
  try {
    const ThrowingFinally resume([&] {
      const OnFailure guard(&resumers);
      EXPECT_THAT(gen.Resume(), Optional(2));
    });
    throw Trouble(2);
  } catch (const Trouble&) {
  }
  EXPECT_THAT(gen.Resume(), Optional(3));
  EXPECT_FALSE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(resumers);
}

// --- Generators that resume one another ----------------------------------------------------------

// Handles `depth`, resumes a generator that does the same one level deeper, and checks that it
// still handles its own exception.
void HandleAndResume(Yielder<int>& yielder, int depth) {
  EXPECT_EQ(Handled(), -1);
  try {
    throw Trouble(depth);
  } catch (const Trouble&) {
    if (depth == 0) {
      yielder.Suspend(Handled());
      yielder.Suspend(Handled());
      return;
    }
    auto next = MakeGenerator<int>(
        NewStack(), [depth](Yielder<int>& inner) { HandleAndResume(inner, depth - 1); });
    while (std::optional<int> value = next.Resume()) {
      EXPECT_EQ(*value, depth - 1);
      EXPECT_EQ(Handled(), depth);
      yielder.Suspend(Handled());
      EXPECT_EQ(Handled(), depth);
    }
    EXPECT_EQ(Handled(), depth);
  }
  EXPECT_EQ(Handled(), -1);
}

TEST_F(ExceptionStateTest, EachOfAChainKeepsItsOwn) {
  auto gen =
      MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) { HandleAndResume(yielder, 20); });
  EXPECT_THAT(gen.Resume(), Optional(20));
  EXPECT_EQ(Handled(), -1);
  EXPECT_THAT(gen.Resume(), Optional(20));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST_F(ExceptionStateTest, ExceptionPassesThroughAChainOfHandlers) {
  auto innermost = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      yielder.Suspend(1);
      throw;
    }
  });
  auto middle = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
    try {
      throw Trouble(2);
    } catch (const Trouble&) {
      yielder.Suspend(*innermost.Resume());
      try {
        innermost.Resume();
        ADD_FAILURE() << "nothing was thrown";
      } catch (const Trouble& trouble) {
        EXPECT_EQ(trouble.number(), 1);
        EXPECT_EQ(Handled(), 1);
        yielder.Suspend(Handled());
        EXPECT_EQ(Handled(), 1);
      }
      EXPECT_EQ(Handled(), 2);
      throw;
    }
  });
  EXPECT_THAT(middle.Resume(), Optional(1));
  EXPECT_THAT(middle.Resume(), Optional(1));
  EXPECT_EQ(Handled(), -1);
  try {
    middle.Resume();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Trouble& trouble) {
    EXPECT_EQ(trouble.number(), 2);
  }
}

// --- Many at once --------------------------------------------------------------------------------

// Enters handlers and unwinds at random, suspends in each, and checks the visible state after each.
class Wanderer {
 public:
  Wanderer(int id, unsigned seed) : id_(id), random_(seed) {}

  void operator()(Yielder<int>& yielder) {
    for (int i = 0; i < 12; ++i) Wander(yielder, 0, nullptr, 0);
  }

 private:
  void SuspendAndCheck(Yielder<int>& yielder, const std::exception_ptr& handled, int uncaught) {
    yielder.Suspend(id_);
    ASSERT_EQ(std::current_exception(), handled);
    ASSERT_EQ(std::uncaught_exceptions(), uncaught);
  }

  void Wander(Yielder<int>& yielder, int depth, const std::exception_ptr& handled, int uncaught) {
    SuspendAndCheck(yielder, handled, uncaught);
    if (depth == 4) return;
    switch (random_() % 4) {
      case 0:
        break;
      case 1:  // enters a handler and leaves it at its end
      case 2:  // ... or with `throw;`
        try {
          try {
            throw Number{id_, ++last_};
          } catch (const Number& number) {
            const std::exception_ptr mine = std::current_exception();
            const int expected = number.number;
            Wander(yielder, depth + 1, mine, uncaught);
            SuspendAndCheck(yielder, mine, uncaught);
            ASSERT_EQ(number.id, id_);
            ASSERT_EQ(number.number, expected);
            if (random_() % 2 == 0) throw;
          }
        } catch (const Number& number) {
          ASSERT_EQ(number.id, id_);
          const std::exception_ptr mine = std::current_exception();
          SuspendAndCheck(yielder, mine, uncaught);
        }
        break;
      case 3:  // runs a destructor while an exception is in flight
        try {
          const ThrowingFinally descend([&] { Wander(yielder, depth + 1, handled, uncaught + 1); });
          throw Number{id_, ++last_};
        } catch (const Number& number) {
          ASSERT_EQ(number.id, id_);
          SuspendAndCheck(yielder, std::current_exception(), uncaught);
        }
        break;
    }
    SuspendAndCheck(yielder, handled, uncaught);
  }

  struct Number {
    int id;
    int number;
  };

  int id_;
  int last_ = 0;
  std::minstd_rand random_;
};

// Resumes `gen` in the way that `way` selects: normally, in a handler, or in a destructor during
// unwinding.
std::optional<int> ResumeSomehow(IntGenerator& gen, unsigned way) {
  std::optional<int> result;
  switch (way % 3) {
    case 0:
      result = gen.Resume();
      EXPECT_EQ(std::current_exception(), nullptr);
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      break;
    case 1:
      try {
        throw static_cast<long>(way);
      } catch (long) {
        result = gen.Resume();
        try {
          throw;
        } catch (long mine) {
          EXPECT_EQ(mine, static_cast<long>(way));
        }
      }
      break;
    case 2:
      try {
        const ThrowingFinally resume([&] {
          result = gen.Resume();
          EXPECT_EQ(std::current_exception(), nullptr);
          EXPECT_EQ(std::uncaught_exceptions(), 1);
        });
        throw static_cast<long>(way);
      } catch (long mine) {
        EXPECT_EQ(mine, static_cast<long>(way));
      }
      break;
  }
  return result;
}

TEST_F(ExceptionStateTest, TenInterleavedAtRandom) {
  constexpr int kGenerators = 10;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed);
    std::vector<std::pair<int, IntGenerator>> gens;
    for (int id = 0; id < kGenerators; ++id) {
      gens.emplace_back(id, MakeGenerator<int>(NewStack(), Wanderer(id, seed * 100 + 7)));
    }
    while (!gens.empty()) {
      const size_t i = random() % gens.size();
      auto& [id, gen] = gens[i];
      const std::optional<int> value = ResumeSomehow(gen, static_cast<unsigned>(random()));
      if (value.has_value()) {
        ASSERT_EQ(*value, id);
      } else {
        if (i + 1 != gens.size()) gens[i] = std::move(gens.back());
        gens.pop_back();
      }
    }
  }
}

// Each resume may be on another thread. Each thread is in its own handlers.
TEST_F(ExceptionStateTest, TenMigratedBetweenThreads) {
  constexpr int kGenerators = 10;
  constexpr unsigned kThreads = 4;
  for (unsigned seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    std::mutex mutex;
    std::vector<IntGenerator> waiting;
    int unfinished = kGenerators;
    std::array<int, kThreads> resumes = {};
    for (int id = 0; id < kGenerators; ++id) {
      waiting.push_back(
          MakeGenerator<int>(NewStack(), Wanderer(id, seed * 1000 + static_cast<unsigned>(id))));
    }
    auto work = [&](unsigned thread) {
      std::minstd_rand random(seed * 10 + thread);
      for (;;) {
        std::optional<IntGenerator> gen;
        {
          const std::lock_guard<std::mutex> lock(mutex);
          if (unfinished == 0) return;
          if (!waiting.empty()) {
            std::swap(waiting.back(), waiting[random() % waiting.size()]);
            gen = std::move(waiting.back());
            waiting.pop_back();
          }
        }
        if (!gen.has_value()) {
          std::this_thread::yield();
          continue;
        }
        ++resumes[thread];
        const bool goes_on = ResumeSomehow(*gen, static_cast<unsigned>(random())).has_value();
        const std::lock_guard<std::mutex> lock(mutex);
        if (goes_on) {
          waiting.push_back(std::move(*gen));
        } else {
          --unfinished;
        }
      }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(waiting.empty());
  }
}

// As above, but each step is on another thread than the one before.
TEST_F(ExceptionStateTest, HandlerEnteredAndLeftOnDifferentThreads) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    yielder.Suspend(Handled());
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      yielder.Suspend(Handled());
      try {
        const ThrowingFinally suspend([&] { yielder.Suspend(std::uncaught_exceptions()); });
        throw Trouble(2);
      } catch (const Trouble&) {
        yielder.Suspend(Handled());
        throw;
      }
    }
  });
  auto elsewhere = [&gen] {
    std::optional<int> value;
    std::thread([&] {
      value = gen.Resume();
      EXPECT_EQ(Handled(), -1);
      EXPECT_EQ(std::uncaught_exceptions(), 0);
    }).join();
    EXPECT_EQ(Handled(), -1);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    return value;
  };
  EXPECT_THAT(elsewhere(), Optional(-1));
  EXPECT_THAT(elsewhere(), Optional(1));
  EXPECT_THAT(elsewhere(), Optional(1));
  EXPECT_THAT(elsewhere(), Optional(2));
  EXPECT_EQ(Trouble::alive, 2);
  std::thread([&gen] {
    try {
      gen.Resume();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Trouble& trouble) {
      EXPECT_EQ(trouble.number(), 2);
      EXPECT_EQ(Handled(), 2);
      EXPECT_EQ(Trouble::alive, 1);
    }
    EXPECT_EQ(Handled(), -1);
  }).join();
}

// --- Lifetime of exceptions ----------------------------------------------------------------------

TEST_F(ExceptionStateTest, LivesAsLongAsTheHandlerThatIsSuspended) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      yielder.Suspend(1);
    }
    yielder.Suspend(2);
  });
  gen.Resume();
  EXPECT_EQ(Trouble::alive, 1);
  EXPECT_THROW(throw Trouble(2), Trouble);
  EXPECT_EQ(Trouble::alive, 1);
  gen.Resume();
  EXPECT_EQ(Trouble::alive, 0);
}

TEST_F(ExceptionStateTest, DestroyedWithTheGeneratorThatHandlesIt) {
  {
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      try {
        throw Trouble(1);
      } catch (const Trouble&) {
        try {
          throw Trouble(2);
        } catch (const Trouble&) {
          yielder.Suspend(Handled());
        }
      }
    });
    EXPECT_THAT(gen.Resume(), Optional(2));
    EXPECT_EQ(Trouble::alive, 2);
  }
  EXPECT_EQ(Trouble::alive, 0);
}

TEST_F(ExceptionStateTest, DestroyedWhenTheResumersHandlerEnds) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>&) { throw Trouble(1); });
  try {
    gen.Resume();
  } catch (const Trouble&) {
    EXPECT_EQ(Trouble::alive, 1);
  }
  EXPECT_EQ(Trouble::alive, 0);
  EXPECT_EQ(gen.state(), State::kUnavailable);
}

TEST_F(ExceptionStateTest, PointerToItOutlivesHandlerAndGenerator) {
  std::exception_ptr kept;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&kept](Yielder<int>& yielder) {
      try {
        throw Trouble(1);
      } catch (const Trouble&) {
        kept = std::current_exception();
        yielder.Suspend(1);
      }
      yielder.Suspend(2);
    });
    gen.Resume();
    gen.Resume();
    EXPECT_EQ(Trouble::alive, 1);
  }
  EXPECT_EQ(Trouble::alive, 1);
  // Rethrown by the resumer, by another generator, and on another thread.
  EXPECT_THROW(std::rethrow_exception(kept), Trouble);
  auto other =
      MakeGenerator<int>(NewStack(), [&kept](Yielder<int>&) { std::rethrow_exception(kept); });
  std::thread([&other] { EXPECT_THROW(other.Resume(), Trouble); }).join();
  EXPECT_EQ(Trouble::alive, 1);
  kept = nullptr;
  EXPECT_EQ(Trouble::alive, 0);
}

// One object, handled and rethrown by two generators at once.
TEST_F(ExceptionStateTest, OneObjectInTheHandlersOfTwoGenerators) {
  std::exception_ptr shared = std::make_exception_ptr(Trouble(1));
  auto body = [&shared](Yielder<int>& yielder) {
    try {
      std::rethrow_exception(shared);
    } catch (...) {
      yielder.Suspend(Handled());
      EXPECT_EQ(std::current_exception(), shared);
      throw;
    }
  };
  auto first = MakeGenerator<int>(NewStack(), body);
  auto second = MakeGenerator<int>(NewStack(), body);
  EXPECT_THAT(first.Resume(), Optional(1));
  EXPECT_THAT(second.Resume(), Optional(1));
  EXPECT_THROW(first.Resume(), Trouble);
  EXPECT_EQ(Trouble::alive, 1);
  EXPECT_THROW(second.Resume(), Trouble);
  EXPECT_EQ(Trouble::alive, 1);
  shared = nullptr;
}

struct Wrapper {
  virtual ~Wrapper() = default;
};

TEST_F(ExceptionStateTest, NestedExceptionIsTheGeneratorsOwn) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      yielder.Suspend(1);
      std::throw_with_nested(Wrapper());
    }
  });
  gen.Resume();
  try {
    throw Trouble(3);
  } catch (const Trouble&) {
    try {
      gen.Resume();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Wrapper& wrapper) {
      try {
        std::rethrow_if_nested(wrapper);
        ADD_FAILURE() << "nothing is nested";
      } catch (const Trouble& trouble) {
        EXPECT_EQ(trouble.number(), 1);
      }
    }
    EXPECT_EQ(Handled(), 3);
  }
}

// --- Termination ---------------------------------------------------------------------------------

// Not inlined, so that compilers do not warn about a throw in a `noexcept` function.
[[noreturn, gnu::noinline]] void Throw(int number) { throw Trouble(number); }

// Prints which `Trouble` the runtime was handling when it terminated.
void TerminateSaysWhich() {
  std::set_terminate([] {
    std::fprintf(stderr, "terminated by %d\n", Handled());
    std::abort();
  });
}

using ExceptionStateDeathTest = ExceptionStateTest;

TEST_F(ExceptionStateDeathTest, NoexceptInAGeneratorTerminates) {
  auto run = [] {
    TerminateSaysWhich();
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
        auto strict = []() noexcept { Throw(2); };
        yielder.Suspend(1);
        strict();
      });
      gen.Resume();
      gen.Resume();
    }
  };
  EXPECT_DEATH(run(), HasSubstr("terminated by 2\n"));
}

TEST_F(ExceptionStateDeathTest, NoexceptInTheResumerTerminates) {
  auto run = [] {
    TerminateSaysWhich();
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      yielder.Suspend(1);
      throw Trouble(2);
    });
    gen.Resume();
    // If the `noexcept` function has no local with a destructor, the runtime terminates and
    // registers the exception first. If it has one, GCC at -O0 does not.
    auto resume = [&gen] { gen.Resume(); };
    auto strict = [&resume]() noexcept { resume(); };
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      strict();
    }
  };
  EXPECT_DEATH(run(), HasSubstr("terminated by 2\n"));
}

TEST_F(ExceptionStateDeathTest, NoexceptIsNoBarWhereNothingLeavesIt) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    auto strict = [&yielder]() noexcept {
      try {
        throw Trouble(1);
      } catch (const Trouble&) {
        yielder.Suspend(Handled());
      }
    };
    strict();
  });
  auto strict = [&gen]() noexcept { return gen.Resume(); };
  EXPECT_THAT(strict(), Optional(1));
  EXPECT_EQ(strict(), std::nullopt);
}

// There is an exception to rethrow, but on the other side.
TEST_F(ExceptionStateDeathTest, ThrowWithoutOperandDoesNotFindTheOtherSides) {
  auto in_generator = [] {
    TerminateSaysWhich();
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>&) { throw; });
    try {
      throw Trouble(1);
    } catch (const Trouble&) {
      gen.Resume();
    }
  };
  EXPECT_DEATH(in_generator(), HasSubstr("terminated by -1\n"));
  auto in_resumer = [] {
    TerminateSaysWhich();
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      try {
        throw Trouble(1);
      } catch (const Trouble&) {
        yielder.Suspend(1);
      }
    });
    gen.Resume();
    throw;
  };
  EXPECT_DEATH(in_resumer(), HasSubstr("terminated by -1\n"));
}

}  // namespace
}  // namespace fringe

#endif  // FRINGE_EXCEPTIONS
