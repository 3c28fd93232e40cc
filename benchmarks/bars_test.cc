#include "benchmarks/bars.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace fringe::benchmarks {
namespace {

TEST(CpuKindTest, IntelSinceGoldenCoveHasBars) {
  EXPECT_EQ(KindOf("GenuineIntel", 6, 0x8f), CpuKind::kGoldenCove);  // Sapphire Rapids
  EXPECT_EQ(KindOf("GenuineIntel", 6, 0xcf), CpuKind::kGoldenCove);  // Emerald Rapids
  EXPECT_EQ(KindOf("GenuineIntel", 6, 0x97), CpuKind::kGoldenCove);  // Alder Lake
  EXPECT_EQ(KindOf("GenuineIntel", 19, 0x01), CpuKind::kGoldenCove);
}

TEST(CpuKindTest, OtherIntelHasNone) {
  EXPECT_EQ(KindOf("GenuineIntel", 6, 0x6a), CpuKind::kOther);   // Ice Lake
  EXPECT_EQ(KindOf("GenuineIntel", 6, 0xaf), CpuKind::kOther);   // Sierra Forest
  EXPECT_EQ(KindOf("GenuineIntel", 15, 0x06), CpuKind::kOther);  // Pentium 4
}

TEST(CpuKindTest, OfAmdOnlyZen4HasBars) {
  EXPECT_EQ(KindOf("AuthenticAMD", 0x19, 0x11), CpuKind::kZen4);   // Genoa
  EXPECT_EQ(KindOf("AuthenticAMD", 0x19, 0x61), CpuKind::kZen4);   // Raphael
  EXPECT_EQ(KindOf("AuthenticAMD", 0x19, 0x74), CpuKind::kZen4);   // Phoenix
  EXPECT_EQ(KindOf("AuthenticAMD", 0x19, 0xa0), CpuKind::kZen4);   // Bergamo
  EXPECT_EQ(KindOf("AuthenticAMD", 0x19, 0x01), CpuKind::kOther);  // Milan
  EXPECT_EQ(KindOf("AuthenticAMD", 0x1a, 0x11), CpuKind::kOther);  // Zen 5
}

TEST(CpuKindTest, UnknownHasNone) { EXPECT_EQ(KindOf("", 0, 0), CpuKind::kOther); }

TEST(ParseCpuTest, ReadsTheFirstCpu) {
  const Cpu cpu = ParseCpu(
      "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\n"
      "model name\t: A Xeon\nflags\t\t: fpu\n\nprocessor\t: 1\nmodel name\t: Another\n");
  EXPECT_EQ(cpu.name, "A Xeon");
  EXPECT_EQ(cpu.kind, CpuKind::kGoldenCove);
}

TEST(ParseCpuTest, OtherFormatsAreNoKind) {
  const Cpu cpu = ParseCpu("processor\t: 0\nCPU implementer\t: 0x41\n");
  EXPECT_EQ(cpu.name, "unknown");
  EXPECT_EQ(cpu.kind, CpuKind::kOther);
}

TEST(SummarizeTest, MedianAndQuartiles) {
  const Measurement odd = Summarize({5, 1, 4, 2, 3});
  EXPECT_DOUBLE_EQ(odd.value, 3);
  EXPECT_DOUBLE_EQ(odd.spread, 1.0 / 3);
  const Measurement even = Summarize({1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(even.value, 2.5);
  const Measurement one = Summarize({7});
  EXPECT_DOUBLE_EQ(one.value, 7);
  EXPECT_DOUBLE_EQ(one.spread, 0);
}

TEST(SummarizeTest, AnOutlierChangesNeither) {
  const Measurement with = Summarize({10, 10, 10, 10, 1000});
  EXPECT_DOUBLE_EQ(with.value, 10);
  EXPECT_DOUBLE_EQ(with.spread, 0);
}

TEST(QuietProbeTest, IsALittleMoreThanTheFastestTwentieth) {
  std::vector<double> probes_ns(100, 2.0);
  EXPECT_DOUBLE_EQ(QuietProbe(probes_ns), 2.1);
  // Four that are faster may be accidents. Six are how fast the probe can be.
  std::fill_n(probes_ns.begin(), 4, 1.0);
  EXPECT_DOUBLE_EQ(QuietProbe(probes_ns), 2.1);
  std::fill_n(probes_ns.begin() + 50, 2, 1.0);
  EXPECT_DOUBLE_EQ(QuietProbe(probes_ns), 1.05);
  EXPECT_DOUBLE_EQ(QuietProbe({3.0}), 3.15);
}

TEST(QuietTimesTest, LeavesOutWhatRanUnderLoad) {
  const std::vector<Sample> samples = {{10, 1.0}, {30, 2.0}, {11, 1.04}, {20, 1.06}, {12, 1.05}};
  EXPECT_EQ(QuietTimes(samples, 1.05, 0), (std::vector<double>{10, 11, 12}));
  EXPECT_EQ(QuietTimes(samples, 1.05, 3), (std::vector<double>{10, 11, 12}));
}

TEST(QuietTimesTest, TakesTheQuietestIfTooFewAreQuiet) {
  const std::vector<Sample> samples = {{10, 1.0}, {30, 2.0}, {20, 1.5}};
  EXPECT_EQ(QuietTimes(samples, 1.05, 2), (std::vector<double>{10, 20}));
  EXPECT_EQ(QuietTimes(samples, 1.05, 5), (std::vector<double>{10, 20, 30}));
}

TEST(RatioTest, CombinesSpreads) {
  const Measurement ratio = Ratio({6, 0.03}, {3, 0.04});
  EXPECT_DOUBLE_EQ(ratio.value, 2);
  EXPECT_DOUBLE_EQ(ratio.spread, 0.05);
}

TEST(JudgeTest, Met) {
  EXPECT_EQ(Judge({1.9, 0}, 2.0), Verdict::kMet);
  EXPECT_EQ(Judge({2.0, 0}, 2.0), Verdict::kMet);
  // A bar that is met by less than the spread is met.
  EXPECT_EQ(Judge({1.99, 0.5}, 2.0), Verdict::kMet);
}

TEST(JudgeTest, MissedByMoreThanTheSpread) {
  EXPECT_EQ(Judge({2.1, 0}, 2.0), Verdict::kMissed);
  EXPECT_EQ(Judge({2.1, 0.04}, 2.0), Verdict::kMissed);
}

TEST(JudgeTest, MissedByLessThanTheSpread) {
  EXPECT_EQ(Judge({2.1, 0.05}, 2.0), Verdict::kWithinSpread);
}

TEST(JudgeTest, NoBarOnThisCpu) { EXPECT_EQ(Judge({9, 0}, std::nullopt), Verdict::kNoBar); }

}  // namespace
}  // namespace fringe::benchmarks
