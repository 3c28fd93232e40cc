#include "testing/support/command.h"

#include <stdio.h>

#if defined(_WIN32)
#include <io.h>
#include <process.h>
#else
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

#if defined(_WIN32)
constexpr int kCanBeRun = 0;  // whether it exists
#else
constexpr int kCanBeRun = X_OK;
#endif

// Returns: a new file that is deleted when it is closed, or null.
FILE* NewFile() {
#if defined(_WIN32)
  // In Wine, files of `tmpfile` have the names of those of earlier processes with the same number,
  // which may be in the course of being deleted. The folder of a test is its own.
  static int files = 0;
  const std::string path = ::testing::TempDir() + "/command_" + std::to_string(++files);
  return fopen(path.c_str(), "w+bTD");
#else
  return tmpfile();
#endif
}

// A program can fill it however much it prints, which a pipe would block.
class TemporaryFile {
 public:
  TemporaryFile() : file_(NewFile()) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (file_ != nullptr) fclose(file_);
  }

  bool is_open() const { return file_ != nullptr; }
  int descriptor() const { return fileno(file_); }

  bool Write(const std::string& contents) {
    const bool written = fwrite(contents.data(), 1, contents.size(), file_) == contents.size();
    rewind(file_);
    return written && fflush(file_) == 0;
  }

  std::string Read() {
    rewind(file_);
    std::string contents;
    char buffer[4096];
    while (const size_t count = fread(buffer, 1, sizeof buffer, file_)) {
      contents.append(buffer, count);
    }
#if defined(_WIN32)
    contents.erase(std::remove(contents.begin(), contents.end(), '\r'), contents.end());
#endif
    return contents;
  }

 private:
  FILE* const file_;
};

}  // namespace

CommandResult RunCommand(std::vector<std::string> words, const CommandOptions& options) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  TemporaryFile input;
  TemporaryFile output;
  TemporaryFile errors;
  if (!input.is_open() || !output.is_open() || !errors.is_open() ||
      !input.Write(options.standard_input)) {
    ADD_FAILURE() << "cannot create and write temporary files";
    return {};
  }
  fflush(nullptr);

#if defined(_WIN32)
  // The program inherits the standard streams, which are replaced until it ends.
  int kept[3];
  for (int i = 0; i < 3; ++i) kept[i] = _dup(i);
  _dup2(input.descriptor(), 0);
  _dup2(output.descriptor(), 1);
  _dup2(options.separate_errors ? errors.descriptor() : output.descriptor(), 2);
  const intptr_t status = _spawnvp(_P_WAIT, argv.front(), argv.data());
  for (int i = 0; i < 3; ++i) {
    _dup2(kept[i], i);
    _close(kept[i]);
  }
  return {
      .exit_status = status == -1 ? CommandResult::kNotStarted : static_cast<int>(status),
      .output = output.Read(),
      .errors = errors.Read(),
  };
#else
  const pid_t child = fork();
  if (child == 0) {
    dup2(input.descriptor(), STDIN_FILENO);
    dup2(output.descriptor(), STDOUT_FILENO);
    dup2(options.separate_errors ? errors.descriptor() : output.descriptor(), STDERR_FILENO);
    if (!options.prepare()) _exit(CommandResult::kNotPrepared);
    execvp(argv.front(), argv.data());
    perror(argv.front());
    _exit(CommandResult::kNotStarted);
  }
  int status = 0;
  if (child == -1 || waitpid(child, &status, 0) != child) {
    ADD_FAILURE() << "cannot start " << words.front();
    return {};
  }
  return {
      .exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
      .output = output.Read(),
      .errors = errors.Read(),
  };
#endif
}

CommandResult RunProgram(const std::vector<std::string>& arguments, CommandOptions options) {
  const char* const program = std::getenv("PROGRAM");
  if (program == nullptr || access(program, kCanBeRun) != 0) {
    ADD_FAILURE() << "PROGRAM must name a program: " << (program == nullptr ? "" : program);
    return {};
  }
#if defined(_WIN32)
  std::vector<std::string> words = {program};  // this test runs in the emulator too
#else
  std::vector<std::string> words = Emulated(program);
#endif
  words.insert(words.end(), arguments.begin(), arguments.end());
  options.separate_errors = true;
  return RunCommand(std::move(words), options);
}

bool IsInstalled(const std::string& name) {
  return RunCommand({"sh", "-c", "command -v \"$1\"", "sh", name}).exit_status == 0;
}

std::vector<std::string> SplitLines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace fringe::testing
