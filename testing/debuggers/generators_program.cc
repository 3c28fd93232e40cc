// The program for gdb_extension_test: `generators_program [abort]`. In BreakHere, generators of
// each state and on each kind of stack exist. With `abort` it leaves a core file there.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"
#include "testing/unwinding/backtrace.h"

using fringe::testing::KeepFrame;

bool aborts = false;

[[gnu::noinline]] void BreakHere() {
  if (aborts) std::abort();
  KeepFrame();
}

// Suspends `depth` calls deeper.
[[gnu::noinline]] void Deep(fringe::Yielder<int>& yielder, int depth) {
  // Volatile, so that it is in memory at any optimisation level.
  volatile int local_of_deep = 4700 + depth;
  if (depth == 0) {
    yielder.Suspend(local_of_deep);
  } else {
    Deep(yielder, depth - 1);
  }
  local_of_deep = 0;
}

[[gnu::noinline]] void DeepBody(fringe::Yielder<int>& yielder) {
  Deep(yielder, 3);
  KeepFrame();
}

[[gnu::noinline]] void PooledBody(fringe::Yielder<int, int>& yielder, int value) {
  for (;;) value = yielder.Suspend(value);
}

[[gnu::noinline]] void InnerBody(fringe::Yielder<int>& yielder) {
  BreakHere();
  yielder.Suspend(1);
}

template <typename Output, typename Input = void, typename StackT, typename F>
auto OnUnguarded(StackT stack, F body) {
  return fringe::Generator<Output, Input, StackT>::Unguarded(std::move(stack), body);
}

fringe::OsStack NewStack() { return *fringe::OsStack::Create(64 << 10); }

// Looks like the end of a running generator's stack.
struct alignas(fringe::arch::LinkRecord) Decoy {
  Decoy(size_t size, const void* resumer_pc) : size_bytes(size) {
    record.resumer.pc = const_cast<void*>(resumer_pc);
    record.resumer.sp = &size_bytes;
  }

  std::byte below[sizeof(fringe::arch::LinkRecord) - sizeof(void*)] = {};
  void* return_address = fringe::arch::fringe_x86_64_return_address;
  fringe::arch::LinkRecord record = {};
  size_t size_bytes;
  size_t unwinds = 0;
};

int main(int argc, char**) {
  aborts = argc > 1;
  // The stack of one is in no mapping, and the other was resumed by data.
  [[maybe_unused]] static Decoy large(size_t{4} << 30, reinterpret_cast<const void*>(&BreakHere));
  [[maybe_unused]] static struct {
    alignas(64) std::byte stack[4096];
    Decoy decoy = Decoy(sizeof(stack) + 64, &aborts);
  } small;
  alignas(64) static std::byte memory[64 << 10];
  fringe::StackPool pool;

  auto deep = fringe::MakeGenerator<int>(NewStack(), &DeepBody);
  auto pooled = fringe::MakeGenerator<int, int>(*pool.Acquire(), &PooledBody);
  auto on_span =
      OnUnguarded<int>(*fringe::SpanStack::Create(memory), [](auto& yielder) { Deep(yielder, 1); });
  auto on_heap = OnUnguarded<int>(*fringe::MallocStack::Create(64 << 10),
                                  [](auto& yielder) { Deep(yielder, 2); });
  auto not_started = fringe::MakeGenerator<int>(NewStack(), &DeepBody);
  auto finished = fringe::MakeGenerator<int>(NewStack(), [](auto& yielder) { yielder.Suspend(1); });
  int sum = *deep.Resume() + *pooled.Resume(1) + *pooled.Resume(2) + *on_span.Resume() +
            *on_heap.Resume() + *finished.Resume();
  finished.Resume();
  {
    auto gone = fringe::MakeGenerator<int>(*pool.Acquire(), &DeepBody);
    gone.Resume();
  }
  // A call that has ended, and is no generator.
  fringe::OsStack stack = NewStack();
  sum += fringe::OnStack(stack, [&] { return sum; });

  auto inner = fringe::MakeGenerator<int>(NewStack(), &InnerBody);
  auto outer = fringe::MakeGenerator<int>(NewStack(), [&](auto& yielder) {
    yielder.Suspend(*inner.Resume());
    KeepFrame();
  });
  sum += *outer.Resume();
  std::printf("%d\n", sum + (not_started.state() == fringe::State::kRunnable ? 1 : 0));

  // Without exceptions, an unfinished generator is not destroyed.
  std::exit(0);
}
