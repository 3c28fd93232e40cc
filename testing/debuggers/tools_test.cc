// Tools that show stacks show the generator's frames, its resumer's, and main's. Each case runs the
// tool on a program, and is skipped if the tool is not installed or may not look into a process.

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "fringe/config.h"
#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"
#include "testing/support/scratch_folder.h"

namespace fringe::testing {
namespace {

// The test's arguments: the program without frame pointers, so that only unwind tables lead from
// the generator to the resumer's caller, and with them.
std::string program;
std::string program_with_frame_pointers;

class ToolsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Emulator() != nullptr)
      GTEST_SKIP() << "the tools do not know what " << Emulator() << " runs";
  }

  // Returns: the output of `script`, a shell's, in which "$program" is the program,
  //   "$with_frame_pointers" the other one, and "$pid" a program that waits in a generator.
  static std::string Run(const std::string& script) {
    static const ScratchFolder folder("/tmp");
    const std::string ready = folder.path() + "/ready";
    const bool attaches = script.find("$pid") != std::string::npos;
    const std::string start = "\"$program\" wait > " + ready + " & pid=$!; " +
                              "until grep -q ready " + ready +
                              " || ! kill -0 $pid; do sleep 0.05; done; ";
    return RunCommand({"sh", "-c",
                       "program=$1; with_frame_pointers=$2; cd " + folder.path() +
                           "; rm -f ready; " + (attaches ? start : "") + script +
                           (attaches ? "; kill $pid" : ""),
                       "sh", program, program_with_frame_pointers})
        .output;
  }

  // Whether the functions are in the output in this order.
  static bool InOrder(const std::string& output, const std::vector<std::string>& functions) {
    size_t place = 0;
    for (const std::string& function : functions) {
      place = output.find(function, place);
      if (place == std::string::npos) return false;
      place += function.size();
    }
    return true;
  }

  static void ExpectWholeStack(const std::string& output, const std::string& innermost = "Act") {
    if (output.find("not permitted") != std::string::npos ||
        output.find("Permission denied") != std::string::npos) {
      GTEST_SKIP() << "the tool may not look into a process here: " << output;
    }
    EXPECT_TRUE(InOrder(output, {innermost, "Body", "Resumer", "AboveResumer", "main"})) << output;
  }
};

TEST_F(ToolsTest, EuStack) {
  if (!IsInstalled("eu-stack")) GTEST_SKIP() << "eu-stack is not installed";
  ExpectWholeStack(Run("eu-stack -p $pid 2>&1"));
}

TEST_F(ToolsTest, Lldb) {
  std::string lldb;
  for (const char* const name : {"lldb", "lldb-14", "lldb-19"}) {
    if (IsInstalled(name)) lldb = name;
  }
  if (lldb.empty()) GTEST_SKIP() << "lldb is not installed";
  ExpectWholeStack(
      Run(lldb + " --no-lldbinit --batch -o \"process attach -p $pid\" -o bt -o detach 2>&1"));
}

// An exception that nothing catches: what docs/debugging.md recommends to see where it came from.
class UncaughtExceptionTest : public ToolsTest {
 protected:
  void SetUp() override {
    ToolsTest::SetUp();
    if (IsSkipped()) return;
    if (!FRINGE_EXCEPTIONS) GTEST_SKIP() << "compiled without exceptions";
    if (!IsInstalled("gdb")) GTEST_SKIP() << "gdb is not installed";
  }

  static std::string Backtrace(const std::string& command, const std::string& argument) {
    const std::string output = Run(
        "gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'set width 0' " + command +
        " -ex run -ex 'echo BACKTRACE\\n' -ex backtrace --args \"$program\" " + argument + " 2>&1");
    const size_t begin = output.find("BACKTRACE\n#0");
    if (begin == std::string::npos) ADD_FAILURE() << output;
    return begin == std::string::npos ? "" : output.substr(begin);
  }
};

TEST_F(UncaughtExceptionTest, CatchThrowStopsAtTheOrigin) {
  ExpectWholeStack(Backtrace("-ex 'catch throw'", "throw"), "Act");
}

TEST_F(UncaughtExceptionTest, NoexceptBodyKeepsItsFrames) {
  const std::string backtrace = Backtrace("", "'throw in noexcept'");
  EXPECT_TRUE(InOrder(backtrace, {"abort", "NoexceptBody", "Resumer", "AboveResumer", "main"}))
      << backtrace;
}

TEST_F(ToolsTest, Strace) {
  if (!IsInstalled("strace")) GTEST_SKIP() << "strace is not installed";
  const std::string strace = "strace -k -e trace=write \"$program\" ";
  const std::string without_generator = Run(strace + "'write in main' 2>&1");
  if (without_generator.find("is not supported") != std::string::npos) {
    GTEST_SKIP() << "this strace shows no stacks: " << without_generator;
  }
  // Debian 12's, with libunwind, does not unwind what LLD has linked.
  if (without_generator.find("__libc_start") == std::string::npos) {
    GTEST_SKIP() << "this strace does not unwind this program: " << without_generator;
  }
  ExpectWholeStack(Run(strace + "write 2>&1"));
}

TEST_F(ToolsTest, Heaptrack) {
  if (!IsInstalled("heaptrack")) GTEST_SKIP() << "heaptrack is not installed";
  const std::string output =
      Run("heaptrack -o trace \"$program\" allocate > log 2>&1; heaptrack_print --print-leaks 1 "
          "-f trace.* 2>&1");
  const size_t leak = output.find("123.46K");
  ASSERT_NE(leak, std::string::npos) << output;
  ExpectWholeStack(output.substr(leak));
}

// gperftools unwinds with libunwind, in a signal handler and in malloc.
class GperftoolsTest : public ToolsTest {
 protected:
  void SetUp() override {
    ToolsTest::SetUp();
    if (IsSkipped()) return;
    if (!IsInstalled("google-pprof") ||
        !std::filesystem::exists("/usr/lib/x86_64-linux-gnu/libprofiler.so.0")) {
      GTEST_SKIP() << "gperftools is not installed";
    }
  }

  // Returns: the lines with that function, the outermost first, of a profile that `script` makes.
  static std::vector<std::string> Stacks(const std::string& script, const std::string& function) {
    std::vector<std::string> stacks;
    for (const std::string& line : SplitLines(Run("rm -f profile*; " + script))) {
      if (line.find(function) != std::string::npos) stacks.push_back(line);
    }
    return stacks;
  }
};

TEST_F(GperftoolsTest, CpuProfile) {
  const std::vector<std::string> stacks = Stacks(
      "LD_PRELOAD=libprofiler.so.0 CPUPROFILE=profile CPUPROFILE_FREQUENCY=500 \"$program\" spin > "
      "log 2>&1; google-pprof --collapsed \"$program\" profile 2>&1",
      "Body");
  EXPECT_GT(stacks.size(), 3U);
  for (const std::string& stack : stacks) {
    EXPECT_TRUE(InOrder(stack, {"main", "AboveResumer", "Resumer", "__morestack", "Body"}))
        << stack;
  }
}

TEST_F(GperftoolsTest, HeapProfile) {
  const std::vector<std::string> stacks = Stacks(
      "LD_PRELOAD=libtcmalloc.so.4 HEAPPROFILE=./profile \"$program\" allocate > log 2>&1; "
      "google-pprof --collapsed \"$program\" profile.0001.heap 2>&1",
      "Act");
  ASSERT_EQ(stacks.size(), 1U);
  EXPECT_TRUE(InOrder(stacks[0], {"main", "AboveResumer", "Resumer", "__morestack", "Body", "Act"}))
      << stacks[0];
}

TEST_F(ToolsTest, Callgrind) {
  if (!IsInstalled("valgrind")) GTEST_SKIP() << "Valgrind is not installed";
  const std::string output =
      Run("valgrind --tool=callgrind --separate-callers=8 --callgrind-out-file=out \"$program\" "
          "write > log 2>&1; grep -h '^c*fn=.*Act' out");
  // Callgrind's own list of calls has no generator that was suspended before. Its costs are right.
  EXPECT_TRUE(InOrder(output, {"fn=", "Act()", "Resumer", "AboveResumer", "main"})) << output;
}

TEST_F(ToolsTest, Perf) {
  if (!IsInstalled("perf")) GTEST_SKIP() << "perf is not installed";
  const std::string recorded =
      Run("perf record -q -e cpu-clock --call-graph fp -o data \"$with_frame_pointers\" spin 2>&1");
  const std::string output = Run("perf script -i data 2>&1");
  if (output.find("cpu-clock") == std::string::npos) {
    GTEST_SKIP() << "the kernel records nothing: " << recorded << output;
  }
  // Each sample ends with an empty line. Those of the body must reach main. Between the
  // instructions that load the frame pointer and jump, a sample has the body and no resumer.
  int complete = 0;
  int incomplete = 0;
  for (size_t begin = 0; begin < output.size();) {
    const size_t end = std::min(output.find("\n\n", begin), output.size());
    const std::string sample = output.substr(begin, end - begin);
    if (InOrder(sample, {"Body+"})) {
      ++(InOrder(sample, {"Body+", "AboveResumer+", "main+"}) ? complete : incomplete);
    }
    begin = end + 2;
  }
  EXPECT_GT(complete, 50) << recorded;
  EXPECT_EQ(incomplete, 0);
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 3) return 2;
  fringe::testing::program = std::filesystem::absolute(argv[1]).string();
  fringe::testing::program_with_frame_pointers = std::filesystem::absolute(argv[2]).string();
  return RUN_ALL_TESTS();
}
