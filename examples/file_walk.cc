#include "examples/file_walk.h"

#include <ftw.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/status/statusor.h"
#include "stacks/os_stack.h"

namespace {

// `nftw` recurses once per directory level. The longest path that the kernel accepts, 4096 bytes,
// has room for 2048 levels. Untouched pages use no memory.
constexpr size_t kStackBytes = size_t{8} << 20;

// How many directories `nftw` keeps open. In a deeper tree, it reads them into memory.
constexpr int kMaximumOpenDirectories = 16;

fringe::OsStack NewStack() {
  absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(kStackBytes);
  if (!stack.ok()) {
    std::fprintf(stderr, "%s\n", stack.status().ToString().c_str());
    std::abort();
  }
  return *std::move(stack);
}

// The walk whose `nftw` is running.
FileWalk* running = nullptr;

}  // namespace

FileWalk::FileWalk(std::string path)
    : path_(std::move(path)), entries_(NewStack(), [this](Yielder& yielder) { Walk(yielder); }) {}

std::optional<FileWalk::Entry> FileWalk::Next() { return entries_.Resume(); }

void FileWalk::Walk(Yielder& yielder) {
  yielder_ = &yielder;
  running = this;
  const int result = nftw(
      path_.c_str(),
      [](const char* path, const struct stat*, int type, struct FTW* place) {
        // `nftw` could not read a directory, or could not `stat` a file.
        const int error = type == FTW_DNR || type == FTW_NS ? errno : 0;
        FileWalk* const walk = running;
        ++walk->callbacks_;
        const bool more =
            walk->yielder_->TrySuspend({path, static_cast<size_t>(place->base), error});
        running = walk;  // another walk may have run in between
        return more ? 0 : 1;
      },
      kMaximumOpenDirectories, FTW_PHYS);
  if (result == -1) status_ = absl::ErrnoToStatus(errno, path_);
}
