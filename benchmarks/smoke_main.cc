// The `main` of a benchmark's smoke test: runs each benchmark of the binary briefly.
//
//   generator_benchmark_test BM_GeneratorResume BM_IndirectCall
//
// The arguments without dashes name the benchmarks that must run, or with `?` in front, may run.
// The exit status is 1 if one of them is missing, if another one runs, or if one reports an error
// or no time.

#include <cstddef>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/runs.h"

namespace {

// Returns: the name without arguments.
std::string Function(const std::string& name) { return name.substr(0, name.find('/')); }

}  // namespace

int main(int argc, char** argv) {
  std::set<std::string> expected;
  std::set<std::string> optional;
  std::string shortly = "--benchmark_min_time=0.001";
  std::vector<char*> options = {argv[0], shortly.data()};
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] == '-') {
      options.push_back(argv[i]);
    } else if (argv[i][0] == '?') {
      optional.insert(argv[i] + 1);
    } else {
      expected.insert(argv[i]);
    }
  }
  int option_count = static_cast<int>(options.size());
  options.push_back(nullptr);
  benchmark::Initialize(&option_count, options.data());
  if (benchmark::ReportUnrecognizedArguments(option_count, options.data())) return 1;

  fringe::benchmarks::CollectingReporter reporter(
      fringe::benchmarks::CollectingReporter::OO_Tabular);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();

  std::set<std::string> failed;
  const auto fail = [&failed](const std::string& name, const std::string& reason) {
    std::fprintf(stderr, "%s %s\n", name.c_str(), reason.c_str());
    failed.insert(name);
  };
  for (const auto& [name, message] : reporter.errors()) fail(Function(name), "failed: " + message);
  std::set<std::string> ran;
  for (const auto& [full_name, times_ns] : reporter.times_ns()) {
    const std::string name = Function(full_name);
    ran.insert(name);
    if (optional.contains(name)) expected.insert(name);
    if (!expected.contains(name)) fail(name, "is not in the list of this test");
    for (const double time_ns : times_ns) {
      if (!(time_ns > 0)) fail(name, "took no time");
    }
  }
  size_t passed = 0;
  for (const std::string& name : expected) {
    if (!ran.contains(name)) fail(name, "did not run");
    if (!failed.contains(name)) ++passed;
  }
  // CI counts each benchmark as a test case.
  std::printf("%zu passed, %zu failed, 0 skipped\n", passed, failed.size());
  return failed.empty() ? 0 : 1;
}
