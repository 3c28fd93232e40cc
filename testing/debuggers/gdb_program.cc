// The program that gdb_test debugs: `gdb_program below|above`. In BreakHere, five functions of
// known names are active. Two of them are in a generator whose stack is below or above the
// resumer's.

#include <cstdio>
#include <cstring>
#include <optional>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"
#include "testing/support/ordered_stacks.h"
#include "testing/unwinding/backtrace.h"

using fringe::testing::KeepFrame;

[[gnu::noinline]] void BreakHere() { KeepFrame(); }

// The line of `Suspend` in `Inner`, for the debugger.
const volatile int suspend_line = __LINE__ + 4;

[[gnu::noinline]] void Inner(fringe::Yielder<int>& yielder, int value) {
  BreakHere();
  yielder.Suspend(value);
  KeepFrame();
}

[[gnu::noinline]] void Body(fringe::Yielder<int>& yielder) {
  // Starts with a round trip, so that the breakpoint is also hit in a generator that has been
  // suspended.
  for (int i = 0; i < 2; ++i) Inner(yielder, i);
  KeepFrame();
}

[[gnu::noinline]] int Resumer(fringe::Generator<int, void, fringe::SpanStack>& generator) {
  // Volatile, so that it is in memory and can be printed at any optimisation level.
  volatile int local_of_resumer = 4711;
  int sum = 0;
  while (std::optional<int> value = generator.Resume()) sum += *value;
  return sum + local_of_resumer;
}

[[gnu::noinline]] int AboveResumer(fringe::SpanStack stack) {
  auto generator = fringe::Generator<int, void, fringe::SpanStack>::Unguarded(stack, &Body);
  const int sum = Resumer(generator);
  KeepFrame();
  return sum;
}

int main(int argc, char** argv) {
  // The linker would drop a variable that nothing reads.
  if (argc != 2 || suspend_line == 0) return 2;
  const fringe::testing::OrderedStacks stacks;
  const bool above = std::strcmp(argv[1], "above") == 0;
  const int sum = fringe::OnStack(
      stacks.middle, [&] { return AboveResumer(above ? stacks.above : stacks.below); });
  std::printf("%d\n", sum);
  return 0;
}
