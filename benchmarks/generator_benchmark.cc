// The costs that users see: a step of a generator, and its whole lifetime.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"
#include "fringe/generator.h"
#include "stacks/span_stack.h"

namespace {

using fringe::Generator;
using fringe::SpanStack;

constexpr size_t kStackBytes = 65536;
// One for each thread, because benchmarks of several threads use it too.
alignas(64) thread_local std::byte memory[kStackBytes];

// One iteration is one step of a generator that returns each number it receives: a `Resume` and the
// `Suspend` that ends it. It has two switches. Creating and starting the generator is excluded.
void BM_GeneratorResume(benchmark::State& state) {
  using Echo = Generator<uint64_t, uint64_t, SpanStack>;
  auto generator = Echo::Unguarded(*SpanStack::Create(memory), [](auto& yielder, uint64_t number) {
    while (number != 0) number = yielder.Suspend(number);
  });
  generator.Resume(1);
  // Forces the generator into memory, as in a function that takes a reference to one.
  benchmark::DoNotOptimize(generator);
  for (auto _ : state) {
    const std::optional<uint64_t> number = generator.Resume(1);
    asm volatile("" : : "r"(*number));
  }
  generator.Resume(0);
}
BENCHMARK(BM_GeneratorResume);
BENCHMARK(BM_GeneratorResume)->Threads(2);

using Bytes256 = std::array<uint64_t, 32>;
using UniquePtr = std::unique_ptr<uint64_t>;

// The same for other types: the value is moved to the generator and back. One iteration has two
// switches, and as many moves as the interface makes. No memory is allocated: the string is short.
template <typename T>
void BM_GeneratorStep(benchmark::State& state) {
  using Echo = Generator<T, T, SpanStack>;
  auto generator = Echo::Unguarded(*SpanStack::Create(memory), [](auto& yielder, T value) {
    while (std::optional<T> next = yielder.TrySuspend(std::move(value))) value = *std::move(next);
  });
  T value = *generator.Resume(T());
  benchmark::DoNotOptimize(generator);
  for (auto _ : state) {
    std::optional<T> next = generator.Resume(std::move(value));
    value = *std::move(next);
    asm volatile("" : : "r"(&value) : "memory");
  }
}
BENCHMARK(BM_GeneratorStep<std::string>);
BENCHMARK(BM_GeneratorStep<Bytes256>);
BENCHMARK(BM_GeneratorStep<UniquePtr>);

// The same without a value.
void BM_GeneratorStepVoid(benchmark::State& state) {
  auto generator =
      Generator<void, void, SpanStack>::Unguarded(*SpanStack::Create(memory), [](auto& yielder) {
        while (yielder.TrySuspend()) continue;
      });
  generator.Resume();
  benchmark::DoNotOptimize(generator);
  for (auto _ : state) {
    const bool goes_on = generator.Resume();
    asm volatile("" : : "r"(goes_on));
  }
}
BENCHMARK(BM_GeneratorStepVoid);

// Suspends from a given depth of calls.
[[gnu::noinline]] void SuspendAtDepth(int64_t depth, fringe::Yielder<uint64_t>* yielder) {
  if (depth > 1) {
    SuspendAtDepth(depth - 1, yielder);
    asm volatile("");  // prevents a tail call
    return;
  }
  for (uint64_t number = 0; yielder->TrySuspend(number); ++number) continue;
}

// One iteration is one step of a generator whose body has made `frames` nested calls before it
// suspends. It has two switches. The calls are made once, before the loop.
void BM_GeneratorResumeDeep(benchmark::State& state) {
  auto generator = Generator<uint64_t, void, SpanStack>::Unguarded(
      *SpanStack::Create(memory),
      [depth = state.range(0)](auto& yielder) { SuspendAtDepth(depth, &yielder); });
  generator.Resume();
  benchmark::DoNotOptimize(generator);
  for (auto _ : state) {
    const std::optional<uint64_t> number = generator.Resume();
    asm volatile("" : : "r"(*number));
  }
}
BENCHMARK(BM_GeneratorResumeDeep)->ArgName("frames")->Arg(1)->Arg(10)->Arg(100);

// One iteration is the lifetime of a generator on a given stack: it is created, runs to its end
// without suspending, and is destroyed. It has two switches. No memory is allocated or freed, and
// the stack is in the cache. What the resume returns is excluded.
void BM_GeneratorCreateRunDestroy(benchmark::State& state) {
  const SpanStack stack = *SpanStack::Create(memory);
  for (auto _ : state) {
    auto generator = Generator<uint64_t, void, SpanStack>::Unguarded(stack, [](auto&) {});
    generator.Resume();
  }
}
BENCHMARK(BM_GeneratorCreateRunDestroy);

#if defined(__cpp_exceptions)
[[gnu::noinline]] void Throw(uint64_t number) { throw number; }

// One iteration throws an exception in a function and catches it in its caller. It has no switch.
void BM_ExceptionThroughCall(benchmark::State& state) {
  for (auto _ : state) {
    try {
      Throw(1);
    } catch (uint64_t number) {
      asm volatile("" : : "r"(number));
    }
  }
}
BENCHMARK(BM_ExceptionThroughCall);

// One iteration is the lifetime of a generator on a given stack, whose body throws an exception
// that the resumer catches. It has two switches. The exception is thrown twice: in the body, and
// in `Resume`.
void BM_ExceptionThroughResume(benchmark::State& state) {
  const SpanStack stack = *SpanStack::Create(memory);
  for (auto _ : state) {
    auto generator = Generator<void, void, SpanStack>::Unguarded(stack, [](auto&) { Throw(1); });
    try {
      generator.Resume();
    } catch (uint64_t number) {
      asm volatile("" : : "r"(number));
    }
  }
}
BENCHMARK(BM_ExceptionThroughResume);

// One iteration creates a generator, resumes it once, and destroys it while it is suspended: its
// body is unwound by an exception. It has four switches.
void BM_GeneratorDestroyUnfinished(benchmark::State& state) {
  const SpanStack stack = *SpanStack::Create(memory);
  for (auto _ : state) {
    auto generator = Generator<void, void, SpanStack>::Unguarded(
        stack, [](auto& yielder) { yielder.Suspend(); });
    generator.Resume();
  }
}
BENCHMARK(BM_GeneratorDestroyUnfinished);
#endif

}  // namespace
