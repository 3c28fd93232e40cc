#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace {

using fringe::testing::CommandResult;
using fringe::testing::RunProgram;

TEST(QuickstartTest, PrintsThreeNumbers) {
  const CommandResult outcome = RunProgram({});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output, "1\n2\n3\n");
  EXPECT_EQ(outcome.errors, "");
}

}  // namespace
