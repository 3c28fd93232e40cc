#include "examples/file_walk.h"

#include <malloc.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/support/scratch_folder.h"

#if defined(__SANITIZE_ADDRESS__)
#define FRINGE_HEAP_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FRINGE_HEAP_IS_SANITIZED 1
#endif
#endif
#if !defined(FRINGE_HEAP_IS_SANITIZED)
#define FRINGE_HEAP_IS_SANITIZED 0
#endif

namespace {

using fringe::testing::ScratchFolder;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;

ptrdiff_t OpenFiles() {
  std::filesystem::directory_iterator files("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

// Returns: the number of bytes allocated from the heap, or 0 with a sanitizer, whose heap finds
//   leaks itself when the test ends.
size_t HeapBytes() { return FRINGE_HEAP_IS_SANITIZED ? 0 : mallinfo2().uordblks; }

class FileWalkTest : public testing::Test {
 protected:
  FileWalkTest() {
    for (int i = 0; i < 100; ++i) folder_.Write("a/b/c/" + std::to_string(i));
  }

  const ScratchFolder folder_;
};

TEST_F(FileWalkTest, GivesEachFileOnceThenNothing) {
  std::multiset<std::string> names;
  FileWalk walk(folder_.path());
  while (const std::optional<FileWalk::Entry> entry = walk.Next()) {
    EXPECT_EQ(entry->error, 0);
    names.emplace(entry->name());
  }
  EXPECT_EQ(names.size(), 104u);
  EXPECT_THAT(names, IsSupersetOf({"a", "b", "c", "0", "99"}));
  EXPECT_EQ(walk.callbacks(), 104u);
  EXPECT_TRUE(walk.status().ok());
  EXPECT_FALSE(walk.Next().has_value());
  EXPECT_FALSE(walk.Next().has_value());
}

TEST_F(FileWalkTest, LeftEarlyLeaksNothing) {
  const auto leave_after = [this](int count) {
    FileWalk walk(folder_.path());
    for (int i = 0; i < count; ++i) ASSERT_TRUE(walk.Next().has_value());
    if (count > 4) {
      EXPECT_GT(OpenFiles(), 4) << "the walk must be left while directories are open";
    }
  };
  leave_after(50);  // allocates what is allocated only once
  const ptrdiff_t open_files = OpenFiles();
  const size_t heap_bytes = HeapBytes();
  for (int count = 0; count < 100; ++count) leave_after(count);
  EXPECT_EQ(OpenFiles(), open_files);
  EXPECT_EQ(HeapBytes(), heap_bytes);
}

TEST_F(FileWalkTest, LeftEarlySeesNoFurtherFile) {
  uint64_t callbacks = 0;
  {
    FileWalk walk(folder_.path());
    for (int i = 0; i < 10; ++i) walk.Next();
    callbacks = walk.callbacks();
  }
  EXPECT_EQ(callbacks, 10u);
}

TEST_F(FileWalkTest, NeverBegunCallsNothing) {
  FileWalk walk(folder_.path("absent"));
  EXPECT_EQ(walk.callbacks(), 0u);
  EXPECT_TRUE(walk.status().ok());
}

TEST_F(FileWalkTest, TwoWalksByTurns) {
  folder_.Write("other/x");
  folder_.Write("other/y");
  FileWalk left(folder_.path("a/b/c"));
  FileWalk right(folder_.path("other"));
  std::set<std::string> left_names;
  std::set<std::string> right_names;
  for (bool more = true; more;) {
    more = false;
    if (const std::optional<FileWalk::Entry> entry = left.Next()) {
      left_names.emplace(entry->name());
      more = true;
    }
    if (const std::optional<FileWalk::Entry> entry = right.Next()) {
      right_names.emplace(entry->name());
      more = true;
    }
  }
  EXPECT_EQ(left_names.size(), 101u);
  EXPECT_EQ(left.callbacks(), 101u);
  EXPECT_THAT(right_names, UnorderedElementsAre("other", "x", "y"));
  EXPECT_EQ(right.callbacks(), 3u);
}

TEST_F(FileWalkTest, PathThatDoesNotExistIsAnError) {
  FileWalk walk(folder_.path("absent"));
  EXPECT_FALSE(walk.Next().has_value());
  EXPECT_TRUE(absl::IsNotFound(walk.status())) << walk.status();
  EXPECT_EQ(walk.callbacks(), 0u);
}

// Almost as deep as the longest path allows: the stack of a walk must be large enough for `nftw`.
TEST_F(FileWalkTest, DeepTree) {
  constexpr size_t kLongestPath = 4000;
  std::string path = folder_.path("deep");
  size_t depth = 0;
  for (; path.size() <= kLongestPath; path += "/d", ++depth) {
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0) << path.size() << ": " << std::strerror(errno);
  }

  FileWalk walk(folder_.path("deep"));
  while (walk.Next()) {
  }
  EXPECT_TRUE(walk.status().ok()) << walk.status();
  EXPECT_EQ(walk.callbacks(), depth);
}

}  // namespace
