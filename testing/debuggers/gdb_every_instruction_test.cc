// gdb shows the resumer's frames and registers at every instruction of a resume and a suspend.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"
#include "testing/support/scratch_folder.h"

namespace fringe::testing {
namespace {

// The script, and the program in A32 and in T32 code: the test's arguments.
std::vector<std::string> files;

void Step(const std::string& program) {
#if defined(__clang__)
  GTEST_SKIP() << "this compiler does not describe the beginnings and ends of functions";
#endif
  const bool is_emulated = Emulator() != nullptr;
  const std::string debugger = is_emulated ? "gdb-multiarch" : "gdb";
  if (!IsInstalled(debugger)) GTEST_SKIP() << debugger << " is not installed";
  const ScratchFolder folder("/tmp");  // A socket's path is short.
  const std::string socket = folder.path() + "/gdb";
  std::vector<std::string> words = {debugger, "-nx", "-batch"};
  std::vector<std::string> commands = {"set debuginfod enabled off", "set width 0",
                                       "set style enabled off"};
  if (is_emulated) {
    // The emulator waits at the socket for a debugger before the program's first instruction.
    commands.insert(commands.end(), {"shell " + std::string(Emulator()) + " -g " + socket + " " +
                                         program + " > /dev/null & until test -S " + socket +
                                         " || ! kill -0 $!; do sleep 0.01; done",
                                     "target remote " + socket});
  } else {
    commands.insert(commands.end(), {"break main", "run"});
  }
  for (const std::string& command : commands) words.insert(words.end(), {"-ex", command});
  words.insert(words.end(), {"-x", files[0], "--args", program});
  const CommandResult result = RunCommand(words);
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
