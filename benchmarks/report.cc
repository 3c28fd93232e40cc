// Measures fringe and its peers, and compares the ratios that have bars with them.
//
//   ./bazelw run -c opt //benchmarks:report
//   ./bazelw run -c opt //benchmarks:report -- --format=markdown --svg=/tmp/charts
//   ./bazelw run -c opt //benchmarks:report -- --write=docs/performance.md --svg=docs/charts
//
// Every benchmark runs in this one process, many times, in a new random order each time. Only the
// samples from times when the machine was quiet count: when a loop that uses the whole width of the
// CPU, measured before and after each, was about as fast as ever. Other load, even of another
// virtual machine on the other thread of the same core, makes that loop slower. The exit status is
// 1 if a ratio that has a bar could not be measured, or if a benchmark is missing without a reason.
// A missed bar does not change it.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "benchmark/benchmark.h"
#include "benchmarks/bars.h"
#include "benchmarks/chart.h"
#include "benchmarks/numbers.h"
#include "benchmarks/peers.h"
#include "benchmarks/rows.h"
#include "benchmarks/runs.h"

ABSL_FLAG(std::string, format, "text", "The format of standard output: text, markdown or json.");
ABSL_FLAG(std::string, svg, "", "A folder to write the charts to.");
ABSL_FLAG(std::string, write, "",
          "A page whose tables for this CPU and compiler are replaced, between its marks "
          "`<!-- report CPU COMPILER -->` and `<!-- end of report -->`.");
ABSL_FLAG(std::string, filter, "", "Measures only the benchmarks whose names contain this regex.");
ABSL_FLAG(int, repetitions, 15, "How often each benchmark runs.");
ABSL_FLAG(double, seconds, 0.01, "How long a benchmark runs each time, at least.");
ABSL_FLAG(double, minutes, 5,
          "How long to repeat benchmarks that ran while other load slowed the machine, at most.");

namespace fringe::benchmarks {
namespace {

// --- The machine and the build -------------------------------------------------------------------

#if defined(__clang__)
constexpr char kCompilerMark[] = "clang";
const std::string kCompiler = "Clang " __clang_version__;
#else
constexpr char kCompilerMark[] = "gcc";
const std::string kCompiler = "GCC " __VERSION__;
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitizer = true;
#elif defined(__has_feature)
constexpr bool kSanitizer = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||
                            __has_feature(memory_sanitizer);
#else
constexpr bool kSanitizer = false;
#endif

// Returns: a summary of the compiler's flags.
std::string Build() {
  std::string build = "Bazel mode " FRINGE_COMPILATION_MODE;
#if defined(__OPTIMIZE__)
  build += ", optimized";
#else
  build += ", not optimized";
#endif
#if defined(__cpp_exceptions)
  build += ", exceptions on";
#else
  build += ", exceptions off";
#endif
#if defined(__AVX512F__)
  build += ", AVX-512";
#elif defined(__AVX2__)
  build += ", AVX2";
#endif
  return build + ", -fomit-frame-pointer except where frame pointers are named";
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Date() {
  const std::time_t now = std::time(nullptr);
  char text[16] = "";
  std::strftime(text, sizeof(text), "%Y-%m-%d", std::gmtime(&now));
  return text;
}

// Returns: how much memory programs can get, in bytes.
size_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("MemAvailable:")) return std::stoul(line.substr(13)) * 1024;
  }
  return 0;
}

// Measures what other processes and virtual machines use of the CPUs meanwhile.
class OtherLoad {
 public:
  OtherLoad() : start_(Now()), busy_at_start_(OthersSeconds()) {}

  // Returns: on average since the start, how many CPUs they used.
  double Cpus() const {
    const std::chrono::duration<double> elapsed = Now() - start_;
    return std::max(0.0, (OthersSeconds() - busy_at_start_) / elapsed.count());
  }

 private:
  static std::chrono::steady_clock::time_point Now() { return std::chrono::steady_clock::now(); }

  static double OthersSeconds() {
    std::ifstream file("/proc/stat");
    std::string cpu;
    double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, interrupts = 0, soft = 0,
           stolen = 0;
    if (!(file >> cpu >> user >> nice >> system >> idle >> waiting >> interrupts >> soft >>
          stolen)) {
      return 0;
    }
    const double all = (user + nice + system + interrupts + soft + stolen) /
                       static_cast<double>(sysconf(_SC_CLK_TCK));
    rusage own;
    if (getrusage(RUSAGE_SELF, &own) != 0) return 0;
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return all - seconds(own.ru_utime) - seconds(own.ru_stime);
  }

  std::chrono::steady_clock::time_point start_;
  double busy_at_start_;
};

// --- Measuring -----------------------------------------------------------------------------------

// A bar on a terminal, nothing elsewhere.
class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shows_) std::fputs("\r\033[K", stderr);
  }

  // Shows that this part of all is done, and what happens now.
  void Show(double fraction, const std::string& now) const {
    if (!shows_) return;
    constexpr size_t kWidth = 40;
    const double done = std::min(1.0, fraction);
    const auto filled = static_cast<size_t>(done * kWidth);
    std::fprintf(stderr, "\r\033[K[%s%s] %3.0f %% %.60s", std::string(filled, '#').c_str(),
                 std::string(kWidth - filled, ' ').c_str(), done * 100, now.c_str());
  }

 private:
  const bool shows_ = isatty(STDERR_FILENO) != 0;
};

// Collects times without printing them.
class Collector : public CollectingReporter {
 public:
  Collector() {
    SetOutputStream(&nowhere_);
    SetErrorStream(&nowhere_);
  }

  bool ReportContext(const Context&) override { return true; }

 private:
  std::ofstream nowhere_;  // never opened
};

// Returns: how long an iteration of a wide loop takes now. Its additions are independent, so that
//   another thread on the same core makes it up to twice as slow. An indirect call, which waits for
//   its jumps, hardly notices.
double ProbeNs() {
  constexpr int kIterations = 150'000;
  uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kIterations; ++i) {
    ++a, ++b, ++c, ++d, ++e, ++f, ++g, ++h;
    asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g), "+r"(h));
  }
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
  return elapsed.count() / kIterations;
}

// Returns: how long it takes on the slowest of so many threads at once.
double ProbeNs(size_t threads) {
  std::vector<double> ns(threads);
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back([&ns, i] { ns[i] = ProbeNs(); });
  ns[0] = ProbeNs();
  for (std::thread& other : others) other.join();
  return *std::max_element(ns.begin(), ns.end());
}

size_t ThreadsOf(const std::string& benchmark) {
  constexpr char kThreads[] = "/threads:";
  const size_t at = benchmark.find(kThreads);
  return at == std::string::npos ? 1 : std::stoul(benchmark.substr(at + sizeof(kThreads) - 1));
}

// What was measured, and for the rest, why not.
struct Results {
  std::map<std::string, Measurement> times_ns;
  std::map<std::string, std::string> skipped;
  size_t loaded = 0;  // benchmarks that were measured under other load
};

// Runs benchmarks in random order, with a probe before and after each.
class Sampler {
 public:
  Sampler(const std::set<std::string>& names, size_t repetitions, double seconds)
      : names_(names.begin(), names.end()), repetitions_(repetitions) {
    std::string options[] = {"report", "--benchmark_min_time=" + std::to_string(seconds)};
    char* arguments[] = {options[0].data(), options[1].data(), nullptr};
    int count = 2;
    benchmark::Initialize(&count, arguments);
  }
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;
  ~Sampler() { benchmark::Shutdown(); }

  // Runs every benchmark as often as was asked for.
  void SampleAll() {
    for (size_t i = 0; i < repetitions_; ++i) {
      std::shuffle(names_.begin(), names_.end(), random_);
      for (size_t j = 0; j < names_.size(); ++j) {
        const size_t done = i * names_.size() + j;
        progress_.Show(
            static_cast<double>(done) / static_cast<double>(repetitions_ * names_.size()),
            names_[j]);
        RunOnce(names_[j], ProbeNs(ThreadsOf(names_[j])));
      }
    }
  }

  // Waits until the machine is quiet, and then runs the benchmarks that have too few samples from
  // such times, again and again until none is left or the time is over.
  void SampleWhenQuiet(std::chrono::duration<double> at_most) {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
      std::vector<std::string> loaded = Loaded();
      if (loaded.empty()) return;
      std::shuffle(loaded.begin(), loaded.end(), random_);
      for (const std::string& name : loaded) {
        const size_t threads = ThreadsOf(name);
        const double quiet_probe_ns = QuietProbe(probes_ns_[threads]);
        double probe_ns = 0;
        do {
          const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
          if (elapsed >= at_most) return;
          progress_.Show(elapsed / at_most, "waiting for a quiet machine, for " +
                                                std::to_string(loaded.size()) + " benchmarks");
          probe_ns = ProbeNs(threads);
        } while (probe_ns > quiet_probe_ns);
        RunOnce(name, probe_ns);
      }
    }
  }

  // Returns: medians of the samples from times when the machine was quiet, or of the quietest.
  Results Summary() const {
    Results results;
    for (const auto& [name, samples] : samples_) {
      const double quiet_probe_ns = QuietProbe(probes_ns_.at(ThreadsOf(name)));
      results.times_ns[name] = Summarize(QuietTimes(samples, quiet_probe_ns, repetitions_));
    }
    for (const auto& [name, message] : collector_.errors()) {
      results.times_ns.erase(name);
      results.skipped[name] = message;
    }
    results.loaded = Loaded().size();
    return results;
  }

 private:
  // Runs a benchmark once. `probe_ns` is what the probe took right before.
  void RunOnce(const std::string& name, double probe_ns) {
    const size_t threads = ThreadsOf(name);
    benchmark::RunSpecifiedBenchmarks(&collector_, "^(" + name + ")$");
    const double probe_after_ns = ProbeNs(threads);
    probes_ns_[threads].push_back(probe_ns);
    probes_ns_[threads].push_back(probe_after_ns);
    const auto times = collector_.times_ns().find(name);
    if (times == collector_.times_ns().end() || times->second.empty()) return;
    samples_[name].push_back({times->second.back(), std::max(probe_ns, probe_after_ns)});
  }

  // Returns: the benchmarks with fewer samples from a quiet machine than were asked for.
  std::vector<std::string> Loaded() const {
    std::vector<std::string> names;
    for (const auto& [name, samples] : samples_) {
      const double quiet_probe_ns = QuietProbe(probes_ns_.at(ThreadsOf(name)));
      if (QuietTimes(samples, quiet_probe_ns, 0).size() < repetitions_) names.push_back(name);
    }
    return names;
  }

  std::vector<std::string> names_;
  const size_t repetitions_;
  std::mt19937 random_{std::random_device{}()};
  Progress progress_;
  Collector collector_;
  std::map<std::string, std::vector<Sample>> samples_;
  std::map<size_t, std::vector<double>> probes_ns_;  // by the number of threads
};

// --- Evaluation ----------------------------------------------------------------------------------

struct Line {
  Row row;
  Measurement time_ns;
  std::optional<double> to_call;
  std::optional<double> to_peer;
  std::string peer;
};

struct Table {
  Section section;  // without rows
  std::vector<Line> lines;
};

struct BarLine {
  Bar bar;
  Measurement ratio;
  std::optional<double> at_most;
  Verdict verdict;
};

struct Report {
  Cpu cpu;
  std::string date = Date();
  std::vector<Table> tables;
  std::vector<BarLine> bars;
  std::map<std::string, std::string> skipped;
  std::vector<std::string> warnings;
};

const Measurement* Find(const Results& results, const std::string& name) {
  const auto found = results.times_ns.find(name);
  return found == results.times_ns.end() ? nullptr : &found->second;
}

Table Evaluate(const Section& section, const Results& results) {
  Table table = {{section.title, section.iteration, {}}, {}};
  const Measurement* const call = Find(results, kCall);
  for (const Row& row : section.rows) {
    const Measurement* const time = Find(results, row.benchmark);
    if (time == nullptr) continue;
    Line line = {row, *time, std::nullopt, std::nullopt, ""};
    if (call != nullptr) line.to_call = time->value / call->value;
    const Measurement* best = nullptr;
    for (const Row& peer : section.rows) {
      const Measurement* const peer_time = Find(results, peer.benchmark);
      if (row.kind != RowKind::kFringe || peer.kind != RowKind::kPeer || peer.group != row.group ||
          peer_time == nullptr || (best != nullptr && best->value <= peer_time->value)) {
        continue;
      }
      best = peer_time;
      line.peer = peer.label;
    }
    if (best != nullptr) line.to_peer = time->value / best->value;
    table.lines.push_back(std::move(line));
  }
  return table;
}

std::vector<BarLine> EvaluateBars(const Results& results, CpuKind kind) {
  std::vector<BarLine> lines;
  for (const Bar& bar : Bars()) {
    const Measurement* const numerator = Find(results, bar.numerator);
    const Measurement* const denominator = Find(results, bar.denominator);
    if (numerator == nullptr || denominator == nullptr) continue;
    const Measurement ratio = Ratio(*numerator, *denominator);
    lines.push_back({bar, ratio, bar.On(kind), Judge(ratio, bar.On(kind))});
  }
  return lines;
}

// --- Formats -------------------------------------------------------------------------------------

std::string ShortOrEmpty(std::optional<double> number) {
  return number.has_value() ? Short(*number) : std::string();
}

std::string Percent(double fraction) { return Fixed(fraction * 100, 1) + " %"; }

std::string Plain(std::string text) {
  std::erase(text, '`');
  return text;
}

std::vector<std::string> Cells(const Line& line) {
  return {line.row.label,
          Short(line.time_ns.value),
          Percent(line.time_ns.spread),
          ShortOrEmpty(line.to_call),
          ShortOrEmpty(line.to_peer),
          line.peer};
}

std::vector<std::string> Cells(const BarLine& line) {
  return {line.bar.label, Fixed(line.ratio.value, 2), Percent(line.ratio.spread),
          line.at_most ? Fixed(*line.at_most, 2) : "", NameOf(line.verdict)};
}

const std::vector<std::string> kColumns = {"",       "ns",          "spread",
                                           "× call", "× best peer", "best peer"};
const std::vector<std::string> kBarColumns = {"ratio of medians", "measured", "spread", "bar", ""};

// Returns: the rows in columns: for a terminal, or for Markdown.
std::string Columns(std::vector<std::vector<std::string>> rows, bool markdown) {
  // The last column is not padded, and is empty in tables that compare nothing.
  const auto is_empty = [&rows](size_t column) {
    return std::all_of(rows.begin() + 1, rows.end(),
                       [&](const auto& row) { return row[column].empty(); });
  };
  for (size_t column = rows.front().size(); column-- > 0;) {
    if (!is_empty(column)) continue;
    for (auto& row : rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(column));
  }
  // Counts characters of UTF-8.
  const auto width = [](const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
  };
  std::vector<size_t> widths(rows.front().size());
  for (auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      if (!markdown) row[i] = Plain(row[i]);
      widths[i] = std::max(widths[i], width(row[i]));
    }
  }
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < rows[r].size(); ++i) {
      const std::string& cell = rows[r][i];
      if (markdown) {
        line += "| " + cell + (cell.empty() ? "" : " ");
      } else {
        const std::string padding(widths[i] - width(cell), ' ');
        // Numbers are aligned to the right.
        const bool number = i > 0 && i < 5 && i + 1 < rows[r].size();
        line += number ? padding + cell : cell + padding;
        line += "  ";
      }
    }
    if (markdown) {
      line += "|";
    } else {
      line.erase(line.find_last_not_of(' ') + 1);
    }
    text += line + "\n";
    if (markdown && r == 0) {
      for (size_t i = 0; i < rows[r].size(); ++i) text += i == 0 ? "|---|" : "---|";
      text += "\n";
    }
  }
  return text;
}

std::string ToText(const Report& report, bool markdown) {
  std::string text;
  const std::string kind = NameOf(report.cpu.kind);
  if (markdown) {
    text += report.cpu.name + " (" + kind + "), " + kCompiler + ", " + Build() + ", " +
            report.date + ".\n";
  } else {
    text += "CPU       " + report.cpu.name + " (" + kind + ")\ncompiler  " + kCompiler +
            "\nbuild     " + Build() + "\ndate      " + report.date + "\n";
  }
  if (markdown) {
    for (const std::string& warning : report.warnings) text += "\nWarning: " + warning + ".\n";
  }
  for (const Table& table : report.tables) {
    if (table.lines.empty()) continue;
    std::vector<std::vector<std::string>> rows = {kColumns};
    for (const Line& line : table.lines) rows.push_back(Cells(line));
    const std::string about = table.section.title + ": " + table.section.iteration;
    text += markdown ? "\n**" + table.section.title + "**: " + table.section.iteration + ".\n\n"
                     : "\n" + Plain(about) + "\n\n";
    text += Columns(std::move(rows), markdown);
  }
  if (!report.bars.empty()) {
    text += markdown ? "\n**Bars**: the most that each ratio may be.\n\n"
                     : "\nBars: the most that each ratio may be\n\n";
    std::vector<std::vector<std::string>> rows = {kBarColumns};
    for (const BarLine& line : report.bars) rows.push_back(Cells(line));
    text += Columns(std::move(rows), markdown);
  }
  if (report.cpu.kind == CpuKind::kOther) {
    text += "\nThere are no bars for this CPU: only for Intel since Golden Cove, and AMD Zen 4.\n";
  }
  if (!report.skipped.empty()) {
    text += markdown ? "\nNot measured:\n\n" : "\nNot measured\n\n";
    for (const auto& [what, reason] : report.skipped) {
      text += markdown ? "- `" + what + "`: " + reason + "\n" : what + ": " + reason + "\n";
    }
  }
  return text;
}

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + "\"";
}

std::string Exact(std::optional<double> number) {
  if (!number.has_value()) return "null";
  char text[64];
  std::snprintf(text, sizeof(text), "%.6g", *number);
  return text;
}

template <typename Items, typename F>
std::string Array(const Items& items, F to_json) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "\n    " : ",\n    ") + to_json(item);
  return "[" + text + "\n  ]";
}

std::string ToJson(const Report& report) {
  std::vector<std::pair<std::string, Line>> lines;
  for (const Table& table : report.tables) {
    for (const Line& line : table.lines) lines.emplace_back(table.section.title, line);
  }
  const auto line_to_json = [](const std::pair<std::string, Line>& item) {
    const Line& line = item.second;
    return "{\"section\": " + Quote(item.first) + ", \"label\": " + Quote(Plain(line.row.label)) +
           ", \"benchmark\": " + Quote(line.row.benchmark) +
           ", \"median_ns\": " + Exact(line.time_ns.value) +
           ", \"spread\": " + Exact(line.time_ns.spread) +
           ", \"ratio_to_call\": " + Exact(line.to_call) +
           ", \"ratio_to_best_peer\": " + Exact(line.to_peer) +
           ", \"best_peer\": " + (line.peer.empty() ? "null" : Quote(Plain(line.peer))) + "}";
  };
  const auto bar_to_json = [](const BarLine& line) {
    return "{\"label\": " + Quote(Plain(line.bar.label)) +
           ", \"ratio\": " + Exact(line.ratio.value) + ", \"spread\": " + Exact(line.ratio.spread) +
           ", \"bar\": " + Exact(line.at_most) + ", \"verdict\": " + Quote(NameOf(line.verdict)) +
           "}";
  };
  const auto skipped_to_json = [](const std::pair<const std::string, std::string>& item) {
    return "{\"benchmark\": " + Quote(item.first) + ", \"reason\": " + Quote(item.second) + "}";
  };
  return "{\n  \"cpu\": " + Quote(report.cpu.name) +
         ",\n  \"cpu_kind\": " + Quote(MarkOf(report.cpu.kind)) +
         ",\n  \"compiler\": " + Quote(kCompiler) + ",\n  \"build\": " + Quote(Build()) +
         ",\n  \"date\": " + Quote(report.date) +
         ",\n  \"results\": " + Array(lines, line_to_json) +
         ",\n  \"bars\": " + Array(report.bars, bar_to_json) +
         ",\n  \"not_measured\": " + Array(report.skipped, skipped_to_json) +
         ",\n  \"warnings\": " + Array(report.warnings, Quote) + "\n}\n";
}

// --- Charts --------------------------------------------------------------------------------------

const Table* FindTable(const Report& report, const std::string& title) {
  for (const Table& table : report.tables) {
    if (table.section.title == title && !table.lines.empty()) return &table;
  }
  return nullptr;
}

std::string Subtitle(const Report& report) {
  return report.cpu.name + ", " + kCompiler.substr(0, kCompiler.find(' ', 6)) + ", " + report.date;
}

// Returns: the bars of a section, in its order, whose labels `is_wanted` accepts.
ChartGroup Group(const Report& report, const std::string& section, const std::string& heading,
                 const std::function<bool(const std::string&)>& is_wanted) {
  ChartGroup group = {heading, {}};
  const Table* const table = FindTable(report, section);
  if (table == nullptr) return group;
  for (const Line& line : table->lines) {
    if (!is_wanted(line.row.benchmark)) continue;
    std::string label = Plain(line.row.label);
    // The heading says it.
    label = label.substr(0, label.find(", two threads"));
    group.bars.push_back({label, line.time_ns.value, line.row.kind == RowKind::kFringe});
  }
  return group;
}

std::vector<ChartGroup> WithoutEmpty(std::vector<ChartGroup> groups) {
  std::erase_if(groups, [](const ChartGroup& group) { return group.bars.empty(); });
  return groups;
}

// Returns: for each chart that there are figures for, its file and its text.
std::map<std::string, std::string> Charts(const Report& report) {
  std::map<std::string, std::string> charts;
  const auto all = [](const std::string&) { return true; };

  const std::vector<ChartGroup> steps =
      WithoutEmpty({Group(report, "Switch", "Switch to another stack and back", all),
                    Group(report, "Step", "Step of a generator", all)});
  if (!steps.empty()) {
    charts["steps.svg"] = BarChart("A switch and a step, by library", Subtitle(report),
                                   "nanoseconds, logarithmic; shorter is better", steps);
  }

  if (const Table* const table = FindTable(report, "Round-robin")) {
    std::vector<ChartLine> lines = {
        {"fringe", {}}, {"fringe, not staggered", {}}, {"Boost.Context fiber", {}}};
    for (const Line& line : table->lines) {
      const std::string& name = line.row.benchmark;
      const size_t n = name.find("/n:");
      if (n == std::string::npos) continue;
      const double count = std::stod(name.substr(n + 3));
      const bool staggered = name.find("colours:0") == std::string::npos;
      const size_t which = line.row.kind == RowKind::kPeer ? 2 : staggered ? 0 : 1;
      lines[which].points.emplace_back(count, line.time_ns.value);
    }
    std::erase_if(lines, [](const ChartLine& line) { return line.points.empty(); });
    if (!lines.empty()) {
      charts["round_robin.svg"] =
          LineChart("A step, by the number of generators that take turns", Subtitle(report),
                    "generators", "nanoseconds a step", lines);
    }
  }

  const auto has_two_threads = [](const std::string& name) { return name.ends_with("threads:2"); };
  const std::vector<ChartGroup> lifetimes = WithoutEmpty(
      {Group(report, "Lifetime", "One thread", std::not_fn(std::function(has_two_threads))),
       Group(report, "Lifetime", "Each of two threads", has_two_threads)});
  if (!lifetimes.empty()) {
    charts["lifetimes.svg"] =
        BarChart("Create, run and destroy, by kind of stack", Subtitle(report),
                 "nanoseconds of CPU time, logarithmic; shorter is better", lifetimes);
  }
  return charts;
}

// --- Files ---------------------------------------------------------------------------------------

// `bazel run` changes to another folder, and names the user's.
std::filesystem::path FromWorkingFolder(const std::string& path) {
  const char* const folder = std::getenv("BUILD_WORKING_DIRECTORY");
  return folder == nullptr ? std::filesystem::path(path) : std::filesystem::path(folder) / path;
}

bool WriteFile(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file.fail()) return true;
  std::fprintf(stderr, "report: cannot write %s.\n", path.c_str());
  return false;
}

bool ReplaceTables(const std::filesystem::path& path, const Report& report) {
  const std::string begin =
      std::string("<!-- report ") + MarkOf(report.cpu.kind) + " " + kCompilerMark + " -->\n";
  const std::string end = "<!-- end of report -->\n";
  std::string page = ReadFile(path);
  size_t from = page.find(begin);
  const size_t to = page.find(end, from == std::string::npos ? 0 : from);
  if (from == std::string::npos || to == std::string::npos) {
    std::fprintf(stderr, "report: %s has no lines %s and %s: add them where the tables belong.\n",
                 path.c_str(), begin.substr(0, begin.size() - 1).c_str(),
                 end.substr(0, end.size() - 1).c_str());
    return false;
  }
  from += begin.size();
  return WriteFile(path, page.replace(from, to - from, "\n" + ToText(report, true) + "\n"));
}

// --- Main ----------------------------------------------------------------------------------------

void Print(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    std::fprintf(stderr, "warning: %s.\n", warning.c_str());
  }
}

// Returns: nothing if the regular expression has an error. Without exceptions, that ends the
// program.
std::optional<std::regex> ParseFilter(const std::string& text) {
#if defined(__cpp_exceptions)
  try {
    return std::regex(text);
  } catch (const std::regex_error&) {
    return std::nullopt;
  }
#else
  return std::regex(text);
#endif
}

int Main() {
  const std::string format = absl::GetFlag(FLAGS_format);
  if (format != "text" && format != "markdown" && format != "json") {
    std::fprintf(stderr, "report: --format must be text, markdown or json.\n");
    return 2;
  }
  const int repetitions = absl::GetFlag(FLAGS_repetitions);
  const double seconds = absl::GetFlag(FLAGS_seconds);
  const double minutes = absl::GetFlag(FLAGS_minutes);
  if (repetitions < 1 || !(seconds > 0) || !(minutes >= 0)) {
    std::fprintf(stderr,
                 "report: --repetitions and --seconds must be positive, --minutes not negative.\n");
    return 2;
  }
  const std::optional<std::regex> filter = ParseFilter(absl::GetFlag(FLAGS_filter));
  if (!filter.has_value()) {
    std::fprintf(stderr, "report: --filter must be a regular expression.\n");
    return 2;
  }
  std::map<std::string, std::string> missing = RegisterPeers();
#if !defined(__cpp_exceptions)
  for (const char* const prefix :
       {"BM_ExceptionThrough", "BM_GeneratorDestroyUnfinished", "BM_LoopEcho/exceptions",
        "BM_LoopCounterByReference/exceptions", "BM_LoopLocalCounter/exceptions",
        "BM_LoopRangeFor/exceptions"}) {
    missing[prefix] = "compile with exceptions";
  }
#endif

  Report report;
  report.cpu = ParseCpu(ReadFile("/proc/cpuinfo"));
  if (FRINGE_COMPILATION_MODE != std::string("opt")) {
    report.warnings.push_back("this is not an optimized build: use `-c opt`");
  }
  if (kSanitizer) {
    report.warnings.push_back("this build has a sanitizer: its times say nothing about others");
  }

  // Now, while there is time to stop it, and again at the end.
  Print(report.warnings);

  // Benchmarks that can run here.
  std::set<std::string> names;
  const size_t available_bytes = AvailableBytes();
  for (const Section& section : Sections()) {
    for (const Row& row : section.rows) {
      if (!std::regex_search(row.benchmark, *filter)) continue;
      const auto found =
          std::find_if(missing.begin(), missing.end(), [&row](const auto& prefix_and_reason) {
            return row.benchmark.starts_with(prefix_and_reason.first);
          });
      if (found != missing.end()) {
        report.skipped[found->first] = found->second;
      } else if (row.needs_bytes > available_bytes / 4 * 3) {
        report.skipped[row.benchmark] =
            "needs " + std::to_string(row.needs_bytes >> 20) + " MiB of memory";
      } else {
        names.insert(row.benchmark);
      }
    }
  }

  if (names.empty() && report.skipped.empty()) {
    std::fprintf(stderr, "report: no benchmark has a name that contains --filter.\n");
    return 2;
  }

  const OtherLoad other_load;
  Sampler sampler(names, static_cast<size_t>(repetitions), seconds);
  sampler.SampleAll();
  sampler.SampleWhenQuiet(std::chrono::duration<double>(minutes * 60));
  const Results results = sampler.Summary();
  const double other_cpus = other_load.Cpus();
  if (other_cpus > 0.1) {
    report.warnings.push_back("the machine is loaded: other processes used " +
                              Fixed(other_cpus, 1) + " CPUs meanwhile");
  }
  if (results.loaded > 0) {
    report.warnings.push_back(std::to_string(results.loaded) + " of " +
                              std::to_string(results.times_ns.size()) +
                              " benchmarks had to be measured while other load, perhaps of another "
                              "virtual machine, slowed this one");
  }
  report.skipped.insert(results.skipped.begin(), results.skipped.end());
  bool ok = true;
  for (const std::string& name : names) {
    if (!results.times_ns.contains(name) && !report.skipped.contains(name)) {
      report.skipped[name] = "no such benchmark";
      ok = false;
    }
  }
  for (const Section& section : Sections()) report.tables.push_back(Evaluate(section, results));
  report.bars = EvaluateBars(results, report.cpu.kind);

  const std::string text = format == "json" ? ToJson(report) : ToText(report, format == "markdown");
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  Print(report.warnings);

  if (const std::string folder = absl::GetFlag(FLAGS_svg); !folder.empty()) {
    const std::filesystem::path path = FromWorkingFolder(folder);
    std::error_code error;
    std::filesystem::create_directories(path, error);
    for (const auto& [name, svg] : Charts(report)) ok = WriteFile(path / name, svg) && ok;
  }
  if (const std::string page = absl::GetFlag(FLAGS_write); !page.empty()) {
    ok = ReplaceTables(FromWorkingFolder(page), report) && ok;
  }
  for (const Bar& bar : Bars()) {
    for (const std::string& name : {bar.numerator, bar.denominator}) {
      if (!names.contains(name) || results.times_ns.contains(name)) continue;
      std::fprintf(stderr, "report: %s has a bar, and was not measured: %s.\n", name.c_str(),
                   report.skipped[name].c_str());
      ok = false;
    }
  }
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace fringe::benchmarks

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "measures fringe and its peers, and compares ratios with their bars.\n"
      "docs/performance.md explains the output.");
  absl::ParseCommandLine(argc, argv);
  return fringe::benchmarks::Main();
}
