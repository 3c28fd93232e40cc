// Libraries that programs use to print their own stacks show the generator's frames, its resumer's,
// and main's: Boost.Stacktrace and backward-cpp. A case is skipped if the library's header was not
// installed when this file was compiled.

#include <cstddef>
#include <functional>
#include <vector>

#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/unwinding/backtrace.h"

#if __has_include(<boost/stacktrace.hpp>)
#include <boost/stacktrace.hpp>
#define FRINGE_TESTING_HAS_BOOST 1
#else
#define FRINGE_TESTING_HAS_BOOST 0
#endif

#if __has_include(<backward.hpp>)
#include <backward.hpp>
#define FRINGE_TESTING_HAS_BACKWARD 1
#else
#define FRINGE_TESTING_HAS_BACKWARD 0
#endif

namespace fringe::testing {
namespace {

using IntGenerator = Generator<int, void, OsStack>;
using Addresses = std::vector<const void*>;

// Of the functions that are running, the innermost first.
const void* body_function;
const void* resumer_function;
const void* above_resumer_function;
const void* main_function;

[[gnu::noinline]] int Resumer(IntGenerator& generator) {
  resumer_function = ThisFunction();
  const int value = generator.Resume().value_or(0);
  KeepFrame();
  return value;
}

[[gnu::noinline]] int AboveResumer(IntGenerator& generator) {
  above_resumer_function = ThisFunction();
  const int value = Resumer(generator);
  KeepFrame();
  return value;
}

// Calls `take` in a generator that was suspended before.
[[maybe_unused]] void ExpectWholeStack(const std::function<Addresses()>& take) {
  Addresses addresses;
  IntGenerator generator(*OsStack::Create(256 << 10), [&](auto& yielder) {
    yielder.Suspend(1);
    body_function = ThisFunction();
    addresses = take();
    yielder.Suspend(2);
  });
  EXPECT_EQ(generator.Resume(), 1);
  EXPECT_EQ(AboveResumer(generator), 2);
  EXPECT_FALSE(generator.Resume().has_value());

  std::vector<const void*> expected = {body_function, resumer_function, above_resumer_function,
                                       main_function};
  for (const void* const address : addresses) {
    if (!expected.empty() && FunctionOf(address) == expected.front()) {
      expected.erase(expected.begin());
    }
  }
  EXPECT_TRUE(expected.empty()) << expected.size() << " are missing among " << addresses.size();
}

TEST(StackLibrariesTest, BoostStacktrace) {
#if FRINGE_TESTING_HAS_BOOST
  ExpectWholeStack([] {
    Addresses addresses;
    for (const boost::stacktrace::frame& frame : boost::stacktrace::stacktrace()) {
      addresses.push_back(frame.address());
    }
    return addresses;
  });
#else
  GTEST_SKIP() << "Boost.Stacktrace is not installed";
#endif
}

TEST(StackLibrariesTest, BackwardCpp) {
#if FRINGE_TESTING_HAS_BACKWARD
  ExpectWholeStack([] {
    backward::StackTrace stack;
    stack.load_here(64);
    Addresses addresses;
    for (size_t i = 0; i < stack.size(); ++i) addresses.push_back(stack[i].addr);
    return addresses;
  });
#else
  GTEST_SKIP() << "backward-cpp is not installed";
#endif
}

}  // namespace

}  // namespace fringe::testing

int main(int argc, char** argv) {
  fringe::testing::main_function = fringe::testing::ThisFunction();
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  fringe::testing::KeepFrame();
  return result;
}
