// Idioms of other libraries, which work here too. docs/coming_from.md shows parts of this file.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "fringe/config.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#if !defined(_WIN32)
#include "stacks/os_stack.h"
#endif

#if FRINGE_EXCEPTIONS
#include <stdexcept>
#endif

namespace fringe {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

// --- Pull: the body yields -----------------------------------------------------------------------

TEST(PeerPullTest, Values) {
  fringe::Generator<int> source([](auto& yielder) {
    int first = 1;
    int second = 1;
    for (int i = 0; i < 10; ++i) {
      yielder.Suspend(first);
      first = std::exchange(second, first + second);
    }
  });
  std::vector<int> values;
  for (int value : source) values.push_back(value);
  EXPECT_THAT(values, ElementsAre(1, 1, 2, 3, 5, 8, 13, 21, 34, 55));
}

TEST(PeerPullTest, ReferenceMayBeWrittenThrough) {
  std::array<int, 3> values = {1, 2, 3};
  Generator<int&> source([&values](auto& yielder) {
    for (int& value : values) yielder.Suspend(value);
  });
  while (int* value = source.Resume()) *value *= 10;
  EXPECT_THAT(values, ElementsAre(10, 20, 30));
}

TEST(PeerPullTest, ConstReferenceIsTheObjectItself) {
  const std::array<std::string, 2> values = {"one", "two"};
  Generator<const std::string&> source([&values](auto& yielder) {
    for (const std::string& value : values) yielder.Suspend(value);
  });
  EXPECT_EQ(source.Resume(), &values[0]);
  EXPECT_EQ(source.Resume(), &values[1]);
  EXPECT_EQ(source.Resume(), nullptr);
}

TEST(PeerPullTest, PointersAndNull) {
  int object = 1;
  Generator<int*> source([&object](auto& yielder) {
    yielder.Suspend(&object);
    yielder.Suspend(nullptr);
  });
  EXPECT_THAT(source.Resume(), Optional(&object));
  EXPECT_THAT(source.Resume(), Optional(static_cast<int*>(nullptr)));
  EXPECT_EQ(source.Resume(), std::nullopt);
}

TEST(PeerPullTest, Tuples) {
  using Row = std::tuple<int, std::string, double>;
  Generator<Row> source([](auto& yielder) {
    yielder.Suspend({1, "one", 1.5});
    yielder.Suspend({2, "two", 2.5});
  });
  const auto [number, name, half] = *source.Resume();
  EXPECT_EQ(number, 1);
  EXPECT_EQ(name, "one");
  EXPECT_EQ(half, 1.5);
  EXPECT_THAT(source.Resume(), Optional(Row(2, "two", 2.5)));
  EXPECT_EQ(source.Resume(), std::nullopt);
}

TEST(PeerPullTest, MoveOnly) {
  Generator<std::unique_ptr<int>> source([](auto& yielder) {
    for (int i = 0; i < 3; ++i) yielder.Suspend(std::make_unique<int>(i));
  });
  std::vector<std::unique_ptr<int>> values;
  for (std::unique_ptr<int>&& value : source) values.push_back(std::move(value));
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(*values[2], 2);
}

struct Named {
  explicit Named(std::string n) : name(std::move(n)) {}
  std::string name;
};
static_assert(!std::is_default_constructible_v<Named>);

TEST(PeerPullTest, NotDefaultConstructible) {
  Generator<Named, Named> source([](auto& yielder, Named input) {
    for (;;) input = yielder.Suspend(Named("to " + input.name));
  });
  EXPECT_EQ(source.Resume(Named("a"))->name, "to a");
  EXPECT_EQ(source.Resume(Named("b"))->name, "to b");
#if !FRINGE_EXCEPTIONS
  (void)std::move(source).UnsafeUnwrap();
#endif
}

// --- Push: the body receives ---------------------------------------------------------------------

TEST(PeerPushTest, Values) {
  int sum = 0;
  fringe::Generator<void, int> sink([&sum](auto& yielder, int value) {
    for (;;) {
      sum += value;
      value = yielder.Suspend();
    }
  });
  for (int i = 1; i <= 10; ++i) sink.Resume(i);
  EXPECT_EQ(sum, 55);
#if !FRINGE_EXCEPTIONS
  (void)std::move(sink).UnsafeUnwrap();
#endif
}

TEST(PeerPushTest, ReferencesPointersAndMoveOnly) {
  Generator<void, std::string&> upper([](auto& yielder, std::string& text) {
    std::string* current = &text;
    for (int i = 0; i < 2; ++i) {
      *current += "!";
      current = &yielder.Suspend();
    }
  });
  std::string first = "a";
  std::string second = "b";
  EXPECT_TRUE(upper.Resume(first));
  EXPECT_TRUE(upper.Resume(second));
  EXPECT_FALSE(upper.Resume(first));
  EXPECT_EQ(first + second, "a!b!");

  std::vector<std::unique_ptr<int>> kept;
  Generator<void, std::unique_ptr<int>> sink([&kept](auto& yielder, std::unique_ptr<int> value) {
    for (int i = 0; i < 2; ++i) {
      kept.push_back(std::move(value));
      value = yielder.Suspend();
    }
  });
  EXPECT_TRUE(sink.Resume(std::make_unique<int>(1)));
  EXPECT_TRUE(sink.Resume(std::make_unique<int>(2)));
  EXPECT_FALSE(sink.Resume(nullptr));
  EXPECT_EQ(*kept[0] + *kept[1], 3);
}

// Breaks words into lines. The state is in the control flow.
TEST(PeerPushTest, Layout) {
  std::ostringstream out;
  Generator<void, std::optional<std::string>> lines(
      [&out](auto& yielder, std::optional<std::string> word) {
        while (word.has_value()) {
          for (int column = 0; column < 3 && word.has_value(); ++column) {
            out << (column == 0 ? "" : " ") << *word;
            word = yielder.Suspend();
          }
          out << ";";
        }
      });
  for (const char* word : {"peas", "porridge", "hot", "peas", "porridge", "cold", "pot"}) {
    lines.Resume(std::string(word));
  }
  EXPECT_FALSE(lines.Resume(std::nullopt));
  EXPECT_EQ(out.str(), "peas porridge hot;peas porridge cold;pot;");
}

// --- Both ways -----------------------------------------------------------------------------------

TEST(PeerBothTest, RunningAverage) {
  fringe::Generator<double, double> average([](auto& yielder, double value) {
    double sum = 0;
    for (int count = 1;; ++count) {
      sum += value;
      value = yielder.Suspend(sum / count);
    }
  });
  EXPECT_THAT(average.Resume(2), Optional(2.0));
  EXPECT_THAT(average.Resume(4), Optional(3.0));
  EXPECT_THAT(average.Resume(9), Optional(5.0));
#if !FRINGE_EXCEPTIONS
  (void)std::move(average).UnsafeUnwrap();
#endif
}

TEST(PeerBothTest, FloatingPointIsKeptAcrossSwitches) {
  auto series = [](double x) {
    return [x](Yielder<double>& yielder) {
      double term = 1;
      float narrow = 1;
      long double wide = 1;
      for (int i = 1; i < 30; ++i) {
        yielder.Suspend(term);
        term *= x / i;
        narrow *= static_cast<float>(x) / static_cast<float>(i);
        wide *= static_cast<long double>(x) / i;
        EXPECT_NEAR(static_cast<double>(narrow), term, 1e-3);
        EXPECT_NEAR(static_cast<double>(wide), term, 1e-12);
      }
    };
  };
  Generator<double> one(series(1));
  Generator<double> two(series(2));
  double e = 0;
  double e_squared = 0;
  for (int i = 0; i < 29; ++i) {
    e += *one.Resume();
    e_squared += *two.Resume();
  }
  EXPECT_NEAR(e, std::exp(1.0), 1e-12);
  EXPECT_NEAR(e_squared, std::exp(2.0), 1e-12);
  EXPECT_EQ(one.Resume(), std::nullopt);
  EXPECT_EQ(two.Resume(), std::nullopt);
}

// --- Chains --------------------------------------------------------------------------------------

Generator<int> Range(int begin, int end) {
  return Generator<int>([begin, end](auto& yielder) {
    for (int i = begin; i < end; ++i) yielder.Suspend(i);
  });
}

Generator<int> Where(Generator<int> source, std::function<bool(int)> wanted) {
  return Generator<int>(
      [source = std::move(source), wanted = std::move(wanted)](auto& yielder) mutable {
        for (int value : source) {
          if (wanted(value)) yielder.Suspend(value);
        }
      });
}

TEST(PeerChainTest, EachPullsFromTheNext) {
  Generator<int> primes = Range(2, 30);
  for (const int divisor : {2, 3, 5}) {
    primes =
        Where(std::move(primes), [divisor](int n) { return n == divisor || n % divisor != 0; });
  }
  std::vector<int> values;
  for (int value : primes) values.push_back(value);
  EXPECT_THAT(values, ElementsAre(2, 3, 5, 7, 11, 13, 17, 19, 23, 29));
}

TEST(PeerChainTest, EachPushesToTheNext) {
  std::vector<int> values;
  Generator<void, int> store([&values](auto& yielder, int value) {
    for (int i = 0; i < 5; ++i) {
      values.push_back(value);
      value = yielder.Suspend();
    }
  });
  Generator<void, int> twice([&store](auto& yielder, int value) {
    while (store.Resume(value * 2)) value = yielder.Suspend();
  });
  int i = 0;
  while (twice.Resume(i)) ++i;
  EXPECT_THAT(values, ElementsAre(0, 2, 4, 6, 8));
}

// A producer and a consumer, each a generator, connected in the middle.
TEST(PeerChainTest, SourceFeedsSink) {
  Generator<int> source = Range(1, 5);
  int product = 1;
  Generator<void, std::optional<int>> sink([&product](auto& yielder, std::optional<int> value) {
    while (value.has_value()) {
      product *= *value;
      value = yielder.Suspend();
    }
  });
  while (sink.Resume(source.Resume())) {
  }
  EXPECT_EQ(product, 24);
}

// --- Algorithms ----------------------------------------------------------------------------------

struct Node {
  int value;
  std::unique_ptr<Node> left;
  std::unique_ptr<Node> right;
};

void Walk(const Node* node, fringe::Yielder<int>& yielder) {
  if (node == nullptr) return;
  Walk(node->left.get(), yielder);
  yielder.Suspend(node->value);
  Walk(node->right.get(), yielder);
}

std::unique_ptr<Node> Tree(int begin, int end) {
  if (begin == end) return nullptr;
  const int middle = begin + (end - begin) / 2;
  return std::make_unique<Node>(Node{middle, Tree(begin, middle), Tree(middle + 1, end)});
}

// The two trees have different shapes and the same leaves.
TEST(PeerAlgorithmTest, TwoTreesAreComparedLazily) {
  const std::unique_ptr<Node> one = Tree(0, 10);
  auto two = std::make_unique<Node>(Node{0, nullptr, Tree(1, 10)});
  fringe::Generator<int> left([&](auto& yielder) { Walk(one.get(), yielder); });
  fringe::Generator<int> right([&](auto& yielder) { Walk(two.get(), yielder); });
  bool same = true;
  for (int value : left) same = same && right.Resume() == value;
  same = same && !right.Resume();
  EXPECT_TRUE(same);
}

// An output iterator over a generator that receives values.
template <typename T>
class PushIterator {
 public:
  using difference_type = std::ptrdiff_t;
  using iterator_category = std::output_iterator_tag;
  using value_type = void;
  using pointer = void;
  using reference = void;

  explicit PushIterator(fringe::Generator<void, T>* sink) : sink_(sink) {}
  PushIterator& operator=(T value) {
    sink_->Resume(std::move(value));
    return *this;
  }
  PushIterator& operator*() { return *this; }
  PushIterator& operator++() { return *this; }
  PushIterator operator++(int) { return *this; }

 private:
  fringe::Generator<void, T>* sink_;
};

TEST(PeerAlgorithmTest, OverBothEnds) {
  std::vector<int> values;
  Generator<void, int> sink([&values](auto& yielder, int value) {
    for (int i = 0; i < 4; ++i) {
      values.push_back(value);
      value = yielder.Suspend();
    }
  });
  Generator<int> source = Range(1, 5);
  PushIterator<int> out(&sink);
  for (int value : source) *out++ = value * value;
  EXPECT_FALSE(sink.Resume(0));
  EXPECT_THAT(values, ElementsAre(1, 4, 9, 16));

  std::vector<int> copied;
  Generator<void, int> other([&copied](auto& yielder, int value) {
    for (int i = 0; i < 4; ++i) {
      copied.push_back(value);
      value = yielder.Suspend();
    }
  });
  std::transform(values.begin(), values.end(), PushIterator<int>(&other),
                 [](int value) { return -value; });
  EXPECT_FALSE(other.Resume(0));
  EXPECT_THAT(copied, ElementsAre(-1, -4, -9, -16));
}

// --- Exceptions and ends -------------------------------------------------------------------------

#if FRINGE_EXCEPTIONS

TEST(PeerExceptionTest, FromTheBodyToTheResumer) {
  Generator<int> source([](auto& yielder) {
    yielder.Suspend(1);
    throw std::out_of_range("no more");
  });
  EXPECT_THAT(source.Resume(), Optional(1));
  EXPECT_THROW(source.Resume(), std::out_of_range);
  EXPECT_EQ(source.Resume(), std::nullopt);
}

// The resumer requests it through the input, and the body throws.
TEST(PeerExceptionTest, FromTheResumerIntoTheBody) {
  fringe::Generator<int, std::exception_ptr> gen([](auto& yielder, std::exception_ptr error) {
    for (int i = 0;; ++i) {
      try {
        if (error != nullptr) std::rethrow_exception(error);
        error = yielder.Suspend(i);
      } catch (const std::runtime_error&) {
        error = yielder.Suspend(-1);
      }
    }
  });
  EXPECT_THAT(gen.Resume(nullptr), Optional(0));
  EXPECT_THAT(gen.Resume(std::make_exception_ptr(std::runtime_error("stop"))), Optional(-1));
  EXPECT_THAT(gen.Resume(nullptr), Optional(2));
  EXPECT_THROW(gen.Resume(std::make_exception_ptr(5)), int);
}

// At each stage of its lifetime: before the start, at each suspend, after the end.
TEST(PeerExceptionTest, UnwoundAtEveryStage) {
  struct Counted {
    explicit Counted(int* a) : alive(a) { ++*alive; }
    Counted(const Counted& other) : Counted(other.alive) {}
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --*alive; }
    int* alive;
  };
  for (int resumes = 0; resumes <= 6; ++resumes) {
    int alive = 0;
    {
      Generator<int> gen([captured = Counted(&alive)](auto& yielder) {
        const Counted first(captured.alive);
        yielder.Suspend(1);
        {
          const Counted second(captured.alive);
          const auto third = std::make_unique<Counted>(captured.alive);
          yielder.Suspend(2);
          const std::vector<Counted> more(5, Counted(captured.alive));
          yielder.Suspend(3);
        }
        yielder.Suspend(4);
      });
      for (int i = 0; i < resumes; ++i) EXPECT_EQ(gen.Resume().has_value(), i < 4);
      EXPECT_EQ(alive > 0, resumes <= 4);
    }
    EXPECT_EQ(alive, 0) << resumes;
  }
}

#else

TEST(PeerExceptionTest, ExceptionsAreOff) {
  GTEST_SKIP() << "compiled with -fno-exceptions: there is nothing to throw";
}

#endif  // FRINGE_EXCEPTIONS

// --- Examples from docs/coming_from.md -----------------------------------------------------------

TEST(ComingFromTest, Libfringe) {
#if defined(_WIN32)
  GTEST_SKIP() << "there is no OsStack on Windows";
#else
  // clang-format off
absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(1 << 16);
auto gen = fringe::MakeGenerator<int, int>(*std::move(stack), [](auto& yielder, int input) {
  for (;;) {
    if (input == 0) break;
    input = yielder.Suspend(input + 1);
  }
});
EXPECT_EQ(gen.Resume(2), 3);
EXPECT_EQ(gen.Resume(5), 6);
EXPECT_EQ(gen.Resume(0), std::nullopt);
fringe::OsStack back = std::move(gen).Unwrap();
  // clang-format on
  EXPECT_NE(back.base(), nullptr);
#endif
}

TEST(ComingFromTest, Corosensei) {
  // clang-format off
fringe::Generator<int, std::string> gen([](auto& yielder, std::string input) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(input, "resume " + std::to_string(i));
    input = yielder.Suspend(i);
  }
});
int i = 0;
while (std::optional<int> value = gen.Resume("resume " + std::to_string(i))) {
  EXPECT_EQ(*value, i++);
}
EXPECT_EQ(gen.state(), fringe::State::kUnavailable);
  // clang-format on
  EXPECT_EQ(i, 2);
}

TEST(ComingFromTest, BoostCoroutine2Pull) {
  std::vector<int> values;
  // clang-format off
fringe::Generator<int> source([](auto& yielder) {
  for (int i = 0; i < 3; ++i) yielder.Suspend(i);
});
for (int i : source) values.push_back(i);
  // clang-format on
  EXPECT_THAT(values, ElementsAre(0, 1, 2));
}

TEST(ComingFromTest, BoostCoroutine2Push) {
  std::vector<int> values;
  // clang-format off
fringe::Generator<void, std::optional<int>> sink([&](auto& yielder, std::optional<int> value) {
  for (; value.has_value(); value = yielder.Suspend()) values.push_back(*value);
});
for (int i = 0; i < 3; ++i) sink.Resume(i);
sink.Resume(std::nullopt);
  // clang-format on
  EXPECT_THAT(values, ElementsAre(0, 1, 2));
}

TEST(ComingFromTest, StdGenerator) {
  const std::unique_ptr<Node> tree = Tree(0, 5);
  std::vector<int> values;
  // clang-format off
fringe::Generator<int> inorder([&](auto& yielder) { Walk(tree.get(), yielder); });
for (int value : inorder) values.push_back(value);
  // clang-format on
  EXPECT_THAT(values, ElementsAre(0, 1, 2, 3, 4));
}

}  // namespace
}  // namespace fringe
