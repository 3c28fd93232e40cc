// Lists the files of a directory tree, lazily. The C library's `nftw` calls a function for each
// file. Here it becomes a sequence that is filtered, and left as soon as enough files were found.
//
//   find /usr/include --name='std*.h' --limit=3 --stats

#include <fnmatch.h>

#include <cstdint>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "examples/file_walk.h"

ABSL_FLAG(std::string, name, "*",
          "List only files whose last component matches this shell pattern.");
ABSL_FLAG(std::optional<uint64_t>, limit, std::nullopt,
          "Stop when this many files are listed, without walking the rest.");
ABSL_FLAG(bool, stats, false,
          "At the end, print to standard error how often nftw called its callback.");

namespace {

constexpr char kUsage[] =
    "lists the files of a directory tree.\n\n"
    "  find PATH [--name=GLOB] [--limit=N] [--stats]\n\n"
    "Files that cannot be read are reported on standard error and skipped. The exit status is 1 "
    "if\n"
    "PATH does not exist or the walk cannot continue, and 2 if the arguments are wrong.";

// Lists the files that the flags select.
//
// Returns: the exit status.
int Find(const char* path) {
  const std::string name = absl::GetFlag(FLAGS_name);
  const std::optional<uint64_t> limit = absl::GetFlag(FLAGS_limit);

  FileWalk walk(path);
  uint64_t listed = 0;
  while (std::cout && (!limit.has_value() || listed < *limit)) {
    const std::optional<FileWalk::Entry> entry = walk.Next();
    if (!entry.has_value()) break;
    if (entry->error != 0) {
      std::cerr << "find: " << entry->path << ": " << std::strerror(entry->error) << "\n";
      continue;
    }
    // `nftw` passes a null-terminated path, so its last component is null-terminated too.
    if (fnmatch(name.c_str(), entry->name().data(), 0) != 0) continue;
    std::cout << entry->path << "\n";
    ++listed;
  }

  std::cout.flush();
  if (absl::GetFlag(FLAGS_stats)) std::cerr << "find: " << walk.callbacks() << " callbacks\n";
  if (!walk.status().ok()) {
    std::cerr << "find: " << walk.status().message() << "\n";
    return 1;
  }
  if (!std::cout) {
    std::cerr << "find: cannot write to standard output\n";
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 2) {
    std::cerr << "find: expected one PATH; see --help\n";
    return 2;
  }
  return Find(arguments[1]);
}
