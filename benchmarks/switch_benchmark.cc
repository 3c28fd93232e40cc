// The bare switch of the backend, without `Generator`.

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"
#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"

namespace {

constexpr size_t kStackBytes = 16384;

// Runs on the other stack, and returns each word it receives.
[[noreturn]] void Echo(uintptr_t word, fringe::arch::LinkRecord* record,
                       fringe::arch::LinkRecord* /*cancelled_record*/) {
  while (true) word = fringe::arch::Suspend(word, record).word;
}

// One iteration is one round trip with a word in each direction: a resume and a suspend. It has two
// switches. The stack is set up outside the loop and is in the cache. Exception state, checks and
// values of other types are excluded.
void BM_SwitchRoundTrip(benchmark::State& state) {
  alignas(64) static std::byte stack[kStackBytes];
  void* const top = stack + sizeof(stack) - sizeof(fringe::arch::LinkRecord);
  auto* const record = static_cast<fringe::arch::LinkRecord*>(top);
  fringe::arch::Init(record, reinterpret_cast<std::byte*>(record), &Echo);
  for (auto _ : state) {
    const fringe::arch::Message message = fringe::arch::Resume(1, record);
    asm volatile("" : : "r"(message.word));
  }
  // `Echo` owns nothing, so it can be abandoned at its current point.
}
BENCHMARK(BM_SwitchRoundTrip);

}  // namespace
