// The costs of stacks: acquiring, releasing, and the positions of their tops.

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"
#include "fringe/generator.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"

namespace {

using fringe::Generator;
using fringe::MallocStack;
using fringe::OsStack;
using fringe::PooledStack;
using fringe::SpanStack;
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

// One iteration is the lifetime of a generator on a stack that `new_stack` returns. The generator
// is created, runs to its end without suspending, and is destroyed. So is its stack. It has two
// switches.
template <typename NewStack>
[[gnu::always_inline]] inline void CreateRunDestroy(benchmark::State& state, NewStack new_stack) {
  for (auto _ : state) {
    auto stack = new_stack();
    if (!stack.ok()) return state.SkipWithError("no stack");
    using StackT = std::remove_cvref_t<decltype(*stack)>;
    auto generator = Generator<uint64_t, void, StackT>::Unguarded(*std::move(stack), [](auto&) {});
    const std::optional<uint64_t> number = generator.Resume();
    asm volatile("" : : "r"(number.has_value()));
  }
}

// The stack is acquired from a pool. All threads use one pool.
void BM_PooledGeneratorCreateRunDestroy(benchmark::State& state) {
  static StackPool& pool = *new StackPool;
  CreateRunDestroy(state, [] { return pool.Acquire(); });
}
BENCHMARK(BM_PooledGeneratorCreateRunDestroy)->Threads(1)->Threads(2);

// The stack is a new one from the system.
void BM_OsStackGeneratorCreateRunDestroy(benchmark::State& state) {
  CreateRunDestroy(state, [] { return OsStack::Create(size_t{64} << 10); });
}
BENCHMARK(BM_OsStackGeneratorCreateRunDestroy)->Threads(1)->Threads(2);

// The stack is a new one from the heap.
void BM_MallocStackGeneratorCreateRunDestroy(benchmark::State& state) {
  CreateRunDestroy(state, [] { return MallocStack::Create(size_t{64} << 10); });
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

// One iteration is the same, but it also loads the stack of the fourth generator from then into the
// cache: the lines that a short body uses.
void BM_GeneratorRoundRobinPrefetched(benchmark::State& state) {
  constexpr ptrdiff_t kAhead = 4;
  constexpr ptrdiff_t kLines = 4;
  constexpr ptrdiff_t kLineBytes = 64;
  const auto count = static_cast<size_t>(state.range(0));
  Crowd& crowd = GetCrowd(true);
  if (!crowd.Grow(count)) return state.SkipWithError("no stack");
  const auto begin = crowd.generators().begin();
  const auto end = begin + static_cast<ptrdiff_t>(count);
  // Next to each other, so that finding a stack is not a miss of its own.
  std::vector<const std::byte*> bases;
  for (auto i = begin; i != end; ++i) bases.push_back(i->stack().base());
  auto next = begin;
  auto ahead = bases.begin() + kAhead;
  for (auto _ : state) {
    for (ptrdiff_t i = 1; i <= kLines; ++i) __builtin_prefetch(*ahead - i * kLineBytes);
    const std::optional<uint64_t> number = next->Resume(1);
    asm volatile("" : : "r"(*number));
    if (++next == end) next = begin;
    if (++ahead == bases.end()) ahead = bases.begin();
  }
}
BENCHMARK(BM_GeneratorRoundRobinPrefetched)
    ->ArgName("n")
    ->ArgsProduct({{1024, 4096, 16384, 65536}});

// One iteration is the same without that, on stacks of 8 KiB next to each other in one mapping,
// whose tops are staggered. The system is asked to use huge pages for it, or not to.
void BM_GeneratorRoundRobinOnPages(benchmark::State& state) {
  using Echo = Generator<uint64_t, uint64_t, SpanStack>;
  constexpr size_t kStackBytes = 8192;
  constexpr size_t kHugeBytes = size_t{2} << 20;
  constexpr size_t kLineBytes = 64;
  constexpr size_t kColours = 32;
  const auto count = static_cast<size_t>(state.range(0));
  const bool huge = state.range(1) != 0;
  const size_t bytes = count * kStackBytes + kHugeBytes;
  void* const mapping =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return state.SkipWithError("no memory");
  if (madvise(mapping, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0) {
    munmap(mapping, bytes);
    return state.SkipWithError("the kernel has no huge pages");
  }
  auto* memory = static_cast<std::byte*>(mapping);
  memory += kHugeBytes - reinterpret_cast<uintptr_t>(memory) % kHugeBytes;
  std::vector<Echo> generators;
  generators.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t usable_bytes = kStackBytes - i % kColours * kLineBytes;
    generators.push_back(
        Echo::Unguarded(*SpanStack::Create({memory + i * kStackBytes, usable_bytes}),
                        [](auto& yielder, uint64_t number) {
                          while (number != 0) number = yielder.Suspend(number);
                        }));
    generators.back().Resume(1);
  }
  auto next = generators.begin();
  for (auto _ : state) {
    const std::optional<uint64_t> number = next->Resume(1);
    asm volatile("" : : "r"(*number));
    if (++next == generators.end()) next = generators.begin();
  }
  for (Echo& generator : generators) generator.Resume(0);
  generators.clear();
  munmap(mapping, bytes);
}
BENCHMARK(BM_GeneratorRoundRobinOnPages)
    ->ArgNames({"n", "huge"})
    ->ArgsProduct({{1024, 4096, 16384}, {0, 1}});

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
