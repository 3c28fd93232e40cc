// Lists the files of a directory tree, one at a time. The C library's `nftw` calls a function for
// each file until it has seen all of them. This class turns it into a sequence that can be left
// early.
//
//   FileWalk walk("/usr/include");
//   while (std::optional<FileWalk::Entry> entry = walk.Next()) {
//     std::cout << entry->path << "\n";
//     if (entry->name() == "stdio.h") break;
//   }
//   if (!walk.status().ok()) std::cerr << walk.status() << "\n";

#ifndef FRINGE_EXAMPLES_FILE_WALK_H_
#define FRINGE_EXAMPLES_FILE_WALK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "fringe/generator.h"

// A walk through a directory tree, directories before their contents. Symbolic links are not
// followed.
//
// `nftw` runs on the stack of a generator, and its callback suspends. A walk that is left early
// must still end inside `nftw`, which holds open directories and memory: an exception would pass
// through its frames and leak both. The callback therefore suspends by `TrySuspend`. If the
// generator is being destroyed, it returns non-zero, and `nftw` cleans up after itself. This needs
// no exceptions.
//
// Thread safety: a walk must be used on one thread. Two threads must not walk at the same time,
//   because the callback of `nftw` has no argument that identifies its walk. One thread may have
//   many walks.
class FileWalk {
 public:
  // A file, or a place that cannot be read.
  struct Entry {
    std::string_view path;  // starts with the path of the walk; valid until the next `Next`
    size_t name_offset;     // where the last component begins
    int error;              // 0, or the errno because of which the walk skips it

    std::string_view name() const { return path.substr(name_offset); }
  };

  // Prepares a walk from `path`, which may also be a single file.
  //
  // Errors: fatal if there is no memory for a stack.
  explicit FileWalk(std::string path);
  FileWalk(const FileWalk&) = delete;
  FileWalk& operator=(const FileWalk&) = delete;
  // Returns: the next file; `nullopt` at the end.
  std::optional<Entry> Next();

  // Returns: after the end, why the walk could not start or continue, with the path and errno.
  const absl::Status& status() const { return status_; }

  // Returns: how often `nftw` has called the callback.
  uint64_t callbacks() const { return callbacks_; }

 private:
  using Yielder = fringe::Yielder<Entry>;

  void Walk(Yielder& yielder);

  const std::string path_;
  absl::Status status_;
  uint64_t callbacks_ = 0;
  Yielder* yielder_ = nullptr;  // set when the walk starts
  // Last, so that the walk ends before what it uses is destroyed.
  fringe::Generator<Entry> entries_;
};

#endif  // FRINGE_EXAMPLES_FILE_WALK_H_
