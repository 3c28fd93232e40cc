// gdb shows the resumer's frames and registers at every instruction of a resume and a suspend.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/debuggers/gdb.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

// The script, and the program in A32 and in T32 code: the test's arguments.
std::vector<std::string> files;

void Step(const std::string& program) {
#if defined(__clang__)
  GTEST_SKIP() << "this compiler does not describe the beginnings and ends of functions";
#endif
  if (const std::string why = WhyGdbCannotStartPrograms(); !why.empty()) GTEST_SKIP() << why;
  const std::vector<std::string> start = Emulator() == nullptr
                                             ? std::vector<std::string>{"break main", "run"}
                                             : StartInEmulator(program);
  const CommandResult result = RunGdb(start, {"-x", files[0], "--args", program});
  EXPECT_EQ(result.exit_status, 0) << result.output;
}

TEST(GdbEveryInstructionTest, A32) { Step(files.at(1)); }

TEST(GdbEveryInstructionTest, T32) { Step(files.at(2)); }

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  fringe::testing::files.assign(argv + 1, argv + argc);
  return RUN_ALL_TESTS();
}
