#include "benchmarks/bars.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace fringe::benchmarks {

CpuKind KindOf(const std::string& vendor, int family, int model) {
  if (vendor == "GenuineIntel") {
    // Alder Lake, Raptor Lake, Sapphire Rapids, Emerald Rapids, Meteor Lake, Granite Rapids, Lunar
    // Lake, Arrow Lake and Panther Lake (arch/x86/include/asm/intel-family.h of Linux).
    constexpr int kSinceGoldenCove[] = {0x8f, 0x97, 0x9a, 0xaa, 0xac, 0xad, 0xae, 0xb5,
                                        0xb7, 0xba, 0xbd, 0xbf, 0xc5, 0xc6, 0xcc, 0xcf};
    // The families after 6 are later.
    const bool since =
        family > 15 ||
        (family == 6 && std::find(std::begin(kSinceGoldenCove), std::end(kSinceGoldenCove),
                                  model) != std::end(kSinceGoldenCove));
    return since ? CpuKind::kGoldenCove : CpuKind::kOther;
  }
  if (vendor == "AuthenticAMD" && family == 0x19) {
    // Genoa and Storm Peak, Raphael, Phoenix, and Bergamo. The others of the family are Zen 3.
    const bool zen4 = (model >= 0x10 && model <= 0x1f) || (model >= 0x60 && model <= 0x7f) ||
                      (model >= 0xa0 && model <= 0xaf);
    return zen4 ? CpuKind::kZen4 : CpuKind::kOther;
  }
  return CpuKind::kOther;
}

const char* NameOf(CpuKind kind) {
  switch (kind) {
    case CpuKind::kGoldenCove:
      return "Intel since Golden Cove";
    case CpuKind::kZen4:
      return "AMD Zen 4";
    case CpuKind::kOther:
      break;
  }
  return "no kind with bars";
}

const char* MarkOf(CpuKind kind) {
  switch (kind) {
    case CpuKind::kGoldenCove:
      return "golden_cove";
    case CpuKind::kZen4:
      return "zen4";
    case CpuKind::kOther:
      break;
  }
  return "other";
}

Cpu ParseCpu(const std::string& cpuinfo) {
  Cpu cpu;
  std::string vendor;
  int family = 0;
  int model = 0;
  std::istringstream lines(cpuinfo);
  // The first blank line ends the first CPU.
  for (std::string line; std::getline(lines, line) && !line.empty();) {
    const size_t separator = line.find(": ");
    if (separator == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of("\t ", separator - 1) + 1);
    const std::string value = line.substr(separator + 2);
    if (key == "vendor_id") vendor = value;
    if (key == "cpu family") family = std::atoi(value.c_str());
    if (key == "model") model = std::atoi(value.c_str());
    if (key == "model name") cpu.name = value;
  }
  cpu.kind = KindOf(vendor, family, model);
  return cpu;
}

Measurement Summarize(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  // Interpolates between the two nearest.
  const auto quantile = [&numbers](double fraction) {
    const double position = fraction * static_cast<double>(numbers.size() - 1);
    const auto below = static_cast<size_t>(position);
    const size_t above = std::min(below + 1, numbers.size() - 1);
    return std::lerp(numbers[below], numbers[above], position - static_cast<double>(below));
  };
  const double median = quantile(0.5);
  return {median, median > 0 ? (quantile(0.75) - quantile(0.25)) / 2 / median : 0};
}

double QuietProbe(std::vector<double> probes_ns) {
  const auto twentieth = probes_ns.begin() + static_cast<std::ptrdiff_t>(probes_ns.size() / 20);
  std::nth_element(probes_ns.begin(), twentieth, probes_ns.end());
  return *twentieth * 1.05;
}

std::vector<double> QuietTimes(std::vector<Sample> samples, double quiet_probe_ns,
                               size_t at_least) {
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.probe_ns < b.probe_ns; });
  std::vector<double> times_ns;
  for (const Sample& sample : samples) {
    if (sample.probe_ns > quiet_probe_ns && times_ns.size() >= at_least) break;
    times_ns.push_back(sample.time_ns);
  }
  return times_ns;
}

Measurement Ratio(const Measurement& numerator, const Measurement& denominator) {
  return {numerator.value / denominator.value, std::hypot(numerator.spread, denominator.spread)};
}

Verdict Judge(const Measurement& ratio, std::optional<double> bar) {
  if (!bar.has_value()) return Verdict::kNoBar;
  if (ratio.value <= *bar) return Verdict::kMet;
  return ratio.value * (1 - ratio.spread) <= *bar ? Verdict::kWithinSpread : Verdict::kMissed;
}

const char* NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMet:
      return "met";
    case Verdict::kWithinSpread:
      return "within the spread";
    case Verdict::kMissed:
      return "missed";
    case Verdict::kNoBar:
      break;
  }
  return "no bar";
}

}  // namespace fringe::benchmarks
