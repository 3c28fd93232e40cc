// The costs of stacks: acquiring, releasing, and the positions of their tops.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"
#include "fringe/generator.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"

namespace {

using fringe::Generator;
using fringe::MallocStack;
using fringe::OsStack;
using fringe::PooledStack;
using fringe::StackPool;

// One iteration creates and destroys a stack of 64 KiB from the system. Nothing runs on it. It has
// no switch.
void BM_OsStackCreateDestroy(benchmark::State& state) {
  for (auto _ : state) {
    absl::StatusOr<OsStack> stack = OsStack::Create(size_t{64} << 10);
    if (!stack.ok()) return state.SkipWithError("no stack");
    asm volatile("" : : "r"(stack->base()));
  }
}
BENCHMARK(BM_OsStackCreateDestroy);

// One iteration creates and destroys a stack from the heap that `//flags:malloc` selects. Nothing
// runs on it. It has no switch.
void BM_MallocStackCreateDestroy(benchmark::State& state) {
  const auto size_bytes = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    absl::StatusOr<MallocStack> stack = MallocStack::Create(size_bytes);
    if (!stack.ok()) return state.SkipWithError("no stack");
    asm volatile("" : : "r"(stack->base()));
  }
}
BENCHMARK(BM_MallocStackCreateDestroy)->ArgName("bytes")->Arg(16 << 10)->Arg(64 << 10);

// One iteration acquires a stack from the thread's cache of a pool, and releases it. Nothing runs
// on it. It has no switch.
void BM_StackPoolAcquireRelease(benchmark::State& state) {
  static StackPool& pool = *new StackPool;
  for (auto _ : state) {
    absl::StatusOr<PooledStack> stack = pool.Acquire();
    if (!stack.ok()) return state.SkipWithError("no stack");
    asm volatile("" : : "r"(stack->base()));
  }
}
BENCHMARK(BM_StackPoolAcquireRelease)->Threads(1)->Threads(2)->UseRealTime();

// One iteration is the lifetime of a generator on a stack from a pool. The stack is acquired. The
// generator is created, runs to its end without suspending, and is destroyed. The stack is
// released. It has two switches. All threads use one pool.
void BM_PooledGeneratorCreateRunDestroy(benchmark::State& state) {
  static StackPool& pool = *new StackPool;
  for (auto _ : state) {
    absl::StatusOr<PooledStack> stack = pool.Acquire();
    if (!stack.ok()) return state.SkipWithError("no stack");
    Generator<uint64_t, void, PooledStack> generator(*std::move(stack), [](auto&) {});
    const std::optional<uint64_t> number = generator.Resume();
    asm volatile("" : : "r"(number.has_value()));
  }
}
BENCHMARK(BM_PooledGeneratorCreateRunDestroy)->Threads(1)->Threads(2)->UseRealTime();

// One iteration is a step of one generator: a `Resume` and the `Suspend` that ends it. It has two
// switches. Each iteration resumes the next of N generators in turn. They are on stacks of 64 KiB
// from one pool. Their tops are staggered (`colours:1`) or at the same offset in a page. Creating
// them is excluded.
void BM_GeneratorRoundRobin(benchmark::State& state) {
  using Echo = Generator<uint64_t, uint64_t, PooledStack>;
  const auto count = static_cast<size_t>(state.range(0));
  StackPool::Options options;
  options.colours = state.range(1) != 0;
  StackPool pool(options);
  {
    std::vector<Echo> generators;
    generators.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      absl::StatusOr<PooledStack> stack = pool.Acquire();
      if (!stack.ok()) return state.SkipWithError(stack.status().ToString().c_str());
      generators.emplace_back(*std::move(stack), [](auto& yielder, uint64_t number) {
        while (number != 0) number = yielder.Suspend(number);
      });
      generators.back().Resume(1);
    }
    auto next = generators.begin();
    for (auto _ : state) {
      const std::optional<uint64_t> number = next->Resume(1);
      asm volatile("" : : "r"(*number));
      if (++next == generators.end()) next = generators.begin();
    }
    for (Echo& generator : generators) generator.Resume(0);
  }
}
BENCHMARK(BM_GeneratorRoundRobin)
    ->ArgNames({"n", "colours"})
    ->ArgsProduct({{1, 4, 8, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1000000}, {0, 1}});

}  // namespace
