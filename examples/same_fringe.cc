// Tests whether two trees have the same fringe: the same leaves in the same order, in any nesting.
// The library is named after this problem.
//
//   echo '((a b) (c d))' > left
//   echo '(a (b (x d)))' > right
//   same_fringe left right
//
// A plain recursive function walks each tree and suspends at each leaf. The two walks run side by
// side. So no list of leaves is needed, and the first difference ends both walks.

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "examples/s_expression.h"
#include "fringe/generator.h"
#include "stacks/system_stack.h"

namespace {

constexpr char kUsage[] =
    "tests whether two trees have the same leaves in the same order.\n\n"
    "  same_fringe LEFT RIGHT\n\n"
    "LEFT and RIGHT are files with one S-expression each, such as ((a b) c). One of them may\n"
    "be -, the standard input. The exit status is 0 if the fringes are the same, 1 if they\n"
    "differ, and 2 if the arguments are wrong or a tree cannot be read.";

using Leaf = std::string_view;
using Leaves = fringe::Generator<Leaf, void, fringe::SystemStack>;

// The recursion below is as deep as the tree. Untouched pages use no memory.
constexpr size_t kStackBytes = STree::kMaximumDepth << 10;

// Suspends at each leaf below `node`, and counts the nodes that it visits.
void Walk(const STree::Node& node, fringe::Yielder<Leaf>& yielder, uint64_t& visited) {
  ++visited;
  if (node.is_leaf()) yielder.Suspend(node.atom);
  for (const STree::Node* child = node.first; child != nullptr; child = child->next) {
    Walk(*child, yielder, visited);
  }
}

// A tree and a walk through its leaves.
class Side {
 public:
  // Reads a tree from a file, or from the standard input if `path` is "-".
  //
  // Errors: the fault in the file or its text, in one line that begins with its name.
  static absl::StatusOr<std::unique_ptr<Side>> Create(const std::string& path);

  Side(STree tree, fringe::SystemStack stack)
      : tree_(std::move(tree)), leaves_(std::move(stack), [this](auto& yielder) {
          Walk(tree_.root(), yielder, visited_);
        }) {}
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

#if !defined(__cpp_exceptions)
  // Destroying an unfinished generator needs exceptions. This one can be abandoned instead, because
  // its frames own nothing.
  ~Side() { static_cast<void>(std::move(leaves_).UnsafeUnwrap()); }
#endif

  // Returns: the next leaf; `nullopt` after the last.
  std::optional<Leaf> Next() { return leaves_.Resume(); }

  // Returns: how many of the nodes the walk has visited, as text.
  std::string Visited() const { return absl::StrCat(visited_, " of ", tree_.node_count()); }

 private:
  const STree tree_;
  uint64_t visited_ = 0;
  Leaves leaves_;
};

// Returns: the contents of a file, or of the standard input if `path` is "-".
absl::StatusOr<std::string> Read(const std::string& path) {
  const bool is_input = path == "-";
  std::FILE* const file = is_input ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) return absl::ErrnoToStatus(errno, path);
  std::string text;
  char buffer[4096];
  while (const size_t length = std::fread(buffer, 1, sizeof(buffer), file)) {
    text.append(buffer, length);
  }
  const absl::Status status =
      std::ferror(file) != 0 ? absl::ErrnoToStatus(errno, path) : absl::OkStatus();
  if (!is_input) std::fclose(file);
  if (!status.ok()) return status;
  return text;
}

absl::StatusOr<std::unique_ptr<Side>> Side::Create(const std::string& path) {
  absl::StatusOr<std::string> text = Read(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<STree> tree = STree::Parse(*std::move(text));
  if (!tree.ok()) {
    return absl::Status(tree.status().code(), absl::StrCat(path, ":", tree.status().message()));
  }
  absl::StatusOr<fringe::SystemStack> stack = fringe::SystemStack::Create(kStackBytes);
  if (!stack.ok()) return stack.status();
  return std::make_unique<Side>(*std::move(tree), *std::move(stack));
}

std::string Describe(const std::optional<Leaf>& leaf) {
  return leaf.has_value() ? "is " + std::string(*leaf) : "has no such leaf";
}

// Compares two trees leaf by leaf.
//
// Returns: the exit status.
int SameFringe(Side& left, Side& right) {
  uint64_t leaf_number = 0;
  std::optional<Leaf> left_leaf;
  std::optional<Leaf> right_leaf;
  do {
    ++leaf_number;
    left_leaf = left.Next();
    right_leaf = right.Next();
  } while (left_leaf.has_value() && left_leaf == right_leaf);

  const bool same = left_leaf == right_leaf;
  if (same) {
    std::cout << "The fringes are the same: leaves " << leaf_number - 1 << "\n";
  } else {
    std::cout << "The fringes differ at leaf " << leaf_number << ": the left "
              << Describe(left_leaf) << ", the right " << Describe(right_leaf) << "\n";
  }
  std::cout << "Nodes visited: left " << left.Visited() << ", right " << right.Visited() << "\n";
  return same ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 3) {
    std::cerr << "same_fringe: expected two files; see --help\n";
    return 2;
  }
  const std::string left_path = arguments[1];
  const std::string right_path = arguments[2];
  if (left_path == "-" && right_path == "-") {
    std::cerr << "same_fringe: only one tree can come from standard input\n";
    return 2;
  }
  const absl::StatusOr<std::unique_ptr<Side>> left = Side::Create(left_path);
  const absl::StatusOr<std::unique_ptr<Side>> right = Side::Create(right_path);
  for (const auto* side : {&left, &right}) {
    if (!side->ok()) std::cerr << "same_fringe: " << side->status().message() << "\n";
  }
  if (!left.ok() || !right.ok()) return 2;
  return SameFringe(**left, **right);
}
