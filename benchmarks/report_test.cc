// Runs the report briefly in each format. No figure is checked: only its shape.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace fringe::testing {
namespace {

std::string report;
std::string report_without_peers;

// Small numbers of generators and small trees only.
constexpr char kFilter[] =
    "--filter=^BM_[A-Za-z0-9]*(<.*>)?(/n:[0-9]{1,4}(/.*)?|/depth:4|/frames:.*|/threads:.*|/given|"
    "/pooled/.*|/heap/.*|/system/.*|/real_time|/(no_)?exceptions/.*)?$";

CommandResult RunReport(const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   {program, "--repetitions=2", "--seconds=0.00001", "--minutes=0", kFilter});
  CommandOptions options;
  options.separate_errors = true;
  return RunCommand(std::move(arguments), options);
}

std::string TemporaryFile(const std::string& name) { return ::testing::TempDir() + "/" + name; }

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool IsXml(const std::string& path) {
  return RunCommand(
             {"python3", "-c", "import sys, xml.dom.minidom as x; x.parse(sys.argv[1])", path})
             .exit_status == 0;
}

TEST(ReportTest, TextHasEverySection) {
  const CommandResult result = RunReport(report, {});
  ASSERT_EQ(result.exit_status, 0) << result.errors;
  for (const char* const expected :
       {"CPU  ", "compiler  ", "build  ", "date  ", "Switch: ", "Step: ", "Loops: ", "Types: ",
        "Depth: ", "Recursion: ", "Callback: ", "Lifetime: ", "Round-robin: ", "Bars: ", "spread",
        "× call", "switch : call"}) {
    EXPECT_NE(result.output.find(expected), std::string::npos) << expected << result.output;
  }
  EXPECT_EQ(result.output.find("no such benchmark"), std::string::npos) << result.output;
}

TEST(ReportTest, JsonIsValidAndComplete) {
  const CommandResult result = RunReport(report, {"--format=json"});
  ASSERT_EQ(result.exit_status, 0) << result.errors;
  CommandOptions input;
  input.standard_input = result.output;
  const CommandResult check = RunCommand(
      {"python3", "-c",
       "import json, sys\n"
       "report = json.load(sys.stdin)\n"
       "assert report['cpu'] and report['compiler'] and report['build'] and report['date']\n"
       "assert report['cpu_kind'] in ('golden_cove', 'zen4', 'other')\n"
       "names = [line['benchmark'] for line in report['results']]\n"
       "assert 'BM_IndirectCall' in names and 'BM_SwitchRoundTrip' in names, names\n"
       "assert sum(name.startswith('BM_Loop') for name in names) == 16, names\n"
       "for line in report['results']:\n"
       "    assert line['median_ns'] > 0 and line['spread'] >= 0, line\n"
       "    assert line['ratio_to_call'] > 0, line\n"
       "    assert (line['ratio_to_best_peer'] is None) == (line['best_peer'] is None), line\n"
       "call = [line for line in report['results'] if line['benchmark'] == 'BM_IndirectCall']\n"
       "assert call[0]['ratio_to_call'] == 1\n"
       "for bar in report['bars']:\n"
       "    assert (bar['bar'] is None) == (bar['verdict'] == 'no bar'), bar\n"
       "    met = bar['bar'] is not None and bar['ratio'] <= bar['bar']\n"
       "    assert met == (bar['verdict'] == 'met'), bar\n"
       "assert report['bars']\n"},
      input);
  EXPECT_EQ(check.exit_status, 0) << check.output << result.output;
}

TEST(ReportTest, MarkdownHasTables) {
  const CommandResult result = RunReport(report, {"--format=markdown"});
  ASSERT_EQ(result.exit_status, 0) << result.errors;
  size_t columns = 0;
  size_t tables = 0;
  for (const std::string& line : SplitLines(result.output)) {
    if (line.empty() || line[0] != '|') {
      columns = 0;
      continue;
    }
    const auto bars = static_cast<size_t>(std::count(line.begin(), line.end(), '|'));
    if (columns == 0) ++tables;
    if (columns != 0) {
      EXPECT_EQ(bars, columns) << line;
    }
    columns = bars;
  }
  EXPECT_GE(tables, 8u) << result.output;
}

TEST(ReportTest, ChartsAreXml) {
  const std::string folder = TemporaryFile("charts");
  const CommandResult result = RunReport(report, {"--svg=" + folder});
  ASSERT_EQ(result.exit_status, 0) << result.errors;
  for (const char* const name : {"steps.svg", "round_robin.svg", "lifetimes.svg"}) {
    const std::string path = folder + "/" + name;
    EXPECT_TRUE(IsXml(path)) << name;
    const std::string svg = Read(path);
    EXPECT_NE(svg.find("prefers-color-scheme: dark"), std::string::npos) << name;
    EXPECT_NE(svg.find("nanoseconds"), std::string::npos) << name;
    EXPECT_NE(svg.find(">fringe"), std::string::npos) << name;
    EXPECT_EQ(svg.find("nan"), svg.find("nanoseconds")) << name;
    // The check itself notices an error.
    const std::string broken = folder + "/broken_" + name;
    Write(broken, svg.substr(0, svg.size() / 2));
    EXPECT_FALSE(IsXml(broken));
  }
}

TEST(ReportTest, WritesTablesBetweenTheMarks) {
  std::string before = "# Page\n";
  for (const char* const cpu : {"golden_cove", "zen4", "other"}) {
    for (const char* const compiler : {"gcc", "clang"}) {
      before += std::string("<!-- report ") + cpu + " " + compiler + " -->\nold " + cpu + compiler +
                "\n<!-- end of report -->\n";
    }
  }
  const std::string page = TemporaryFile("page.md");
  Write(page, before + "End\n");
  const CommandResult result = RunReport(report, {"--write=" + page});
  ASSERT_EQ(result.exit_status, 0) << result.errors;
  const std::string after = Read(page);
  size_t old = 0;
  for (size_t at = 0; (at = after.find("\nold ", at)) != std::string::npos; ++at) ++old;
  EXPECT_EQ(old, 5u) << after;
  EXPECT_TRUE(after.starts_with("# Page\n<!-- report golden_cove gcc -->\n"));
  EXPECT_TRUE(after.ends_with("<!-- end of report -->\nEnd\n"));
  EXPECT_NE(after.find("| switch : call |"), std::string::npos) << after;
  // A second time replaces what the first has written. Warnings of a loaded machine come and go.
  const CommandResult second = RunReport(report, {"--write=" + page});
  ASSERT_EQ(second.exit_status, 0) << second.errors;
  const auto count_lines = [](const std::string& text) {
    const std::vector<std::string> lines = SplitLines(text);
    return std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return !line.empty() && !line.starts_with("Warning: ");
    });
  };
  EXPECT_EQ(count_lines(Read(page)), count_lines(after));
}

TEST(ReportTest, SaysWhereMarksAreMissing) {
  const std::string page = TemporaryFile("page_without_marks.md");
  Write(page, "# Page\n");
  const CommandResult result = RunReport(report, {"--write=" + page});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_NE(result.errors.find("add them where the tables belong"), std::string::npos);
  EXPECT_EQ(Read(page), "# Page\n");
}

TEST(ReportTest, WorksWithoutPeers) {
  const CommandResult result = RunReport(report_without_peers, {});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_NE(result.output.find("libboost-context-dev"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("BM_BoostCoroutine2: install"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("libboost-fiber-dev"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("swapcontext"), std::string::npos) << result.output;
  EXPECT_EQ(result.output.find("step of Boost"), std::string::npos) << result.output;
  EXPECT_EQ(result.output.find("no such benchmark"), std::string::npos) << result.output;
}

TEST(ReportTest, RejectsUnknownFormats) {
  const CommandResult result = RunReport(report, {"--format=html"});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_NE(result.errors.find("must be text, markdown or json"), std::string::npos);
}

TEST(ReportTest, RejectsNumbersThatMeanNothing) {
  for (const char* const flag : {"--repetitions=0", "--seconds=0", "--minutes=-1"}) {
    const CommandResult result = RunReport(report, {flag});
    EXPECT_EQ(result.exit_status, 2) << flag;
    EXPECT_NE(result.errors.find("must be positive"), std::string::npos) << flag << result.errors;
  }
}

TEST(ReportTest, RejectsFiltersThatMatchNothing) {
  const CommandResult nothing = RunCommand({report, "--filter=^nothing$"});
  EXPECT_EQ(nothing.exit_status, 2);
  EXPECT_NE(nothing.output.find("no benchmark has a name that contains"), std::string::npos)
      << nothing.output;
}

#if defined(__cpp_exceptions)
TEST(ReportTest, RejectsFiltersThatAreNoRegularExpression) {
  const CommandResult wrong = RunCommand({report, "--filter=BM_("});
  EXPECT_EQ(wrong.exit_status, 2);
  EXPECT_NE(wrong.output.find("--filter must be a regular expression"), std::string::npos)
      << wrong.output;
}
#endif

TEST(ReportTest, HelpNamesTheFlags) {
  const CommandResult result = RunReport(report, {"--help"});
  for (const char* const flag :
       {"--format", "--svg", "--write", "--filter", "--repetitions", "--minutes"}) {
    EXPECT_NE((result.output + result.errors).find(flag), std::string::npos) << flag;
  }
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "report_test REPORT REPORT_WITHOUT_PEERS\n");
    return 2;
  }
  fringe::testing::report = argv[1];
  fringe::testing::report_without_peers = argv[2];
  return RUN_ALL_TESTS();
}
