// Counts what one iteration of each loop of loops.cc executes: exactly, and the same on every
// machine. One more store costs time on some CPUs only. Valgrind's cachegrind counts instructions,
// loads and stores. The loop itself, stepping through its instructions, counts taken branches.

#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <map>
#include <optional>
#include <ostream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace fringe::testing {
namespace {

std::string program;  // the test's argument

struct Counts {
  size_t instructions;
  size_t loads;
  size_t stores;
  size_t conditional_branches;
  size_t indirect_branches;
  size_t taken_branches;  // of all kinds, in the program itself

  bool operator==(const Counts&) const = default;
  friend Counts operator-(const Counts& a, const Counts& b) {
    return {a.instructions - b.instructions,
            a.loads - b.loads,
            a.stores - b.stores,
            a.conditional_branches - b.conditional_branches,
            a.indirect_branches - b.indirect_branches,
            a.taken_branches - b.taken_branches};
  }
  friend std::ostream& operator<<(std::ostream& out, const Counts& counts) {
    return out << "{" << counts.instructions << ", " << counts.loads << ", " << counts.stores
               << ", " << counts.conditional_branches << ", " << counts.indirect_branches << ", "
               << counts.taken_branches << "}";
  }
};

using Table = std::map<std::string, Counts>;

// For each iteration: instructions, loads, stores, conditional, indirect, and taken branches.
std::optional<Table> ExpectedCounts() {
#if !defined(__GLIBCXX__)
  return std::nullopt;
#elif defined(__clang__) && __clang_major__ == 14 && defined(__cpp_exceptions)
  return Table{
      {"switch", {25, 8, 9, 1, 2, 4}},
      {"nothing", {49, 16, 10, 7, 2, 4}},
      {"echo", {48, 17, 9, 7, 2, 4}},
      {"counter by reference", {51, 16, 11, 7, 2, 4}},
      {"local counter", {46, 15, 9, 7, 2, 4}},
      {"range-for", {47, 15, 10, 6, 2, 4}},
      {"string", {98, 26, 23, 16, 3, 7}},
      {"lifetime on a given stack", {54, 16, 11, 6, 2, 5}},
      {"lifetime from a pool", {148, 43, 27, 22, 2, 13}},
  };
#elif defined(__clang__) && __clang_major__ == 14
  return Table{
      {"switch", {25, 8, 9, 1, 2, 4}},
      {"nothing", {40, 11, 10, 6, 2, 4}},
      {"echo", {39, 13, 9, 6, 2, 4}},
      {"counter by reference", {42, 11, 11, 6, 2, 4}},
      {"local counter", {38, 11, 9, 5, 2, 4}},
      {"range-for", {39, 11, 9, 5, 2, 4}},
      {"string", {89, 22, 23, 15, 3, 7}},
      {"lifetime on a given stack", {45, 13, 11, 4, 2, 5}},
      {"lifetime from a pool", {132, 37, 24, 18, 2, 11}},
  };
#elif !defined(__clang__) && __GNUC__ == 12 && defined(__cpp_exceptions)
  return Table{
      {"switch", {25, 11, 7, 1, 2, 4}},
      {"nothing", {46, 18, 7, 7, 2, 4}},
      {"echo", {46, 18, 7, 7, 2, 4}},
      {"counter by reference", {47, 20, 7, 7, 2, 4}},
      {"local counter", {47, 19, 7, 7, 2, 4}},
      {"range-for", {43, 18, 7, 6, 2, 4}},
      {"string", {94, 32, 20, 15, 3, 9}},
      {"lifetime on a given stack", {62, 20, 12, 8, 2, 5}},
      {"lifetime from a pool", {134, 46, 24, 20, 2, 11}},
  };
#elif !defined(__clang__) && __GNUC__ == 12
  return Table{
      {"switch", {25, 11, 7, 1, 2, 4}},
      {"nothing", {39, 14, 7, 6, 2, 4}},
      {"echo", {38, 14, 7, 6, 2, 4}},
      {"counter by reference", {40, 16, 7, 6, 2, 4}},
      {"local counter", {39, 15, 7, 6, 2, 4}},
      {"range-for", {35, 14, 7, 5, 2, 4}},
      {"string", {87, 28, 20, 14, 3, 9}},
      {"lifetime on a given stack", {57, 18, 12, 6, 2, 5}},
      {"lifetime from a pool", {126, 44, 24, 18, 2, 11}},
  };
#else
  return std::nullopt;
#endif
}

size_t Number(const std::string& output, const std::string& pattern) {
  std::smatch match;
  if (!std::regex_search(output, match, std::regex(pattern))) {
    ADD_FAILURE() << "no " << pattern << " in\n" << output;
    return 0;
  }
  std::string digits;
  for (const char c : match[1].str()) {
    if (c != ',') digits += c;
  }
  return std::stoul(digits);
}

Counts CountProgram(const std::string& loop, size_t iterations) {
  const CommandResult result =
      RunCommand({"valgrind", "--tool=cachegrind", "--cache-sim=yes", "--branch-sim=yes",
                  "--cachegrind-out-file=/dev/null", program, loop, std::to_string(iterations)});
  EXPECT_EQ(result.exit_status, 0) << result.output;
  const std::string& output = result.output;
  return {.instructions = Number(output, "I +refs: +([0-9,]+)"),
          .loads = Number(output, "D +refs:.*\\( *([0-9,]+) rd"),
          .stores = Number(output, "D +refs:.*\\+ *([0-9,]+) wr"),
          .conditional_branches = Number(output, "Branches:.*\\( *([0-9,]+) cond"),
          .indirect_branches = Number(output, "Branches:.*\\+ *([0-9,]+) ind"),
          .taken_branches = 0};
}

struct Steps {
  size_t instructions;
  size_t library_instructions;
  size_t taken_branches;
};

Steps CountSteps(const std::string& loop, size_t iterations) {
  const CommandResult result = RunCommand({program, loop, std::to_string(iterations), "steps"});
  EXPECT_EQ(result.exit_status, 0) << result.output;
  return {.instructions = Number(result.output, "([0-9]+) instructions"),
          .library_instructions = Number(result.output, "([0-9]+) of libraries"),
          .taken_branches = Number(result.output, "([0-9]+) taken branches")};
}

// What some iterations add after others, so that what happens once is not counted. A pool looks at
// its cache at every 139th acquisition, which is not among them.
Counts CountIteration(const std::string& loop) {
  constexpr size_t kFirst = 1040;
  constexpr size_t kOthers = 64;
  const Counts sum = CountProgram(loop, kFirst + kOthers) - CountProgram(loop, kFirst);
  EXPECT_EQ(sum.instructions % kOthers, 0U) << loop;
  // Fewer, since a step takes microseconds.
  constexpr size_t kFirstSteps = 32;
  constexpr size_t kOtherSteps = 32;
  const Steps first = CountSteps(loop, kFirstSteps);
  const Steps all = CountSteps(loop, kFirstSteps + kOtherSteps);
  const size_t taken_branches = all.taken_branches - first.taken_branches;
  EXPECT_EQ(taken_branches % kOtherSteps, 0U) << loop;
  // Both ways count the same code, except where a library chooses its code by CPU.
  if (all.library_instructions == first.library_instructions) {
    EXPECT_EQ((all.instructions - first.instructions) * kOthers, sum.instructions * kOtherSteps)
        << loop;
  }
  return {.instructions = sum.instructions / kOthers,
          .loads = sum.loads / kOthers,
          .stores = sum.stores / kOthers,
          .conditional_branches = sum.conditional_branches / kOthers,
          .indirect_branches = sum.indirect_branches / kOthers,
          .taken_branches = taken_branches / kOtherSteps};
}

TEST(CountsTest, AreAsExpected) {
  if (!IsInstalled("valgrind")) GTEST_SKIP() << "valgrind is not installed";
  const std::optional<Table> expected = ExpectedCounts();
  if (!expected)
    GTEST_SKIP() << "there are no expected counts for this compiler and its C++ library";
  std::ostringstream found;
  bool differ = false;
  for (const std::string& loop : SplitLines(RunCommand({program}).output)) {
    const Counts counts = CountIteration(loop);
    found << "      {\"" << loop << "\", " << counts << "},\n";
    const auto row = expected->find(loop);
    if (row == expected->end()) {
      differ = true;
      ADD_FAILURE() << loop << ": expected counts are missing";
    } else {
      differ |= row->second != counts;
      EXPECT_EQ(counts, row->second) << loop;
    }
  }
  if (differ) {
    ADD_FAILURE() << "If the change is intended, correct ExpectedCounts(). Found:\n" << found.str();
  }
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1) fringe::testing::program = argv[1];
  return RUN_ALL_TESTS();
}
