// The bare switch of the backend, without `Generator`.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "arch/arch.h"
#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"

namespace {

namespace arch = fringe::arch;

constexpr size_t kStackBytes = 16384;

// Runs on the other stack, and returns each word it receives. Its loop holds as many suspends as
// there are `kIndices`.
template <size_t... kIndices>
[[noreturn]] void Echo(uintptr_t word, arch::LinkRecord* record,
                       arch::LinkRecord* /*cancelled_record*/) {
  arch::Message message = {word, record};
  while (true) {
    ((static_cast<void>(kIndices), message = arch::Suspend(message.word, message.record)), ...);
  }
}

template <size_t... kIndices>
arch::Entry EchoOf(std::index_sequence<kIndices...>) {
  return &Echo<kIndices...>;
}

void RoundTrip(benchmark::State& state, arch::Entry entry) {
  alignas(64) static std::byte stack[kStackBytes];
  void* const top = stack + sizeof(stack) - sizeof(arch::LinkRecord);
  auto* const record = static_cast<arch::LinkRecord*>(top);
  arch::Init(record, reinterpret_cast<std::byte*>(record), entry);
  for (auto _ : state) {
    const arch::Message message = arch::Resume(1, record);
    asm volatile("" : : "r"(message.word));
  }
  // `Echo` owns nothing, so it can be abandoned at its current point.
}

// One iteration is one round trip with a word in each direction: a resume and a suspend. It has two
// switches. The stack is set up outside the loop and is in the cache. Exception state, checks and
// values of other types are excluded.
void BM_SwitchRoundTrip(benchmark::State& state) {
  RoundTrip(state, EchoOf(std::make_index_sequence<1>()));
}
BENCHMARK(BM_SwitchRoundTrip);

// The same without the jump by which the other side's loop begins again: 32 suspends follow each
// other there.
void BM_SwitchRoundTripInLine(benchmark::State& state) {
  RoundTrip(state, EchoOf(std::make_index_sequence<32>()));
}
BENCHMARK(BM_SwitchRoundTripInLine);

}  // namespace
