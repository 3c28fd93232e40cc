// Runs the program under test and captures its output.
//
//   const Outcome outcome = RunProgram({"--limit=1", "/usr"});
//   EXPECT_EQ(outcome.exit_status, 0) << outcome.standard_error;

#ifndef FRINGE_EXAMPLES_RUN_PROGRAM_H_
#define FRINGE_EXAMPLES_RUN_PROGRAM_H_

#include <functional>
#include <string>
#include <vector>

struct Outcome {
  int exit_status;  // negative: the signal that ended it
  std::string standard_output;
  std::string standard_error;
};

// How to run a program.
struct RunOptions {
  std::string standard_input = "";
  // Called in the new process before the program starts. If it returns false, the process exits
  // with status `kNotPrepared`.
  std::function<bool()> prepare = [] { return true; };
};

inline constexpr int kNotPrepared = 126;

// Runs the program that the environment variable PROGRAM names, to its end.
Outcome RunProgram(std::vector<std::string> arguments, const RunOptions& options = {});

#endif  // FRINGE_EXAMPLES_RUN_PROGRAM_H_
