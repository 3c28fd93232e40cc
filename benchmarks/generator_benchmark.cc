// What users pay: a step of a generator, and a whole life of one.

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

// One iteration is one step of a generator that hands back each number it is handed: a `Resume` and
// the `Suspend` that ends it, which makes two switches. The generator is made, and begins to run,
// outside the loop.
void BM_GeneratorResume(benchmark::State& state) {
  using Echo = Generator<uint64_t, uint64_t, SpanStack>;
  auto generator = Echo::Unguarded(*SpanStack::Create(memory), [](auto& yielder, uint64_t number) {
    while (number != 0) number = yielder.Suspend(number);
  });
  generator.Resume(1);
  // As in a function that is handed a generator: what its making leaves in registers is forgotten.
  benchmark::DoNotOptimize(generator);
  for (auto _ : state) {
    const std::optional<uint64_t> number = generator.Resume(1);
    asm volatile("" : : "r"(*number));
  }
  generator.Resume(0);
}
BENCHMARK(BM_GeneratorResume);

// One iteration is the life of a generator on a stack that is already there: it is made, runs to
// its end without suspending, and is destroyed. That makes two switches. No memory is allocated or
// freed, and the stack lies in the cache.
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
