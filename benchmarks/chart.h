// Charts as SVG, readable on light and dark screens.
//
// Debian's plotting programs write fixed colors, and would have to be installed to see a report. A
// chart here is a few rectangles, lines and words, so it is written directly.

#ifndef FRINGE_BENCHMARKS_CHART_H_
#define FRINGE_BENCHMARKS_CHART_H_

#include <string>
#include <utility>
#include <vector>

namespace fringe::benchmarks {

// A horizontal bar.
struct ChartBar {
  std::string label;
  double value = 0;
  bool is_fringe = false;  // drawn in the first color, the others in the second
};

// Bars under a heading of their own.
struct ChartGroup {
  std::string heading;
  std::vector<ChartBar> bars;
};

// Returns: an SVG of horizontal bars on a logarithmic axis, with the value beside each.
std::string BarChart(const std::string& title, const std::string& subtitle, const std::string& unit,
                     const std::vector<ChartGroup>& groups);

// Points from left to right, joined by lines.
struct ChartLine {
  std::string label;
  std::vector<std::pair<double, double>> points;
};

// Returns: an SVG of lines on two logarithmic axes, with the label beside the last point of each.
std::string LineChart(const std::string& title, const std::string& subtitle,
                      const std::string& x_label, const std::string& unit,
                      const std::vector<ChartLine>& lines);

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_CHART_H_
