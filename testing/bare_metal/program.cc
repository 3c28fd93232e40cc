// Uses generators without an operating system. Each failed check prints a message on the console.
// The image ends with `kWell` if none fails.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"
#include "testing/bare_metal/machine.h"

namespace fringe::testing {
namespace {

// A generator's frames, and those of an interrupt while it runs.
constexpr size_t kStackBytes = 8 << 10;
constexpr size_t kStacks = 8;
alignas(kStackAlignment) constinit std::byte memory[kStacks * kStackBytes] = {};

SpanStack StackNumber(size_t i) {
  return *SpanStack::Create(std::span(memory + i * kStackBytes, kStackBytes));
}

template <typename Output, typename Input = void>
using OnSpan = Generator<Output, Input, SpanStack>;

uint32_t checks = 0;
uint32_t failures = 0;

void Check(bool holds, const char* what) {
  ++checks;
  if (holds) return;
  ++failures;
  Write("wrong: ");
  Write(what);
  Write("\n");
}

// Makes a value opaque to the compiler.
template <typename T>
T Opaque(T value) {
  asm volatile("" : "+m"(value));
  return value;
}

// --- Values --------------------------------------------------------------------------------------

void TestValuesBothWays() {
  constexpr int kSwitches = 500;
  auto generator = OnSpan<int, int>::Unguarded(StackNumber(0), [](auto& yielder, int input) {
    int sum = 0;
    while (input >= 0) input = yielder.Suspend(sum += input);
  });
  int expected = 0;
  bool is_right = true;
  for (int i = 0; i < kSwitches; ++i) {
    expected += i;
    is_right = is_right && generator.Resume(i) == expected;
  }
  Check(is_right, "each resume gives the sum of what was handed in");
  Check(generator.state() == State::kRunnable, "a generator that waits is runnable");
  Check(generator.Resume(-1) == std::nullopt, "the end gives nothing");
  Check(generator.Resume(1) == std::nullopt, "and so does every resume after it");
  Check(generator.state() == State::kUnavailable, "a generator that has ended is unavailable");
  const SpanStack stack = std::move(generator).Unwrap();
  Check(stack.base() == StackNumber(0).base(), "the stack comes back");
}

// Movable, not copyable, and larger than any register.
class Token {
 public:
  explicit Token(int value) : words_{value} { ++alive; }
  Token(Token&& other) noexcept : words_{std::exchange(other.words_[0], 0)} { ++alive; }
  Token& operator=(Token&&) = delete;
  ~Token() { --alive; }

  int value() const { return words_[0]; }

  static inline int alive = 0;

 private:
  int words_[20];
};

void TestObjects() {
  {
    auto generator = OnSpan<Token, Token>::Unguarded(
        StackNumber(1), [kept = Token(1000)](auto& yielder, Token input) {
          for (int i = 0; i < 10; ++i) {
            Token next = yielder.Suspend(Token(input.value() + kept.value()));
            Check(next.value() == i + 1, "an object goes in whole");
          }
        });
    for (int i = 0; i < 10; ++i) {
      const std::optional<Token> output = generator.Resume(Token(i));
      Check(output && output->value() == 1000, "an object comes out whole");
    }
    Check(!generator.Resume(Token(10)), "the body ends");
  }
  Check(Token::alive == 0, "every object is destroyed once");
  {
    const auto unstarted =
        OnSpan<int>::Unguarded(StackNumber(1), [kept = Token(1)](auto&) { (void)kept; });
    Check(Token::alive == 1, "a body is kept on its stack");
  }
  Check(Token::alive == 0, "one that never began is destroyed");

  int place = 1;
  auto references = OnSpan<int&, int&>::Unguarded(StackNumber(1), [](auto& yielder, int& input) {
    int* current = &input;
    for (;;) current = &yielder.Suspend(*current);
  });
  Check(references.Resume(place) == &place, "references cross as they are");
  (void)std::move(references).UnsafeUnwrap();

  int steps = 0;
  auto nothing = OnSpan<void>::Unguarded(StackNumber(1), [&](auto& yielder) {
    for (; steps < 3; ++steps) yielder.Suspend();
  });
  while (nothing.Resume()) {
  }
  Check(steps == 3, "nothing at all crosses too");

  int sum = 0;
  for (const int i : OnSpan<int>::Unguarded(StackNumber(1), [](auto& yielder) {
         for (int i = 1; i <= 4; ++i) yielder.Suspend(i);
       })) {
    sum += i;
  }
  Check(sum == 10, "a loop goes over a generator");
}

// --- Depth ---------------------------------------------------------------------------------------

// A complete binary tree: the node `i` has the children `2 * i` and `2 * i + 1`.
constexpr unsigned kNodes = 63;

// NOLINTNEXTLINE(misc-no-recursion): this is what it tests.
void Walk(Yielder<unsigned>& yielder, unsigned node) {
  if (node > kNodes) return;
  Walk(yielder, 2 * node);
  yielder.Suspend(node);
  Walk(yielder, 2 * node + 1);
}

void TestRecursion() {
  auto walk = OnSpan<unsigned>::Unguarded(StackNumber(2),
                                          [](Yielder<unsigned>& yielder) { Walk(yielder, 1); });
  // In this order, powers of two appear at regular positions, like the marks of a ruler.
  unsigned count = 0;
  bool is_right = true;
  while (const std::optional<unsigned> node = walk.Resume()) {
    ++count;
    const unsigned height = static_cast<unsigned>(__builtin_ctz(count));
    is_right = is_right && *node == (kNodes + 1 + count) >> (height + 1);
  }
  Check(count == kNodes, "a recursive walk visits every node");
  Check(is_right, "in order");
}

void TestGeneratorsInGenerators() {
  // Each resumes the next one, and adds 1 to its output.
  constexpr size_t kDepth = 4;
  const auto make = [](auto& self, size_t depth) -> OnSpan<int, int> {
    return OnSpan<int, int>::Unguarded(StackNumber(depth),
                                       [&self, depth](auto& yielder, int input) {
                                         if (depth + 1 == kDepth) {
                                           for (;;) input = yielder.Suspend(input);
                                         }
                                         auto next = self(self, depth + 1);
                                         for (int i = 0; i < 25; ++i)
                                           input = yielder.Suspend(*next.Resume(input) + 1);
                                         (void)std::move(next).UnsafeUnwrap();
                                       });
  };
  auto outermost = make(make, 0);
  bool is_right = true;
  for (int i = 0; i < 25; ++i) {
    is_right = is_right && outermost.Resume(i) == i + static_cast<int>(kDepth) - 1;
  }
  Check(is_right, "a generator resumes another, which resumes another");
  Check(outermost.Resume(0) == std::nullopt, "and the outermost ends");
}

void TestManyInTurn() {
  const auto count_from = [](int first) {
    return [first](auto& yielder) {
      for (int i = first;; ++i) yielder.Suspend(i);
    };
  };
  using Counter = OnSpan<int>;
  Counter counters[] = {
      Counter::Unguarded(StackNumber(0), count_from(0)),
      Counter::Unguarded(StackNumber(1), count_from(100)),
      Counter::Unguarded(StackNumber(2), count_from(200)),
      Counter::Unguarded(StackNumber(3), count_from(300)),
  };
  bool is_right = true;
  for (int i = 0; i < 100; ++i) {
    for (int which = 0; which < 4; ++which) {
      is_right = is_right && counters[which].Resume() == 100 * which + i;
    }
  }
  Check(is_right, "generators take turns");
  for (Counter& counter : counters) (void)std::move(counter).UnsafeUnwrap();
}

void TestOnStack() {
  int local = 1;
  const int result = OnStack(StackNumber(4), [&] {
    std::byte here;
    const std::byte* const place = Opaque(&here);
    Check(place >= StackNumber(4).limit() && place < StackNumber(4).base(),
          "the call runs on the other stack");
    return ++local + 40;
  });
  Check(result == 42 && local == 2, "a call on another stack returns its result");
}

// --- Alignment and floating point ----------------------------------------------------------------

using Floats [[gnu::vector_size(16)]] = float;

void TestAlignment() {
  auto generator =
      OnSpan<double, double>::Unguarded(StackNumber(5), [](auto& yielder, double input) {
        alignas(64) unsigned char aligned[64] = {};
        Floats floats = {1, 2, 3, 4};
        double sum = Opaque(0.5);
        for (int i = 0; i < 50; ++i) {
          Check(reinterpret_cast<uintptr_t>(Opaque(&aligned[0])) % 64 == 0,
                "a local is aligned as it says");
          Check(reinterpret_cast<uintptr_t>(Opaque(&floats)) % alignof(Floats) == 0,
                "a vector is aligned");
          floats += Floats{1, 1, 1, 1};
          sum += input;
          input = yielder.Suspend(sum + static_cast<double>(floats[3]));
        }
      });
  // Live in registers across every resume, if the compiler has enough of them.
  double a = Opaque(1.0);
  const double b = Opaque(2.0);
  Floats mine = {b > 1 ? 1.0F : 0.0F, 2, 3, 4};
  bool is_right = true;
  double expected = 0.5;
  for (int i = 0; i < 50; ++i) {
    a += b;
    mine += mine;
    expected += a;
    is_right = is_right && generator.Resume(a) == expected + 5 + i;
    if (i % 10 == 9) mine = Floats{1, 2, 3, 4};
  }
  Check(is_right, "floating point crosses, and lives through a switch");
  Check(a == 101 && b == 2, "the resumer's numbers are its own");
  Check(mine[0] == 1 && mine[3] == 4, "and so are its vectors");
  Check(!generator.Resume(0), "the body ends");
}

// --- Interrupts ----------------------------------------------------------------------------------

// The start and the end of each switch, as marked by the functions below.
extern "C" {
extern const char fringe_testing_resume[];
extern const char fringe_testing_resume_end[];
extern const char fringe_testing_suspend[];
extern const char fringe_testing_suspend_end[];
}

[[gnu::noinline]] uintptr_t ResumeOnce(uintptr_t word, arch::LinkRecord* record) {
  asm volatile(".globl fringe_testing_resume\nfringe_testing_resume:");
  const arch::Message message = arch::Resume(word, record);
  asm volatile(".globl fringe_testing_resume_end\nfringe_testing_resume_end:");
  return message.word;
}

[[gnu::noinline]] arch::Message SuspendOnce(uintptr_t word, arch::LinkRecord* record) {
  asm volatile(".globl fringe_testing_suspend\nfringe_testing_suspend:");
  const arch::Message message = arch::Suspend(word, record);
  asm volatile(".globl fringe_testing_suspend_end\nfringe_testing_suspend_end:");
  return message;
}

void AddOne(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  for (arch::Message message = {word, record}; message.record != nullptr;) {
    message = SuspendOnce(message.word + 1, record);
  }
  arch::Finish(0, record);
}

// One switch, and the positions of interrupts in it.
class SwitchPlaces {
 public:
  SwitchPlaces(const char* begin, const char* end)
      : begin_(reinterpret_cast<uintptr_t>(begin)), end_(reinterpret_cast<uintptr_t>(end)) {}

  // Records an interrupt. `left` says whether the stack pointer no longer belonged to the side of
  // these instructions.
  void Note(uintptr_t pc, bool left) {
    if (pc < begin_ || pc >= end_ || pc - begin_ >= kBytes) return;
    if (left) ++in_window_;
    if (!is_hit_[pc - begin_]) ++instructions_;
    is_hit_[pc - begin_] = true;
  }

  // Returns: the number of different instructions that were interrupted.
  unsigned instructions() const { return instructions_; }

  // Returns: the number of interrupts between the instruction that changes the stack pointer and
  //   the jump.
  unsigned in_window() const { return in_window_; }

 private:
  static constexpr size_t kBytes = 512;

  uintptr_t begin_;
  uintptr_t end_;
  unsigned instructions_ = 0;
  unsigned in_window_ = 0;
  bool is_hit_[kBytes] = {};
};

// An interrupt handler saves registers on the interrupted stack. The timer is set to fire ever
// later, so that it interrupts each instruction of a round trip.
void TestInterruptsDuringSwitches() {
  const SpanStack stack = StackNumber(6);
  void* const place = stack.base() - sizeof(arch::LinkRecord);
  auto* const record = static_cast<arch::LinkRecord*>(place);
  arch::Init(record, static_cast<std::byte*>(place), &AddOne);
  SwitchPlaces resume(fringe_testing_resume, fringe_testing_resume_end);
  SwitchPlaces suspend(fringe_testing_suspend, fringe_testing_suspend_end);

  constexpr uint32_t kMostTicks = 1000;
  bool is_right = true;
  unsigned interrupts = 0;
  for (uint32_t ticks = 1; ticks <= kMostTicks; ++ticks) {
    fringe_testing_interruption.pc = 0;
    StartTimer(ticks);
    is_right = is_right && ResumeOnce(ticks, record) == ticks + 1;
    // If it has not fired yet, it fires now.
    for (int i = 0; i < 100'000 && fringe_testing_interruption.pc == 0; ++i) {
    }
    const uintptr_t pc = fringe_testing_interruption.pc;
    if (pc != 0) ++interrupts;
    const auto* const sp = reinterpret_cast<const std::byte*>(fringe_testing_interruption.sp);
    const bool is_on_stack = sp >= stack.limit() && sp < stack.base();
    resume.Note(pc, is_on_stack);
    suspend.Note(pc, !is_on_stack);
  }
  Check(arch::Cancel(record).record == nullptr, "the body ends");
  Check(is_right, "an interrupt changes nothing");
  Check(interrupts == kMostTicks, "each interrupt comes");
  constexpr unsigned kInstructions = 8;  // the minimum number of instructions in a switch
  Check(resume.instructions() >= kInstructions, "interrupts come throughout a resume");
  Check(suspend.instructions() >= kInstructions, "and throughout a suspend");
  Check(resume.in_window() > 0, "also with the generator's stack, but not yet its instructions");
  Check(suspend.in_window() > 0, "also with the resumer's stack, but not yet its instructions");
  WriteNumber(interrupts);
  Write(" interrupts, at ");
  WriteNumber(resume.instructions());
  Write(" instructions of a resume and ");
  WriteNumber(suspend.instructions());
  Write(" of a suspend, ");
  WriteNumber(resume.in_window() + suspend.in_window());
  Write(" between two stacks\n");
}

}  // namespace
}  // namespace fringe::testing

void fringe_testing_main() {
  using namespace fringe::testing;
  TestValuesBothWays();
  TestObjects();
  TestRecursion();
  TestGeneratorsInGenerators();
  TestManyInTurn();
  TestOnStack();
  TestAlignment();
  TestInterruptsDuringSwitches();
  WriteNumber(checks);
  Write(" checks\n");
  WriteNumber(failures);
  Write(" wrong\n");
  End(failures == 0 ? kWell : kWrong);
}
