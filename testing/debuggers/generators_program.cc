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

// Looks like the stack of a running generator.
struct alignas(fringe::arch::LinkRecord) Decoy {
  Decoy() {
    first_frame[7] = fringe::arch::fringe_x86_64_return_address;
    record.resumer.pc = reinterpret_cast<void*>(&BreakHere);
    record.resumer.sp = &aborts;
  }

  std::byte frames[4096] = {};
  void* first_frame[8] = {};
  fringe::arch::LinkRecord record = {};
  size_t size_bytes = sizeof(frames) + sizeof(first_frame);
  size_t unwinds = 0;
};

// No generator looks like one of these: each differs in one thing.
void MakeDecoys() {
  static Decoy in_no_mapping, resumed_by_data, resumed_by_nothing, resumed_on_code;
  static Decoy resumed_on_itself, misaligned;
  in_no_mapping.size_bytes = size_t{4} << 30;
  resumed_by_data.record.resumer.pc = &aborts;
  resumed_by_nothing.record.resumer.pc = nullptr;
  // Between mappings of data, as the code of a shared library is.
  resumed_on_code.record.resumer.sp = reinterpret_cast<void*>(&std::puts);
  resumed_on_itself.record.resumer.sp = resumed_on_itself.frames;
  std::swap(misaligned.first_frame[6], misaligned.first_frame[7]);
  for (Decoy* const decoy : {&in_no_mapping, &resumed_by_data, &resumed_by_nothing,
                             &resumed_on_code, &resumed_on_itself, &misaligned}) {
    asm volatile("" : : "r"(decoy) : "memory");
  }
}

int main(int argc, char**) {
  aborts = argc > 1;
  MakeDecoys();
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
