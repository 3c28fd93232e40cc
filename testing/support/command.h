// Runs other programs: examples, debuggers, Valgrind, compilers.
//
//   const CommandResult result = RunCommand({"gdb", "--version"});
//   EXPECT_EQ(result.exit_status, 0) << result.output;

#ifndef FRINGE_TESTING_SUPPORT_COMMAND_H_
#define FRINGE_TESTING_SUPPORT_COMMAND_H_

#include <functional>
#include <string>
#include <vector>

namespace fringe::testing {

struct CommandResult {
  int exit_status = kNotStarted;  // negative: the signal that ended the program
  std::string output;
  std::string errors;  // of standard error, if it is separate

  static constexpr int kNotStarted = 127;
  static constexpr int kNotPrepared = 126;
};

struct CommandOptions {
  std::string standard_input = "";
  // Whether `errors` has standard error. Otherwise `output` has both streams, in order.
  bool separate_errors = false;
  // Runs in the new process before the program. If it returns false, the process exits with status
  // `kNotPrepared`.
  std::function<bool()> prepare = [] { return true; };
};

// Runs a program to its end. The first of `words` is its path or its name.
CommandResult RunCommand(std::vector<std::string> words, const CommandOptions& options = {});

// Runs the program that the environment variable PROGRAM names, in an emulator if the test runs in
// one. Its standard error is separate.
CommandResult RunProgram(const std::vector<std::string>& arguments, CommandOptions options = {});

// Whether a program of that name is installed.
bool IsInstalled(const std::string& name);

std::vector<std::string> SplitLines(const std::string& text);

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_COMMAND_H_
