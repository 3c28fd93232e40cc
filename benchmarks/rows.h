// Everything that the report measures, in its order, and the bars.

#ifndef FRINGE_BENCHMARKS_ROWS_H_
#define FRINGE_BENCHMARKS_ROWS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/bars.h"

namespace fringe::benchmarks {

enum class RowKind {
  kFringe,
  kPeer,       // does the same by other means
  kReference,  // does less, such as a coroutine that can suspend only in its own body
};

// One benchmark. Each row of fringe is compared to the best peer in the same group of its section.
struct Row {
  RowKind kind;
  std::string label;
  std::string benchmark;  // its name, as Google Benchmark prints it
  std::string group = "";
  size_t needs_bytes = 0;  // of memory, if that is much
};

struct Section {
  std::string title;
  std::string iteration;  // what one iteration is
  std::vector<Row> rows;
};

struct Bar {
  std::string label;
  std::string numerator;
  std::string denominator;
  std::optional<double> on_golden_cove;
  std::optional<double> on_zen4;

  std::optional<double> On(CpuKind kind) const {
    switch (kind) {
      case CpuKind::kGoldenCove:
        return on_golden_cove;
      case CpuKind::kZen4:
        return on_zen4;
      case CpuKind::kOther:
        break;
    }
    return std::nullopt;
  }
};

inline constexpr char kCall[] = "BM_IndirectCall";

// Returns: all of them.
std::vector<Section> Sections();
std::vector<Bar> Bars();

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_ROWS_H_
