#include "examples/run_program.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/emulator.h"

namespace {

// Returns: the contents of `file`, from its beginning.
std::string Contents(std::FILE* file) {
  std::rewind(file);
  std::string contents;
  char buffer[4096];
  while (const size_t length = std::fread(buffer, 1, sizeof(buffer), file)) {
    contents.append(buffer, length);
  }
  return contents;
}

}  // namespace

Outcome RunProgram(std::vector<std::string> arguments, const RunOptions& options) {
  const char* const program = std::getenv("PROGRAM");
  if (program == nullptr || access(program, X_OK) != 0) {
    ADD_FAILURE() << "PROGRAM names no program: " << (program == nullptr ? "" : program);
    return {};
  }
  const std::vector<std::string> words = fringe::testing::Emulated(program);
  arguments.insert(arguments.begin(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  // Files instead of pipes, so that a large output cannot block the program.
  std::FILE* const input = std::tmpfile();
  std::FILE* const output = std::tmpfile();
  std::FILE* const error = std::tmpfile();
  if (input == nullptr || output == nullptr || error == nullptr) {
    ADD_FAILURE() << "no temporary file";
    return {};
  }
  std::fwrite(options.standard_input.data(), 1, options.standard_input.size(), input);
  std::rewind(input);
  std::fflush(nullptr);

  const pid_t child = fork();
  if (child == 0) {
    dup2(fileno(input), STDIN_FILENO);
    dup2(fileno(output), STDOUT_FILENO);
    dup2(fileno(error), STDERR_FILENO);
    if (!options.prepare()) _exit(kNotPrepared);
    execvp(argv.front(), argv.data());
    std::perror(argv.front());
    _exit(127);
  }
  int status = 0;
  if (child == -1 || waitpid(child, &status, 0) != child) {
    ADD_FAILURE() << "cannot run " << program;
    return {};
  }
  Outcome outcome{
      .exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
      .standard_output = Contents(output),
      .standard_error = Contents(error),
  };
  std::fclose(input);
  std::fclose(output);
  std::fclose(error);
  return outcome;
}
