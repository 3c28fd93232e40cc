// Shows that bti_test can fail. The emulator has a CPU that enforces landing pads, where a program
// without one ends with SIGILL, and a CPU that does not. The arguments are that program and
// bti_test.

#include <csignal>
#include <string>

#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

std::string program_without_landing_pad;
std::string bti_test;

constexpr int kIllegalInstruction = -SIGILL;

class BtiEnforcementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Emulator() == nullptr) GTEST_SKIP() << "only an emulator can be told which CPU to be";
    ASSERT_FALSE(bti_test.empty()) << "the arguments are two programs";
  }

  // Returns: the exit status of `program` on `cpu`.
  static int ExitStatusOn(const std::string& cpu, const std::string& program) {
    return RunCommand({Emulator(), "-cpu", cpu, program}).exit_status;
  }
};

TEST_F(BtiEnforcementTest, CpuThatEnforcesKillsWhatHasNoLandingPad) {
  EXPECT_EQ(ExitStatusOn("max", program_without_landing_pad), kIllegalInstruction);
}

TEST_F(BtiEnforcementTest, CpuThatDoesNotEnforceRunsIt) {
  EXPECT_EQ(ExitStatusOn("cortex-a57", program_without_landing_pad), 0);
}

TEST_F(BtiEnforcementTest, SwitchRunsOnBoth) {
  EXPECT_EQ(ExitStatusOn("max", bti_test), 0);
  EXPECT_EQ(ExitStatusOn("cortex-a57", bti_test), 0);
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc == 3) {
    fringe::testing::program_without_landing_pad = argv[1];
    fringe::testing::bti_test = argv[2];
  }
  return RUN_ALL_TESTS();
}
