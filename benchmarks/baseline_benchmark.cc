// What the other benchmarks are compared with: the loop itself, a call, and a system call.

#include <sys/syscall.h>
#include <unistd.h>

#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"

namespace {

// One iteration is nothing: what remains is the cost of the loop, which is part of every other
// benchmark. It holds no switch.
void BM_Empty(benchmark::State& state) {
  for (auto _ : state) {
  }
}
BENCHMARK(BM_Empty);

// One iteration is one system call that does next to nothing, `getppid`. It holds no switch between
// stacks of ours. The wrapper `syscall` of the C library is part of it.
void BM_Syscall(benchmark::State& state) {
  for (auto _ : state) {
    const long parent = syscall(SYS_getppid);
    asm volatile("" : : "r"(parent));
  }
}
BENCHMARK(BM_Syscall);

}  // namespace
