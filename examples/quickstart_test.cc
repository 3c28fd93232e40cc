#include "examples/run_program.h"
#include "gtest/gtest.h"

namespace {

TEST(QuickstartTest, PrintsThreeNumbers) {
  const Outcome outcome = RunProgram({});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.standard_output, "1\n2\n3\n");
  EXPECT_EQ(outcome.standard_error, "");
}

}  // namespace
