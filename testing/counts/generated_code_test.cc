// Checks by LLVM's FileCheck that no call and no push is in the hot loops of hot_loops.cc, and no
// store except those that are listed there. The loops are read from the linked program.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace fringe::testing {
namespace {

std::string program;  // the test's arguments: the program, and its source
std::string source;

std::optional<std::string> FileCheck() {
  for (const char* const name : {"FileCheck-19", "FileCheck-14", "FileCheck"}) {
    if (IsInstalled(name)) return name;
  }
  return std::nullopt;
}

std::string CompilerPrefix() {
#if defined(__clang__) && __clang_major__ == 14
  return "CLANG";
#elif !defined(__clang__) && __GNUC__ == 12
  return "GCC";
#else
  return "";
#endif
}

// Returns: the address at the start of a line of the disassembly, or at the start of an operand.
uintptr_t Address(const std::string& digits) { return std::stoul(digits, nullptr, 16); }

// Returns: the instructions of the function's first loop, a line each. It is where the first jump
//   backwards leads to, and ends with that jump. What is executed rarely comes later.
std::string FirstLoop(const std::string& function) {
  const CommandResult result =
      RunCommand({"objdump", "--disassemble=" + function, "--no-show-raw-insn", program});
  EXPECT_EQ(result.exit_status, 0) << result.output;
  static const std::regex kInstruction("^ +([0-9a-f]+):\t([^#]*[^# ]).*");
  static const std::regex kJump("^j[a-z]+ +([0-9a-f]+) .*");
  struct Line {
    uintptr_t address;
    std::string text;
  };
  std::vector<Line> lines;
  for (const std::string& line : SplitLines(result.output)) {
    std::smatch match;
    if (!std::regex_match(line, match, kInstruction)) continue;
    lines.push_back({Address(match[1]), match[2]});
    const std::string text = match[2];
    if (!std::regex_match(text, match, kJump)) continue;
    const uintptr_t target = Address(match[1]);
    if (target >= lines.back().address) continue;
    std::string loop;
    for (const Line& each : lines) {
      if (each.address >= target) loop += each.text + "\n";
    }
    return loop;
  }
  ADD_FAILURE() << "no loop in " << function << ":\n" << result.output;
  return "";
}

// Checks the loop of `function` by the lines of `prefix`.
void Check(const std::string& function, const std::string& prefix) {
  const std::optional<std::string> file_check = FileCheck();
  if (!file_check) GTEST_SKIP() << "FileCheck is not installed (Debian: llvm-14-tools)";
  if (!IsInstalled("objdump")) GTEST_SKIP() << "objdump is not installed (Debian: binutils)";
  const std::string compiler = CompilerPrefix();
  if (compiler.empty()) GTEST_SKIP() << "there is no expected code for this compiler";
  EXPECT_EQ(RunCommand({program}).exit_status, 0);

  std::string prefixes = prefix + "," + prefix + "-" + compiler;
#if defined(__cpp_exceptions)
  prefixes += "," + prefix + "-EXCEPTIONS," + prefix + "-" + compiler + "-EXCEPTIONS";
#endif
  const std::string loop = FirstLoop(function);
  // Stores: the last operand is in memory. (`cmp`, `test` and jumps only load. `xchg %ax,%ax` is
  // padding.)
  const CommandResult result =
      RunCommand({*file_check, "--check-prefixes=" + prefixes, "--allow-unused-prefixes",
                  "--implicit-check-not=call", "--implicit-check-not=push",
                  "--implicit-check-not={{xchg.*\\)}}",
                  "--implicit-check-not={{^v?(mov|add|sub|and|or|xor|adc|sbb|sh[lr]|sar|ro[lr])"
                  "[a-z0-9]* .*[0-9a-z],(.*\\)|%fs:.*)$}}",
                  "--implicit-check-not={{^(inc|dec|neg|not|set|pop)[a-z]* .*\\)$}}",
                  "--dump-input=never", source},
                 {.standard_input = loop});
  EXPECT_EQ(result.exit_status, 0) << result.output << "\nThe loop:\n" << loop;
}

TEST(GeneratedCodeTest, LoopOfResumesHasNoCallAndNoOtherStore) {
  Check("fringe_hot_resumes", "RESUMES");
}

TEST(GeneratedCodeTest, LoopOfSuspensionsHasNoCallAndNoOtherStore) {
  Check("fringe_hot_suspensions", "SUSPENSIONS");
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 2) {
    fringe::testing::program = argv[1];
    fringe::testing::source = argv[2];
  }
  return RUN_ALL_TESTS();
}
