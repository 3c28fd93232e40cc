// A profiler's signal may arrive at any instruction of a loop that switches. The stack that it
// unwinds must reach the resumer's caller and main, from either side of the switch, by CFI
// (_Unwind_Backtrace of libgcc, unw_backtrace of libunwind) and by frame pointers.
//
// Each case ends after a number of samples, however long that takes.

#include <dlfcn.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>

#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/support/emulator.h"
#include "testing/unwinding/backtrace.h"

namespace fringe::testing {
namespace {

constexpr int kSamples = 2000;
constexpr uint64_t kSwitches = 2'000'000;

using IntGenerator = Generator<uint64_t, uint64_t, OsStack>;

const void* main_function;
const void* above_function;
const void* body_function;

// Returns: whether the interrupted code was called by `above_function` and that by `main`.
// `in_body` tells whether it was in the generator.
using Unwind = bool (*)(const ucontext_t& context, bool* in_body);

std::atomic<Unwind> unwind = nullptr;
std::atomic<int> samples = 0;
std::atomic<int> in_body = 0;
std::atomic<int> incomplete = 0;

void OnTimer(int, siginfo_t*, void* context) {
  const Unwind function = unwind.load();
  if (function == nullptr) return;
  bool is_in_body = false;
  if (!function(*static_cast<const ucontext_t*>(context), &is_in_body)) ++incomplete;
  if (is_in_body) ++in_body;
  ++samples;
}

// Whether the functions have `above_function` and then `main`.
template <typename Functions>
bool IsComplete(const Functions& functions, bool* is_in_body) {
  bool has_above = false;
  for (const void* function : functions) {
    if (function == body_function) *is_in_body = true;
    if (function == above_function) has_above = true;
    if (function == main_function) return has_above;
  }
  return false;
}

bool ByLibgcc(const ucontext_t&, bool* is_in_body) {
  return IsComplete(Backtrace().functions(), is_in_body);
}

int (*unw_backtrace)(void** addresses, int size);

bool ByLibunwind(const ucontext_t&, bool* is_in_body) {
  void* addresses[128];
  const int count = unw_backtrace(addresses, 128);
  const void* functions[128];
  for (int i = 0; i < count; ++i) functions[i] = FunctionOf(addresses[i]);
  return IsComplete(std::span(functions, static_cast<size_t>(count)), is_in_body);
}

#if FRINGE_TESTING_FRAME_POINTERS
bool ByFramePointers(const ucontext_t& context, bool* is_in_body) {
  struct FrameRecord {
    const FrameRecord* caller;
    void* return_address;
  };
  const void* functions[128];
  functions[0] = FunctionOf(reinterpret_cast<void*>(context.uc_mcontext.gregs[REG_RIP] + 1));
  size_t count = 1;
  const auto* frame = reinterpret_cast<const FrameRecord*>(context.uc_mcontext.gregs[REG_RBP]);
  for (; count < 128 && frame != nullptr; frame = frame->caller) {
    functions[count] = FunctionOf(frame->return_address);
    // Callers of main may have no frame pointers.
    if (functions[count++] == main_function) break;
  }
  return IsComplete(std::span(functions, count), is_in_body);
}
#endif

[[gnu::noinline]] void Body(Yielder<uint64_t, uint64_t>& yielder, uint64_t value) {
  body_function = ThisFunction();
  for (;;) value = yielder.Suspend(value + 1);
}

[[gnu::noinline]] uint64_t Resumer(IntGenerator& generator) {
  uint64_t value = 0;
  for (int i = 0; i < 1000; ++i) value = *generator.Resume(value);
  KeepFrame();
  return value;
}

[[gnu::noinline]] void Resume(IntGenerator& generator) {
  uint64_t switches = 0;
  while (samples < kSamples || switches < kSwitches) switches += 2 * Resumer(generator);
  KeepFrame();
}

// Calls `Resume`, because a frame pointer skips the caller of a function that has just begun.
[[gnu::noinline]] void Above(IntGenerator& generator, Unwind function) {
  above_function = ThisFunction();
  unwind = function;
  Resume(generator);
  unwind = nullptr;
  KeepFrame();
}

// main takes the samples, because it is the function to be found.
struct Result {
  std::string skipped;
  int samples = 0;
  int in_body = 0;
  int incomplete = 0;
};

Result by_libgcc;
Result by_libunwind;
Result by_frame_pointers;

[[gnu::noinline]] Result Sample(Unwind function) {
  samples = in_body = incomplete = 0;
  IntGenerator generator(*OsStack::Create(64 << 10), &Body);
  generator.Resume(0);  // so that `body_function` is known
  struct sigaction action = {};
  action.sa_sigaction = &OnTimer;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  if (sigaction(SIGALRM, &action, nullptr) != 0) std::abort();
  const itimerval interval = {{0, 100}, {0, 100}};
  if (setitimer(ITIMER_REAL, &interval, nullptr) != 0) std::abort();
  Above(generator, function);
  const itimerval none = {};
  if (setitimer(ITIMER_REAL, &none, nullptr) != 0) std::abort();
  KeepFrame();
  return {"", samples, in_body, incomplete};
}

void ExpectComplete(const Result& result) {
  if (!result.skipped.empty()) GTEST_SKIP() << result.skipped;
  EXPECT_GE(result.samples, kSamples);
  EXPECT_EQ(result.incomplete, 0) << "of " << result.samples;
  EXPECT_GT(result.in_body, result.samples / 20);
}

TEST(SamplingTest, LibgccReachesMain) { ExpectComplete(by_libgcc); }
TEST(SamplingTest, LibunwindReachesMain) { ExpectComplete(by_libunwind); }
#if FRINGE_TESTING_FRAME_POINTERS
TEST(SamplingTest, FramePointersReachMain) { ExpectComplete(by_frame_pointers); }
#endif

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  using namespace fringe::testing;
  ::testing::InitGoogleTest(&argc, argv);
  main_function = ThisFunction();
  if (Emulator() != nullptr) {
    by_libgcc.skipped = by_libunwind.skipped = by_frame_pointers.skipped =
        std::string("signals are those of ") + Emulator();
    return RUN_ALL_TESTS();
  }
  by_libgcc = Sample(&ByLibgcc);
#if FRINGE_TESTING_FRAME_POINTERS
  by_frame_pointers = Sample(&ByFramePointers);
#endif
  void* const library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    by_libunwind.skipped = "libunwind.so.8 is not installed";
  } else {
    unw_backtrace = reinterpret_cast<int (*)(void**, int)>(dlsym(library, "unw_backtrace"));
    if (unw_backtrace == nullptr) std::abort();
    by_libunwind = Sample(&ByLibunwind);
  }
  const int status = RUN_ALL_TESTS();
  KeepFrame();
  return status;
}
