// What the Markdown pages show of C++ is code that works: each of their snippets stands in this
// file or in another source, line by line, and runs here. The first test compares.

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <ranges>
#include <sstream>
#include <string>
#include <vector>

#include "examples/run_program.h"
#include "fringe/generator.h"
#include "fringe/stack_usage.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"

namespace {

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

// Returns: `text` without what indents its lines.
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

// Returns: what stands between "```language" and "```" in a page, in order.
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
    if (path.ends_with("README.md") && path.find("arch/") == std::string::npos) {
      return Contents(path);
    }
  }
  ADD_FAILURE() << "no README.md in PAGES";
  return "";
}

TEST(SnippetsTest, EachStandsInASource) {
  std::string sources;
  for (const std::string& path : Files("SOURCES")) sources += WithoutIndentation(Contents(path));
  size_t count = 0;
  for (const std::string& path : Files("PAGES")) {
    for (const std::string& block : Blocks(Contents(path), "cpp")) {
      ++count;
      EXPECT_NE(sources.find(WithoutIndentation(block)), std::string::npos)
          << path << " shows what no source holds:\n"
          << block;
    }
  }
  EXPECT_GT(count, 0u);
}

// The README's first program is the quickstart, to the letter, and prints what the README says.
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

  const Outcome outcome = RunProgram({});
  EXPECT_EQ(outcome.exit_status, 0);
  EXPECT_EQ(outcome.standard_output, outputs.front());
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
  GTEST_SKIP() << "Clang before 16 cannot compile libstdc++'s views, of whatever range";
#elif !defined(__cpp_exceptions)
  GTEST_SKIP() << "the snippet leaves a generator unfinished, which takes exceptions";
#else
  fringe::Generator<int> squares([](auto& yielder) {
    for (int i = 1;; ++i) yielder.Suspend(i * i);
  });
  for (int square : squares | std::views::take(3)) std::cout << square << "\n";  // 1 4 9
  EXPECT_EQ(printed(), "1\n4\n9\n");
#endif
}

TEST_F(OutputTest, ValuesBothWays) {
#if !defined(__cpp_exceptions)
  GTEST_SKIP() << "the snippet leaves a generator unfinished, which takes exceptions";
#else
  fringe::Generator<int, int> sum([](auto& yielder, int number) {
    for (int total = 0;;) number = yielder.Suspend(total += number);
  });
  std::cout << *sum.Resume(20) << "\n";  // 20
  std::cout << *sum.Resume(22) << "\n";  // 42
  EXPECT_EQ(printed(), "20\n42\n");
#endif
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

}  // namespace
