#include "benchmarks/chart.h"

#include <cstddef>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace fringe::benchmarks {
namespace {

bool IsXml(const std::string& text) {
  testing::CommandOptions input;
  input.standard_input = text;
  return testing::RunCommand(
             {"python3", "-c", "import sys, xml.dom.minidom as x; x.parseString(sys.stdin.read())"},
             input)
             .exit_status == 0;
}

// The places of an attribute's values in the text, in their order.
std::vector<double> Values(const std::string& svg, const std::string& element,
                           const std::string& attribute) {
  std::vector<double> values;
  for (size_t at = 0; (at = svg.find("<" + element + " ", at)) != std::string::npos; ++at) {
    const size_t value = svg.find(" " + attribute + "=\"", at) + attribute.size() + 3;
    values.push_back(std::stod(svg.substr(value)));
  }
  return values;
}

TEST(ChartTest, EscapesText) {
  const std::string bars =
      BarChart("<title>", "a & b", "\"unit\"", {{"<h", {{"std::vector<int> & more", 3, true}}}});
  EXPECT_TRUE(IsXml(bars)) << bars;
  EXPECT_NE(bars.find("std::vector&lt;int&gt; &amp; more"), std::string::npos) << bars;
  const std::string lines = LineChart("<t", "&", "<x", "<y", {{"a<b", {{1, 2}, {10, 3}}}});
  EXPECT_TRUE(IsXml(lines)) << lines;
  EXPECT_FALSE(IsXml("<svg><text></svg>"));
}

TEST(ChartTest, LongerTimesHaveLongerBars) {
  const std::string svg = BarChart("t", "s", "u", {{"h", {{"a", 1.5}, {"b", 20}, {"c", 3000}}}});
  // The first rectangle is the page.
  const std::vector<double> widths = Values(svg, "rect", "width");
  ASSERT_EQ(widths.size(), 4u);
  EXPECT_LT(widths[1], widths[2]);
  EXPECT_LT(widths[2], widths[3]);
  EXPECT_LT(widths[3], widths[0]);
}

TEST(ChartTest, LongLabelsHaveRoom) {
  const std::string label(43, 'm');
  const std::string svg = BarChart("t", "s", "u", {{"h", {{label, 1.5}, {"b", 20}}}});
  // The second rectangle is the first bar.
  EXPECT_GE(Values(svg, "rect", "x").at(1), 43 * 7);
}

TEST(ChartTest, LabelsOfLinesDoNotOverlap) {
  const std::string svg = LineChart("t", "s", "x", "y",
                                    {{"first", {{1, 5}, {10, 5}}},
                                     {"second", {{1, 5}, {10, 5.1}}},
                                     {"third", {{1, 5}, {10, 4.9}}}});
  std::vector<double> places;
  for (const char* const label : {"third", "first", "second"}) {
    const size_t text = svg.rfind("<text", svg.find(std::string(">") + label + "<"));
    places.push_back(std::stod(svg.substr(svg.find(" y=\"", text) + 4)));
  }
  EXPECT_GE(places[0] - places[1], 14);
  EXPECT_GE(places[1] - places[2], 14);
}

TEST(ChartTest, NothingToDrawIsStillXml) {
  EXPECT_TRUE(IsXml(BarChart("t", "s", "u", {})));
  EXPECT_TRUE(IsXml(LineChart("t", "s", "x", "y", {})));
}

}  // namespace
}  // namespace fringe::benchmarks
