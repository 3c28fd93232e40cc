// Runs other programs, for tests of what debuggers and Valgrind make of ours.

#ifndef FRINGE_TESTING_SUPPORT_COMMAND_H_
#define FRINGE_TESTING_SUPPORT_COMMAND_H_

#include <string>
#include <vector>

namespace fringe::testing {

struct CommandResult {
  int exit_status = -1;  // -1 where it did not start or was killed
  std::string output;    // of both streams
};

// Runs a program to its end, with nothing on its standard input. The first of `words` is its path
// or its name.
CommandResult RunCommand(const std::vector<std::string>& words);

// Whether there is a program of that name to run.
bool IsInstalled(const std::string& name);

std::vector<std::string> SplitLines(const std::string& text);

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_COMMAND_H_
