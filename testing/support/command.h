// Runs other programs, for tests of debuggers, Valgrind and other tools.

#ifndef FRINGE_TESTING_SUPPORT_COMMAND_H_
#define FRINGE_TESTING_SUPPORT_COMMAND_H_

#include <string>
#include <vector>

namespace fringe::testing {

struct CommandResult {
  int exit_status = -1;  // -1 if it did not start or was killed
  std::string output;    // of both streams
};

// Runs a program to its end, with an empty standard input. The first of `words` is its path or its
// name.
CommandResult RunCommand(const std::vector<std::string>& words);

// Whether a program of that name is installed.
bool IsInstalled(const std::string& name);

std::vector<std::string> SplitLines(const std::string& text);

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_COMMAND_H_
