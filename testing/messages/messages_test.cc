// Checks the wording of every message in the sources of the library: fatal sentences, the texts of
// statuses, and the texts of compile-time errors.
//
// A message says what went wrong, then what to do. It is short and in plain English.

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <ostream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace fringe::testing {
namespace {

enum class Kind {
  kFatal,        // the argument of `fringe_fatal`
  kStatus,       // the text of an error status, or a part of it
  kCompileTime,  // the text of a `static_assert` or an `#error`
};

struct Message {
  Kind kind;
  std::string place;  // "file:line"
  std::string text;   // values that are inserted at run time are "<>"
};

std::ostream& operator<<(std::ostream& stream, const Message& message) {
  return stream << message.place << ": \"" << message.text << "\"";
}

// --- Reading sources
// ------------------------------------------------------------------------------

struct Token {
  enum class Kind { kWord, kString, kOther } kind;
  std::string text;  // of a string: its contents
  size_t line;
};

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Splits C++ into tokens. Drops comments and white space, and the text of raw strings.
class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> Run() {
    while (at_ < source_.size()) Step();
    return std::move(tokens_);
  }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  // Skips up to `end`, and past it.
  void SkipPast(std::string_view end) {
    const size_t found = source_.find(end, at_);
    const size_t next = found == std::string_view::npos ? source_.size() : found + end.size();
    const std::string_view skipped = source_.substr(at_, next - at_);
    line_ += static_cast<size_t>(std::count(skipped.begin(), skipped.end(), '\n'));
    at_ = next;
  }

  void Step() {
    const char c = Peek();
    if (c == '\n') {
      ++line_;
      ++at_;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++at_;
    } else if (c == '/' && Peek(1) == '/') {
      SkipPast("\n");
    } else if (c == '/' && Peek(1) == '*') {
      SkipPast("*/");
    } else if (c == 'R' && Peek(1) == '"') {
      const size_t open = source_.find('(', at_);
      const std::string end = ")" + std::string(source_.substr(at_ + 2, open - at_ - 2)) + "\"";
      tokens_.push_back({Token::Kind::kString, "", line_});
      SkipPast(end);
    } else if (c == '"') {
      TakeString();
    } else if (c == '\'') {
      at_ += Peek(1) == '\\' ? size_t{4} : size_t{3};
    } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      // A number may contain apostrophes.
      const size_t begin = at_;
      while (IsWord(Peek()) || Peek() == '\'' || Peek() == '.') ++at_;
      Add(Token::Kind::kWord, begin);
    } else if (IsWord(c)) {
      const size_t begin = at_;
      while (IsWord(Peek())) ++at_;
      Add(Token::Kind::kWord, begin);
    } else {
      ++at_;
      Add(Token::Kind::kOther, at_ - 1);
    }
  }

  void TakeString() {
    std::string text;
    for (++at_; at_ < source_.size() && Peek() != '"'; ++at_) {
      if (Peek() == '\\') {
        ++at_;
        text += Peek() == 'n' ? '\n' : Peek();
      } else {
        text += Peek();
      }
    }
    ++at_;
    tokens_.push_back({Token::Kind::kString, text, line_});
  }

  void Add(Token::Kind kind, size_t begin) {
    tokens_.push_back({kind, std::string(source_.substr(begin, at_ - begin)), line_});
  }

  const std::string_view source_;
  size_t at_ = 0;
  size_t line_ = 1;
  std::vector<Token> tokens_;
};

bool Is(const std::vector<Token>& tokens, size_t index, std::string_view text) {
  return index < tokens.size() && tokens[index].kind != Token::Kind::kString &&
         tokens[index].text == text;
}

// Returns: the index of the parenthesis that closes the one at `open`.
size_t Closing(const std::vector<Token>& tokens, size_t open) {
  size_t depth = 0;
  for (size_t i = open; i < tokens.size(); ++i) {
    if (Is(tokens, i, "(")) ++depth;
    if (Is(tokens, i, ")") && --depth == 0) return i;
  }
  return tokens.size();
}

// Returns: the strings among the tokens from `begin` to `end`, joined, with "<>" for each value in
//   between. Only arguments of `StrCat`, `StrAppend` and `snprintf` are inserted values.
std::string Joined(const std::vector<Token>& tokens, size_t begin, size_t end) {
  std::string text;
  bool value = false;
  for (size_t i = begin; i < end; ++i) {
    if (tokens[i].kind != Token::Kind::kString) {
      // A value is what lies between two commas.
      value = value || (!Is(tokens, i, ",") && !Is(tokens, i, "(") && !Is(tokens, i, ")"));
      continue;
    }
    if (value && !text.empty()) text += "<>";
    value = false;
    text += tokens[i].text;
  }
  return text;
}

bool EndsIn(std::string_view text, std::string_view end) { return text.ends_with(end); }

// Returns: the messages of a file. A call of `fringe_fatal` whose text is not found is a message
//   with an empty text.
std::vector<Message> MessagesOf(const std::string& name, const std::string& source) {
  std::vector<Message> messages;
  const std::vector<Token> tokens = Lexer(source).Run();
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].kind != Token::Kind::kWord) continue;
    const std::string place = name + ":" + std::to_string(tokens[i].line);
    const std::string& word = tokens[i].text;
    if (word == "error" && i > 0 && Is(tokens, i - 1, "#")) {
      if (i + 1 < tokens.size() && tokens[i + 1].kind == Token::Kind::kString) {
        messages.push_back({Kind::kCompileTime, place, tokens[i + 1].text});
      }
      continue;
    }
    if (!Is(tokens, i + 1, "(")) continue;
    const size_t begin = i + 2;
    const size_t end = Closing(tokens, i + 1);
    if (word == "fringe_fatal") {
      if (Is(tokens, begin, "const")) continue;  // its declaration or definition
      std::string text = Joined(tokens, begin, end);
      // A sentence with a number is written to a buffer first.
      for (size_t j = i; text.empty() && j-- > 0;) {
        if (Is(tokens, j, "snprintf") && Is(tokens, j + 2, tokens[begin].text)) {
          text = Joined(tokens, j, Closing(tokens, j + 1));
        }
      }
      messages.push_back({Kind::kFatal, place, text});
    } else if (word == "static_assert") {
      const std::string text = Joined(tokens, begin, end);
      if (!text.empty()) messages.push_back({Kind::kCompileTime, place, text});
    } else if (EndsIn(word, "Error") || word == "StrAppend" || word == "Status") {
      const std::string text = Joined(tokens, begin, end);
      if (!text.empty()) messages.push_back({Kind::kStatus, place, text});
    } else if (word == "StrCat" && i >= 4 && Is(tokens, i - 4, "=")) {
      // `text = absl::StrCat(...)`: the beginning of a status.
      const std::string text = Joined(tokens, begin, end);
      if (!text.empty()) messages.push_back({Kind::kStatus, place, text});
    }
  }
  return messages;
}

// --- Rules
// ----------------------------------------------------------------------------------------

constexpr size_t kMaximumWords = 25;

// Names that may begin a message in spite of their capital letter.
constexpr std::array kNames = {"MallocStack", "OnStack",      "OsStack",    "Resume",
                               "SpanStack",   "StackPool",    "Suspend",    "Trim",
                               "TrySuspend",  "Unwrap",       "Unguarded",  "Generator",
                               "Yielder",     "UnsafeUnwrap", "PooledStack"};

const std::regex& Banned() {
  static const std::regex banned(
      R"(\b(whoever|whatever|but for|for ever|ever after|he|his|him|nobody|somebody|outlives|)"
      R"(lies|stands|goes|hands?|is told|gives? (it )?(up|back)|of ours|of theirs|besides|)"
      R"(beside|has to|is wanted|for good|mend)\b)",
      std::regex::icase);
  return banned;
}

std::vector<std::string> Sentences(const std::string& text) {
  static const std::regex end(R"([.!?] +)");
  return {std::sregex_token_iterator(text.begin(), text.end(), end, -1), {}};
}

size_t CountWords(const std::string& text) {
  std::istringstream stream(text);
  return static_cast<size_t>(std::distance(std::istream_iterator<std::string>(stream), {}));
}

// Returns: what is wrong with a message; empty if nothing is.
std::vector<std::string> Faults(const Message& message) {
  const std::string& text = message.text;
  if (text.empty()) return {"its text cannot be found"};
  std::vector<std::string> faults;
  std::smatch match;
  if (std::regex_search(text, match, Banned())) faults.push_back("says \"" + match.str() + "\"");
  if (text.find("  ") != std::string::npos) faults.push_back("has two spaces in a row");
  for (const std::string& sentence : Sentences(text)) {
    if (CountWords(sentence) > kMaximumWords) faults.push_back("has a sentence that is too long");
  }
  const bool begins_with_name = std::any_of(kNames.begin(), kNames.end(), [&](std::string_view n) {
    return text.starts_with(n) && (text.size() == n.size() || !IsWord(text[n.size()]));
  });
  const bool begins_low = std::isupper(static_cast<unsigned char>(text.front())) == 0;
  switch (message.kind) {
    case Kind::kFatal:
      // The fatal function puts "fringe: " in front.
      if (!begins_low && !begins_with_name) faults.push_back("begins with a capital letter");
      if (!text.ends_with(".")) faults.push_back("does not end with a full stop");
      if (Sentences(text).size() != 1) faults.push_back("has more than one sentence");
      if (!std::regex_search(text,
                             std::regex(R"(\b(must|cannot|was|were|failed|too|belongs)\b)"))) {
        faults.push_back("does not say what went wrong (must, cannot, was, failed, ...)");
      }
      if (std::count(text.begin(), text.end(), ':') > 1) {
        faults.push_back("is not of the form \"what: what to do\"");
      }
      break;
    case Kind::kStatus:
      if (text.find('\n') != std::string::npos) faults.push_back("has more than one line");
      break;
    case Kind::kCompileTime:
      if (!begins_low && !begins_with_name) faults.push_back("begins with a capital letter");
      if (!text.ends_with(".")) faults.push_back("does not end with a full stop");
      if (!std::regex_search(
              text, std::regex(R"(\b(must|cannot|needs|requires|has no|is not|does not)\b)"))) {
        faults.push_back("does not say what is wrong (must, cannot, needs, ...)");
      }
      break;
  }
  return faults;
}

// --- Tests
// ----------------------------------------------------------------------------------------

// Returns: the files that the environment variable SOURCES lists.
std::vector<std::string> Files() {
  const char* const list = std::getenv("SOURCES");
  std::istringstream stream(list == nullptr ? "" : list);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::vector<Message> AllMessages() {
  std::vector<Message> messages;
  for (const std::string& path : Files()) {
    std::ifstream file(path);
    EXPECT_TRUE(file.is_open()) << path;
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    EXPECT_FALSE(source.empty()) << path;
    for (Message& message : MessagesOf(path, source)) messages.push_back(message);
  }
  return messages;
}

TEST(MessagesTest, EachIsWellWorded) {
  for (const Message& message : AllMessages()) {
    for (const std::string& fault : Faults(message)) ADD_FAILURE() << message << " " << fault;
  }
}

// The checks above must not pass because they find nothing.
TEST(MessagesTest, AreFound) {
  size_t fatal = 0;
  size_t status = 0;
  size_t compile_time = 0;
  std::set<std::string> folders;
  for (const Message& message : AllMessages()) {
    fatal += message.kind == Kind::kFatal ? 1 : 0;
    status += message.kind == Kind::kStatus ? 1 : 0;
    compile_time += message.kind == Kind::kCompileTime ? 1 : 0;
    folders.insert(message.place.substr(0, message.place.find_last_of('/')));
  }
  EXPECT_GE(fatal, 14u);
  EXPECT_GE(status, 5u);
  EXPECT_GE(compile_time, 3u);
  EXPECT_GE(folders.size(), 3u) << "arch/, fringe/ and stacks/ have messages";
}

// --- The checks themselves
// ------------------------------------------------------------------------

std::string Fault(Kind kind, const std::string& text) {
  const std::vector<std::string> faults = Faults({kind, "here:1", text});
  return faults.empty() ? "" : faults.front();
}

TEST(RulesTest, GoodMessages) {
  EXPECT_EQ(Fault(Kind::kFatal, "a running generator cannot be resumed."), "");
  EXPECT_EQ(Fault(Kind::kFatal, "Suspend must be called from the generator's own body."), "");
  EXPECT_EQ(Fault(Kind::kFatal, "munmap of a stack failed: %s."), "");
  EXPECT_EQ(Fault(Kind::kStatus, "a stack of <> bytes is too large"), "");
  EXPECT_EQ(Fault(Kind::kCompileTime, "fringe needs C++20: compile with -std=c++20."), "");
}

TEST(RulesTest, BadMessages) {
  EXPECT_NE(Fault(Kind::kFatal, ""), "");
  EXPECT_NE(Fault(Kind::kFatal, "a running generator cannot be resumed"), "");
  EXPECT_NE(Fault(Kind::kFatal, "A running generator cannot be resumed."), "");
  EXPECT_NE(Fault(Kind::kFatal, "a stack is aligned to 16 bytes."), "");
  EXPECT_NE(Fault(Kind::kFatal, "a generator cannot be resumed. It has ended."), "");
  EXPECT_NE(Fault(Kind::kFatal, "a generator cannot be: resumed: here."), "");
  EXPECT_NE(Fault(Kind::kFatal, "a generator cannot  be resumed."), "");
  EXPECT_NE(Fault(Kind::kFatal, "whoever resumes a generator cannot destroy it."), "");
  EXPECT_NE(Fault(Kind::kStatus, "the pool gives back nothing"), "");
  EXPECT_NE(Fault(Kind::kStatus, "one line\nand another"), "");
  EXPECT_NE(Fault(Kind::kCompileTime, "fringe needs C++20"), "");
  EXPECT_NE(Fault(Kind::kCompileTime, "the default stack keeps the contract."), "");
  std::string longest = "a generator cannot be";
  for (size_t i = 0; i < kMaximumWords; ++i) longest += " resumed";
  EXPECT_NE(Fault(Kind::kFatal, longest + "."), "");
}

TEST(RulesTest, MessagesAreFoundInCode) {
  const std::vector<Message> messages = MessagesOf("file.cc", R"code(
// fringe_fatal("in a comment");
extern "C" void fringe_fatal(const char* sentence);
#error "the first."
static_assert(sizeof(int) == 4);
static_assert(sizeof(int) == 4, "the "
              "second.");
void F(int count) {
  if (count == 1'000) fringe_fatal("the third.");
  char sentence[80];
  std::snprintf(sentence, sizeof(sentence), "the fourth has %d.", count);
  fringe_fatal(sentence);
  return absl::InvalidArgumentError(absl::StrCat("the fifth has ", count, " bytes"));
  std::string text = absl::StrCat(call, ": the sixth");
  fringe_fatal(unknown);
}
)code");
  std::vector<std::string> texts;
  for (const Message& message : messages) texts.push_back(message.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"the first.", "the second.", "the third.",
                                             "the fourth has %d.", "the fifth has <> bytes",
                                             ": the sixth", ""}));
  EXPECT_EQ(messages.front().place, "file.cc:4");
}

}  // namespace
}  // namespace fringe::testing
