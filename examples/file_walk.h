// The files of a directory tree, one at a time: the C library's `nftw`, which calls back for each
// file until it has seen them all, turned into a sequence that its user pulls from, and leaves when
// he has enough.
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

// A walk through a directory tree, directories before what they hold. Symbolic links are not
// followed.
//
// `nftw` runs on the stack of a generator, and its callback suspends. A walk that is left early
// must still end inside `nftw`, which holds open directories and memory: a C function has no
// destructors, and unwinding its frames, which is what the destructor of an unfinished generator
// does, would leak both. So each resume tells the callback whether to go on, and the destructor of
// the walk tells it to stop: the callback returns non-zero, and `nftw` cleans up after itself. This
// needs no exceptions either.
//
// Thread safety: a walk is used on one thread, and no two threads walk at the same time, for the
// callback of `nftw` gets no argument by which to know its walk. One thread may have many walks.
class FileWalk {
 public:
  // A file, or a place that cannot be read.
  struct Entry {
    std::string_view path;  // begins as the path of the walk does; good until the next `Next`
    size_t name_offset;     // where the last component begins
    int error;              // 0, or the errno that says why the walk passes it over

    std::string_view name() const { return path.substr(name_offset); }
  };

  // Prepares a walk from `path`, which may also be a single file.
  //
  // Errors: fatal where there is no memory for a stack.
  explicit FileWalk(std::string path);
  FileWalk(const FileWalk&) = delete;
  FileWalk& operator=(const FileWalk&) = delete;
  // Ends the walk where it stands, without looking at another file.
  ~FileWalk();

  // Returns: the next file; `nullopt` at the end.
  std::optional<Entry> Next();

  // Returns: after the end, why the walk could not begin or go on, with the path and errno.
  const absl::Status& status() const { return status_; }

  // Returns: how often `nftw` has called back.
  uint64_t callbacks() const { return callbacks_; }

 private:
  // What a resume tells the walk.
  enum class Then { kGoOn, kStop };
  using Yielder = fringe::Yielder<Entry, Then>;

  void Walk(Yielder& yielder, Then then);

  const std::string path_;
  absl::Status status_;
  uint64_t callbacks_ = 0;
  Yielder* yielder_ = nullptr;  // once the walk has begun
  fringe::Generator<Entry, Then> entries_;
};

#endif  // FRINGE_EXAMPLES_FILE_WALK_H_
