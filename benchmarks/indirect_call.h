// The unit of all ratios: the cost of an indirect call and its return. A benchmark that includes
// this has `BM_IndirectCall` in its own binary, compiled in the same way. Both times of a ratio
// then come from one process.

#ifndef FRINGE_BENCHMARKS_INDIRECT_CALL_H_
#define FRINGE_BENCHMARKS_INDIRECT_CALL_H_

#include <cstdint>

#include "benchmark/benchmark.h"

namespace fringe::benchmarks {

// The function that is called.
[[gnu::noinline]] inline uint64_t Callee(uint64_t value) {
  asm volatile("");  // prevents compilers from merging or hoisting calls
  return value;
}

// One iteration is one call of a function with one argument through a pointer that is opaque to the
// compiler, and the return from it. It has no switch. Iterations are independent: each passes the
// same argument and drops the result. As in every other benchmark, the cost of the loop
// (`BM_Empty`) is included.
inline void BM_IndirectCall(benchmark::State& state) {
  uint64_t (*callee)(uint64_t) = &Callee;
  for (auto _ : state) {
    asm volatile("" : "+r"(callee));
    const uint64_t result = callee(1);
    asm volatile("" : : "r"(result));
  }
}

// Registered once, even if several files of a binary include this.
inline benchmark::internal::Benchmark* const indirect_call =
    benchmark::RegisterBenchmark("BM_IndirectCall", &BM_IndirectCall);

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_INDIRECT_CALL_H_
