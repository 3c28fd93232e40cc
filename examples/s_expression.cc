#include "examples/s_expression.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace {

constexpr size_t kNone = std::numeric_limits<size_t>::max();

// A node whose neighbours do not have an address yet.
struct Draft {
  std::string_view atom;
  size_t first = kNone;
  size_t next = kNone;
};

// A list whose end has not been read.
struct OpenList {
  size_t node;
  size_t last = kNone;  // the last node read in it
  size_t offset;        // of its opening parenthesis
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<Draft>> Parse() {
    do {
      SkipSpace();
      if (at_end()) return Expected(open_.empty() ? "an atom or '('" : "an atom, '(' or ')'");
      if (text_[offset_] == ')') {
        if (open_.empty()) return Expected("an atom or '('");
        ++offset_;
        open_.pop_back();
      } else if (text_[offset_] == '(') {
        if (open_.size() == STree::kMaximumDepth) {
          return Expected(absl::StrCat("at most ", STree::kMaximumDepth, " lists in one another"));
        }
        const size_t list = Add({});
        open_.push_back({.node = list, .offset = offset_});
        ++offset_;
      } else {
        Add({.atom = TakeAtom()});
      }
    } while (!open_.empty());
    SkipSpace();
    if (!at_end()) return Expected("the end of the input");
    return std::move(nodes_);
  }

 private:
  static bool IsAtom(char c) {
    return c != '(' && c != ')' && !absl::ascii_isspace(static_cast<unsigned char>(c));
  }

  bool at_end() const { return offset_ == text_.size(); }

  void SkipSpace() {
    while (!at_end() && absl::ascii_isspace(static_cast<unsigned char>(text_[offset_]))) ++offset_;
  }

  // Returns: the atom that begins here. Moves past it.
  std::string_view TakeAtom() {
    const std::string_view rest = text_.substr(offset_);
    const auto end = std::find_if_not(rest.begin(), rest.end(), IsAtom);
    const auto length = static_cast<size_t>(end - rest.begin());
    offset_ += length;
    return rest.substr(0, length);
  }

  // Appends a node to the innermost open list.
  //
  // Returns: its index.
  size_t Add(Draft node) {
    const size_t index = nodes_.size();
    nodes_.push_back(node);
    if (!open_.empty()) {
      OpenList& list = open_.back();
      size_t& link = list.last == kNone ? nodes_[list.node].first : nodes_[list.last].next;
      link = index;
      list.last = index;
    }
    return index;
  }

  // Returns: "line:column" of an offset.
  std::string Place(size_t offset) const {
    const std::string_view before = text_.substr(0, offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t line_begin = before.rfind('\n') + 1;  // 0 if there is none
    return absl::StrCat(line, ":", offset - line_begin + 1);
  }

  absl::Status Expected(const std::string& what) const {
    std::string message = absl::StrCat(Place(offset_), ": expected ", what, ", found ");
    if (at_end()) {
      absl::StrAppend(&message, "the end of the input");
      if (!open_.empty()) {
        absl::StrAppend(&message, " in the list that opens at ", Place(open_.back().offset));
      }
    } else if (IsAtom(text_[offset_])) {
      absl::StrAppend(&message, "an atom");
    } else {
      absl::StrAppend(&message, "'", std::string(1, text_[offset_]), "'");
    }
    return absl::InvalidArgumentError(message);
  }

  const std::string_view text_;
  size_t offset_ = 0;
  std::vector<Draft> nodes_;
  std::vector<OpenList> open_;
};

}  // namespace

absl::StatusOr<STree> STree::Parse(std::string text) {
  auto kept = std::make_unique<const std::string>(std::move(text));
  absl::StatusOr<std::vector<Draft>> drafts = Parser(*kept).Parse();
  if (!drafts.ok()) return drafts.status();

  auto nodes = std::make_unique<std::vector<Node>>(drafts->size());
  const auto address = [&nodes](size_t index) {
    return index == kNone ? nullptr : &(*nodes)[index];
  };
  for (size_t i = 0; i < nodes->size(); ++i) {
    const Draft& draft = (*drafts)[i];
    (*nodes)[i] = {.atom = draft.atom, .first = address(draft.first), .next = address(draft.next)};
  }
  return STree(std::move(kept), std::move(nodes));
}
