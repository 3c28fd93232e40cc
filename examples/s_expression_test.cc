#include "examples/s_expression.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace {

std::string Write(const STree::Node& node) {
  if (node.is_leaf()) return std::string(node.atom);
  std::string text = "(";
  for (const STree::Node* child = node.first; child != nullptr; child = child->next) {
    if (child != node.first) text += " ";
    text += Write(*child);
  }
  return text + ")";
}

// Returns: the tree of `text` in its shortest form, or what is wrong with the text.
std::string Reread(std::string text) {
  const absl::StatusOr<STree> tree = STree::Parse(std::move(text));
  return tree.ok() ? Write(tree->root()) : std::string(tree.status().message());
}

TEST(STreeTest, ParsesTrees) {
  EXPECT_EQ(Reread("a"), "a");
  EXPECT_EQ(Reread(" \n\tabc\r\n"), "abc");
  EXPECT_EQ(Reread("()"), "()");
  EXPECT_EQ(Reread("( a(b)()c )"), "(a (b) () c)");
  EXPECT_EQ(Reread("((a b)\n (c d))\n"), "((a b) (c d))");
  EXPECT_EQ(Reread("(\"a b\" ; x)"), "(\"a b\" ; x)");
}

TEST(STreeTest, CountsNodes) {
  EXPECT_EQ(STree::Parse("a")->node_count(), 1u);
  EXPECT_EQ(STree::Parse("((a b) ())")->node_count(), 5u);
}

TEST(STreeTest, LeavesOutliveAMove) {
  // The text is short enough to be stored in the string itself.
  absl::StatusOr<STree> tree = STree::Parse("(a)");
  ASSERT_TRUE(tree.ok());
  const STree moved = *std::move(tree);
  EXPECT_EQ(Write(moved.root()), "(a)");
}

TEST(STreeTest, SaysWhereAndWhatWasExpected) {
  EXPECT_EQ(Reread(""), "1:1: expected an atom or '(', found the end of the input");
  EXPECT_EQ(Reread(" \n "), "2:2: expected an atom or '(', found the end of the input");
  EXPECT_EQ(Reread(")"), "1:1: expected an atom or '(', found ')'");
  EXPECT_EQ(Reread("(a"),
            "1:3: expected an atom, '(' or ')', found the end of the input in the list that opens "
            "at 1:1");
  EXPECT_EQ(Reread("(a\n  (b)\n  (c\n"),
            "4:1: expected an atom, '(' or ')', found the end of the input in the list that opens "
            "at 3:3");
  EXPECT_EQ(Reread("(a) b"), "1:5: expected the end of the input, found an atom");
  EXPECT_EQ(Reread("a\n("), "2:1: expected the end of the input, found '('");
  EXPECT_EQ(Reread("(a))"), "1:4: expected the end of the input, found ')'");
  EXPECT_TRUE(absl::IsInvalidArgument(STree::Parse("").status()));
}

TEST(STreeTest, DepthIsLimited) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '(') + std::string(depth, ')');
  };
  EXPECT_TRUE(STree::Parse(nested(STree::kMaximumDepth)).ok());
  EXPECT_EQ(Reread(nested(STree::kMaximumDepth + 1)),
            "1:10001: expected at most 10000 lists in one another, found '('");
}

}  // namespace
