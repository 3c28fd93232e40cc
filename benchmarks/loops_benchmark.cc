// Loops that users write. The build compiles this file with and without exceptions and frame
// pointers, and names the benchmarks by FRINGE_VARIANT.
//
// One iteration of each benchmark is one step of a generator: a `Resume` and the `Suspend` that
// ends it. It has two switches. Creating and starting the generator is excluded, or shared by
// `kBatch` iterations. In a build without exceptions, FRINGE_NEEDS_EXCEPTIONS leaves nothing.

#if defined(__cpp_exceptions) || !FRINGE_NEEDS_EXCEPTIONS

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "benchmark/benchmark.h"
#include "fringe/generator.h"
#include "stacks/span_stack.h"

namespace {

using fringe::SpanStack;
using Echo = fringe::Generator<uint64_t, uint64_t, SpanStack>;
using Counter = fringe::Generator<uint64_t, void, SpanStack>;

constexpr int64_t kBatch = 10000;
constexpr size_t kStackBytes = 65536;
alignas(64) std::byte memory[kStackBytes];

SpanStack Stack() { return *SpanStack::Create(memory); }

void Use(uint64_t value) { asm volatile("" : : "r"(value)); }

// The body returns what it receives.
[[gnu::noinline]] void EchoLoop(Echo& generator) {
  for (int64_t i = 0; i < kBatch; ++i) Use(*generator.Resume(1));
}

// The resumer adds what the body counts. The generator is behind a reference.
[[gnu::noinline]] uint64_t CounterByReferenceLoop(Counter& generator) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < kBatch; ++i) sum += *generator.Resume();
  return sum;
}

Counter CountToBatch() {
  return Counter::Unguarded(Stack(), [](auto& yielder) {
    for (int64_t i = 0; i < kBatch; ++i) yielder.Suspend(static_cast<uint64_t>(i));
  });
}

// The same with a local generator, whose address the compiler knows.
[[gnu::noinline]] uint64_t LocalCounterLoop() {
  Counter generator = CountToBatch();
  uint64_t sum = 0;
  while (const std::optional<uint64_t> number = generator.Resume()) sum += *number;
  return sum;
}

// The same with an iterator.
[[gnu::noinline]] uint64_t RangeForLoop() {
  Counter generator = CountToBatch();
  uint64_t sum = 0;
  for (const uint64_t number : generator) sum += number;
  return sum;
}

void RunEcho(benchmark::State& state) {
  auto generator = Echo::Unguarded(Stack(), [](auto& yielder, uint64_t number) {
    while (number != 0) number = yielder.Suspend(number);
  });
  generator.Resume(1);
  while (state.KeepRunningBatch(kBatch)) EchoLoop(generator);
  generator.Resume(0);
}

void RunCounterByReference(benchmark::State& state) {
  auto generator = Counter::Unguarded(Stack(), [](auto& yielder) {
    for (uint64_t number = 0;; ++number) yielder.Suspend(number);
  });
  while (state.KeepRunningBatch(kBatch)) Use(CounterByReferenceLoop(generator));
  // Without exceptions, it could not be destroyed.
  static_cast<void>(std::move(generator).UnsafeUnwrap());
}

void RunLocalCounter(benchmark::State& state) {
  while (state.KeepRunningBatch(kBatch)) Use(LocalCounterLoop());
}

void RunRangeFor(benchmark::State& state) {
  while (state.KeepRunningBatch(kBatch)) Use(RangeForLoop());
}

[[maybe_unused]] const bool registered = [] {
  const std::string variant = "/" FRINGE_VARIANT;
  benchmark::RegisterBenchmark(("BM_LoopEcho" + variant).c_str(), &RunEcho);
  benchmark::RegisterBenchmark(("BM_LoopCounterByReference" + variant).c_str(),
                               &RunCounterByReference);
  benchmark::RegisterBenchmark(("BM_LoopLocalCounter" + variant).c_str(), &RunLocalCounter);
  benchmark::RegisterBenchmark(("BM_LoopRangeFor" + variant).c_str(), &RunRangeFor);
  return true;
}();

}  // namespace

#endif
