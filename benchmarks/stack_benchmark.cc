// The costs of stacks: acquiring, releasing, and the positions of their tops.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
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
BENCHMARK(BM_StackPoolAcquireRelease)->Threads(1)->Threads(2);

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
BENCHMARK(BM_PooledGeneratorCreateRunDestroy)->Threads(1)->Threads(2);

// One iteration is the same on a new stack from the system.
void BM_OsStackGeneratorCreateRunDestroy(benchmark::State& state) {
  for (auto _ : state) {
    absl::StatusOr<OsStack> stack = OsStack::Create(size_t{64} << 10);
    if (!stack.ok()) return state.SkipWithError("no stack");
    Generator<uint64_t, void, OsStack> generator(*std::move(stack), [](auto&) {});
    const std::optional<uint64_t> number = generator.Resume();
    asm volatile("" : : "r"(number.has_value()));
  }
}
BENCHMARK(BM_OsStackGeneratorCreateRunDestroy)->Threads(1)->Threads(2);

// One iteration is the same on a new stack from the heap.
void BM_MallocStackGeneratorCreateRunDestroy(benchmark::State& state) {
  for (auto _ : state) {
    absl::StatusOr<MallocStack> stack = MallocStack::Create(size_t{64} << 10);
    if (!stack.ok()) return state.SkipWithError("no stack");
    auto generator =
        Generator<uint64_t, void, MallocStack>::Unguarded(*std::move(stack), [](auto&) {});
    const std::optional<uint64_t> number = generator.Resume();
    asm volatile("" : : "r"(number.has_value()));
  }
}
BENCHMARK(BM_MallocStackGeneratorCreateRunDestroy)->Threads(1)->Threads(2);

// Generators that live as long as the process, because creating a million takes a second.
class Crowd {
 public:
  using Echo = Generator<uint64_t, uint64_t, PooledStack>;

  explicit Crowd(bool colours) : pool_(Options(colours)) {}

  // Creates generators until there are `count`. Returns false if there is no stack.
  bool Grow(size_t count) {
    while (generators_.size() < count) {
      absl::StatusOr<PooledStack> stack = pool_.Acquire();
      if (!stack.ok()) return false;
      generators_.emplace_back(*std::move(stack), [](auto& yielder, uint64_t number) {
        while (true) number = yielder.Suspend(number);
      });
      generators_.back().Resume(1);
    }
    return true;
  }

  std::vector<Echo>& generators() { return generators_; }

 private:
  static StackPool::Options Options(bool colours) {
    StackPool::Options options;
    options.colours = colours;
    return options;
  }

  StackPool pool_;
  std::vector<Echo> generators_;
};

// Never destroyed.
Crowd& GetCrowd(bool colours) {
  static Crowd& without_colours = *new Crowd(false);
  static Crowd& with_colours = *new Crowd(true);
  return colours ? with_colours : without_colours;
}

// One iteration is a step of one generator: a `Resume` and the `Suspend` that ends it. It has two
// switches. Each iteration resumes the next of N generators in turn. They are on stacks of 64 KiB
// from one pool. Their tops are staggered (`colours:1`) or at the same offset in a page. Creating
// them is excluded.
void BM_GeneratorRoundRobin(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  Crowd& crowd = GetCrowd(state.range(1) != 0);
  if (!crowd.Grow(count)) return state.SkipWithError("no stack");
  const auto begin = crowd.generators().begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  auto next = begin;
  for (auto _ : state) {
    const std::optional<uint64_t> number = next->Resume(1);
    asm volatile("" : : "r"(*number));
    if (++next == end) next = begin;
  }
}
BENCHMARK(BM_GeneratorRoundRobin)
    ->ArgNames({"n", "colours"})
    ->ArgsProduct({{1, 4, 8, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1000000}, {1}})
    ->ArgsProduct({{1, 4, 8, 16, 64, 256, 1024, 4096, 16384, 65536}, {0}});

// One iteration is a step of one of 65,536 generators, as above, but in a random order, so that
// neither the generator nor its stack is in the first two caches.
void BM_GeneratorResumeCold(benchmark::State& state) {
  constexpr size_t kCount = 65536;
  Crowd& crowd = GetCrowd(true);
  if (!crowd.Grow(kCount)) return state.SkipWithError("no stack");
  std::vector<Crowd::Echo*> order;
  for (size_t i = 0; i < kCount; ++i) order.push_back(&crowd.generators()[i]);
  std::shuffle(order.begin(), order.end(), std::minstd_rand());
  auto next = order.begin();
  for (auto _ : state) {
    const std::optional<uint64_t> number = (*next)->Resume(1);
    asm volatile("" : : "r"(*number));
    if (++next == order.end()) next = order.begin();
  }
}
BENCHMARK(BM_GeneratorResumeCold);

}  // namespace
