// tools/lldb/fringe.py lists the generators of a process and of a core file, and shows the frames
// of those that are suspended.

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"
#include "testing/support/scratch_folder.h"

namespace fringe::testing {
namespace {

// The test's arguments: the program, compiled without optimisation, and the script.
std::string program;
std::string script;

bool HasPython(const std::string& lldb) {
  return RunCommand({lldb, "--no-lldbinit", "--batch", "-o", "script print('it has ' + 'Python')"})
             .output.find("it has Python\n") != std::string::npos;
}

// Returns: an lldb that runs Python; empty if there is none.
std::string FindLldb() {
  for (const char* const version : {"", "-14", "-15", "-16", "-19"}) {
    const std::string lldb = std::string("lldb") + version;
    if (!IsInstalled(lldb)) continue;
    if (HasPython(lldb)) return lldb;
    // Debian's lldb-14 does not know where Debian's python3-lldb-14 is.
    std::error_code no_such_folder;
    for (const auto& entry : std::filesystem::directory_iterator(
             std::string("/usr/lib/llvm") + (*version == '\0' ? "-14" : version) + "/lib",
             no_such_folder)) {
      for (const char* const packages : {"/dist-packages", "/site-packages"}) {
        const std::string path = entry.path().string() + packages;
        if (!std::filesystem::exists(path + "/lldb/embedded_interpreter.py")) continue;
        setenv("PYTHONPATH", path.c_str(), 1);
        if (HasPython(lldb)) return lldb;
      }
    }
  }
  return "";
}

// The parameter: whether lldb reads a core file.
class LldbExtensionTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (Emulator() != nullptr) GTEST_SKIP() << "the script is for x86_64";
    if (Lldb().empty()) GTEST_SKIP() << "no lldb with Python is installed";
    if (GetParam() && Core().empty()) {
      GTEST_SKIP() << "the kernel writes no core files to the working folder";
    }
  }

  static const std::string& Lldb() {
    static const std::string lldb = FindLldb();
    return lldb;
  }

  // Returns: the core file of the program; empty if the kernel has written none.
  static const std::string& Core() {
    static const ScratchFolder folder("/tmp");
    static const std::string core = [] {
      const CommandResult result = RunCommand(
          {program, "abort"}, {.prepare = [] {
            const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
            return setrlimit(RLIMIT_CORE, &unlimited) == 0 && chdir(folder.path().c_str()) == 0;
          }});
      EXPECT_EQ(result.exit_status, -SIGABRT) << result.output;
      for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
        return file.path().string();
      }
      return std::string();
    }();
    return core;
  }

  // Returns: lldb's output for `commands`. `command` is shown as "(lldb) command".
  static std::string Run(const std::vector<std::string>& commands) {
    std::vector<std::string> words = {Lldb(), "--no-lldbinit", "--batch", "--no-use-colors"};
    words.insert(words.end(), {"-o", "command script import " + script});
    if (!GetParam()) words.insert(words.end(), {"-o", "breakpoint set -n BreakHere", "-o", "run"});
    for (const std::string& command : commands) words.insert(words.end(), {"-o", command});
    words.push_back(program);
    if (GetParam()) words.insert(words.end(), {"--core", Core()});
    return RunCommand(words).output;
  }

  // One entry of `generator list`.
  struct Entry {
    std::string number;
    std::string text;
  };

  static std::vector<Entry> List(const std::string& output) {
    std::vector<Entry> entries;
    for (const std::string& line : SplitLines(output)) {
      if (line.size() > 6 && line.rfind("  ", 0) == 0 && line[2] >= '1' && line[2] <= '9') {
        entries.push_back({line.substr(2, 1), line});
      } else if (!entries.empty() && line.rfind("        ", 0) == 0) {
        entries.back().text += "\n" + line;
      }
    }
    return entries;
  }

  // Returns: the number of the one entry that has every text; empty if there is none.
  static std::string Find(const std::vector<Entry>& entries,
                          const std::vector<std::string>& texts) {
    std::string number;
    for (const Entry& entry : entries) {
      const bool fits = std::all_of(texts.begin(), texts.end(), [&](const std::string& text) {
        return entry.text.find(text) != std::string::npos;
      });
      if (!fits) continue;
      EXPECT_EQ(number, "") << "two entries: " << entry.text;
      number = entry.number;
    }
    return number;
  }

  // Returns: which of the program's functions are the function of a frame, the innermost first.
  static std::vector<std::string> FunctionsIn(const std::string& output) {
    std::vector<std::string> functions;
    for (const std::string& line : SplitLines(output)) {
      if (line.find("frame #") == std::string::npos) continue;
      if (line.find(" [inlined] ") != std::string::npos) continue;
      for (const char* const function :
           {"BreakHere", "Deep", "DeepBody", "PooledBody", "InnerBody", "main", "__morestack"}) {
        const size_t begin = line.find('`');
        const std::string rest = begin == std::string::npos ? "" : line.substr(begin + 1);
        if (rest.rfind(function, 0) == 0 &&
            rest.find_first_of("( ") == std::string(function).size())
          functions.push_back(function);
      }
    }
    return functions;
  }
};

INSTANTIATE_TEST_SUITE_P(All, LldbExtensionTest, ::testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "Core" : "Live"; });

TEST_P(LldbExtensionTest, ShowsGenerators) {
  const std::string output = Run({"generator list", "generator apply all bt", "generator 1",
                                  "generator none", "frame info", "generator 99"});
  const std::vector<Entry> entries = List(output);
  ASSERT_EQ(entries.size(), 7U) << output;
  const std::string deep =
      Find(entries, {"suspended", "DeepBody(", "where  Deep(", "fringe::OsStack", " used"});
  EXPECT_NE(deep, "") << output;
  EXPECT_NE(
      Find(entries, {"suspended", "PooledBody(", "where  PooledBody(", "fringe::PooledStack"}), "")
      << output;
  EXPECT_NE(Find(entries, {"suspended", "main", "fringe::SpanStack, 65536 bytes"}), "") << output;
  EXPECT_NE(Find(entries, {"suspended", "main", "fringe::MallocStack"}), "") << output;
  EXPECT_NE(Find(entries, {"not started", "fringe::OsStack"}), "") << output;
  const std::string inner = Find(entries, {"running on thread 1", "InnerBody(", "fringe::OsStack"});
  EXPECT_NE(inner, "") << output;
  EXPECT_NE(Find(entries, {"running, has resumed " + inner, "main", "fringe::OsStack"}), "")
      << output;

  // Backtraces of running generators reach main. The others end at their own first functions.
  size_t begin = output.find("\nGenerator 1 (");
  for (const Entry& entry : entries) {
    ASSERT_NE(begin, std::string::npos) << output;
    const size_t end =
        std::min(output.find("\nGenerator ", begin + 1), output.find("(lldb) generator 1"));
    const std::string backtrace = output.substr(begin, end - begin);
    const std::vector<std::string> functions = FunctionsIn(backtrace);
    const bool is_running = entry.text.find(" running") != std::string::npos;
    EXPECT_EQ(!functions.empty() && functions.back() == "main", is_running) << backtrace;
    EXPECT_EQ(backtrace.find("__morestack") != std::string::npos, is_running) << backtrace;
    if (entry.number == deep) {
      EXPECT_EQ(functions, std::vector<std::string>({"Deep", "Deep", "Deep", "Deep", "DeepBody"}))
          << backtrace;
    }
    begin = end;
  }

  // The thread has its own frames again.
  EXPECT_EQ(output.find("Deep", output.find("(lldb) frame info")), std::string::npos) << output;
  EXPECT_NE(output.find("There is no generator 99"), std::string::npos) << output;
}

TEST_P(LldbExtensionTest, SelectsFramesAndPrintsLocals) {
  const std::vector<Entry> entries = List(Run({"generator list"}));
  const std::string deep = Find(entries, {"suspended", "DeepBody(", "fringe::OsStack"});
  const std::string output = Run({"generator " + deep, "frame variable local_of_deep", "up",
                                  "frame variable local_of_deep", "generator backtrace",
                                  GetParam() ? "thread list" : "continue"});
  EXPECT_NE(output.find("local_of_deep = 4700\n"), std::string::npos) << output;
  EXPECT_NE(output.find("local_of_deep = 4701\n"), std::string::npos) << output;
  const size_t backtrace = output.find("(lldb) generator backtrace");
  const std::string name = "name = 'generator " + deep + "'";
  EXPECT_NE(output.find(name, backtrace), std::string::npos) << output;
  EXPECT_EQ(output.find("__morestack", backtrace), std::string::npos) << output;
  if (!GetParam()) {
    EXPECT_NE(output.find("exited with status = 0"), std::string::npos) << output;
  }
}

TEST_P(LldbExtensionTest, SummarizesObjects) {
  const std::string backtrace = Run({"bt"});
  // "    frame #22: 0x0000555555555555 generators_program_o0`main(argc=1, ...) at ..."
  const size_t end = backtrace.find(": 0x", backtrace.rfind("frame #", backtrace.find("`main(")));
  const std::string frame = backtrace.substr(0, end).substr(backtrace.rfind('#', end) + 1);
  const std::string output =
      Run({"frame select " + frame, "frame variable deep not_started finished outer",
           "frame variable deep.stack_ pooled.stack_ on_heap.stack_ on_span.stack_ pool"});
  for (const char* const text :
       {"deep = suspended generator, stack 0x", "not_started = not started generator",
        "finished = finished generator", "outer = running generator", "OsStack of ",
        "PooledStack of ", "MallocStack of ", "SpanStack of 65536 bytes, 0x",
        "StackPool of stacks of ",
        "bytes with guards of 65536: 2 made in 1 arenas, 0 in the depot"}) {
    EXPECT_NE(output.find(text), std::string::npos) << text << "\n" << output;
  }
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 3) return 2;
  fringe::testing::program = std::filesystem::absolute(argv[1]).string();
  fringe::testing::script = std::filesystem::absolute(argv[2]).string();
  return RUN_ALL_TESTS();
}
