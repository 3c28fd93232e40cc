// A million guarded generators in one process, with the system's default settings.
//
//   ./bazelw run //benchmarks:million
//   ./bazelw run //benchmarks:million -- --stack=os --count=100000
//
// Each generator is created and resumed once. Then all are resumed again, in order, and all are
// destroyed. The program prints the time and memory, one line for each number. If the system
// provides fewer stacks, it prints the reason and continues with those that exist.

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "fringe/generator.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"

ABSL_FLAG(std::string, stack, "pooled", "The kind of stack: os, pooled or malloc.");
ABSL_FLAG(uint64_t, count, 1000000, "The number of generators.");
ABSL_FLAG(uint64_t, stack_bytes, 65536, "The usable size of each stack in bytes.");

namespace {

using fringe::Generator;
using fringe::MallocStack;
using fringe::OsStack;
using fringe::PooledStack;
using fringe::StackPool;

double NowNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::nano>(now).count();
}

// Returns: a field of /proc/self/status, in bytes.
double StatusBytes(const std::string& field) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

size_t Mappings() {
  std::ifstream file("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

// A progress bar. It prints nothing if standard error is not a terminal.
class Progress {
 public:
  Progress(const char* what, size_t total) : what_(what), total_(total) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shows_) std::fputs("\r\033[K", stderr);
  }

  void Show(size_t done) {
    if (!shows_ || done % 16384 != 0) return;
    constexpr size_t kWidth = 40;
    const size_t filled = total_ == 0 ? 0 : done * kWidth / total_;
    std::fprintf(stderr, "\r%-8s [%s%s] %3zu %%", what_, std::string(filled, '#').c_str(),
                 std::string(kWidth - filled, ' ').c_str(), total_ == 0 ? 0 : done * 100 / total_);
  }

 private:
  const char* const what_;
  const size_t total_;
  const bool shows_ = isatty(STDERR_FILENO) != 0;
};

template <typename StackT, typename NewStack>
int Run(size_t wanted, NewStack new_stack) {
  using Counter = Generator<size_t, void, StackT>;
  std::vector<Counter> generators;
  generators.reserve(wanted);
  const double resident_before = StatusBytes("VmRSS");
  const double tables_before = StatusBytes("VmPTE");

  std::string error;
  double start_ns = NowNs();
  {
    Progress progress("create", wanted);
    for (size_t i = 0; i < wanted; ++i) {
      progress.Show(i);
      absl::StatusOr<StackT> stack = new_stack();
      if (!stack.ok()) {
        error = std::string(stack.status().message());
        break;
      }
      generators.push_back(Counter::Unguarded(*std::move(stack), [i](auto& yielder) {
        for (size_t j = i;; ++j) yielder.Suspend(j);
      }));
      if (generators.back().Resume() != i) return 1;
    }
  }
  const double create_ns = NowNs() - start_ns;
  const auto count = static_cast<double>(generators.size());
  std::printf("%-32s %12zu\n", "generators", generators.size());
  if (!error.empty()) std::printf("%-32s %12zu: %s\n", "of", wanted, error.c_str());
  if (generators.empty()) return 0;
  std::printf("%-32s %12zu\n", "mappings", Mappings());
  std::printf("%-32s %12.0f bytes\n", "resident, each",
              (StatusBytes("VmRSS") - resident_before) / count);
  std::printf("%-32s %12.0f bytes\n", "page tables, each",
              (StatusBytes("VmPTE") - tables_before) / count);
  std::printf("%-32s %12.0f ns\n", "create and first resume, each", create_ns / count);

  start_ns = NowNs();
  {
    Progress progress("resume", generators.size());
    for (size_t i = 0; i < generators.size(); ++i) {
      progress.Show(i);
      if (generators[i].Resume() != i + 1) return 1;
    }
  }
  std::printf("%-32s %12.1f ns\n", "later resume, each", (NowNs() - start_ns) / count);

  start_ns = NowNs();
  {
    Progress progress("destroy", generators.size());
    for (size_t done = 0; !generators.empty(); ++done) {
      progress.Show(done);
#if defined(__cpp_exceptions)
      generators.pop_back();
#else
      // Their frames own nothing.
      static_cast<void>(std::move(generators.back()).UnsafeUnwrap());
      generators.pop_back();
#endif
    }
  }
  std::printf("%-32s %12.0f ns\n", "destroy, each", (NowNs() - start_ns) / count);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("runs many generators at once, and prints their time and memory.");
  absl::ParseCommandLine(argc, argv);
  const size_t count = absl::GetFlag(FLAGS_count);
  const size_t stack_bytes = absl::GetFlag(FLAGS_stack_bytes);
  const std::string stack = absl::GetFlag(FLAGS_stack);
  if (stack == "os") {
    return Run<OsStack>(count, [stack_bytes] { return OsStack::Create(stack_bytes); });
  }
  if (stack == "malloc") {
    return Run<MallocStack>(count, [stack_bytes] { return MallocStack::Create(stack_bytes); });
  }
  if (stack == "pooled") {
    StackPool pool({.stack_bytes = stack_bytes});
    return Run<PooledStack>(count, [&pool] { return pool.Acquire(); });
  }
  std::fprintf(stderr, "million: --stack must be os, pooled or malloc, not '%s'\n", stack.c_str());
  return 2;
}
