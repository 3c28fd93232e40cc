#include "benchmarks/chart.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/numbers.h"

namespace fringe::benchmarks {
namespace {

constexpr double kWidth = 760;
constexpr double kRight = 24;
constexpr double kTop = 76;

std::string Escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Number(double value) { return Fixed(value, 1); }

std::string Label(double value) { return value < 100 ? Short(value) : WithCommas(Short(value)); }

// A position on an axis, without trailing zeros.
std::string TickLabel(double value) {
  if (value >= 100) return Label(value);
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

class Axis {
 public:
  Axis(double least, double most, double begin, double end)
      : least_(std::pow(10, std::floor(std::log10(least)))), begin_(begin), end_(end) {
    // Ends at 1, 2 or 5 times a power of ten.
    most_ = least_;
    while (most_ < most * 1.0001) most_ = Next(most_);
  }

  double least() const { return least_; }
  double most() const { return most_; }
  double Place(double value) const {
    return begin_ + (end_ - begin_) * std::log(value / least_) / std::log(most_ / least_);
  }

  static double Next(double tick) {
    const double digit = tick / std::pow(10, std::floor(std::log10(tick) + 1e-9));
    return tick * (digit > 1.9 && digit < 2.1 ? 2.5 : 2);
  }

 private:
  double least_;
  double most_ = 0;
  double begin_;
  double end_;
};

class Svg {
 public:
  Svg(double height, const std::string& title, const std::string& subtitle) {
    text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + Number(kWidth) + " " +
            Number(height) + "\" width=\"" + Number(kWidth) + "\" height=\"" + Number(height) +
            "\" role=\"img\">\n<title>" + Escape(title) + "</title>\n" + R"(<style>
svg { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
.page { fill: #ffffff; }
text { fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.faint { fill: #59636e; }
.value { stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round; paint-order: stroke; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.fill0 { fill: #0969da; } .fill1 { fill: #8c959f; }
.line0, .line1, .line2 { fill: none; stroke-width: 2.5; }
.line0 { stroke: #0969da; } .line1 { stroke: #bc4c00; } .line2 { stroke: #6e7781; }
.mark0 { fill: #0969da; } .mark1 { fill: #bc4c00; } .mark2 { fill: #6e7781; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; }
text { fill: #f0f6fc; }
.faint { fill: #9198a1; }
.value { stroke: #0d1117; }
.grid { stroke: #3d444d; }
.fill0 { fill: #4493f8; } .fill1 { fill: #656c76; }
.line0 { stroke: #4493f8; } .line1 { stroke: #db6d28; } .line2 { stroke: #9198a1; }
.mark0 { fill: #4493f8; } .mark1 { fill: #db6d28; } .mark2 { fill: #9198a1; }
}
</style>
)";
    Rectangle(0, 0, kWidth, height, "page");
    Text(20, 30, title, "title");
    Text(20, 50, subtitle, "faint");
  }

  void Text(double x, double y, const std::string& text, const std::string& style = "",
            const std::string& anchor = "start") {
    text_ += "<text x=\"" + Number(x) + "\" y=\"" + Number(y) + "\" text-anchor=\"" + anchor + "\"";
    if (!style.empty()) text_ += " class=\"" + style + "\"";
    text_ += ">" + Escape(text) + "</text>\n";
  }
  void Rectangle(double x, double y, double width, double height, const std::string& style) {
    text_ += "<rect x=\"" + Number(x) + "\" y=\"" + Number(y) + "\" width=\"" + Number(width) +
             "\" height=\"" + Number(height) + "\" class=\"" + style + "\"/>\n";
  }
  void Line(double x1, double y1, double x2, double y2) {
    text_ += "<line x1=\"" + Number(x1) + "\" y1=\"" + Number(y1) + "\" x2=\"" + Number(x2) +
             "\" y2=\"" + Number(y2) + "\" class=\"grid\"/>\n";
  }
  void Path(const std::vector<std::pair<double, double>>& points, const std::string& index) {
    text_ += "<polyline class=\"line" + index + "\" points=\"";
    for (const auto& [x, y] : points) text_ += Number(x) + "," + Number(y) + " ";
    text_ += "\"/>\n";
    for (const auto& [x, y] : points) {
      text_ += "<circle cx=\"" + Number(x) + "\" cy=\"" + Number(y) + "\" r=\"3.5\" class=\"mark" +
               index + "\"/>\n";
    }
  }
  std::string Finish() && { return std::move(text_) + "</svg>\n"; }

 private:
  std::string text_;
};

}  // namespace

std::string BarChart(const std::string& title, const std::string& subtitle, const std::string& unit,
                     const std::vector<ChartGroup>& groups) {
  constexpr double kCharacter = 7.5;  // more than a character is wide, on average
  constexpr double kRow = 25;
  constexpr double kHeading = 34;
  constexpr double kValues = 64;  // to the right of the longest bar
  double least = 1;
  double most = 10;
  double bottom = kTop;
  double labels = 250;
  for (const ChartGroup& group : groups) {
    bottom += kHeading + kRow * static_cast<double>(group.bars.size());
    for (const ChartBar& bar : group.bars) {
      least = std::min(least, bar.value);
      most = std::max(most, bar.value);
      labels = std::max(labels, kCharacter * static_cast<double>(bar.label.size()) + 10);
    }
  }
  const Axis axis(least, most, labels, kWidth - kRight - kValues);
  Svg svg(bottom + 54, title, subtitle);
  std::vector<double> ticks;
  for (double tick = axis.least(); tick < axis.most() * 1.01; tick *= 10) ticks.push_back(tick);
  for (const double tick : ticks) {
    svg.Text(axis.Place(tick), bottom + 25, TickLabel(tick), "faint", "middle");
  }
  svg.Text((labels + kWidth - kRight - kValues) / 2, bottom + 44, unit, "faint", "middle");
  double y = kTop;
  for (const ChartGroup& group : groups) {
    y += kHeading;
    svg.Text(20, y - 9, group.heading, "title");
    const double end_of_group = y + kRow * static_cast<double>(group.bars.size());
    for (const double tick : ticks) {
      svg.Line(axis.Place(tick), y, axis.Place(tick), end_of_group);
    }
    for (const ChartBar& bar : group.bars) {
      svg.Text(labels - 10, y + 15, bar.label, "", "end");
      const double end = std::max(axis.Place(bar.value), labels + 2);
      svg.Rectangle(labels, y + 3, end - labels, kRow - 8, bar.is_fringe ? "fill0" : "fill1");
      svg.Text(end + 6, y + 15, Label(bar.value), "value");
      y += kRow;
    }
  }
  return std::move(svg).Finish();
}

std::string LineChart(const std::string& title, const std::string& subtitle,
                      const std::string& x_label, const std::string& unit,
                      const std::vector<ChartLine>& lines) {
  constexpr double kLeft = 62;
  constexpr double kLabels = 178;  // to the right of the last point
  constexpr double kBottom = 396;
  double least_x = 1;
  double most_x = 10;
  double least_y = 1;
  double most_y = 10;
  for (const ChartLine& line : lines) {
    for (const auto& [x, y] : line.points) {
      least_x = std::min(least_x, x);
      most_x = std::max(most_x, x);
      least_y = std::min(least_y, y);
      most_y = std::max(most_y, y);
    }
  }
  const Axis x_axis(least_x, most_x, kLeft, kWidth - kRight - kLabels);
  const Axis y_axis(least_y, most_y, kBottom, kTop + 20);
  Svg svg(kBottom + 54, title, subtitle);
  for (double tick = y_axis.least(); tick < y_axis.most() * 1.01; tick = Axis::Next(tick)) {
    svg.Line(kLeft, y_axis.Place(tick), kWidth - kRight - kLabels, y_axis.Place(tick));
    svg.Text(kLeft - 8, y_axis.Place(tick) + 4, TickLabel(tick), "faint", "end");
  }
  svg.Text(20, kTop + 2, unit, "faint");
  for (double tick = x_axis.least(); tick < x_axis.most() * 1.01; tick *= 10) {
    svg.Text(x_axis.Place(tick), kBottom + 20, TickLabel(tick), "faint", "middle");
  }
  svg.Text((kLeft + kWidth - kRight - kLabels) / 2, kBottom + 42, x_label, "faint", "middle");

  // Labels that would overlap are moved apart, from the lowest upwards.
  std::vector<std::pair<double, size_t>> places;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].points.empty())
      places.emplace_back(y_axis.Place(lines[i].points.back().second), i);
  }
  std::sort(places.rbegin(), places.rend());
  double previous = kBottom + 100;
  for (const auto& [place, i] : places) {
    std::vector<std::pair<double, double>> points;
    for (const auto& [x, y] : lines[i].points)
      points.emplace_back(x_axis.Place(x), y_axis.Place(y));
    svg.Path(points, std::to_string(std::min<size_t>(i, 2)));
    previous = std::min(place + 4, previous - 18);
    svg.Text(kWidth - kRight - kLabels + 12, previous, lines[i].label,
             "mark" + std::to_string(std::min<size_t>(i, 2)));
  }
  return std::move(svg).Finish();
}

}  // namespace fringe::benchmarks
