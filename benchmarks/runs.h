// Collects the results of a process's benchmarks, for programs that evaluate them.

#ifndef FRINGE_BENCHMARKS_RUNS_H_
#define FRINGE_BENCHMARKS_RUNS_H_

#include <map>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

namespace fringe::benchmarks {

// Collects times and errors, and prints like Google Benchmark.
class CollectingReporter : public benchmark::ConsoleReporter {
 public:
  using ConsoleReporter::ConsoleReporter;

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) Collect(run);
    ConsoleReporter::ReportRuns(runs);
  }

  // Returns: for each name with arguments, as Google Benchmark prints it, the CPU time per
  //   iteration in nanoseconds, one number per repetition.
  const std::map<std::string, std::vector<double>>& times_ns() const { return times_ns_; }

  // Returns: the benchmarks that reported an error, each with its message.
  const std::map<std::string, std::string>& errors() const { return errors_; }

 private:
  // A template because the name of the first member depends on the release of Google Benchmark:
  // `error_occurred` up to 1.7, `skipped` after.
  template <typename AnyRun>
  void Collect(const AnyRun& run) {
    bool erred = false;
    std::string message;
    if constexpr (requires { run.error_occurred; }) {
      erred = run.error_occurred;
      message = run.error_message;
    } else {
      erred = static_cast<bool>(run.skipped);
      message = run.skip_message;
    }
    const std::string name = run.run_name.str();
    if (erred) {
      errors_[name] = message;
    } else if (run.run_type == AnyRun::RT_Iteration) {
      const double iterations = static_cast<double>(run.iterations);
      times_ns_[name].push_back(run.cpu_accumulated_time * 1e9 / iterations);
    }
  }

  std::map<std::string, std::vector<double>> times_ns_;
  std::map<std::string, std::string> errors_;
};

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_RUNS_H_
