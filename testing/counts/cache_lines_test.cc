// Checks by the program's symbols that variables which threads store to share no cache line with
// variables that each life of a generator loads. A store makes the next load on every other CPU
// wait.

#include <cstddef>
#include <string>

#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace fringe::testing {
namespace {

std::string program;  // the test's argument

// Some CPUs fetch lines in pairs.
constexpr size_t kLineBytes = 128;

// Checks that nothing else is in the lines of the variable whose name ends with `name`.
void CheckAlone(const std::string& name) {
  if (!IsInstalled("nm")) GTEST_SKIP() << "nm is not installed (Debian: binutils)";
  const CommandResult result =
      RunCommand({"nm", "--demangle", "--defined-only", "--format=posix", program});
  ASSERT_EQ(result.exit_status, 0) << result.output;
  for (const std::string& line : SplitLines(result.output)) {
    // Its name, type, address, and size.
    const size_t end = line.find(name + " ");
    if (end == std::string::npos) continue;
    const std::string numbers = line.substr(end + name.size() + 3);
    const size_t middle = numbers.find(' ');
    ASSERT_NE(middle, std::string::npos) << line;
    EXPECT_EQ(std::stoul(numbers.substr(0, middle), nullptr, 16) % kLineBytes, 0U) << line;
    const size_t size_bytes = std::stoul(numbers.substr(middle), nullptr, 16);
    EXPECT_NE(size_bytes, 0U) << line;
    EXPECT_EQ(size_bytes % kLineBytes, 0U) << line;
    return;
  }
  ADD_FAILURE() << "no variable " << name << " in " << program;
}

TEST(CacheLinesTest, StateOfLooksIsAlone) { CheckAlone("::look_state"); }

TEST(CacheLinesTest, StateOfToolsIsAlone) { CheckAlone("::tool_state"); }

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1) fringe::testing::program = argv[1];
  return RUN_ALL_TESTS();
}
