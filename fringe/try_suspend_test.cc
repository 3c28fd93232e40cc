// `TrySuspend`: generators that are left early, with exceptions and without. And functions that
// return generators on the default stack.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/default_stack.h"
#include "testing/support/new_stack.h"

namespace fringe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::NewStack;
using testing::TestStack;

// Notes when its frame ends.
class Note {
 public:
  explicit Note(int& ended) : ended_(ended) {}
  Note(const Note&) = delete;
  Note& operator=(const Note&) = delete;
  ~Note() { ++ended_; }

 private:
  int& ended_;
};

Generator<int> CountFrom(int first, int& ended) {
  return MakeGenerator<int>([first, &ended](auto& yielder) {
    Note note(ended);
    for (int i = first; yielder.TrySuspend(i); ++i) continue;
  });
}

TEST(TrySuspendTest, PassesOutputsAndReturnsTrueOnResume) {
  int ended = 0;
  auto gen = CountFrom(5, ended);
  EXPECT_EQ(gen.Resume(), 5);
  EXPECT_EQ(gen.Resume(), 6);
  EXPECT_EQ(ended, 0);
}

TEST(TrySuspendTest, DestructionLetsTheBodyReturn) {
  int ended = 0;
  {
    auto gen = CountFrom(1, ended);
    for (int i : gen) {
      if (i == 3) break;
    }
  }
  EXPECT_EQ(ended, 1);
}

TEST(TrySuspendTest, AssignmentLetsTheBodyReturn) {
  int ended = 0;
  auto gen = CountFrom(1, ended);
  EXPECT_EQ(gen.Resume(), 1);
  gen = CountFrom(7, ended);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(gen.Resume(), 7);
}

#if defined(__cpp_lib_ranges)
TEST(TrySuspendTest, FindLeavesEarly) {
  int ended = 0;
  {
    auto gen = CountFrom(1, ended);
    EXPECT_EQ(*std::ranges::find(gen, 4), 4);
  }
  EXPECT_EQ(ended, 1);
}
#endif

TEST(TrySuspendTest, ReturnsTheInput) {
  std::vector<std::string> seen;
  {
    auto gen = MakeGenerator<size_t, std::string>(
        NewStack(), [&seen](Yielder<size_t, std::string>& yielder, std::string word) {
          seen.push_back(word);
          while (std::optional<std::string> next = yielder.TrySuspend(seen.size())) {
            seen.push_back(*std::move(next));
          }
          seen.emplace_back("end");
        });
    EXPECT_EQ(gen.Resume("a"), 1u);
    EXPECT_EQ(gen.Resume("b"), 2u);
  }
  EXPECT_THAT(seen, ElementsAre("a", "b", "end"));
}

TEST(TrySuspendTest, ReturnsAPointerToAReference) {
  int value = 1;
  int* last = &value;
  {
    auto gen = MakeGenerator<void, int&>(NewStack(), [&last](Yielder<void, int&>& yielder, int&) {
      do {
        last = yielder.TrySuspend();
      } while (last != nullptr);
    });
    EXPECT_TRUE(gen.Resume(value));
    EXPECT_TRUE(gen.Resume(value));
    EXPECT_EQ(last, &value);
  }
  EXPECT_EQ(last, nullptr);
}

TEST(TrySuspendTest, MoveOnlyValues) {
  auto gen = MakeGenerator<std::unique_ptr<int>, std::unique_ptr<int>>(
      NewStack(), [](auto& yielder, std::unique_ptr<int> pointer) {
        while (pointer != nullptr) {
          ++*pointer;
          pointer = yielder.TrySuspend(std::move(pointer)).value_or(nullptr);
        }
      });
  EXPECT_EQ(**gen.Resume(std::make_unique<int>(1)), 2);
  EXPECT_EQ(**gen.Resume(std::make_unique<int>(7)), 8);
}

// Nothing can be thrown out of it.
template <typename Y>
bool SuspendNoexcept(Y& yielder, int value) noexcept {
  return yielder.TrySuspend(value);
}

TEST(TrySuspendTest, InANoexceptFunction) {
  int ended = 0;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&ended](auto& yielder) {
      Note note(ended);
      for (int i = 0; SuspendNoexcept(yielder, i); ++i) continue;
    });
    EXPECT_EQ(gen.Resume(), 0);
    EXPECT_EQ(gen.Resume(), 1);
  }
  EXPECT_EQ(ended, 1);
}

TEST(TrySuspendTest, InACallbackOfTheCLibrary) {
  static Yielder<int>* current;
  static bool stopped;
  stopped = false;
  int ended = 0;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&ended](Yielder<int>& yielder) {
      Note note(ended);
      current = &yielder;
      std::array<int, 4> numbers = {4, 3, 2, 1};
      std::qsort(numbers.data(), numbers.size(), sizeof(int), [](const void* a, const void* b) {
        if (!stopped) stopped = !current->TrySuspend(*static_cast<const int*>(a));
        return *static_cast<const int*>(a) - *static_cast<const int*>(b);
      });
    });
    EXPECT_TRUE(gen.Resume().has_value());
    EXPECT_TRUE(gen.Resume().has_value());
  }
  EXPECT_TRUE(stopped);
  EXPECT_EQ(ended, 1);
}

TEST(TrySuspendTest, InADestructor) {
  int ended = 0;
  {
    struct SuspendAtEnd {
      explicit SuspendAtEnd(Yielder<int>& to_suspend) : yielder(to_suspend) {}
      SuspendAtEnd(const SuspendAtEnd&) = delete;
      SuspendAtEnd& operator=(const SuspendAtEnd&) = delete;
      ~SuspendAtEnd() { (void)yielder.TrySuspend(2); }
      Yielder<int>& yielder;
    };
    auto gen = MakeGenerator<int>(NewStack(), [&ended](Yielder<int>& yielder) {
      Note note(ended);
      SuspendAtEnd at_end(yielder);
      (void)yielder.TrySuspend(1);
    });
    EXPECT_EQ(gen.Resume(), 1);
    EXPECT_EQ(gen.Resume(), 2);
  }
  EXPECT_EQ(ended, 1);
}

TEST(TrySuspendDeathTest, SuspendingAgainAndAgainIsFatal) {
  auto run = [] {
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
      for (;;) (void)yielder.TrySuspend(1);
    });
    (void)gen.Resume();
  };
  EXPECT_DEATH(run(), HasSubstr("a body must return when TrySuspend says so.\n"));
}

TEST(TrySuspendDeathTest, OutsideOfTheBodyIsFatal) {
  auto run = [] {
    Yielder<int>* kept = nullptr;
    auto gen = MakeGenerator<int>(NewStack(), [&kept](Yielder<int>& yielder) {
      kept = &yielder;
      (void)yielder.TrySuspend(1);
    });
    (void)gen.Resume();
    (void)kept->TrySuspend(2);
  };
  EXPECT_DEATH(run(), HasSubstr("Suspend must be called from the generator's own body"));
}

#if FRINGE_EXCEPTIONS

TEST(TrySuspendTest, SuspendAfterItUnwinds) {
  int ended = 0;
  bool went_on = false;
  {
    auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>& yielder) {
      Note note(ended);
      if (!yielder.TrySuspend(1)) yielder.Suspend(2);
      went_on = true;
    });
    EXPECT_EQ(gen.Resume(), 1);
  }
  EXPECT_EQ(ended, 1);
  EXPECT_FALSE(went_on);
}

#endif

// --- Functions that return generators
// -------------------------------------------------------------

static_assert(std::is_same_v<decltype(MakeGenerator<int>([](auto& y) { y.Suspend(1); })),
                             Generator<int, void, DefaultStack>>);
static_assert(std::is_same_v<Generator<int, char, TestStack>::output_type, int>);
static_assert(std::is_same_v<Generator<int, char, TestStack>::input_type, char>);
static_assert(std::is_same_v<Generator<int, char, TestStack>::stack_type, TestStack>);
static_assert(std::is_same_v<Generator<int, char, TestStack>::yielder_type, Yielder<int, char>>);

TEST(MakeGeneratorTest, OnTheDefaultStack) {
  auto doubled = MakeGenerator<int, int>([](auto& yielder, int number) {
    while (auto next = yielder.TrySuspend(2 * number)) number = *next;
  });
  EXPECT_EQ(doubled.Resume(2), 4);
  EXPECT_EQ(doubled.Resume(5), 10);
  EXPECT_GE(static_cast<size_t>(doubled.stack().base() - doubled.stack().limit()),
            kDefaultStackBytes);
}

}  // namespace
}  // namespace fringe
