// One program, built with several default stacks, must run on each of them.

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

std::map<std::string, std::string> programs;  // their paths, by the last component

std::string Output(const std::string& name) {
  const CommandResult result = RunCommand(Emulated(programs.at(name)));
  EXPECT_EQ(result.exit_status, 0) << result.output;
  return result.output;
}

TEST(DefaultStackTest, EachProgramRunsOnTheStackThatItNames) {
  EXPECT_EQ(Output("program_os"), "program: fringe::OsStack\nlibrary: fringe::OsStack\n");
  EXPECT_EQ(Output("program_pooled"),
            "program: fringe::PooledStack\nlibrary: fringe::PooledStack\n");
  EXPECT_EQ(Output("program_own"), "program: own::OwnStack\nlibrary: own::OwnStack\n");
}

TEST(DefaultStackTest, ProgramMayRunOnAnUnguardedStackThatItAsksFor) {
  EXPECT_EQ(Output("program_malloc"),
            "program: fringe::MallocStack\nlibrary: fringe::MallocStack\n");
}

TEST(DefaultStackTest, ProgramThatNamesNoneRunsOnThatOfTheBuild) {
  EXPECT_EQ(Output("program"), Output("program_of_cc_binary"));
}

// The failure is fatal, with the text of the error.
TEST(DefaultStackTest, ProgramEndsWhereThereIsNoStack) {
  // A 32-bit address space can hold any size that is representable.
  if constexpr (sizeof(size_t) > 4) {
    const CommandResult too_large = RunCommand(Emulated(programs.at("program_too_large")));
    EXPECT_NE(too_large.exit_status, 0);
    EXPECT_TRUE(too_large.output.starts_with("fringe: no default stack: mmap for a stack of "))
        << too_large.output;
  }
  const CommandResult none = RunCommand(Emulated(programs.at("program_none")));
  EXPECT_NE(none.exit_status, 0);
  EXPECT_TRUE(none.output.starts_with("fringe: no default stack: its creation gave none\n"))
      << none.output;
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (const std::string& path : std::vector<std::string>(argv + 1, argv + argc)) {
    fringe::testing::programs[path.substr(path.rfind('/') + 1)] = path;
  }
  return RUN_ALL_TESTS();
}
