// The program for tools_test. In a generator below `Resumer` and `AboveResumer` it does what the
// first argument says; "write in main" does not need a generator.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "stacks/os_stack.h"
#include "testing/unwinding/backtrace.h"

using fringe::testing::KeepFrame;

const char* action;
void* volatile memory;

void Write() {
  if (write(STDOUT_FILENO, "written\n", 8) != 8) std::abort();
}

[[gnu::noinline]] void Act() {
  if (std::strcmp(action, "wait") == 0) {
    std::puts("ready");
    std::fflush(stdout);
    pause();
  } else if (std::strcmp(action, "write") == 0) {
    Write();
  } else if (std::strcmp(action, "allocate") == 0) {
    memory = std::malloc(123'456);
#if FRINGE_EXCEPTIONS
  } else if (std::strncmp(action, "throw", 5) == 0) {
    throw std::runtime_error("not caught");
#endif
  }
  KeepFrame();
}

[[gnu::noinline]] void Body(fringe::Yielder<int>& yielder) {
  yielder.Suspend(0);
  Act();
  // Some seconds under the profiler.
  if (std::strcmp(action, "spin") == 0) {
    for (int i = 0; i < 100'000'000; ++i) yielder.Suspend(i);
  }
  KeepFrame();
}

[[gnu::noinline]] void NoexceptBody(fringe::Yielder<int>& yielder) noexcept {
  yielder.Suspend(0);
  Act();
  KeepFrame();
}

[[gnu::noinline]] int Resumer(fringe::Generator<int>& generator) {
  int sum = 0;
  while (std::optional<int> value = generator.Resume()) sum ^= *value;
  KeepFrame();
  return sum;
}

[[gnu::noinline]] int AboveResumer() {
  auto generator = fringe::MakeGenerator<int>(
      *fringe::OsStack::Create(64 << 10),
      std::strcmp(action, "throw in noexcept") == 0 ? &NoexceptBody : &Body);
  const int sum = Resumer(generator);
  KeepFrame();
  return sum;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  action = argv[1];
  if (std::strcmp(action, "write in main") == 0) {
    Write();
    return 0;
  }
  std::printf("%d\n", AboveResumer());
  return 0;
}
