// The program that every row of the table compiles. It checks itself: values of every kind across a
// switch, exceptions, unwinding, calls on another stack, backtraces, registers, and threads. It is
// small, and includes little, because a run compiles it a few hundred times.
//
// A row that takes something away says so: BUILDS_NO_BACKTRACE without unwind tables.

#include <pthread.h>
#include <unwind.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/os_stack.h"
#include "stacks/span_stack.h"
#include "stacks/stack.h"

#if FRINGE_EXCEPTIONS
#include <exception>
#include <stdexcept>
#endif

namespace {

int passed;
int failed;

void Check(bool is_right, const char* text, int line) {
  ++(is_right ? passed : failed);
  if (!is_right) std::fprintf(stderr, "program.cc:%d: %s\n", line, text);
}
#define CHECK(condition) Check((condition), #condition, __LINE__)

// Keeps the compiler from knowing a value.
template <typename T>
T Hide(T value) {
  volatile T hidden = value;
  return hidden;
}

fringe::OsStack NewStack() {
  auto stack = fringe::OsStack::Create(256 << 10);
  if (!stack.ok()) __builtin_trap();
  return *std::move(stack);
}

// --- Values
// ---------------------------------------------------------------------------------------

struct Wide {
  double numbers[5];
};

void TestValues() {
  fringe::Generator<int> numbers([](auto& yielder) {
    for (int i = 0; i < 100; ++i) yielder.Suspend(i);
  });
  int sum = 0;
  while (std::optional<int> number = numbers.Resume()) sum += *number;
  CHECK(sum == 4950);
  CHECK(!numbers.Resume().has_value());
  CHECK(numbers.state() == fringe::State::kUnavailable);

  fringe::Generator<std::string, int> words([](auto& yielder, int number) {
    while (number != 0) number = yielder.Suspend(std::string(static_cast<size_t>(number), 'x'));
  });
  CHECK(words.Resume(3) == "xxx");
  CHECK(words.Resume(40) == std::string(40, 'x'));
  CHECK(!words.Resume(0).has_value());

  auto pointers = fringe::MakeGenerator<std::unique_ptr<int>>(NewStack(), [](auto& yielder) {
    for (int i = 1; i <= 3; ++i) yielder.Suspend(std::make_unique<int>(i));
  });
  int product = 1;
  for (std::unique_ptr<int>&& pointer : pointers) product = product * 10 + *pointer;
  CHECK(product == 1123);

  fringe::Generator<Wide&, double> wides([](auto& yielder, double number) {
    Wide wide = {};
    for (double& slot : wide.numbers) {
      slot = number;
      number = yielder.Suspend(wide);
    }
  });
  double total = 0;
  for (double number = 1; Wide* const wide = wides.Resume(number); number *= 2) {
    total = 0;
    for (const double slot : wide->numbers) total += slot;
  }
  CHECK(total == 31);

  int steps = 0;
  fringe::Generator<void> nothing([&steps](auto& yielder) {
    for (; steps < 5; ++steps) yielder.Suspend();
  });
  while (nothing.Resume()) {
  }
  CHECK(steps == 5);
}

// --- Registers
// ------------------------------------------------------------------------------------

using Vector = double __attribute__((vector_size(16)));

// Both sides keep integers, floating-point numbers and vectors across each switch, more than a
// switch could keep by accident.
template <typename Step>
[[gnu::always_inline]] inline uint64_t Mix(uint64_t seed, Step step) {
  uint64_t a = Hide(seed), b = Hide(seed + 1), c = Hide(seed + 2), d = Hide(seed + 3);
  uint64_t e = Hide(seed + 4), f = Hide(seed + 5);
  double p = Hide(1.5), q = Hide(2.5), r = Hide(3.5);
  float s = Hide(4.5F);
  Vector u = {p, q}, v = {q, r}, w = {r, p};
  for (int i = 0; i < 20; ++i) {
    step(a);
    a += b ^ (c << 1);
    b = b * 3 + d;
    c ^= e + f;
    step(b);
    d += a;
    e = e * 5 + c;
    f ^= d;
    p = p * 0.5 + q;
    q = q * 0.25 + r;
    r = r * 0.5 + p * 0.125;
    s = s * 0.5F + 1;
    step(c);
    u = u * 0.5 + v;
    v = v * 0.5 + w;
    w = w * 0.25 + u;
  }
  uint64_t sum = a ^ b ^ c ^ d ^ e ^ f;
  for (const double number :
       {p, q, r, static_cast<double>(s), u[0], u[1], v[0], v[1], w[0], w[1]}) {
    uint64_t bits;
    __builtin_memcpy(&bits, &number, sizeof(bits));
    sum = sum * 31 + bits;
  }
  return sum;
}

[[gnu::noinline]] uint64_t MixAlone(uint64_t seed) {
  return Mix(seed, [](uint64_t) {});
}

void TestRegisters() {
  uint64_t inner = 0;
  fringe::Generator<uint64_t, uint64_t> gen([&inner](auto& yielder, uint64_t seed) {
    inner = Mix(seed, [&yielder](uint64_t number) { yielder.Suspend(number); });
  });
  gen.Resume(7);
  const uint64_t outer = Mix(99, [&gen](uint64_t number) { gen.Resume(number); });
  CHECK(outer == MixAlone(99));
  CHECK(inner == MixAlone(7));
}

// --- Exceptions and unwinding
// ---------------------------------------------------------------------

struct Counted {
  explicit Counted(int* count) : count(count) { ++*count; }
  ~Counted() { --*count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int* count;
};

void TestDestruction() {
  int alive = 0;
  {
    const fringe::Generator<int> unused([&alive](auto& yielder) {
      const Counted counted(&alive);
      yielder.Suspend(1);
    });
  }
  CHECK(alive == 0);
#if FRINGE_EXCEPTIONS
  {
    fringe::Generator<int> gen([&alive](auto& yielder) {
      const Counted outer(&alive);
      const auto inner = std::make_unique<Counted>(&alive);
      for (;;) yielder.Suspend(alive);
    });
    CHECK(gen.Resume() == 2);
    CHECK(gen.Resume() == 2);
    fringe::Generator<int> moved = std::move(gen);
    CHECK(moved.Resume() == 2);
  }
  CHECK(alive == 0);
#else
  auto gen = fringe::MakeGenerator<int>(NewStack(), [](auto& yielder) { yielder.Suspend(1); });
  CHECK(gen.Resume() == 1);
  const fringe::OsStack stack = std::move(gen).UnsafeUnwrap();
  CHECK(stack.base() > stack.limit());
#endif
}

void TestExceptions() {
#if FRINGE_EXCEPTIONS
  fringe::Generator<int> throws([](auto& yielder) {
    yielder.Suspend(1);
    throw std::runtime_error("from the body");
  });
  CHECK(throws.Resume() == 1);
  bool caught = false;
  try {
    throws.Resume();
  } catch (const std::runtime_error& error) {
    caught = std::string(error.what()) == "from the body";
  }
  CHECK(caught);

  // Suspended in a handler while the resumer is in another.
  fringe::Generator<int> handles([](auto& yielder) {
    try {
      throw 5;
    } catch (int) {
      yielder.Suspend(1);
      try {
        throw;
      } catch (int number) {
        yielder.Suspend(number);
      }
    }
  });
  try {
    throw std::runtime_error("of the resumer");
  } catch (const std::runtime_error&) {
    CHECK(handles.Resume() == 1);
    CHECK(handles.Resume() == 5);
    std::string text;
    try {
      throw;
    } catch (const std::runtime_error& error) {
      text = error.what();
    }
    CHECK(text == "of the resumer");
  }
  CHECK(!handles.Resume().has_value());
  CHECK(std::uncaught_exceptions() == 0 && std::current_exception() == nullptr);
#endif
}

// --- Calls on another stack
// -----------------------------------------------------------------------

[[gnu::noinline]] int Depth(int n) {
  char frame[256];
  frame[0] = static_cast<char>(Hide(n));
  asm volatile("" : : "r"(frame) : "memory");
  return n == 0 ? 0 : 1 + Depth(n - 1) + (frame[0] - static_cast<char>(n));
}

void TestOnStack() {
  auto stack = NewStack();
  CHECK(fringe::OnStack(stack, [] { return Depth(300); }) == 300);
  alignas(64) static std::byte memory[32 << 10];
  auto span = fringe::SpanStack::Create(memory);
  CHECK(span.has_value());
  CHECK(fringe::OnStack(*span, [] { return std::string("there"); }) == "there");
#if FRINGE_EXCEPTIONS
  bool caught = false;
  try {
    fringe::OnStack(stack, [] { throw std::logic_error("there"); });
  } catch (const std::logic_error&) {
    caught = true;
  }
  CHECK(caught);
#endif
}

// --- Backtraces
// -----------------------------------------------------------------------------------

const void* main_address;  // where `main` continues

#if !defined(BUILDS_NO_BACKTRACE)
_Unwind_Reason_Code Look(_Unwind_Context* context, void* found) {
  const auto address = static_cast<uintptr_t>(_Unwind_GetIP(context));
  if (address == reinterpret_cast<uintptr_t>(main_address)) *static_cast<bool*>(found) = true;
  return _URC_NO_REASON;
}

[[gnu::noinline]] bool SeesMain() {
  bool found = false;
  _Unwind_Backtrace(&Look, &found);
  return found;
}

void TestBacktrace() {
  CHECK(SeesMain());  // what the generator is compared with
  fringe::Generator<bool> gen([](auto& yielder) {
    for (;;) yielder.Suspend(SeesMain());
  });
  CHECK(gen.Resume() == true);
  CHECK(gen.Resume() == true);
  auto stack = NewStack();
  CHECK(fringe::OnStack(stack, [] { return SeesMain(); }));
  static_cast<void>(std::move(gen).UnsafeUnwrap());
}
#else
void TestBacktrace() {}
#endif

// --- Threads
// --------------------------------------------------------------------------------------

void* ResumeOnce(void* gen) {
  auto& generator = *static_cast<fringe::Generator<int>*>(gen);
  return generator.Resume().value_or(-1) == 2 ? gen : nullptr;
}

void TestThreads() {
  fringe::Generator<int> gen([](auto& yielder) {
    for (int i = 1; i < 5; ++i) {
#if FRINGE_EXCEPTIONS
      try {
        throw i;
      } catch (int number) {
        yielder.Suspend(number);
      }
#else
      yielder.Suspend(i);
#endif
    }
  });
  CHECK(gen.Resume() == 1);
  pthread_t thread;
  void* result = nullptr;
  CHECK(pthread_create(&thread, nullptr, &ResumeOnce, &gen) == 0);
  CHECK(pthread_join(thread, &result) == 0 && result == &gen);
  CHECK(gen.Resume() == 3);
  CHECK(gen.Resume() == 4);
  CHECK(!gen.Resume().has_value());
}

[[gnu::noinline]] int Run() {
  main_address = __builtin_extract_return_addr(__builtin_return_address(0));
  TestValues();
  TestRegisters();
  TestDestruction();
  TestExceptions();
  TestOnStack();
  TestBacktrace();
  TestThreads();
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace

int main() {
  const int status = Run();
  return status;
}
