// Measures the ratios that have bars, and prints them with compiler, build and CPU.
//
//   ./bazelw run //benchmarks:ratios
//   ./bazelw run //benchmarks:ratios -- --benchmark_repetitions=51
//
// Every benchmark runs in this one process, many times, in a new random order each time. Other load
// on the machine then affects all of them alike. Each ratio is a ratio of medians. The exit status
// is 1 if a benchmark reports an error or does not run. A missed bar does not change it.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/runs.h"

namespace {

#if defined(__cpp_exceptions)
constexpr bool kExceptions = true;
#else
constexpr bool kExceptions = false;
#endif

struct Bar {
  const char* what;
  const char* numerator;
  const char* denominator;
  double at_most;
};

constexpr Bar kBars[] = {
    {"switch round trip : call", "BM_SwitchRoundTrip", "BM_IndirectCall", 1.25},
    {"generator step : call", "BM_GeneratorResume", "BM_IndirectCall", kExceptions ? 2.0 : 1.6},
    {"create, run, destroy : call", "BM_GeneratorCreateRunDestroy", "BM_IndirectCall", 2.5},
    {"the same from a pool : call", "BM_PooledGeneratorCreateRunDestroy/real_time/threads:1",
     "BM_IndirectCall", 8.0},
    {"that on two threads : on one", "BM_PooledGeneratorCreateRunDestroy/real_time/threads:2",
     "BM_PooledGeneratorCreateRunDestroy/real_time/threads:1", 1.0},
    {"resume among 1,024 : among 4", "BM_GeneratorRoundRobin/n:1024/colours:1",
     "BM_GeneratorRoundRobin/n:4/colours:1", 2.5},
};

// Returns: a regular expression for the names above, which contain no special characters.
std::string Benchmarks() {
  std::string names;
  for (const Bar& bar : kBars) {
    for (const char* const name : {bar.numerator, bar.denominator}) {
      names += (names.empty() ? "^(" : "|") + std::string(name);
    }
  }
  return names + ")$";
}

std::string Compiler() {
#if defined(__clang__)
  return __VERSION__;
#else
  return std::string("GCC ") + __VERSION__;
#endif
}

// Returns: a summary of the compiler's flags.
std::string Build() {
  std::string build = "Bazel mode " FRINGE_COMPILATION_MODE;
#if defined(__OPTIMIZE__)
  build += ", optimised";
#else
  build += ", not optimised";
#endif
  build += kExceptions ? ", exceptions on" : ", exceptions off";
#if defined(__AVX512F__)
  build += ", AVX-512";
#elif defined(__AVX2__)
  build += ", AVX2";
#endif
  return build;
}

std::string Cpu() {
  std::ifstream information("/proc/cpuinfo");
  for (std::string line; std::getline(information, line);) {
    const size_t separator = line.find(": ");
    if (line.starts_with("model name") && separator != std::string::npos) {
      return line.substr(separator + 2);
    }
  }
  return "unknown";
}

double Median(std::vector<double> numbers) {
  const size_t middle = numbers.size() / 2;
  std::nth_element(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(middle),
                   numbers.end());
  return numbers[middle];
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> defaults = {
      "--benchmark_enable_random_interleaving=true",
      "--benchmark_repetitions=31",
      "--benchmark_min_time=0.02",
      "--benchmark_filter=" + Benchmarks(),
  };
  std::vector<char*> options = {argv[0]};
  for (std::string& option : defaults) options.push_back(option.data());
  options.insert(options.end(), argv + 1, argv + argc);  // a later option overrides an earlier one
  int option_count = static_cast<int>(options.size());
  options.push_back(nullptr);
  benchmark::Initialize(&option_count, options.data());
  if (benchmark::ReportUnrecognizedArguments(option_count, options.data())) return 1;

  // Suppresses its table of every repetition, in favour of the one below.
  std::ofstream nowhere;
  fringe::benchmarks::CollectingReporter reporter;
  reporter.SetOutputStream(&nowhere);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();

  bool failed = false;
  for (const auto& [name, message] : reporter.errors()) {
    std::fprintf(stderr, "%s failed: %s\n", name.c_str(), message.c_str());
    failed = true;
  }

  std::printf("compiler  %s\nbuild     %s\nCPU       %s\n\n", Compiler().c_str(), Build().c_str(),
              Cpu().c_str());
  std::map<std::string, double> medians_ns;
  for (const auto& [name, times_ns] : reporter.times_ns()) {
    medians_ns[name] = Median(times_ns);
    std::printf("%-55s %8.2f ns\n", name.c_str(), medians_ns[name]);
  }
  std::printf("\n%-30s %8s %8s\n", "ratio of medians", "measured", "bar");
  for (const Bar& bar : kBars) {
    if (!medians_ns.contains(bar.numerator) || !medians_ns.contains(bar.denominator)) {
      std::fprintf(stderr, "%s: not measured\n", bar.what);
      failed = true;
      continue;
    }
    const double ratio = medians_ns[bar.numerator] / medians_ns[bar.denominator];
    std::printf("%-30s %8.2f %8.2f%s\n", bar.what, ratio, bar.at_most,
                ratio <= bar.at_most ? "" : "  missed");
  }
  return failed ? 1 : 0;
}
