// Medians of samples from a quiet machine, their spread, and whether a ratio of two of them meets
// its bar on this CPU.

#ifndef FRINGE_BENCHMARKS_BARS_H_
#define FRINGE_BENCHMARKS_BARS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace fringe::benchmarks {

// The kinds of CPU that have bars of their own.
enum class CpuKind {
  kGoldenCove,  // Intel since Golden Cove: forwards a store to a load without latency
  kZen4,        // AMD Zen 4: does not, and commits one store per cycle
  kOther,       // has no bars
};

// Returns: the kind of a CPU with these fields of /proc/cpuinfo.
CpuKind KindOf(const std::string& vendor, int family, int model);

// Returns: its name for readers, and for the marks in docs/performance.md.
const char* NameOf(CpuKind kind);
const char* MarkOf(CpuKind kind);

// The CPU that this program runs on.
struct Cpu {
  std::string name = "unknown";
  CpuKind kind = CpuKind::kOther;
};

// Returns: the first CPU of a text in the format of /proc/cpuinfo.
Cpu ParseCpu(const std::string& cpuinfo);

// A number, and the relative uncertainty of it.
struct Measurement {
  double value = 0;
  double spread = 0;  // as a fraction of `value`
};

// Returns: the median, and half of the range between the quartiles.
//
// Requires: `numbers` is not empty.
Measurement Summarize(std::vector<double> numbers);

// One repetition of a benchmark.
struct Sample {
  double time_ns = 0;
  // How long a probe took right before and right after it: the longer of the two. Other load on the
  // machine, even on the other thread of the same core, makes the probe slower.
  double probe_ns = 0;
};

// Returns: the most that the probe takes while the machine is quiet: 5 % more than the fastest
//   twentieth of `probes_ns`.
//
// Requires: `probes_ns` is not empty.
double QuietProbe(std::vector<double> probes_ns);

// Returns: the times of the samples whose probes took at most `quiet_probe_ns`, and at least those
//   of the `at_least` samples with the fastest probes, if there are so many.
std::vector<double> QuietTimes(std::vector<Sample> samples, double quiet_probe_ns, size_t at_least);

// Returns: the ratio. Its spread is that of independent measurements.
Measurement Ratio(const Measurement& numerator, const Measurement& denominator);

enum class Verdict {
  kMet,
  kWithinSpread,  // missed by less than the spread, so not known to be missed
  kMissed,
  kNoBar,
};

// Returns: how `ratio` compares to `bar`, which is the most that it may be.
Verdict Judge(const Measurement& ratio, std::optional<double> bar);

// Returns: the verdict in words.
const char* NameOf(Verdict verdict);

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_BARS_H_
