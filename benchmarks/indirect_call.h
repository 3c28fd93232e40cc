// The yardstick: what an indirect call and its return cost. Any benchmark that includes this has
// `BM_IndirectCall` in its own binary, compiled the same way, so that a ratio to it is one of two
// times from one process.

#ifndef FRINGE_BENCHMARKS_INDIRECT_CALL_H_
#define FRINGE_BENCHMARKS_INDIRECT_CALL_H_

#include <cstdint>

#include "benchmark/benchmark.h"

namespace fringe::benchmarks {

// What is called.
[[gnu::noinline]] inline uint64_t Callee(uint64_t value) {
  asm volatile("");  // so that no compiler infers what calls of it have in common
  return value;
}

// One iteration is one call of a function of one argument through a pointer that the compiler
// cannot see through, and the return from it. It holds no switch. Iterations depend on one another
// in nothing: each passes the same argument and drops the result. The loop's own cost, `BM_Empty`,
// is in it, as in every other benchmark.
inline void BM_IndirectCall(benchmark::State& state) {
  uint64_t (*callee)(uint64_t) = &Callee;
  for (auto _ : state) {
    asm volatile("" : "+r"(callee));
    const uint64_t result = callee(1);
    asm volatile("" : : "r"(result));
  }
}

// Registered once, in however many files of a binary this is included.
inline benchmark::internal::Benchmark* const indirect_call =
    benchmark::RegisterBenchmark("BM_IndirectCall", &BM_IndirectCall);

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_INDIRECT_CALL_H_
