// MemorySanitizer reports uninitialized values in generators, and accepts correct code. The test is
// of the core alone: the C++ library and GoogleTest are not compiled with MemorySanitizer, so this
// program uses neither.

#include "fringe/config.h"

#if !FRINGE_MSAN
#error "This test needs MemorySanitizer: --config=clang --config=msan."
#endif

#include <sanitizer/msan_interface.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"

namespace fringe {
namespace {

constexpr size_t kStackBytes = 64 << 10;

int failures = 0;

void Expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

// Memory that is uninitialized.
std::byte* NewMemory() {
  return static_cast<std::byte*>(std::aligned_alloc(kStackAlignment, kStackBytes));
}

SpanStack StackOn(std::byte* memory) { return *SpanStack::Create({memory, kStackBytes}); }

// Runs a generator with the body to its end.
template <typename F>
void RunBody(F body) {
  std::byte* const memory = NewMemory();
  auto generator = Generator<int, int, SpanStack>::Unguarded(
      StackOn(memory), [body](auto& yielder, int) mutable { body(yielder); });
  for (int i = 0; generator.Resume(i);) ++i;
  (void)std::move(generator).Unwrap();
  std::free(memory);
}

struct Words {
  long first;
  long second;
};

// Any call leaves the state of its arguments for the next one. Those of a class may be
// uninitialized.
void Ignore(Words) {}
void (*volatile ignore)(Words) = &Ignore;  // so that the arguments are passed

[[gnu::noinline]] void PassUninitialized() {
  Words words;
  asm volatile("" : : "r"(&words));
  ignore(words);
}

// Returns: the value there, whatever it is.
[[gnu::noinline]] int Read(const int* number) { return *number; }

[[gnu::noinline]] int Sum(int a, int b) {
  asm volatile("");
  return a + b;
}

void AcceptsCorrectCode() {
  RunBody([](auto& yielder) {
    int sum = 0;
    for (int i = 0; i < 100; ++i) {
      int numbers[32];
      std::memset(numbers, i, sizeof numbers);
      sum = Sum(sum, yielder.Suspend(numbers[i % 32]));
      PassUninitialized();
      if (sum < 0) std::abort();
    }
  });
}

// A call's arguments are not those of a generator that is resumed after it.
void AcceptsAnyCallBeforeASwitch() {
  std::byte* const memory = NewMemory();
  auto generator =
      Generator<int, int, SpanStack>::Unguarded(StackOn(memory), [](auto& yielder, int value) {
        for (;;) {
          if (value < 0) return;
          PassUninitialized();
          value = yielder.Suspend(Sum(value, 1));
        }
      });
  int sum = 0;
  for (int i = 0; i < 10; ++i) {
    PassUninitialized();
    const auto value = generator.Resume(i);
    if (*value > 0) sum = Sum(sum, *value);
  }
  generator.Resume(-1);
  Expect(sum == 55, "the sum");
  SpanStack stack = std::move(generator).Unwrap();
  PassUninitialized();
  Expect(OnStack(stack, [] { return Sum(1, 2); }) == 3, "a call on a stack");
  std::free(memory);
}

// Runs `f` in another process. Returns: the report with which it ended; empty if there was none.
template <typename F>
const char* ReportOf(F f) {
  static char report[1 << 16];
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    if (dup2(ends[1], STDERR_FILENO) < 0) std::abort();
    f();
    _exit(0);
  }
  close(ends[1]);
  size_t size = 0;
  for (;;) {
    const ssize_t count = read(ends[0], report + size, sizeof report - 1 - size);
    if (count <= 0) break;
    size += static_cast<size_t>(count);
  }
  report[size] = '\0';
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) std::abort();
  // BUILD gives the runtime this status.
  return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? report : "";
}

template <typename F>
bool IsReported(F f) {
  return std::strstr(ReportOf(f), "use-of-uninitialized-value") != nullptr;
}

void ReportsUninitializedValues() {
  Expect(!IsReported([] { RunBody([](auto& yielder) { yielder.Suspend(1); }); }), "no report");
  Expect(IsReported([] {
           RunBody([](auto& yielder) {
             yielder.Suspend(1);
             int number;
             asm volatile("" : : "r"(&number));
             if (Read(&number) > 0) yielder.Suspend(2);
           });
         }),
         "a local in a body");
  const char* const report = ReportOf([] {
    RunBody([](auto& yielder) {
      auto* const numbers = static_cast<int*>(std::malloc(64));
      const int value = yielder.Suspend(1);
      if (numbers[value % 4] > 0) std::abort();
      std::free(numbers);
    });
  });
  const char* const origin = std::strstr(report, "created by a heap allocation");
  Expect(origin != nullptr, "memory that was allocated in a body");
  // Frame 0 is malloc. The runtime follows frame pointers only on the stack that it knows.
  Expect(origin != nullptr && std::strstr(origin, "#1 0x") != nullptr,
         "the stack of that allocation");
  Expect(IsReported([] {
           int number;
           asm volatile("" : : "r"(&number));
           RunBody([&number](auto& yielder) {
             if (Read(&number) > 0) yielder.Suspend(1);
           });
         }),
         "the resumer's local");
}

}  // namespace
}  // namespace fringe

int main() {
  fringe::AcceptsCorrectCode();
  fringe::AcceptsAnyCallBeforeASwitch();
  fringe::ReportsUninitializedValues();
  if (fringe::failures == 0) std::puts("PASSED");
  return fringe::failures == 0 ? 0 : 1;
}
