// Values that pass through a generator, and values that stay in registers and frames across a
// switch.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/support/new_stack.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace fringe {
namespace {

using ::testing::ElementsAre;
using ::testing::FieldsAre;
using testing::NewStack;
using ::testing::Optional;
using ::testing::Pointee;
using testing::TestStack;

// --- Results of Resume ---------------------------------------------------------------------------

static_assert(
    std::is_same_v<decltype(std::declval<Generator<int>&>().Resume()), std::optional<int>>);
static_assert(std::is_same_v<decltype(std::declval<Generator<void>&>().Resume()), bool>);
static_assert(std::is_same_v<decltype(std::declval<Generator<int&>&>().Resume()), int*>);
static_assert(
    std::is_same_v<decltype(std::declval<Generator<const int&>&>().Resume()), const int*>);
static_assert(std::is_same_v<decltype(std::declval<Generator<int&&>&>().Resume()), int*>);
static_assert(std::is_same_v<decltype(std::declval<Generator<void, char>&>().Resume('a')), bool>);
static_assert(std::is_same_v<decltype(std::declval<Yielder<int, char>&>().Suspend(1)), char>);
static_assert(std::is_same_v<decltype(std::declval<Yielder<int>&>().Suspend(1)), void>);
static_assert(std::is_same_v<decltype(std::declval<Yielder<void, char&&>&>().Suspend()), char&&>);

TEST(GeneratorValueTest, ValuesTravelBothWays) {
  auto gen = MakeGenerator<int, int>(NewStack(), [](Yielder<int, int>& yielder, int input) {
    int sum = 0;
    while (input != 0) input = yielder.Suspend(sum += input);
  });
  EXPECT_THAT(gen.Resume(2), Optional(2));
  EXPECT_THAT(gen.Resume(5), Optional(7));
  EXPECT_THAT(gen.Resume(-8), Optional(-1));
  EXPECT_EQ(gen.Resume(0), std::nullopt);
}

TEST(GeneratorValueTest, FirstInputReachesTheBody) {
  std::string seen;
  auto gen = MakeGenerator<int, std::string>(
      NewStack(), [&seen](auto&, std::string input) { seen = std::move(input); });
  EXPECT_EQ(gen.Resume("a string that is too long to lie in its own object"), std::nullopt);
  EXPECT_EQ(seen, "a string that is too long to lie in its own object");
}

TEST(GeneratorValueTest, VoidOutputGivesTrueUntilTheEnd) {
  int steps = 0;
  auto gen = MakeGenerator<void>(NewStack(), [&steps](Yielder<void>& yielder) {
    ++steps;
    yielder.Suspend();
    ++steps;
    yielder.Suspend();
  });
  EXPECT_TRUE(gen.Resume());
  EXPECT_EQ(steps, 1);
  EXPECT_TRUE(gen.Resume());
  EXPECT_EQ(steps, 2);
  EXPECT_FALSE(gen.Resume());
  EXPECT_FALSE(gen.Resume());
}

TEST(GeneratorValueTest, VoidOutputWithInput) {
  std::vector<int> seen;
  auto gen = MakeGenerator<void, int>(NewStack(), [&seen](Yielder<void, int>& yielder, int input) {
    while (input >= 0) {
      seen.push_back(input);
      input = yielder.Suspend();
    }
  });
  EXPECT_TRUE(gen.Resume(3));
  EXPECT_TRUE(gen.Resume(0));
  EXPECT_FALSE(gen.Resume(-1));
  EXPECT_THAT(seen, ElementsAre(3, 0));
}

TEST(GeneratorValueTest, LvalueReferenceOutputIsTheObjectItself) {
  int variable = 1;
  auto gen = MakeGenerator<int&>(NewStack(), [&variable](Yielder<int&>& yielder) {
    yielder.Suspend(variable);
    variable *= 2;
    int local = 50;
    yielder.Suspend(local);
    variable += local;
  });
  int* const first = gen.Resume();
  EXPECT_EQ(first, &variable);
  *first = 10;
  int* const second = gen.Resume();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(*second, 50);
  *second = 7;
  EXPECT_EQ(gen.Resume(), nullptr);
  EXPECT_EQ(gen.Resume(), nullptr);
  EXPECT_EQ(variable, 27);
}

TEST(GeneratorValueTest, ConstReferenceOutputIsTheObjectItself) {
  const std::string variable = "a string that is too long to lie in its own object";
  auto gen = MakeGenerator<const std::string&>(
      NewStack(), [&variable](Yielder<const std::string&>& yielder) {
        yielder.Suspend(variable);
        yielder.Suspend("a temporary that lives until the next resume");
      });
  EXPECT_EQ(gen.Resume(), &variable);
  EXPECT_THAT(gen.Resume(), Pointee(std::string("a temporary that lives until the next resume")));
  EXPECT_EQ(gen.Resume(), nullptr);
}

TEST(GeneratorValueTest, RvalueReferenceOutputMayBeMovedFrom) {
  auto gen = MakeGenerator<std::unique_ptr<int>&&>(NewStack(),
                                                   [](Yielder<std::unique_ptr<int>&&>& yielder) {
                                                     auto taken = std::make_unique<int>(3);
                                                     yielder.Suspend(std::move(taken));
                                                     EXPECT_EQ(taken, nullptr);
                                                     auto left = std::make_unique<int>(4);
                                                     yielder.Suspend(std::move(left));
                                                     EXPECT_THAT(left, Pointee(4));
                                                   });
  std::unique_ptr<int>* const first = gen.Resume();
  ASSERT_NE(first, nullptr);
  const std::unique_ptr<int> taken = std::move(*first);
  EXPECT_THAT(taken, Pointee(3));
  EXPECT_THAT(gen.Resume(), Pointee(Pointee(4)));
  EXPECT_EQ(gen.Resume(), nullptr);
}

TEST(GeneratorValueTest, LvalueReferenceInputIsTheObjectItself) {
  auto gen = MakeGenerator<int*, int&>(NewStack(), [](Yielder<int*, int&>& yielder, int& first) {
    first += 1;
    int& second = yielder.Suspend(&first);
    second += 2;
    yielder.Suspend(&second);
  });
  int a = 10;
  int b = 20;
  EXPECT_THAT(gen.Resume(a), Optional(&a));
  EXPECT_THAT(gen.Resume(b), Optional(&b));
  EXPECT_EQ(a, 11);
  EXPECT_EQ(b, 22);
  EXPECT_EQ(gen.Resume(a), std::nullopt);
}

TEST(GeneratorValueTest, ConstReferenceInputIsTheObjectItself) {
  using Out = const int*;
  auto gen = MakeGenerator<Out, const int&>(
      NewStack(), [](Yielder<Out, const int&>& yielder, const int& first) {
        yielder.Suspend(&yielder.Suspend(&first));
      });
  const int a = 1;
  const int b = 2;
  EXPECT_THAT(gen.Resume(a), Optional(&a));
  EXPECT_THAT(gen.Resume(b), Optional(&b));
  EXPECT_EQ(gen.Resume(a), std::nullopt);
}

TEST(GeneratorValueTest, RvalueReferenceInputMayBeMovedFrom) {
  using In = std::unique_ptr<int>&&;
  auto gen = MakeGenerator<int, In>(NewStack(), [](Yielder<int, In>& yielder, In first) {
    const std::unique_ptr<int> taken = std::move(first);
    In second = yielder.Suspend(*taken);
    yielder.Suspend(*second);
  });
  auto a = std::make_unique<int>(5);
  auto b = std::make_unique<int>(6);
  EXPECT_THAT(gen.Resume(std::move(a)), Optional(5));
  EXPECT_EQ(a, nullptr);  // NOLINT(bugprone-use-after-move)
  EXPECT_THAT(gen.Resume(std::move(b)), Optional(6));
  EXPECT_THAT(b, Pointee(6));  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(gen.Resume(std::move(b)), std::nullopt);
}

TEST(GeneratorValueTest, NullPointersAreValuesNotTheEnd) {
  int variable = 0;
  auto gen = MakeGenerator<int*, int*>(NewStack(), [](Yielder<int*, int*>& yielder, int* input) {
    for (int i = 0; i < 3; ++i) input = yielder.Suspend(input);
  });
  EXPECT_THAT(gen.Resume(nullptr), Optional(static_cast<int*>(nullptr)));
  EXPECT_THAT(gen.Resume(&variable), Optional(&variable));
  EXPECT_THAT(gen.Resume(nullptr), Optional(static_cast<int*>(nullptr)));
  EXPECT_EQ(gen.Resume(nullptr), std::nullopt);
}

TEST(GeneratorValueTest, EmptyOptionalIsAValueNotTheEnd) {
  using Out = std::optional<int>;
  auto gen = MakeGenerator<Out>(NewStack(), [](Yielder<Out>& yielder) {
    yielder.Suspend(std::nullopt);
    yielder.Suspend(1);
  });
  std::optional<Out> first = gen.Resume();
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(first->has_value());
  EXPECT_THAT(gen.Resume(), Optional(Optional(1)));
  EXPECT_FALSE(gen.Resume().has_value());
}

TEST(GeneratorValueTest, Tuples) {
  using Record = std::tuple<int, std::string, double>;
  auto gen = MakeGenerator<Record, Record>(
      NewStack(), [](Yielder<Record, Record>& yielder, Record record) {
        for (;;) {
          auto& [number, text, real] = record;
          if (number == 0) return;
          record = yielder.Suspend({number + 1, text + "!", real / 2});
        }
      });
  EXPECT_THAT(gen.Resume({1, "one", 1.0}), Optional(FieldsAre(2, "one!", 0.5)));
  EXPECT_THAT(gen.Resume({2, "two", 3.0}), Optional(FieldsAre(3, "two!", 1.5)));
  EXPECT_EQ(gen.Resume({0, "", 0}), std::nullopt);
}

TEST(GeneratorValueTest, MoveOnlyBothWays) {
  using Box = std::unique_ptr<int>;
  auto gen = MakeGenerator<Box, Box>(NewStack(), [](Yielder<Box, Box>& yielder, Box box) {
    while (box != nullptr) {
      ++*box;
      box = yielder.Suspend(std::move(box));
    }
  });
  EXPECT_THAT(gen.Resume(std::make_unique<int>(1)), Optional(Pointee(2)));
  EXPECT_THAT(gen.Resume(std::make_unique<int>(5)), Optional(Pointee(6)));
  EXPECT_EQ(gen.Resume(nullptr), std::nullopt);
}

// Neither default-constructible nor assignable.
class Rigid {
 public:
  explicit Rigid(int value) : value_(value) {}
  Rigid(Rigid&&) = default;
  Rigid& operator=(Rigid&&) = delete;

  int value() const { return value_; }

 private:
  const int value_;
};

TEST(GeneratorValueTest, NonDefaultConstructibleBothWays) {
  auto gen =
      MakeGenerator<Rigid, Rigid>(NewStack(), [](Yielder<Rigid, Rigid>& yielder, Rigid first) {
        const Rigid second = yielder.Suspend(Rigid(first.value() + 1));
        yielder.Suspend(Rigid(second.value() + first.value()));
      });
  EXPECT_EQ(gen.Resume(Rigid(1))->value(), 2);
  EXPECT_EQ(gen.Resume(Rigid(10))->value(), 11);
  EXPECT_FALSE(gen.Resume(Rigid(0)).has_value());
}

TEST(GeneratorValueTest, LargeValuesArriveWhole) {
  using Large = std::array<int, 1024>;
  auto gen =
      MakeGenerator<Large, Large>(NewStack(), [](Yielder<Large, Large>& yielder, Large large) {
        while (large[0] != 0) {
          for (int& i : large) ++i;
          large = yielder.Suspend(large);
        }
      });
  Large large;
  std::iota(large.begin(), large.end(), 1);
  std::optional<Large> result = gen.Resume(large);
  ASSERT_TRUE(result.has_value());
  for (size_t i = 0; i < large.size(); ++i) ASSERT_EQ((*result)[i], large[i] + 1);
  EXPECT_EQ(gen.Resume(Large{}), std::nullopt);
}

// A trivial value of `kBytes` bytes.
template <size_t kBytes>
struct Bytes {
  explicit Bytes(unsigned char first) {
    for (unsigned char& byte : bytes) byte = first++;
  }
  friend bool operator==(const Bytes&, const Bytes&) = default;

  std::array<unsigned char, kBytes> bytes;
};

template <size_t kBytes>
void ExpectBytesTravel() {
  using Value = Bytes<kBytes>;
  auto gen =
      MakeGenerator<Value, Value>(NewStack(), [](Yielder<Value, Value>& yielder, Value input) {
        while (input != Value(255)) input = yielder.Suspend(input);
      });
  for (unsigned char first : std::array<unsigned char, 4>{0, 1, 127, 128}) {
    const std::optional<Value> output = gen.Resume(Value(first));
    EXPECT_TRUE(output == Value(first)) << kBytes << " bytes from " << int{first};
  }
  EXPECT_FALSE(gen.Resume(Value(255)).has_value());
}

template <size_t... kBytes>
void ExpectBytesOfEachSizeTravel(std::index_sequence<kBytes...>) {
  (ExpectBytesTravel<kBytes>(), ...);
}

// Smaller than, equal to and larger than a register.
TEST(GeneratorValueTest, TrivialValuesOfEachSizeTravelBothWays) {
  ExpectBytesOfEachSizeTravel(std::index_sequence<1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17>());
}

TEST(GeneratorValueTest, SmallTrivialValuesOfEveryKindTravelBothWays) {
  enum class Colour : unsigned char { kRed, kGreen };
  struct Empty {};
  struct Padded {
    char letter;
    int number;
  };
  // Returns its inputs, a value of each type.
  auto reflect = []<typename T>(T value) {
    auto gen = MakeGenerator<T, T>(NewStack(), [](Yielder<T, T>& yielder, T input) {
      yielder.Suspend(yielder.Suspend(input));
    });
    gen.Resume(value);
    T result = *gen.Resume(value);
    EXPECT_FALSE(gen.Resume(value).has_value());
    return result;
  };
  EXPECT_TRUE(reflect(true));
  EXPECT_FALSE(reflect(false));
  EXPECT_EQ(reflect(static_cast<signed char>(-1)), -1);
  EXPECT_EQ(reflect(int16_t{-32768}), -32768);
  EXPECT_EQ(reflect(-1), -1);
  EXPECT_EQ(reflect(0), 0);
  EXPECT_EQ(reflect(uint64_t{0}), 0u);
  EXPECT_EQ(reflect(~uint64_t{0}), ~uint64_t{0});
  EXPECT_EQ(reflect(-0.5f), -0.5f);
  EXPECT_EQ(reflect(1e300), 1e300);
  EXPECT_EQ(reflect(1.25L), 1.25L);
  EXPECT_EQ(reflect(Colour::kGreen), Colour::kGreen);
  EXPECT_EQ(reflect(nullptr), nullptr);
  EXPECT_EQ(reflect(&Padded::number), &Padded::number);
  EXPECT_EQ(reflect(Padded{'a', -5}).number, -5);
  EXPECT_EQ(reflect(std::make_pair('b', 6)), std::make_pair('b', 6));
  reflect(Empty());
}

TEST(GeneratorValueTest, OutputOutlivesItsGenerator) {
  std::optional<std::string> output;
  {
    auto gen = MakeGenerator<std::string>(NewStack(), [](auto& yielder) {
      yielder.Suspend("a string that is too long to lie in its own object");
    });
    output = gen.Resume();
    gen.Resume();
  }
  EXPECT_THAT(output, Optional(std::string("a string that is too long to lie in its own object")));
}

// --- Over-aligned values -------------------------------------------------------------------------

template <size_t kAlignment>
struct alignas(kAlignment) Aligned {
  explicit Aligned(int v) : value(v) { EXPECT_TRUE(IsAligned()); }
  Aligned(const Aligned& other) : value(other.value) { EXPECT_TRUE(IsAligned()); }
  Aligned& operator=(const Aligned&) = default;
  ~Aligned() { EXPECT_TRUE(IsAligned()); }

  // The compiler assumes that `this` is aligned, so the pointer must be opaque to it.
  [[gnu::noinline]] bool IsAligned() const {
    auto address = reinterpret_cast<uintptr_t>(this);
    asm volatile("" : "+r"(address));
    return address % kAlignment == 0;
  }

  int value;
};

template <typename T>
class GeneratorAlignedValueTest : public ::testing::Test {};

using AlignedValues = ::testing::Types<Aligned<16>, Aligned<32>, Aligned<64>, Aligned<128>>;
TYPED_TEST_SUITE(GeneratorAlignedValueTest, AlignedValues);

TYPED_TEST(GeneratorAlignedValueTest, StaysAlignedBothWays) {
  using A = TypeParam;
  auto gen = MakeGenerator<A, A>(NewStack(), [](Yielder<A, A>& yielder, A input) {
    while (input.value != 0) {
      EXPECT_TRUE(input.IsAligned());
      const A local(input.value + 1);
      input = yielder.Suspend(local);
      EXPECT_TRUE(local.IsAligned());
    }
  });
  for (int i = 1; i < 4; ++i) {
    const A input(10 * i);
    std::optional<A> output = gen.Resume(input);
    ASSERT_TRUE(output.has_value());
    EXPECT_TRUE(output->IsAligned());
    EXPECT_EQ(output->value, 10 * i + 1);
  }
  EXPECT_FALSE(gen.Resume(A(0)).has_value());
}

// --- Moves and destructors -----------------------------------------------------------------------

// Counts the operations on a value, across its moves.
struct Tally {
  int moves = 0;
  int drops = 0;  // of the value itself, not of moved-from objects
};

class Tallied {
 public:
  explicit Tallied(Tally* tally) : tally_(tally) {}
  Tallied(Tallied&& other) noexcept : tally_(std::exchange(other.tally_, nullptr)) {
    if (tally_ != nullptr) ++tally_->moves;
  }
  Tallied& operator=(Tallied&&) = delete;
  ~Tallied() {
    if (tally_ != nullptr) ++tally_->drops;
  }

  Tally* tally() const { return tally_; }

 private:
  Tally* tally_;
};

TEST(GeneratorValueTest, OutputTravelsByOneMove) {
  Tally tally;
  auto gen = MakeGenerator<Tallied>(
      NewStack(), [&tally](Yielder<Tallied>& yielder) { yielder.Suspend(Tallied(&tally)); });
  const std::optional<Tallied> output = gen.Resume();
  EXPECT_EQ(tally.moves, 1);
  EXPECT_EQ(tally.drops, 0);
  gen.Resume();
}

TEST(GeneratorValueTest, OutputIsDroppedOnce) {
  Tally tally;
  auto gen = MakeGenerator<Tallied>(
      NewStack(), [&tally](Yielder<Tallied>& yielder) { yielder.Suspend(Tallied(&tally)); });
  {
    const std::optional<Tallied> output = gen.Resume();
    EXPECT_EQ(tally.drops, 0);
  }
  EXPECT_EQ(tally.drops, 1);
  EXPECT_FALSE(gen.Resume().has_value());
  EXPECT_EQ(tally.drops, 1);
}

TEST(GeneratorValueTest, InputTravelsByOneMove) {
  Tally first;
  Tally second;
  auto gen =
      MakeGenerator<void, Tallied>(NewStack(), [](Yielder<void, Tallied>& yielder, Tallied input) {
        EXPECT_EQ(input.tally()->moves, 1);
        const Tallied next = yielder.Suspend();
        EXPECT_EQ(next.tally()->moves, 1);
        yielder.Suspend();
      });
  EXPECT_TRUE(gen.Resume(Tallied(&first)));
  EXPECT_TRUE(gen.Resume(Tallied(&second)));
  EXPECT_EQ(first.drops + second.drops, 0);
  Tally last;
  EXPECT_FALSE(gen.Resume(Tallied(&last)));
  EXPECT_EQ(first.moves, 1);
  EXPECT_EQ(second.moves, 1);
  EXPECT_EQ(first.drops, 1);
  EXPECT_EQ(second.drops, 1);
  EXPECT_EQ(last.drops, 1);
}

TEST(GeneratorValueTest, InputOfAFinishedGeneratorIsDroppedOnce) {
  auto gen = MakeGenerator<void, Tallied>(NewStack(), [](auto&, const Tallied&) {});
  Tally first;
  EXPECT_FALSE(gen.Resume(Tallied(&first)));
  EXPECT_EQ(first.drops, 1);
  Tally later;
  EXPECT_FALSE(gen.Resume(Tallied(&later)));
  EXPECT_EQ(later.moves, 0);
  EXPECT_EQ(later.drops, 1);
}

TEST(GeneratorValueTest, BodyTravelsByMoveAlone) {
  Tally tally;
  {
    auto gen = MakeGenerator<int>(NewStack(), [counted = Tallied(&tally)](auto&) {});
    gen.Resume();
  }
  EXPECT_EQ(tally.drops, 1);
}

// Too large for a register, and trivial, so that only its bytes show whether it is still alive.
struct Plain {
  std::array<int, 32> numbers;
};

Plain PlainOf(int value) {
  Plain plain;
  plain.numbers.fill(value);
  return plain;
}

// Resumes from a frame that no longer exists, and is overwritten, at the next resume.
[[gnu::noinline]] std::optional<int> ResumeWith(Generator<int, Plain, TestStack>& gen, int value) {
  return gen.Resume(PlainOf(value));
}

// Checks each time the body's view of its first input.
template <typename Body>
void ExpectFirstInputLives(Body body) {
  auto gen = MakeGenerator<int, Plain>(NewStack(), std::move(body));
  EXPECT_THAT(ResumeWith(gen, 1), Optional(1));
  EXPECT_THAT(ResumeWith(gen, 2), Optional(1));
  EXPECT_THAT(ResumeWith(gen, 3), Optional(1));
  EXPECT_EQ(ResumeWith(gen, 4), std::nullopt);
}

TEST(GeneratorValueTest, FirstInputTakenByValueOutlivesTheFirstResume) {
  ExpectFirstInputLives([](Yielder<int, Plain>& yielder, Plain first) {
    for (int i = 0; i < 3; ++i) yielder.Suspend(first.numbers[7]);
  });
}

TEST(GeneratorValueTest, FirstInputTakenByConstReferenceOutlivesTheFirstResume) {
  ExpectFirstInputLives([](Yielder<int, Plain>& yielder, const Plain& first) {
    for (int i = 0; i < 3; ++i) yielder.Suspend(first.numbers[7]);
  });
}

TEST(GeneratorValueTest, FirstInputTakenByRvalueReferenceOutlivesTheFirstResume) {
  ExpectFirstInputLives([](Yielder<int, Plain>& yielder, Plain&& first) {
    for (int i = 0; i < 3; ++i) yielder.Suspend(first.numbers[7]);
  });
}

TEST(GeneratorValueTest, LaterInputOutlivesItsResume) {
  auto gen = MakeGenerator<int, Plain>(NewStack(), [](Yielder<int, Plain>& yielder, Plain) {
    const Plain second = yielder.Suspend(0);
    yielder.Suspend(second.numbers[7]);
    yielder.Suspend(second.numbers[7]);
  });
  ResumeWith(gen, 1);
  EXPECT_THAT(ResumeWith(gen, 2), Optional(2));
  EXPECT_THAT(ResumeWith(gen, 3), Optional(2));
  EXPECT_EQ(ResumeWith(gen, 4), std::nullopt);
}

// --- Floating point and vectors around a switch --------------------------------------------------

// Keeps `T`s live in registers on both sides of switches and checks their values. Every value is
// exact, because x87 registers keep more digits than memory.
template <typename T>
void ExpectLiveAcrossSwitches() {
  auto gen = MakeGenerator<T, T>(NewStack(), [](Yielder<T, T>& yielder, T input) {
    T sum = 0;
    T product = 1;
    T last = 0;
    for (int i = 0; i < 20; ++i) {
      sum += input;
      product *= static_cast<T>(i % 2 == 0 ? 4 : 0.25);
      last = input - last;
      input = yielder.Suspend(sum * product + last);
    }
  });
  T sum = 0;
  T product = 1;
  T last = 0;
  for (int i = 0; i < 20; ++i) {
    const T input = static_cast<T>(i) / 4 + 1;
    sum += input;
    product *= static_cast<T>(i % 2 == 0 ? 4 : 0.25);
    last = input - last;
    const std::optional<T> output = gen.Resume(input);
    ASSERT_TRUE(output.has_value());
    ASSERT_EQ(*output, sum * product + last) << "in step " << i;
  }
  EXPECT_EQ(gen.Resume(0), std::nullopt);
}

TEST(GeneratorValueTest, FloatsLiveAcrossSwitches) { ExpectLiveAcrossSwitches<float>(); }
TEST(GeneratorValueTest, DoublesLiveAcrossSwitches) { ExpectLiveAcrossSwitches<double>(); }
TEST(GeneratorValueTest, LongDoublesLiveAcrossSwitches) { ExpectLiveAcrossSwitches<long double>(); }

#if defined(__SSE2__)
// An address that is not a multiple of 16 faults in `movaps`.
TEST(GeneratorValueTest, SimdOnAFreshStackAndAfterASwitch) {
  using Floats = std::array<float, 4>;
  auto gen =
      MakeGenerator<Floats, float>(NewStack(), [](Yielder<Floats, float>& yielder, float input) {
        __m128 sum = _mm_set1_ps(0);
        while (input >= 0) {
          sum = _mm_add_ps(sum, _mm_set_ps(4 * input, 3 * input, 2 * input, input));
          alignas(16) Floats floats;
          _mm_store_ps(floats.data(), sum);
          input = yielder.Suspend(floats);
        }
      });
  EXPECT_THAT(gen.Resume(1.0f), Optional(ElementsAre(1, 2, 3, 4)));
  EXPECT_THAT(gen.Resume(10.0f), Optional(ElementsAre(11, 22, 33, 44)));
  EXPECT_THAT(gen.Resume(100.0f), Optional(ElementsAre(111, 222, 333, 444)));
  EXPECT_EQ(gen.Resume(-1.0f), std::nullopt);
}

// A struct, because GCC would drop the alignment of a plain template argument, with a warning.
struct Vector {
  __m128d value;
};

TEST(GeneratorValueTest, VectorsTravelBothWays) {
  auto gen =
      MakeGenerator<Vector, Vector>(NewStack(), [](Yielder<Vector, Vector>& yielder, Vector input) {
        for (int i = 0; i < 3; ++i) {
          input = yielder.Suspend({_mm_add_pd(input.value, input.value)});
        }
      });
  for (int i = 1; i <= 3; ++i) {
    const std::optional<Vector> output = gen.Resume({_mm_set_pd(2.0 * i, i)});
    ASSERT_TRUE(output.has_value());
    EXPECT_EQ(_mm_cvtsd_f64(output->value), 2.0 * i);
    EXPECT_EQ(_mm_cvtsd_f64(_mm_unpackhi_pd(output->value, output->value)), 4.0 * i);
  }
  EXPECT_FALSE(gen.Resume({_mm_setzero_pd()}).has_value());
}
#endif

// As many values live across the switch as there are registers, of every class at once.
TEST(GeneratorValueTest, MoreValuesThanRegistersLiveAcrossSwitches) {
  constexpr size_t kValues = 40;
  auto mix = [](auto step, uint64_t seed) {
    std::array<uint64_t, kValues> integers;
    std::array<double, kValues> doubles;
    for (size_t i = 0; i < kValues; ++i) {
      integers[i] = seed * (i + 1);
      doubles[i] = static_cast<double>(seed * (i + 1)) / 4;
    }
    for (uint64_t round = 0; round < 5; ++round) {
      step();
      for (size_t i = 0; i < kValues; ++i) {
        ASSERT_EQ(integers[i], seed * (i + 1) + round);
        ASSERT_EQ(doubles[i], static_cast<double>(seed * (i + 1)) / 4 + static_cast<double>(round));
        integers[i] += 1;
        doubles[i] += 1;
      }
    }
  };
  auto gen = MakeGenerator<void>(
      NewStack(), [&mix](Yielder<void>& yielder) { mix([&yielder] { yielder.Suspend(); }, 7); });
  mix([&gen] { EXPECT_TRUE(gen.Resume()); }, 11);
  EXPECT_FALSE(gen.Resume());
}

}  // namespace
}  // namespace fringe
