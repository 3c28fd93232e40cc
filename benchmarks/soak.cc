// Ten simulated days of a pool under bursts of deep and shallow use.
//
//   bazel run -c opt //benchmarks:soak
//   bazel run -c opt //benchmarks:soak -- --minutes=30
//
// Each simulated hour has quiet phases with few generators, and bursts with many, some of which use
// their stacks deeply, leave gaps in their frames, or end in another order or on another thread
// than they began. After each hour, the resident memory and the mappings of the process are read.
// The last hour must not need more than the first: the program fails if it does.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "fringe/generator.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"

ABSL_FLAG(double, minutes, 10, "how long to run, in minutes");
ABSL_FLAG(uint64_t, threads, 2, "how many threads use the pool");
ABSL_FLAG(uint64_t, burst, 3000, "how many generators of a thread live at once in a burst");

namespace {

using fringe::OsStack;
using fringe::PooledStack;
using fringe::StackPool;
using PooledGenerator = fringe::Generator<int, void, PooledStack>;

constexpr size_t kHours = 10 * 24;

struct Usage {
  size_t resident_bytes = 0;
  size_t mappings = 0;
};

Usage ReadUsage() {
  Usage usage;
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> usage.resident_bytes;
  usage.resident_bytes *= static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++usage.mappings;
  return usage;
}

// Uses at least `bytes` of the stack, in frames of which some leave a gap.
[[gnu::noinline]] int Use(size_t bytes, bool leaves_gap) {
  volatile char frame[3000];
  if (!leaves_gap) frame[0] = 1;
  if (bytes <= sizeof(frame)) {
    frame[1] = 1;
    return frame[1];
  }
  const int result = Use(bytes - sizeof(frame), !leaves_gap);
  asm volatile("" : : "r"(frame) : "memory");
  return result + 1;
}

// Generators that another thread destroys.
class HandOver {
 public:
  void Give(std::vector<PooledGenerator>* generators) {
    const std::lock_guard lock(mutex_);
    std::swap(generators_, *generators);
  }

 private:
  std::mutex mutex_;
  std::vector<PooledGenerator> generators_;
};

// One simulated hour of one thread. Returns false if there is no stack.
bool RunHour(StackPool* pool, HandOver* hand_over, size_t burst, size_t least_bursts,
             std::mt19937* random, std::chrono::steady_clock::time_point end) {
  // Every hour begins with a burst, so that hours can be compared.
  size_t bursts = 0;
  bool is_burst = true;
  do {
    if (is_burst) ++bursts;
    const size_t count = is_burst ? burst : 1 + (*random)() % 30;
    std::vector<PooledGenerator> generators;
    for (size_t i = 0; i < count; ++i) {
      absl::StatusOr<PooledStack> stack = pool->Acquire();
      if (!stack.ok()) {
        std::fprintf(stderr, "soak: %s\n", std::string(stack.status().message()).c_str());
        return false;
      }
      const size_t bytes = (*random)() % 16 == 0 ? 40000 : (*random)() % 2000;
      generators.push_back(fringe::MakeGenerator<int>(*std::move(stack), [bytes](auto& yielder) {
        yielder.Suspend(Use(bytes, bytes % 2 == 0));
        yielder.Suspend(0);
      }));
      generators.back().Resume();
    }
    if (is_burst) {
      std::vector<OsStack> stacks;
      for (size_t i = 0; i < count / 4; ++i) {
        absl::StatusOr<OsStack> stack = OsStack::Create(16 << 10);
        if (stack.ok()) stacks.push_back(*std::move(stack));
      }
      std::shuffle(stacks.begin(), stacks.end(), *random);
      while (!stacks.empty()) stacks.pop_back();
    }
    std::shuffle(generators.begin(), generators.end(), *random);
    // Some run to their end; the others are destroyed as they are.
    for (size_t i = 0; i < generators.size() / 2; ++i) {
      while (generators[i].Resume()) {
      }
    }
    if ((*random)() % 4 == 0) hand_over->Give(&generators);
    is_burst = (*random)() % 8 == 0;
  } while (bursts < least_bursts || std::chrono::steady_clock::now() < end);
  return true;
}

// A bar on a terminal, nothing elsewhere.
void ShowProgress(size_t hours) {
  if (isatty(STDERR_FILENO) == 0) return;
  constexpr size_t kWidth = 40;
  const size_t filled = hours * kWidth / kHours;
  std::fprintf(stderr, "\rday %2zu [%s%s] %3zu %%%s", hours / 24, std::string(filled, '#').c_str(),
               std::string(kWidth - filled, ' ').c_str(), hours * 100 / kHours,
               hours == kHours ? "\r\033[K" : "");
}

void Print(const char* when, const Usage& usage) {
  std::printf("%-16s %10zu KiB resident %8zu mappings\n", when, usage.resident_bytes >> 10,
              usage.mappings);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("runs ten simulated days of bursts on a pool.");
  absl::ParseCommandLine(argc, argv);
  const size_t thread_count = absl::GetFlag(FLAGS_threads);
  const size_t burst = absl::GetFlag(FLAGS_burst);
  const std::chrono::duration<double> hour(absl::GetFlag(FLAGS_minutes) * 60 / kHours);

  StackPool pool;
  HandOver hand_over;
  std::vector<std::mt19937> randoms;
  for (size_t i = 0; i < thread_count; ++i) randoms.emplace_back(static_cast<unsigned>(i));
  std::vector<Usage> usages;
  const auto start = std::chrono::steady_clock::now();
  bool ok = true;
  for (size_t i = 0; i < kHours && ok; ++i) {
    ShowProgress(i);
    const auto end = start + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                 hour * static_cast<double>(i + 1));
    std::vector<std::thread> threads;
    std::vector<int> results(thread_count, 0);
    // The first hour fills the threads' caches, however loaded the machine is.
    const size_t least_bursts = i == 0 ? 48 : 1;
    for (size_t t = 0; t < thread_count; ++t) {
      threads.emplace_back([&, t] {
        results[t] = RunHour(&pool, &hand_over, burst, least_bursts, &randoms[t], end) ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    ok = std::all_of(results.begin(), results.end(), [](int result) { return result != 0; });
    std::vector<PooledGenerator> none;
    hand_over.Give(&none);
    none.clear();
    usages.push_back(ReadUsage());
  }
  if (!ok) return 1;
  ShowProgress(kHours);
  const Usage first = usages.front();
  const Usage last = usages.back();
  Print("first hour", first);
  Usage most;
  for (const Usage& usage : usages) {
    most.resident_bytes = std::max(most.resident_bytes, usage.resident_bytes);
    most.mappings = std::max(most.mappings, usage.mappings);
  }
  Print("most", most);
  Print("last hour", last);
  std::printf("%s", pool.Stats().ToString().c_str());
  // The heap's own memory varies, too.
  const bool grew =
      last.resident_bytes > first.resident_bytes + first.resident_bytes / 8 + (size_t{4} << 20) ||
      last.mappings > first.mappings + 64;
  if (grew) std::fprintf(stderr, "soak: the last hour needs more than the first\n");
  return grew ? 1 : 0;
}
