// Baselines for the other benchmarks: the empty loop, a call, and a system call.

#include <sys/syscall.h>
#include <unistd.h>

#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"

namespace {

// One iteration is empty. It measures the cost of the loop, which every other benchmark includes.
// It has no switch.
void BM_Empty(benchmark::State& state) {
  for (auto _ : state) {
  }
}
BENCHMARK(BM_Empty);

// One iteration is one trivial system call, `getppid`. It has no switch between stacks. The C
// library's wrapper `syscall` is included.
void BM_Syscall(benchmark::State& state) {
  for (auto _ : state) {
    const long parent = syscall(SYS_getppid);
    asm volatile("" : : "r"(parent));
  }
}
BENCHMARK(BM_Syscall);

}  // namespace
