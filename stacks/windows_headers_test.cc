// The public headers do not include <windows.h>, whose macros would change users' code.

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/default_stack.h"
#include "stacks/system_stack.h"
#include "stacks/windows_fiber_pool.h"
#include "stacks/windows_fiber_stack.h"

#if defined(_INC_WINDOWS) || defined(_WINDOWS_) || defined(WINAPI)
#error "a header of fringe must not include <windows.h>."
#endif

#include "gtest/gtest.h"

namespace {

TEST(WindowsHeadersTest, AGeneratorNeedsNothingElse) {
  int sum = 0;
  fringe::Generator<int> gen([](auto& yielder) { yielder.Suspend(6); });
  while (std::optional<int> i = gen.Resume()) sum += *i;
  EXPECT_EQ(sum, 6);
}

}  // namespace
