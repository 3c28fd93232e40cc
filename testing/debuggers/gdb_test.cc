// gdb shows a generator's frames, then its resumer's, then main's. The programs are compiled with
// and without optimisation, and the stacks are in both orders.

#include "testing/debuggers/gdb.h"

#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

// The program, compiled in each way: the test's arguments.
std::vector<std::string> programs;

// The parameters: the program, and the position of the generator's stack.
class GdbTest : public ::testing::TestWithParam<std::tuple<size_t, std::string>> {
 protected:
  void SetUp() override {
    if (const std::string why = WhyGdbCannotStartPrograms(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_EQ(programs.size(), 2U) << "the test's arguments are the programs";
  }

  // Returns: gdb's output for `commands`, run at the breakpoint.
  static std::string Gdb(const std::vector<std::string>& commands) {
    std::vector<std::string> all = {"set disable-randomization off", "break BreakHere"};
    if (Emulator() == nullptr) {
      all.emplace_back("run");
    } else {
      const std::vector<std::string> start = StartInEmulator(Program(), std::get<1>(GetParam()));
      all.insert(all.end(), start.begin(), start.end());
      all.emplace_back("continue");
    }
    all.insert(all.end(), commands.begin(), commands.end());
    return RunGdb(all, {"--args", Program(), std::get<1>(GetParam())}).output;
  }

  static const std::string& Program() { return programs[std::get<0>(GetParam())]; }

  // Returns: the backtraces at the breakpoint, in a generator that has just started and in the same
  //   generator after a suspend. gdb is slow to start, so one run serves all tests with the same
  //   parameters.
  static std::pair<std::string, std::string> Backtraces() {
    static std::map<ParamType, std::pair<std::string, std::string>> cache;
    const auto [entry, is_new] = cache.try_emplace(GetParam());
    if (is_new) {
      const std::string output =
          Gdb({"backtrace", "echo AND AFTER A SUSPEND\\n", "continue", "backtrace"});
      const size_t middle = output.find("AND AFTER A SUSPEND");
      if (middle == std::string::npos) {
        ADD_FAILURE() << output;
      } else {
        entry->second = {output.substr(0, middle), output.substr(middle)};
      }
    }
    return entry->second;
  }

  // Returns: the functions of gdb's backtrace in `output`, the innermost first.
  static std::vector<std::string> FramesIn(const std::string& output) {
    // For example "#12 0x0000555555555642 in Inner (yielder=..., value=1) at gdb_program.cc:20".
    // gdb omits the address at the beginning of a source line.
    std::vector<std::string> frames;
    for (const std::string& line : SplitLines(output)) {
      if (line.empty() || line[0] != '#') continue;
      size_t begin = line.find_first_not_of(' ', line.find(' '));
      if (begin != std::string::npos && line.compare(begin, 2, "0x") == 0) {
        begin = line.find(" in ", begin) + 4;
      }
      const size_t end = line.find(" (", begin);
      if (end != std::string::npos) frames.push_back(line.substr(begin, end - begin));
    }
    return frames;
  }

  static void ExpectWholeBacktrace(const std::string& output) {
    const std::vector<std::string> frames = FramesIn(output);
    std::vector<std::string> named;
    for (const std::string& frame : frames) {
      for (const char* const name :
           {"BreakHere", "Inner", "Body", "Resumer", "AboveResumer", "main"}) {
        if (frame == name) named.push_back(frame);
      }
    }
    EXPECT_EQ(named, std::vector<std::string>(
                         {"BreakHere", "Inner", "Body", "Resumer", "AboveResumer", "main"}));
    EXPECT_TRUE(!frames.empty() && frames.back() == "main");
    // gdb's messages for a corrupt stack, and for frames that it cannot name.
    for (const char* const complaint :
         {"corrupt stack", "previous frame", "Backtrace stopped", "signal handler called", "??"}) {
      EXPECT_EQ(output.find(complaint), std::string::npos) << complaint;
    }
    if (HasFailure()) std::cerr << "gdb said:\n" << output;
  }
};

INSTANTIATE_TEST_SUITE_P(
    All, GdbTest, ::testing::Combine(::testing::Values(0, 1), ::testing::Values("below", "above")),
    [](const auto& parameters) {
      return std::string(std::get<0>(parameters.param) == 0 ? "Unoptimized" : "Optimized") +
             (std::get<1>(parameters.param) == "below" ? "Below" : "Above");
    });

TEST_P(GdbTest, BacktraceInAGeneratorThatHasJustBegunReachesMain) {
  ExpectWholeBacktrace(Backtraces().first);
}

TEST_P(GdbTest, BacktraceInAGeneratorThatWasSuspendedReachesMain) {
  ExpectWholeBacktrace(Backtraces().second);
}

// Returns: the innermost frame of each `frame` command, such as
//   "#0  0x... in Inner (yielder=..., value=0) at gdb_program.cc:20".
std::vector<std::string> InnermostFrames(const std::string& output) {
  std::vector<std::string> frames;
  for (const std::string& line : SplitLines(output)) {
    if (line.rfind("#0 ", 0) == 0) frames.push_back(line);
  }
  return frames;
}

TEST_P(GdbTest, NextStepsOverASuspend) {
  if (Emulator() != nullptr) GTEST_SKIP() << "gdb cannot step here";
  if (std::get<0>(GetParam()) != 0) GTEST_SKIP() << "lines move in optimised code";
#if !defined(__x86_64__)
  GTEST_SKIP() << "gdb steps to the next breakpoint here";
#endif
  const std::string version = RunGdb({"show version"}, {}).output;
  if (version.find(") 13.") == std::string::npos) {
    GTEST_SKIP() << "other versions stop in the resumer: " << version;
  }
  const std::string output =
      Gdb({"print suspend_line", "finish", "frame", "next", "frame", "next", "frame"});
  const size_t printed = output.find("$1 = ");
  ASSERT_NE(printed, std::string::npos) << output;
  const int suspend_line = std::atoi(output.c_str() + printed + 5);
  const std::vector<std::string> frames = InnermostFrames(output);
  ASSERT_EQ(frames.size(), 3U) << output;
  const auto line_of = [](const std::string& frame) {
    return std::atoi(frame.substr(frame.rfind(':') + 1).c_str());
  };
  // For Clang, the return from a call belongs to the next line, and an empty `asm` to none.
#if defined(__clang__)
  constexpr size_t kBefore = 0;
  constexpr int kNextLine = 2;
#else
  constexpr size_t kBefore = 1;
  constexpr int kNextLine = 1;
#endif
  EXPECT_NE(frames[kBefore].find("Inner ("), std::string::npos) << output;
  EXPECT_EQ(line_of(frames[kBefore]), suspend_line) << output;
  EXPECT_NE(frames[kBefore + 1].find("Inner ("), std::string::npos) << output;
  EXPECT_EQ(line_of(frames[kBefore + 1]), suspend_line + kNextLine) << output;
}

TEST_P(GdbTest, FinishesOutOfABody) {
  if (Emulator() != nullptr) GTEST_SKIP() << "gdb cannot step here";
  const std::string output =
      Gdb({"delete", "finish", "frame", "finish", "frame", "finish", "backtrace", "continue"});
  const std::vector<std::string> frames = InnermostFrames(output);
  ASSERT_EQ(frames.size(), 3U) << output;
  EXPECT_NE(frames[0].find("Inner ("), std::string::npos) << output;
  EXPECT_NE(frames[1].find("Body ("), std::string::npos) << output;
  EXPECT_NE(frames[2].find("Generator<"), std::string::npos) << output;
  EXPECT_EQ(FramesIn(output).back(), "main") << output;
  EXPECT_NE(output.find("exited normally"), std::string::npos) << output;
}

TEST_P(GdbTest, UpIntoTheResumerFindsItsLocals) {
  const std::vector<std::string> frames = FramesIn(Backtraces().second);
  size_t depth = 0;
  while (depth < frames.size() && frames[depth] != "Resumer") ++depth;
  ASSERT_LT(depth, frames.size());
  const std::string output =
      Gdb({"continue", "up " + std::to_string(depth), "print local_of_resumer"});
  EXPECT_NE(output.find("= 4711\n"), std::string::npos) << output;
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  fringe::testing::programs.assign(argv + 1, argv + argc);
  return RUN_ALL_TESTS();
}
