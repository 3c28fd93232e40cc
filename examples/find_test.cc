#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/scratch_folder.h"

namespace {

using fringe::testing::CommandResult;
using fringe::testing::RunProgram;
using fringe::testing::ScratchFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> SortedLines(const std::string& text) {
  std::vector<std::string> lines = Lines(text);
  std::sort(lines.begin(), lines.end());
  return lines;
}

class FindTest : public testing::Test {
 protected:
  FindTest() {
    folder_.Write("a.txt");
    folder_.Write("b/c.txt");
    folder_.Write("b/d.cc");
    folder_.Write("b/e/f.txt");
  }

  const ScratchFolder folder_;
};

TEST_F(FindTest, ListsEverything) {
  const CommandResult outcome = RunProgram({folder_.path()});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(
      SortedLines(outcome.output),
      ElementsAre(folder_.path(), folder_.path("a.txt"), folder_.path("b"), folder_.path("b/c.txt"),
                  folder_.path("b/d.cc"), folder_.path("b/e"), folder_.path("b/e/f.txt")));
  EXPECT_EQ(outcome.errors, "");
}

TEST_F(FindTest, ListsASingleFile) {
  const CommandResult outcome = RunProgram({folder_.path("a.txt")});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output, folder_.path("a.txt") + "\n");
}

TEST_F(FindTest, NameSelectsByTheLastComponent) {
  const CommandResult outcome = RunProgram({folder_.path(), "--name=*.txt"});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(
      SortedLines(outcome.output),
      ElementsAre(folder_.path("a.txt"), folder_.path("b/c.txt"), folder_.path("b/e/f.txt")));
}

TEST_F(FindTest, StatsCountsTheCallbacksOfAWholeWalk) {
  const CommandResult outcome = RunProgram({folder_.path(), "--stats"});
  EXPECT_EQ(outcome.errors, "find: 7 callbacks\n");
}

// The walk stops after the last file that is listed, however large the tree is.
TEST_F(FindTest, LimitStopsWithoutWalkingTheRest) {
  for (int i = 0; i < 1000; ++i) folder_.Write("many/" + std::to_string(i));
  const CommandResult whole = RunProgram({folder_.path(), "--stats"});
  EXPECT_EQ(whole.errors, "find: 1008 callbacks\n");
  for (const size_t limit : {1u, 2u, 5u, 900u}) {
    const CommandResult outcome =
        RunProgram({folder_.path(), "--limit=" + std::to_string(limit), "--stats"});
    EXPECT_EQ(outcome.exit_status, 0);
    EXPECT_EQ(Lines(outcome.output).size(), limit);
    EXPECT_EQ(outcome.errors, "find: " + std::to_string(limit) + " callbacks\n");
  }
}

TEST_F(FindTest, LimitCountsWhatIsListedNotWhatIsSeen) {
  const CommandResult outcome = RunProgram({folder_.path(), "--name=*.txt", "--limit=2"});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(Lines(outcome.output).size(), 2u);
}

TEST_F(FindTest, LimitZeroLooksAtNothing) {
  const CommandResult outcome = RunProgram({folder_.path(), "--limit=0", "--stats"});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output, "");
  EXPECT_EQ(outcome.errors, "find: 0 callbacks\n");
}

TEST_F(FindTest, LimitBeyondTheEndEndsThere) {
  const CommandResult outcome = RunProgram({folder_.path(), "--limit=1000"});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(Lines(outcome.output).size(), 7u);
}

TEST_F(FindTest, PathThatDoesNotExist) {
  const CommandResult outcome = RunProgram({folder_.path("absent")});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_EQ(outcome.output, "");
  EXPECT_EQ(outcome.errors, "find: " + folder_.path("absent") + ": No such file or directory\n");
}

TEST_F(FindTest, SymbolicLinksAreListedAndNotFollowed) {
  ASSERT_EQ(symlink("..", folder_.path("b/up").c_str()), 0);
  ASSERT_EQ(symlink("nowhere", folder_.path("b/dangling").c_str()), 0);
  const CommandResult outcome = RunProgram({folder_.path("b")});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(Lines(outcome.output).size(), 7u);
  EXPECT_EQ(outcome.errors, "");
}

// Makes file permissions apply to a process of the superuser too.
bool GiveUpOverridingPermissions() {
  if (geteuid() != 0) return true;
  return prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) == 0 &&
         prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH) == 0;
}

TEST_F(FindTest, WhatCannotBeReadIsReportedAndPassedOver) {
  // One folder cannot be listed. The other can be listed, but its files cannot be read.
  folder_.Write("b/hidden/file");
  folder_.Write("b/names_only/file");
  ASSERT_EQ(chmod(folder_.path("b/hidden").c_str(), 0), 0);
  ASSERT_EQ(chmod(folder_.path("b/names_only").c_str(), 0400), 0);
  const CommandResult outcome =
      RunProgram({folder_.path(), "--stats"}, {.prepare = GiveUpOverridingPermissions});
  ASSERT_EQ(chmod(folder_.path("b/hidden").c_str(), 0700), 0);
  ASSERT_EQ(chmod(folder_.path("b/names_only").c_str(), 0700), 0);
  if (outcome.exit_status == CommandResult::kNotPrepared) {
    GTEST_SKIP() << "runs as root and cannot drop the capability to read everything";
  }

  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_THAT(SortedLines(outcome.output),
              ElementsAre(folder_.path(), folder_.path("a.txt"), folder_.path("b"),
                          folder_.path("b/c.txt"), folder_.path("b/d.cc"), folder_.path("b/e"),
                          folder_.path("b/e/f.txt"), folder_.path("b/names_only")));
  EXPECT_THAT(Lines(outcome.errors),
              UnorderedElementsAre(
                  "find: 10 callbacks", "find: " + folder_.path("b/hidden") + ": Permission denied",
                  "find: " + folder_.path("b/names_only/file") + ": Permission denied"));
}

TEST_F(FindTest, OutputThatCannotBeWritten) {
  const CommandResult outcome = RunProgram(
      {folder_.path()}, {.prepare = [] { return close(STDOUT_FILENO) == 0 || errno == EBADF; }});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_EQ(outcome.errors, "find: cannot write to standard output\n");
}

TEST_F(FindTest, WrongArguments) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{}, {"a", "b"}}) {
    const CommandResult outcome = RunProgram(arguments);
    EXPECT_EQ(outcome.exit_status, 2);
    EXPECT_EQ(outcome.output, "");
    EXPECT_THAT(Lines(outcome.errors), ElementsAre(StartsWith("find: ")));
  }
  const CommandResult outcome = RunProgram({folder_.path(), "--limit=-1"});
  EXPECT_NE(outcome.exit_status, 0);
  EXPECT_THAT(outcome.output, IsEmpty());
  EXPECT_THAT(outcome.errors, HasSubstr("limit"));
}

TEST_F(FindTest, HelpNamesTheFlags) {
  const CommandResult outcome = RunProgram({"--help"});
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("find PATH"), HasSubstr("--name"),
                                    HasSubstr("--limit"), HasSubstr("--stats")));
}

}  // namespace
