#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/scratch_folder.h"

namespace {

using fringe::testing::CommandResult;
using fringe::testing::RunProgram;
using fringe::testing::ScratchFolder;
using testing::AllOf;
using testing::HasSubstr;

class SameFringeTest : public testing::Test {
 protected:
  // Compares two trees. The second comes from the standard input.
  CommandResult Compare(const std::string& left, const std::string& right) {
    return RunProgram({folder_.Write("left", left), "-"}, {.standard_input = right});
  }

  const ScratchFolder folder_;
};

TEST_F(SameFringeTest, SameHoweverNested) {
  const CommandResult outcome = Compare("((a b) (c d))", "(a (b (() (c) d)))");
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output,
            "The fringes are the same: leaves 4\n"
            "Nodes visited: left 7 of 7, right 9 of 9\n");
  EXPECT_EQ(outcome.errors, "");
}

TEST_F(SameFringeTest, TwoFiles) {
  const CommandResult outcome =
      RunProgram({folder_.Write("left", "a"), folder_.Write("right", "(a)\n")});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output,
            "The fringes are the same: leaves 1\n"
            "Nodes visited: left 1 of 1, right 2 of 2\n");
}

TEST_F(SameFringeTest, NoLeaves) {
  const CommandResult outcome = Compare("()", "(() (()))");
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output,
            "The fringes are the same: leaves 0\n"
            "Nodes visited: left 1 of 1, right 4 of 4\n");
}

// Nodes after the first difference are not visited.
TEST_F(SameFringeTest, FirstDifferenceEndsBothWalks) {
  const CommandResult outcome = Compare("((a b) (c d) e f g)", "(a (b (x d)))");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_EQ(outcome.output,
            "The fringes differ at leaf 3: the left is c, the right is x\n"
            "Nodes visited: left 6 of 10, right 6 of 7\n");
}

TEST_F(SameFringeTest, OneEndsBeforeTheOther) {
  const CommandResult outcome = Compare("(a b)", "(a b c)");
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_EQ(outcome.output,
            "The fringes differ at leaf 3: the left has no such leaf, the right is c\n"
            "Nodes visited: left 3 of 3, right 4 of 4\n");
}

TEST_F(SameFringeTest, NestedAsDeepAsATreeMayBe) {
  const std::string deep = std::string(10'000, '(') + "a" + std::string(10'000, ')');
  const CommandResult outcome = Compare(deep, deep);
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output,
            "The fringes are the same: leaves 1\n"
            "Nodes visited: left 10001 of 10001, right 10001 of 10001\n");
}

TEST_F(SameFringeTest, MalformedInput) {
  const CommandResult outcome = Compare("(a\n (b c)", "a)");
  EXPECT_EQ(outcome.exit_status, 2);
  EXPECT_EQ(outcome.output, "");
  EXPECT_EQ(outcome.errors,
            "same_fringe: " + folder_.path("left") +
                ":2:7: expected an atom, '(' or ')', found the end of the input in the list that "
                "opens at 1:1\n"
                "same_fringe: -:1:2: expected the end of the input, found ')'\n");
}

TEST_F(SameFringeTest, FilesThatCannotBeRead) {
#if defined(_WIN32)
  GTEST_SKIP() << "Windows has other words for that";
#endif
  const CommandResult outcome = RunProgram({folder_.path("absent"), folder_.path()});
  EXPECT_EQ(outcome.exit_status, 2);
  EXPECT_EQ(outcome.output, "");
  EXPECT_EQ(outcome.errors, "same_fringe: " + folder_.path("absent") +
                                ": No such file or directory\n"
                                "same_fringe: " +
                                folder_.path() + ": Is a directory\n");
}

TEST_F(SameFringeTest, WrongArguments) {
  EXPECT_EQ(RunProgram({"-"}).exit_status, 2);
  EXPECT_EQ(RunProgram({"a", "b", "c"}).exit_status, 2);
  const CommandResult outcome = RunProgram({"-", "-"});
  EXPECT_EQ(outcome.exit_status, 2);
  EXPECT_EQ(outcome.errors, "same_fringe: only one tree can come from standard input\n");
}

TEST_F(SameFringeTest, HelpSaysHow) {
#if defined(_WIN32)
  GTEST_SKIP() << "the stand-in for Abseil has no --help";
#endif
  const CommandResult outcome = RunProgram({"--help"});
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("same_fringe LEFT RIGHT"), HasSubstr("exit status")));
}

}  // namespace
