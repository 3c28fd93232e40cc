#include "testing/support/command.h"

#include <stdio.h>
#include <sys/wait.h>

#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

namespace fringe::testing {
namespace {

// Returns: the text quoted as one shell word.
std::string Quoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

CommandResult RunCommand(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += Quoted(word) + " ";
  line += "< /dev/null 2>&1";
  CommandResult result;
  FILE* const pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof buffer, pipe)) {
    result.output.append(buffer, count);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.exit_status = WEXITSTATUS(status);
  return result;
}

bool IsInstalled(const std::string& name) {
  return RunCommand({"sh", "-c", "command -v " + Quoted(name)}).exit_status == 0;
}

std::vector<std::string> SplitLines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace fringe::testing
