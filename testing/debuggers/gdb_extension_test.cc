// tools/gdb/fringe.py lists the generators of a process and of a core file, and shows the frames of
// those that are suspended. The programs are compiled with and without optimisation.

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "testing/debuggers/gdb.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"
#include "testing/support/scratch_folder.h"

namespace fringe::testing {
namespace {

// The test's arguments: the program, compiled in each way, and the script.
std::vector<std::string> programs;
std::string script;

// The parameters: the program, and whether gdb reads a core file.
class GdbExtensionTest : public ::testing::TestWithParam<std::tuple<size_t, bool>> {
 protected:
  void SetUp() override {
    if (Emulator() != nullptr) GTEST_SKIP() << "the script is for x86_64";
    if (const std::string why = WhyThereIsNoGdb(); !why.empty()) GTEST_SKIP() << why;
    const std::string python = RunGdb({"python print('it has ' + 'Python')"}, {}).output;
    if (python.find("it has Python") == std::string::npos) {
      GTEST_SKIP() << "gdb has no Python: " << python;
    }
    if (IsCore()) {
      if (Core().empty()) GTEST_SKIP() << "the kernel writes no core files to the working folder";
      return;
    }
    if (const std::string why = WhyGdbCannotStartPrograms(); !why.empty()) GTEST_SKIP() << why;
  }

  static const std::string& Program() { return programs[std::get<0>(GetParam())]; }
  static bool IsCore() { return std::get<1>(GetParam()); }

  // Returns: the core file of the program; empty if the kernel has written none.
  static const std::string& Core() {
    static std::map<std::string, std::string> cores;
    static const ScratchFolder folder("/tmp");
    const auto [entry, is_new] = cores.try_emplace(Program());
    if (!is_new) return entry->second;
    const std::string place = folder.path() + "/" + std::to_string(cores.size());
    std::filesystem::create_directory(place);
    const CommandResult result =
        RunCommand({Program(), "abort"}, {.prepare = [&] {
                     const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
                     return setrlimit(RLIMIT_CORE, &unlimited) == 0 && chdir(place.c_str()) == 0;
                   }});
    EXPECT_EQ(result.exit_status, -SIGABRT) << result.output;
    for (const auto& file : std::filesystem::directory_iterator(place)) {
      entry->second = file.path().string();
    }
    return entry->second;
  }

  // Returns: gdb's output for `commands`.
  static std::string Gdb(const std::vector<std::string>& commands) {
    std::vector<std::string> all = {"source " + script};
    if (!IsCore()) all.insert(all.end(), {"break BreakHere", "run"});
    all.insert(all.end(), commands.begin(), commands.end());
    std::vector<std::string> files = {Program()};
    if (IsCore()) files.push_back(Core());
    return RunGdb(all, files).output;
  }

  // One entry of `info generators`.
  struct Entry {
    std::string number;
    std::string state;
    std::string body;
    std::string where;
    std::string stack;
  };

  static std::vector<Entry> List() {
    static std::map<ParamType, std::vector<Entry>> cache;
    const auto [cached, is_new] = cache.try_emplace(GetParam());
    if (!is_new) return cached->second;
    const std::string output = Gdb({"info generators"});
    std::vector<Entry>& entries = cached->second;
    for (const std::string& line : SplitLines(output)) {
      const auto has = [&](const char* key) {
        return line.rfind(std::string(8, ' ') + key, 0) == 0;
      };
      const std::string value = line.size() > 15 ? line.substr(15) : "";
      if (line.rfind("  ", 0) == 0 && line.size() > 6 && line[2] >= '1' && line[2] <= '9') {
        entries.push_back({line.substr(2, line.find(' ', 2) - 2), line.substr(6), "", "", ""});
      } else if (!entries.empty() && has("body   ")) {
        entries.back().body = value;
      } else if (!entries.empty() && has("where  ")) {
        entries.back().where = value;
      } else if (!entries.empty() && has("stack  ")) {
        entries.back().stack = value;
      }
    }
    EXPECT_EQ(entries.size(), 7U) << output;
    return entries;
  }

  // Returns: the one entry with that text in its body and its stack.
  static Entry Find(const std::string& body, const std::string& stack,
                    const std::string& state = "") {
    std::vector<Entry> found;
    for (const Entry& entry : List()) {
      if (entry.body.find(body) != std::string::npos && entry.stack.rfind(stack, 0) == 0 &&
          entry.state.rfind(state, 0) == 0) {
        found.push_back(entry);
      }
    }
    EXPECT_EQ(found.size(), 1U) << body << " on " << stack;
    return found.size() == 1 ? found[0] : Entry();
  }

  // Returns: which of the program's functions are in gdb's backtrace, the innermost first.
  static std::vector<std::string> FunctionsIn(const std::string& output) {
    std::vector<std::string> functions;
    for (const std::string& line : SplitLines(output)) {
      if (line.rfind("#", 0) != 0) continue;
      for (const char* const function :
           {"BreakHere", "Deep", "DeepBody", "PooledBody", "InnerBody", "main", "abort"}) {
        const std::string name = std::string(" ") + function + " (";
        if (line.find(name) != std::string::npos) functions.push_back(function);
      }
    }
    return functions;
  }
};

// gdb is slow to start: how code is compiled matters little to where its frames are read from.
INSTANTIATE_TEST_SUITE_P(All, GdbExtensionTest,
                         ::testing::Values(std::tuple(0, false), std::tuple(1, true)),
                         [](const auto& parameters) {
                           return std::get<1>(parameters.param) ? "OptimizedCore"
                                                                : "UnoptimizedLive";
                         });

TEST_P(GdbExtensionTest, ListsStateBodyPlaceAndStack) {
  const Entry deep = Find("DeepBody", "fringe::OsStack", "suspended");
  EXPECT_EQ(deep.where.rfind("Deep at ", 0), 0U) << deep.where;
  EXPECT_NE(deep.stack.find(" used"), std::string::npos) << deep.stack;

  const Entry pooled = Find("PooledBody", "fringe::PooledStack", "suspended");
  EXPECT_EQ(pooled.where.rfind("PooledBody at ", 0), 0U) << pooled.where;
  EXPECT_EQ(Find("main", "fringe::SpanStack, 65536 bytes").state, "suspended");
  EXPECT_EQ(Find("main", "fringe::MallocStack").state, "suspended");
  EXPECT_EQ(Find("", "fringe::OsStack", "not started").where, "");
  const Entry outer = Find("main", "fringe::OsStack");
  const Entry inner = Find("InnerBody", "fringe::OsStack");
  EXPECT_EQ(outer.state, "running, has resumed " + inner.number);
  EXPECT_EQ(inner.state, "running on thread 1");
}

TEST_P(GdbExtensionTest, BacktraceOfASuspendedGeneratorEndsAtItsBody) {
  const std::string number = Find("DeepBody", "fringe::OsStack", "suspended").number;
  const std::string output = Gdb({"generator " + number, "echo BACKTRACE\\n", "backtrace"});
  const std::string backtrace = output.substr(output.find("BACKTRACE"));
  EXPECT_EQ(FunctionsIn(backtrace),
            std::vector<std::string>({"Deep", "Deep", "Deep", "Deep", "DeepBody"}))
      << output;
  for (const char* const complaint :
       {"__morestack", "Exception", "corrupt", "stopped", "??", "Cannot"}) {
    EXPECT_EQ(backtrace.find(complaint), std::string::npos) << output;
  }
}

TEST_P(GdbExtensionTest, UpStopsAtTheTrampoline) {
  const std::string number = Find("DeepBody", "fringe::OsStack", "suspended").number;
  const std::string output = Gdb({"generator " + number, "echo LAST\\n", "up 100"});
  const std::string last = output.substr(output.find("LAST"));
  EXPECT_NE(last.find(" in __morestack ()\n"), std::string::npos) << output;
}

TEST_P(GdbExtensionTest, SelectsFramesAndPrintsLocals) {
  const std::string number = Find("DeepBody", "fringe::OsStack", "suspended").number;
  const std::string output =
      Gdb({"generator " + number, "info locals", "up", "info locals", "up", "print depth",
           "print local_of_deep", "generator none", "echo BACKTRACE\\n", "backtrace"});
  EXPECT_NE(output.find("local_of_deep = 4700\n"), std::string::npos) << output;
  EXPECT_NE(output.find("local_of_deep = 4701\n"), std::string::npos) << output;
  EXPECT_NE(output.find("= 4702\n"), std::string::npos) << output;
  // The thread has its own frames again.
  const std::vector<std::string> functions = FunctionsIn(output.substr(output.find("BACKTRACE")));
  ASSERT_FALSE(functions.empty()) << output;
  EXPECT_EQ(functions.back(), "main") << output;
}

TEST_P(GdbExtensionTest, AppliesACommandToAllGenerators) {
  const std::string output = Gdb({"generator apply all backtrace"});
  size_t begin = output.find("\nGenerator 1 (");
  for (const Entry& entry : List()) {
    ASSERT_NE(begin, std::string::npos) << output;
    const size_t end = output.find("\nGenerator ", begin + 1);
    const std::vector<std::string> functions = FunctionsIn(output.substr(begin, end - begin));
    const bool is_running = entry.state.rfind("running", 0) == 0;
    const bool reaches_main = !functions.empty() && functions.back() == "main";
    EXPECT_EQ(reaches_main, is_running) << entry.number << "\n" << output;
    begin = end;
  }
  EXPECT_EQ(begin, std::string::npos);
}

TEST_P(GdbExtensionTest, LeavesTheProcessAsItIs) {
  if (IsCore()) GTEST_SKIP() << "a core file does not go on";
  const std::string output = Gdb(
      {"info generators", "generator 1", "backtrace", "generator apply all backtrace", "continue"});
  EXPECT_NE(output.find("exited normally"), std::string::npos) << output;
}

TEST_P(GdbExtensionTest, SavesACoreFileWithAllStacks) {
  if (IsCore()) GTEST_SKIP() << "a core file is saved of a process";
  const ScratchFolder folder("/tmp");
  const std::string core = folder.path() + "/core";
  const std::string saved = Gdb({"generator gcore " + core, "info generators", "backtrace"});
  ASSERT_NE(saved.find("Saved corefile " + core), std::string::npos) << saved;
  const std::string loaded =
      RunGdb({"source " + script, "info generators", "backtrace"}, {Program(), core}).output;
  ASSERT_NE(saved.find("\n  1   "), std::string::npos) << saved;
  ASSERT_NE(loaded.find("\n  1   "), std::string::npos) << loaded;
  const std::string list = saved.substr(saved.find("\n  1   "));
  const std::string list_of_core = loaded.substr(loaded.find("\n  1   "));
  EXPECT_EQ(list_of_core.substr(0, list_of_core.find("\n#0")), list.substr(0, list.find("\n#0")))
      << loaded;
  EXPECT_EQ(FunctionsIn(list_of_core), FunctionsIn(list)) << loaded;
}

TEST_P(GdbExtensionTest, PrintsObjects) {
  if (std::get<0>(GetParam()) != 0) GTEST_SKIP() << "variables may be optimised away";
  const std::string output = Gdb({"up 100", "print deep", "print not_started", "print finished",
                                  "print outer", "print pooled.stack_", "print deep.stack_",
                                  "print on_heap.stack_", "print on_span.stack_", "print pool"});
  for (const char* const text :
       {"suspended generator, stack 0x", "not started generator", "finished generator",
        "running generator", "PooledStack of ", "OsStack of ", "MallocStack of ",
        "SpanStack of 65536 bytes, 0x", "guard of 65536 bytes", "StackPool of stacks of ",
        "bytes with guards of 65536: 2 made in 1 arenas, 0 in the depot"}) {
    EXPECT_NE(output.find(text), std::string::npos) << text << "\n" << output;
  }
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string path = std::filesystem::absolute(argv[i]).string();
    if (path.size() > 3 && path.substr(path.size() - 3) == ".py") {
      fringe::testing::script = path;
    } else {
      fringe::testing::programs.push_back(path);
    }
  }
  return RUN_ALL_TESTS();
}
