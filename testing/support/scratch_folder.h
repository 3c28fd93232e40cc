// A folder for the files of one test. The destructor removes it.

#ifndef FRINGE_TESTING_SUPPORT_SCRATCH_FOLDER_H_
#define FRINGE_TESTING_SUPPORT_SCRATCH_FOLDER_H_

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "gtest/gtest.h"

namespace fringe::testing {

class ScratchFolder {
 public:
  // A test that needs a short path, such as that of a socket, gives another `parent`.
  explicit ScratchFolder(const std::string& parent = ::testing::TempDir())
      : path_(std::filesystem::path(parent) /
              ("scratch_" + std::to_string(getpid()) + "_" + std::to_string(count_++))) {
    std::filesystem::create_directories(path_);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path() const { return path_.string(); }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

  // Writes a file, and creates the folders in its path.
  //
  // Returns: its path.
  std::string Write(const std::string& name, const std::string& contents = "") const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << contents;
    return path.string();
  }

 private:
  static inline int count_ = 0;

  const std::filesystem::path path_;
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_SCRATCH_FOLDER_H_
