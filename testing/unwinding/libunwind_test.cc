// libunwind's `unw_backtrace`, which heaptrack and gperftools use, crosses a switch. It has rules
// of its own for common kinds of frames, instead of DWARF expressions.

#include <dlfcn.h>

#include <algorithm>
#include <span>

#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/registers/opaque.h"
#include "testing/unwinding/backtrace.h"

namespace fringe::testing {
namespace {

using IntGenerator = Generator<int, void, OsStack>;

int (*unw_backtrace)(void** addresses, int size);

[[gnu::noinline]] void Callee() { asm volatile(""); }

// With `resumes`, a frame of the backtrace. Without, its call leaves a return address where
// libunwind looks if it mistakes the trampoline for a function that has realigned its stack.
template <int kNumber>
[[gnu::noinline]] int Function(IntGenerator& generator, bool resumes) {
  if (!resumes) {
    Callee();
    return kNumber;
  }
  const int number = generator.Resume().value_or(kNumber);
  asm volatile("");
  return number;
}

TEST(LibunwindTest, BacktraceNamesTheFunctionsThatAreRunning) {
  void* const library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) GTEST_SKIP() << "libunwind.so.8 is not installed";
  unw_backtrace = reinterpret_cast<int (*)(void**, int)>(dlsym(library, "unw_backtrace"));
  ASSERT_NE(unw_backtrace, nullptr);

  void* addresses[128];
  int count = 0;
  IntGenerator generator(*OsStack::Create(256 << 10), [&](auto& yielder) {
    for (;;) {
      yielder.Suspend(0);
      count = unw_backtrace(addresses, 128);
    }
  });
  generator.Resume();
  // The first backtrace fills a cache, by which the others are made.
  for (int i = 0; i < 3; ++i) {
    Function<111>(generator, false);
    Function<222>(generator, true);
    const auto names = [&](int (*function)(IntGenerator&, bool)) {
      return std::ranges::any_of(std::span(addresses, static_cast<size_t>(count)), [&](void* pc) {
        return FunctionOf(pc) == reinterpret_cast<const void*>(function);
      });
    };
    EXPECT_TRUE(names(&Function<222>)) << i;
    EXPECT_FALSE(names(&Function<111>)) << i;
  }
}

}  // namespace
}  // namespace fringe::testing
