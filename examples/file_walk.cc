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

// `nftw` calls itself for each level of directories, and the longest path that the kernel takes,
// 4096 bytes, has room for 2048 levels. Pages that are not touched take no memory.
constexpr size_t kStackBytes = size_t{8} << 20;

// How many directories `nftw` keeps open; where the tree is deeper it reads them into memory.
constexpr int kMaximumOpenDirectories = 16;

fringe::OsStack NewStack() {
  absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(kStackBytes);
  if (!stack.ok()) {
    std::fprintf(stderr, "%s\n", stack.status().ToString().c_str());
    std::abort();
  }
  return *std::move(stack);
}

// The walk whose `nftw` runs.
FileWalk* running = nullptr;

}  // namespace

FileWalk::FileWalk(std::string path)
    : path_(std::move(path)),
      entries_(NewStack(), [this](Yielder& yielder, Then then) { Walk(yielder, then); }) {}

FileWalk::~FileWalk() {
  while (entries_.Resume(Then::kStop)) {
  }
}

std::optional<FileWalk::Entry> FileWalk::Next() { return entries_.Resume(Then::kGoOn); }

void FileWalk::Walk(Yielder& yielder, Then then) {
  if (then == Then::kStop) return;
  yielder_ = &yielder;
  running = this;
  const int result = nftw(
      path_.c_str(),
      [](const char* path, const struct stat*, int type, struct FTW* place) {
        // What cannot be read: a directory, or what is known of a file.
        const int error = type == FTW_DNR || type == FTW_NS ? errno : 0;
        FileWalk* const walk = running;
        ++walk->callbacks_;
        const Then next = walk->yielder_->Suspend({path, static_cast<size_t>(place->base), error});
        running = walk;  // another may have run meanwhile
        return next == Then::kStop ? 1 : 0;
      },
      kMaximumOpenDirectories, FTW_PHYS);
  if (result == -1) status_ = absl::ErrnoToStatus(errno, path_);
}
