// A backtrace from inside a generator continues in its resumer, up to main.

#include "testing/unwinding/backtrace.h"

#include <cxxabi.h>
#include <execinfo.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "stacks/span_stack.h"
#include "stacks/stack.h"
#include "testing/registers/opaque.h"
#include "testing/registers/saved_registers.h"
#include "testing/support/ordered_stacks.h"
#include "testing/support/raw_generator.h"

namespace fringe::testing {
namespace {

constexpr size_t kStackBytes = 256 << 10;

const void* main_function;

// The functions that two walkers found.
struct Traces {
  Backtrace unwinder;
  std::vector<const void*> c_library;  // from glibc's backtrace()
};

[[gnu::noinline]] Traces TakeTraces() {
  void* addresses[1024];
  const int count = backtrace(addresses, 1024);
  Traces traces;
  for (int i = 0; i < count; ++i) traces.c_library.push_back(FunctionOf(addresses[i]));
  return traces;
}

// Removes from `trace` all functions that are not in `expected`. The rest must equal `expected`, in
// order.
std::vector<const void*> Among(std::span<const void* const> trace,
                               std::span<const void* const> expected) {
  std::vector<const void*> found;
  std::copy_if(trace.begin(), trace.end(), std::back_inserter(found), [&](const void* function) {
    return std::find(expected.begin(), expected.end(), function) != expected.end();
  });
  return found;
}

void ExpectTraces(const Traces& traces, const std::vector<const void*>& expected) {
  EXPECT_EQ(Among(traces.unwinder.functions(), expected), expected);
  EXPECT_EQ(Among(traces.c_library, expected), expected);
}

// --- One generator -------------------------------------------------------------------------------

const void* body_function;
const void* inner_function;
const void* outer_function;
const void* other_outer_function;
const void* resumer_function;

[[gnu::noinline]] void Inner(Yielder<const Traces&>& yielder) {
  inner_function = ThisFunction();
  const Traces traces = TakeTraces();
  yielder.Suspend(traces);
  KeepFrame();
}

void Body(Yielder<const Traces&>& yielder) {
  body_function = ThisFunction();
  for (int i = 0; i < 2; ++i) {
    Inner(yielder);
    KeepFrame();
  }
}

template <typename GeneratorT>
[[gnu::noinline]] const Traces* Resumer(GeneratorT& generator) {
  resumer_function = ThisFunction();
  const Traces* const traces = generator.Resume();
  KeepFrame();
  return traces;
}

template <typename GeneratorT>
[[gnu::noinline]] const Traces* Outer(GeneratorT& generator) {
  outer_function = ThisFunction();
  const Traces* const traces = Resumer(generator);
  KeepFrame();
  return traces;
}

template <typename GeneratorT>
[[gnu::noinline]] const Traces* OtherOuter(GeneratorT& generator) {
  other_outer_function = ThisFunction();
  const Traces* const traces = Resumer(generator);
  KeepFrame();
  return traces;
}

template <Stack StackT>
void TraceOneGenerator(StackT stack) {
  auto generator = Generator<const Traces&, void, StackT>::Unguarded(std::move(stack), &Body);
  const Traces* traces = Outer(generator);
  ASSERT_NE(traces, nullptr);
  ExpectTraces(*traces,
               {inner_function, body_function, resumer_function, outer_function, main_function});

  // Resumed from another function: the trace shows the current resumer, not the first one.
  traces = OtherOuter(generator);
  ASSERT_NE(traces, nullptr);
  ExpectTraces(*traces, {inner_function, body_function, resumer_function, other_outer_function,
                         main_function});
  EXPECT_FALSE(traces->unwinder.Contains(outer_function));
  EXPECT_EQ(generator.Resume(), nullptr);
}

TEST(BacktraceTest, GoesOnWithTheResumer) { TraceOneGenerator(*OsStack::Create(kStackBytes)); }

TEST(BacktraceTest, GoesOnWithTheResumerFromAStackBelow) {
  const OrderedStacks stacks;
  OnStack(stacks.middle, [&] { TraceOneGenerator(stacks.below); });
}

TEST(BacktraceTest, GoesOnWithTheResumerFromAStackAbove) {
  const OrderedStacks stacks;
  OnStack(stacks.middle, [&] { TraceOneGenerator(stacks.above); });
}

// --- Restored registers --------------------------------------------------------------------------

// The body compares the record with the resumer's registers as an unwinder restores them.
void CompareBody(uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
  struct Visit {
    const arch::LinkRecord* record;
    Arrivals arrivals;
    int frames = 0;
  } state = {record, {}};
  ScrambleRegisters();
  _Unwind_Backtrace(
      [](_Unwind_Context* context, void* argument) {
        auto* const visit = static_cast<Visit*>(argument);
        // Wrong rules may lead in circles.
        if (++visit->frames > 1000) return _URC_END_OF_STACK;
        CompareRegisters(context, *visit->record, visit->arrivals);
        return _URC_NO_REASON;
      },
      &state);
  for (;;) arch::Suspend(reinterpret_cast<uintptr_t>(&state.arrivals), record);
}

TEST(BacktraceTest, RestoresTheRegistersOfTheResumer) {
  const RawGenerator<OsStack> generator(*OsStack::Create(kStackBytes), &CompareBody);
  const arch::Message message = arch::Resume(0, generator.record());
  const auto* const arrivals = reinterpret_cast<const Arrivals*>(message.word);
  EXPECT_EQ(arrivals->count, 1U);
  EXPECT_EQ(arrivals->wrong, 0U);
}

// --- Exceptions ----------------------------------------------------------------------------------

#if defined(__cpp_exceptions)
constexpr uintptr_t kTerminated = 2;

arch::LinkRecord* throwing;  // the record of the generator that throws

// Has no handler and no destructor, so that it stops no exception.
arch::Message ResumeThrower(arch::LinkRecord* record) { return arch::Resume(0, record); }

// The layer above catches exceptions in a generator's first function. One that passes would leave
// the generator marked as running.
TEST(BacktraceTest, NoExceptionPassesTheTrampoline) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer does not know this stack";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer does not know this stack";
#endif
#endif
  if (arch::ShadowStackIsOn()) GTEST_SKIP() << "a switch alone does not change the shadow stack";
  const RawGenerator<OsStack> generator(
      *OsStack::Create(kStackBytes),
      [](uintptr_t, arch::LinkRecord*, arch::LinkRecord*) { throw 1; });
  throwing = generator.record();
  const std::terminate_handler previous = std::set_terminate([] {
    abi::__cxa_end_catch();
    arch::Suspend(kTerminated, throwing);
    __builtin_trap();
  });
  // Through a variable, so that no compiler finds out that the function itself throws nothing.
  arch::Message (*volatile resume)(arch::LinkRecord*) = &ResumeThrower;
  uintptr_t word = 0;
  try {
    word = resume(generator.record()).word;
  } catch (int) {
  }
  std::set_terminate(previous);
  EXPECT_EQ(word, kTerminated);
}
#endif

// --- Generators in generators --------------------------------------------------------------------

constexpr size_t kLevels = 100;

// The function of each level, the outermost first.
std::array<const void*, kLevels> levels;

// Each level is a separate function, so that their order is visible.
template <size_t kLevel>
void Level(Yielder<const Traces&>& yielder) {
  levels[kLevel] = ThisFunction();
  if constexpr (kLevel + 1 < kLevels) {
    auto generator =
        MakeGenerator<const Traces&>(*OsStack::Create(kStackBytes), &Level<kLevel + 1>);
    while (const Traces* const traces = generator.Resume()) yielder.Suspend(*traces);
  } else {
    yielder.Suspend(TakeTraces());
  }
  // A different constant, so that the compiler does not merge the functions of all levels.
  size_t level = kLevel;
  Hide(level);
}

TEST(BacktraceTest, NamesAHundredGeneratorsInOrder) {
  auto generator = MakeGenerator<const Traces&>(*OsStack::Create(kStackBytes), &Level<0>);
  const Traces* const traces = Outer(generator);
  ASSERT_NE(traces, nullptr);
  std::vector<const void*> expected(levels.rbegin(), levels.rend());
  expected.insert(expected.end(), {resumer_function, outer_function, main_function});
  ExpectTraces(*traces, expected);
  EXPECT_EQ(generator.Resume(), nullptr);
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  fringe::testing::main_function = fringe::testing::ThisFunction();
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  fringe::testing::KeepFrame();
  return result;
}
