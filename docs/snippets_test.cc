// The C++ snippets of the Markdown pages and of the comments in headers. Each of them is code in
// this file or in another source, where it runs. The first tests compare the two.

#include <sys/mman.h>

#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <optional>
#include <ranges>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "fringe/overflow.h"
#include "fringe/stack_usage.h"
#include "gtest/gtest.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"
#include "stacks/stack.h"
#include "testing/support/command.h"

// The stack in stacks/stack.h. All objects share the same memory.
class MyStack {
 public:
  MyStack(MyStack&&);
  MyStack& operator=(MyStack&&);
  std::byte* base() const noexcept;
  std::byte* limit() const noexcept;
  MyStack();
};

template <>
inline constexpr bool fringe::enable_guarded_stack<MyStack> = true;

namespace {

using fringe::testing::CommandResult;
using fringe::testing::RunProgram;

// Returns: the files that an environment variable lists, separated by spaces.
std::vector<std::string> Files(const char* variable) {
  const char* const list = std::getenv(variable);
  std::istringstream stream(list == nullptr ? "" : list);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Returns: `text` without the indentation of its lines.
std::string WithoutIndentation(const std::string& text) {
  std::istringstream stream(text);
  std::string result;
  for (std::string line; std::getline(stream, line);) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin != std::string::npos) result += line.substr(begin);
    result += "\n";
  }
  return result;
}

// Returns: the blocks between "```language" and "```" in a page, in order.
std::vector<std::string> Blocks(const std::string& page, const std::string& language) {
  std::vector<std::string> blocks;
  std::istringstream stream(page);
  bool in_block = false;
  for (std::string line; std::getline(stream, line);) {
    if (in_block && line == "```") {
      in_block = false;
    } else if (in_block) {
      blocks.back() += line + "\n";
    } else if (line == "```" + language) {
      in_block = true;
      blocks.emplace_back();
    }
  }
  EXPECT_FALSE(in_block) << "a block that does not end";
  return blocks;
}

std::string Readme() {
  for (const std::string& path : Files("PAGES")) {
    if (path.ends_with("README.md") && path.find("arch/") == std::string::npos &&
        path.find("docs/") == std::string::npos && path.find("examples/") == std::string::npos) {
      return Contents(path);
    }
  }
  ADD_FAILURE() << "no README.md in PAGES";
  return "";
}

TEST(SnippetsTest, EachIsInASource) {
  std::string sources;
  for (const std::string& path : Files("SOURCES")) sources += WithoutIndentation(Contents(path));
  size_t count = 0;
  for (const std::string& path : Files("PAGES")) {
    for (const std::string& block : Blocks(Contents(path), "cpp")) {
      ++count;
      EXPECT_NE(sources.find(WithoutIndentation(block)), std::string::npos)
          << path << " shows code that is in no source:\n"
          << block;
    }
  }
  EXPECT_GT(count, 0u);
}

// Returns: `code` without comments and white space, which depend on the length of lines.
std::string Condensed(const std::string& code) {
  std::istringstream stream(code);
  std::string result;
  for (std::string line; std::getline(stream, line);) {
    for (const char c : line.substr(0, line.find("//"))) {
      if (std::isspace(static_cast<unsigned char>(c)) == 0) result += c;
    }
  }
  return result;
}

// Returns: the examples in the comments of a header, in order, each split at its omissions ("...").
//   An example is indented and follows an empty line. Lists are not examples.
std::vector<std::vector<std::string>> Examples(const std::string& header) {
  std::vector<std::vector<std::string>> examples;
  std::istringstream stream(header);
  bool in_example = false;
  bool after_empty = false;
  for (std::string line; std::getline(stream, line);) {
    line.erase(0, line.find_first_not_of(' '));
    const bool indented = line.starts_with("//   ");
    if (indented && after_empty && !line.starts_with("//   *")) {
      in_example = true;
      examples.push_back({""});
    } else if (!indented && line != "//") {
      in_example = false;
    }
    if (in_example && indented && line.ends_with(" ...")) {
      examples.back().emplace_back();
    } else if (in_example && indented) {
      examples.back().back() += line.substr(2) + "\n";
    }
    after_empty = line == "//";
  }
  return examples;
}

TEST(SnippetsTest, EachExampleOfAHeaderIsInASource) {
  std::string sources;
  for (const std::string& path : Files("SOURCES")) sources += Condensed(Contents(path));
  size_t count = 0;
  for (const std::string& path : Files("HEADERS")) {
    const std::string header = Contents(path);
    if (header.find("Not for users") != std::string::npos) continue;
    for (const std::vector<std::string>& parts : Examples(header)) {
      ++count;
      size_t from = 0;
      for (const std::string& part : parts) {
        from = sources.find(Condensed(part), from);
        ASSERT_NE(from, std::string::npos) << path << " shows code that is in no source:\n" << part;
      }
    }
  }
  // The examples of every public header.
  EXPECT_GE(count, 10u);
}

// The README's first program must be identical to the quickstart, and must print the output in the
// README.
TEST(SnippetsTest, ReadmeBeginsWithTheQuickstart) {
  const std::string readme = Readme();
  const std::vector<std::string> programs = Blocks(readme, "cpp");
  const std::vector<std::string> outputs = Blocks(readme, "text");
  ASSERT_FALSE(programs.empty());
  ASSERT_FALSE(outputs.empty());

  std::string quickstart;
  for (const std::string& path : Files("SOURCES")) {
    if (path.ends_with("quickstart.cc")) quickstart = Contents(path);
  }
  const size_t first_include = quickstart.find("#include");
  ASSERT_NE(first_include, std::string::npos);
  EXPECT_EQ(programs.front(), quickstart.substr(first_include));

  const CommandResult outcome = RunProgram({});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.output, outputs.front());
}

// The snippets print to `std::cout`.
class OutputTest : public testing::Test {
 protected:
  OutputTest() : usual_(std::cout.rdbuf(printed_.rdbuf())) {}
  ~OutputTest() override { std::cout.rdbuf(usual_); }

  std::string printed() const { return printed_.str(); }

 private:
  std::ostringstream printed_;
  std::streambuf* usual_;
};

TEST_F(OutputTest, Range) {
#if defined(__clang__) && __clang_major__ < 16 && defined(__GLIBCXX__)
  GTEST_SKIP() << "Clang before 16 cannot compile libstdc++'s views";
#else
  fringe::Generator<int> squares([](auto& yielder) {
    for (int i = 1; yielder.TrySuspend(i * i); ++i) continue;
  });
  for (int square : squares | std::views::take(3)) std::cout << square << "\n";  // 1 4 9
  EXPECT_EQ(printed(), "1\n4\n9\n");
#endif
}

TEST_F(OutputTest, ValuesBothWays) {
  fringe::Generator<int, int> sum([](auto& yielder, int number) {
    int total = number;
    while (std::optional<int> next = yielder.TrySuspend(total)) total += *next;
  });
  std::cout << *sum.Resume(20) << "\n";  // 20
  std::cout << *sum.Resume(22) << "\n";  // 42
  EXPECT_EQ(printed(), "20\n42\n");
}

struct Tree {
  const Tree* left;
  int value;
  const Tree* right;
};

void Walk(const Tree* tree, fringe::Yielder<int>& yielder) {
  if (tree == nullptr) return;
  Walk(tree->left, yielder);
  yielder.Suspend(tree->value);
  Walk(tree->right, yielder);
}

TEST_F(OutputTest, WalkOfATree) {
  const Tree one = {nullptr, 1, nullptr};
  const Tree three = {nullptr, 3, nullptr};
  const Tree two = {&one, 2, &three};
  fringe::Generator<int> values([&two](auto& yielder) { Walk(&two, yielder); });
  for (const int value : values) std::cout << value;
  EXPECT_EQ(printed(), "123");
}

fringe::Generator<int> CountTo(int last) {
  return fringe::MakeGenerator<int>([last](auto& yielder) {
    for (int i = 1; i <= last; ++i) yielder.Suspend(i);
  });
}

// --- docs/generators.md --------------------------------------------------------------------------

fringe::Generator<std::string> Words(std::string text) {
  return fringe::MakeGenerator<std::string>([text = std::move(text)](auto& yielder) {
    std::istringstream stream(text);
    for (std::string word; stream >> word;) {
      if (!yielder.TrySuspend(word)) return;
    }
  });
}

template <typename Gen>
std::vector<typename Gen::output_type> Collect(Gen& gen) {
  std::vector<typename Gen::output_type> values;
  for (auto&& value : gen) values.push_back(std::forward<decltype(value)>(value));
  return values;
}

absl::StatusOr<fringe::Generator<int, void, fringe::PooledStack>> Counter(fringe::StackPool& pool) {
  absl::StatusOr<fringe::PooledStack> stack = pool.Acquire();
  if (!stack.ok()) return stack.status();
  return fringe::MakeGenerator<int>(*std::move(stack), [](auto& yielder) {
    for (int i = 1; yielder.TrySuspend(i); ++i) continue;
  });
}

TEST_F(OutputTest, FunctionsThatReturnGenerators) {
  for (const std::string& word : Words("call me Ishmael")) std::cout << word << "\n";
  EXPECT_EQ(printed(), "call\nme\nIshmael\n");

  fringe::Generator<std::string> words = Words("a b");
  EXPECT_EQ(Collect(words), (std::vector<std::string>{"a", "b"}));

  fringe::StackPool pool;
  absl::StatusOr<fringe::Generator<int, void, fringe::PooledStack>> counter = Counter(pool);
  ASSERT_TRUE(counter.ok());
  EXPECT_EQ(counter->Resume(), 1);
  EXPECT_EQ(counter->Resume(), 2);
}

TEST_F(OutputTest, CaptureByReference) {
  std::vector<int> numbers = {3, 4};
  fringe::Generator<int> doubled([&](auto& yielder) {
    for (int number : numbers) {
      if (!yielder.TrySuspend(2 * number)) return;
    }
  });
  for (int number : doubled) std::cout << number << "\n";  // 6 8
  EXPECT_EQ(printed(), "6\n8\n");
}

TEST_F(OutputTest, RangeContinues) {
  fringe::Generator<int> numbers = CountTo(5);
  for (int i : numbers) {
    if (i == 2) break;
  }
  for (int i : numbers) std::cout << i << " ";  // 3 4 5
  EXPECT_EQ(printed(), "3 4 5 ");
}

#if !defined(__clang__) || __clang_major__ >= 16 || !defined(__GLIBCXX__)
auto EvenNumbers(int last) {
  fringe::Generator<int> numbers = CountTo(last);
  return std::move(numbers) | std::views::filter([](int i) { return i % 2 == 0; });
}

TEST_F(OutputTest, Views) {
  fringe::Generator<int> numbers = CountTo(7);
  for (int i : std::views::take(numbers, 2)) std::cout << i << " ";                    // 1 2
  for (int i : std::views::all(numbers) | std::views::drop(2)) std::cout << i << " ";  // 6 7
  auto nested = CountTo(3) | std::views::transform(CountTo) | std::views::join;
  for (int i : nested) std::cout << i << " ";  // 1 1 2 1 2 3
  EXPECT_EQ(printed(), "1 2 6 7 1 1 2 1 2 3 ");
}

TEST_F(OutputTest, PipelineThatLeavesAFunction) {
  for (int i : EvenNumbers(6)) std::cout << i << " ";
  EXPECT_EQ(printed(), "2 4 6 ");
}
#endif

// --- Statistics and measurements -----------------------------------------------------------------

TEST_F(OutputTest, StatisticsOfAPool) {
  fringe::StackPool pool({.stack_bytes = 32 << 10});
  {
    auto gen =
        fringe::MakeGenerator<int>(*pool.Acquire(), [](auto& yielder) { yielder.Suspend(1); });
    while (gen.Resume()) {
    }
  }
  const fringe::PooledStack stack = *pool.Acquire();
  std::cout << pool.Stats();
  EXPECT_EQ(printed().find("live      1 stacks\ncached    0 stacks\n"), 0u) << printed();
  EXPECT_NE(printed().find("\nhits      1\nmisses    1\n"), std::string::npos) << printed();
}

TEST(DebuggingTest, MeasuredStack) {
  testing::internal::CaptureStderr();
  {
    const Tree one = {nullptr, 1, nullptr};
    const Tree two = {&one, 2, nullptr};
    auto walk = fringe::MakeGenerator<int>(
        fringe::MeasuredStack(*fringe::OsStack::Create(64 << 10), "walk"),
        [&two](auto& yielder) { Walk(&two, yielder); });
    while (walk.Resume()) {
    }
  }
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(line.find("walk: used "), 0u) << line;
  EXPECT_TRUE(line.ends_with(" bytes\n")) << line;
}

// The body in the headers' examples: it suspends once.
constexpr auto body = [](auto& yielder) { yielder.Suspend(1); };

// Returns: the sum of a generator's outputs.
template <typename Gen>
int Sum(Gen& gen) {
  int sum = 0;
  while (const std::optional<int> i = gen.Resume()) sum += *i;
  return sum;
}

TEST(HeadersTest, FunctionThatReturnsAGenerator) {
  fringe::Generator<int> gen = CountTo(3);
  EXPECT_EQ(Sum(gen), 6);
}

TEST(HeadersTest, OverflowHandler) {
  fringe::InstallOverflowHandler();  // in main, and after other handlers
}

int DeeplyRecursive(int input) { return input == 0 ? 0 : 1 + DeeplyRecursive(input - 1); }

TEST(HeadersTest, OnStack) {
  const int input = 1000;
  absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(8 << 20);
  int depth = fringe::OnStack(*stack, [&] { return DeeplyRecursive(input); });
  EXPECT_EQ(depth, 1000);
}

TEST(ComingFromTest, RunInMainContext) {
  int depth = 0;
  using Call = std::function<void()>;
  fringe::Generator<Call> task(
      [&](auto& yielder) { yielder.Suspend([&] { depth = DeeplyRecursive(1000); }); });
  while (std::optional<Call> call = task.Resume()) (*call)();
  EXPECT_EQ(depth, 1000);
}

TEST_F(OutputTest, StackUsage) {
  fringe::OsStack stack = *fringe::OsStack::Create(64 << 10);
  fringe::StackUsage usage(stack);
  auto gen = fringe::MakeGenerator<int>(std::move(stack), body);
  EXPECT_EQ(Sum(gen), 1);
  std::cout << usage.used_bytes() << " of " << usage.size_bytes() << " bytes\n";
  EXPECT_TRUE(std::isdigit(static_cast<unsigned char>(printed()[0])) != 0) << printed();
  EXPECT_TRUE(printed().ends_with(" bytes\n")) << printed();
}

TEST(HeadersTest, MeasuredStack) {
  testing::internal::CaptureStderr();
  {
    auto gen = fringe::MakeGenerator<int>(
        fringe::MeasuredStack(*fringe::OsStack::Create(64 << 10), "walk"), body);
    EXPECT_EQ(Sum(gen), 1);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("walk: used "), 0u);
}

absl::Status OnAnOsStack(int* sum) {
  absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(64 << 10);
  if (!stack.ok()) return stack.status();
  auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);
  *sum = Sum(gen);
  return absl::OkStatus();
}

absl::Status OnAMallocStack(int* sum) {
  absl::StatusOr<fringe::MallocStack> stack = fringe::MallocStack::Create(16 << 10);
  if (!stack.ok()) return stack.status();
  auto gen = fringe::Generator<int, void, fringe::MallocStack>::Unguarded(*std::move(stack), body);
  *sum = Sum(gen);
  return absl::OkStatus();
}

absl::Status OnAPooledStack(int* sum) {
  fringe::StackPool pool({.stack_bytes = 32 << 10});
  absl::StatusOr<fringe::PooledStack> stack = pool.Acquire();
  if (!stack.ok()) return stack.status();
  {
    auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);
    *sum = Sum(gen);
  }
  std::cout << pool.Stats();
  return absl::OkStatus();
}

TEST_F(OutputTest, StacksThatAreCreated) {
  for (absl::Status (*const run)(int*) : {&OnAnOsStack, &OnAMallocStack, &OnAPooledStack}) {
    int sum = 0;
    EXPECT_TRUE(run(&sum).ok());
    EXPECT_EQ(sum, 1);
  }
  EXPECT_NE(printed().find("cached    1 stacks\n"), std::string::npos) << printed();
}

TEST(HeadersTest, SpanStack) {
  alignas(fringe::kStackAlignment) static std::byte memory[4096];
  auto gen = fringe::Generator<int, void, fringe::SpanStack>::Unguarded(
      *fringe::SpanStack::Create(memory), [](auto& yielder) { yielder.Suspend(1); });
  EXPECT_EQ(Sum(gen), 1);
}

// The memory of `MyStack`, with the guard below it.
constexpr size_t kMyBytes = size_t{64} << 10;
std::byte* MyMemory() {
  static std::byte* const memory = [] {
    void* const mapping =
        mmap(nullptr, 2 * kMyBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(mapping, MAP_FAILED);
    EXPECT_EQ(mprotect(mapping, kMyBytes, PROT_NONE), 0);
    return static_cast<std::byte*>(mapping) + kMyBytes;
  }();
  return memory;
}

}  // namespace

MyStack::MyStack() = default;
MyStack::MyStack(MyStack&&) = default;
MyStack& MyStack::operator=(MyStack&&) = default;
std::byte* MyStack::base() const noexcept { return MyMemory() + kMyBytes; }
std::byte* MyStack::limit() const noexcept { return MyMemory(); }

namespace {

TEST(HeadersTest, UserDefinedStack) {
  static_assert(fringe::GuardedStack<MyStack>);
  auto gen = fringe::MakeGenerator<int>(MyStack(), body);
  EXPECT_EQ(Sum(gen), 1);
}

}  // namespace
