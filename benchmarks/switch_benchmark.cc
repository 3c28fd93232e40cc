// The switch of the backend, without anything that `Generator` adds.

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"
#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"

namespace {

constexpr size_t kStackBytes = 16384;

// What runs on the other stack: it hands back whatever it is handed.
[[noreturn]] void Echo(uintptr_t word, fringe::arch::LinkRecord* record,
                       fringe::arch::LinkRecord* /*cancelled_record*/) {
  while (true) word = fringe::arch::Suspend(word, record).word;
}

// One iteration is one round trip with a word in each direction: a resume and a suspend, which
// makes two switches. The stack is made outside the loop and lies in the cache. No exception state,
// no check and no value of a type is part of it.
void BM_SwitchRoundTrip(benchmark::State& state) {
  alignas(64) static std::byte stack[kStackBytes];
  void* const top = stack + sizeof(stack) - sizeof(fringe::arch::LinkRecord);
  auto* const record = static_cast<fringe::arch::LinkRecord*>(top);
  fringe::arch::Init(record, reinterpret_cast<std::byte*>(record), &Echo);
  for (auto _ : state) {
    const fringe::arch::Message message = fringe::arch::Resume(1, record);
    asm volatile("" : : "r"(message.word));
  }
  // What runs on the stack owns nothing: it is given up where it stands.
}
BENCHMARK(BM_SwitchRoundTrip);

}  // namespace
