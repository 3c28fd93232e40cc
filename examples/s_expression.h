// Trees written as S-expressions.
//
//   absl::StatusOr<STree> tree = STree::Parse("((a b) c)");
//   if (!tree.ok()) return tree.status();   // "1:9: ..." if the text is malformed
//
// The grammar follows. An atom is a run of bytes other than parentheses and white space.
//
//   tree = atom | "(" { tree } ")"

#ifndef FRINGE_EXAMPLES_S_EXPRESSION_H_
#define FRINGE_EXAMPLES_S_EXPRESSION_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

// A tree, and the text that contains its leaves.
class STree {
 public:
  // A leaf, or a list of nodes.
  struct Node {
    std::string_view atom;        // empty in a list
    const Node* first = nullptr;  // of a list that is not empty
    const Node* next = nullptr;   // in the list that this node is in

    bool is_leaf() const { return !atom.empty(); }
  };

  // The maximum nesting of lists. It bounds the stack that a recursive walk needs.
  static constexpr size_t kMaximumDepth = 10'000;

  // Reads one tree, with white space around it.
  //
  // Errors: kInvalidArgument with line, column, what was expected and what was found. Both count
  //   from 1, columns in bytes.
  static absl::StatusOr<STree> Parse(std::string text);

  const Node& root() const { return nodes_->front(); }
  size_t node_count() const { return nodes_->size(); }

 private:
  STree(std::unique_ptr<const std::string> text, std::unique_ptr<const std::vector<Node>> nodes)
      : text_(std::move(text)), nodes_(std::move(nodes)) {}

  // Neither changes its address when the tree is moved.
  std::unique_ptr<const std::string> text_;
  std::unique_ptr<const std::vector<Node>> nodes_;
};

#endif  // FRINGE_EXAMPLES_S_EXPRESSION_H_
