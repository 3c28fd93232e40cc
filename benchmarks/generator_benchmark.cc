// The costs that users see: a step of a generator, and its whole lifetime.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"
#include "fringe/generator.h"
#include "stacks/span_stack.h"

namespace {

using fringe::Generator;
using fringe::SpanStack;

constexpr size_t kStackBytes = 65536;
alignas(64) std::byte memory[kStackBytes];

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

// One iteration is the lifetime of a generator on a given stack: it is created, runs to its end
// without suspending, and is destroyed. It has two switches. No memory is allocated or freed, and
// the stack is in the cache.
void BM_GeneratorCreateRunDestroy(benchmark::State& state) {
  const SpanStack stack = *SpanStack::Create(memory);
  for (auto _ : state) {
    auto generator = Generator<uint64_t, void, SpanStack>::Unguarded(stack, [](auto&) {});
    const std::optional<uint64_t> number = generator.Resume();
    asm volatile("" : : "r"(number.has_value()));
  }
}
BENCHMARK(BM_GeneratorCreateRunDestroy);

}  // namespace
