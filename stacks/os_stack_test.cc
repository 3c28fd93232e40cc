#include "stacks/os_stack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/config.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/failing_calls.h"
#include "stacks/stack.h"
#include "stacks/system.h"
#include "testing/support/emulator.h"

namespace fringe {
namespace {

using internal::Call;
using internal::FailingCalls;
using internal::ForceGuardKind;
using internal::GuardKind;
using internal::SystemGuardKind;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using testing::Emulator;
using ::testing::ExitedWithCode;
using ::testing::HasSubstr;
using ::testing::KilledBySignal;

static_assert(GuardedStack<OsStack>);

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t SizeOf(const OsStack& stack) { return static_cast<size_t>(stack.base() - stack.limit()); }

// Whether anything is mapped at `page`, accessible or not.
bool IsMapped(std::byte* page) {
  unsigned char resident;
  return mincore(page, 1, &resident) == 0;
}

// How many mappings the process has, found without making one.
int Mappings() {
  static std::array<char, 64 << 10> buffer;
  const int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  int lines = 0;
  for (ssize_t length; (length = read(file, buffer.data(), buffer.size())) > 0;) {
    for (ssize_t i = 0; i < length; ++i) lines += buffer[static_cast<size_t>(i)] == '\n';
  }
  close(file);
  return lines;
}

// Both kinds of guard: what the kernel has is tested whatever it is, and the other where it can be.
class OsStackGuardTest : public ::testing::TestWithParam<GuardKind> {
 protected:
  void SetUp() override {
    if (GetParam() == GuardKind::kLight && SystemGuardKind() != GuardKind::kLight) {
      GTEST_SKIP() << "this kernel or build has no light guards";
    }
    ForceGuardKind(GetParam());
  }
  void TearDown() override { ForceGuardKind(usual_); }

 private:
  const GuardKind usual_ = SystemGuardKind();
};

INSTANTIATE_TEST_SUITE_P(, OsStackGuardTest,
                         ::testing::Values(GuardKind::kLight, GuardKind::kProtected),
                         [](const auto& test) {
                           return test.param == GuardKind::kLight ? "Light" : "Protected";
                         });

TEST(OsStackTest, ZeroBytesIsOnePage) {
  const absl::StatusOr<OsStack> stack = OsStack::Create(0);
  ASSERT_TRUE(stack.ok());
  EXPECT_GE(SizeOf(*stack), PageBytes());
  EXPECT_LE(SizeOf(*stack), 2 * PageBytes());
}

// Up to a page more than whole pages, for the bases to differ.
TEST(OsStackTest, SizeIsRoundedUpToPages) {
  const size_t page = PageBytes();
  const std::pair<size_t, size_t> sizes[] = {
      {1, page},          {page - 1, page},
      {page, page},       {page + 1, 2 * page},
      {1 << 20, 1 << 20}, {size_t{1} << 30, size_t{1} << 30}};
  for (const auto& [asked, rounded] : sizes) {
    for (int colour = 0; colour < 40; ++colour) {
      const OsStack stack = *OsStack::Create(asked);
      ASSERT_GE(SizeOf(stack), rounded);
      ASSERT_LE(SizeOf(stack), rounded + page);
    }
  }
}

TEST(OsStackTest, BasesLieInDifferentCacheLinesOfAPage) {
  std::vector<OsStack> stacks;
  std::set<uintptr_t> lines;
  for (int i = 0; i < 32; ++i) {
    stacks.push_back(*OsStack::Create(64 << 10));
    const auto base = reinterpret_cast<uintptr_t>(stacks.back().base());
    EXPECT_EQ(base % 64, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(stacks.back().limit()) % PageBytes(), 0u);
    lines.insert(base % PageBytes() / 64);
  }
  EXPECT_EQ(lines.size(), 32u);
}

TEST(OsStackTest, TopAndBottomBytesAreZeroAndWritable) {
  for (const size_t size_bytes : {size_t{0}, size_t{1}, size_t{64} << 10, size_t{8} << 20}) {
    const OsStack stack = *OsStack::Create(size_bytes);
    for (std::byte* const byte : {stack.base() - 1, stack.limit()}) {
      EXPECT_EQ(*byte, std::byte{0});
      *byte = std::byte{0x5a};
      EXPECT_EQ(*byte, std::byte{0x5a});
    }
  }
}

TEST(OsStackTest, TakesNoMemoryBeforeItIsTouched) {
  constexpr size_t kPages = 64;
  const OsStack stack = *OsStack::Create(kPages * PageBytes());
  std::array<unsigned char, kPages + 1> resident;
  ASSERT_EQ(mincore(stack.limit(), resident.size() * PageBytes(), resident.data()), 0);
  for (const unsigned char page : resident) EXPECT_EQ(page & 1, 0);
  // A single page for a single byte: no huge one.
  stack.base()[-1] = std::byte{1};
  ASSERT_EQ(mincore(stack.limit(), resident.size() * PageBytes(), resident.data()), 0);
  EXPECT_EQ(resident.back() & 1, 1);
  EXPECT_EQ(resident.front() & 1, 0);
}

TEST_P(OsStackGuardTest, NothingStaysMappedAfterDestruction) {
  if (GetParam() == GuardKind::kProtected && Emulator() != nullptr) {
    GTEST_SKIP() << Emulator() << " takes protected memory for unmapped (mincore)";
  }
  std::byte* limit = nullptr;
  std::byte* base = nullptr;
  {
    const OsStack stack = *OsStack::Create(64 << 10);
    limit = stack.limit();
    base = stack.base();
    EXPECT_TRUE(IsMapped(limit - PageBytes()));
    EXPECT_TRUE(IsMapped(limit + 15 * PageBytes()));
  }
  // From the guard on. Nothing has been mapped since that could lie there now.
  for (std::byte* page = limit - PageBytes(); page < base; page += PageBytes()) {
    EXPECT_FALSE(IsMapped(page)) << page;
  }
}

TEST(OsStackTest, MoveAssignmentReleasesTheOldOne) {
  OsStack stack = *OsStack::Create(64 << 10);
  std::byte* const old_limit = stack.limit();
  OsStack other = *OsStack::Create(64 << 10);
  stack = std::move(other);
  // At once, not when `other` goes.
  EXPECT_FALSE(IsMapped(old_limit));
  EXPECT_TRUE(IsMapped(stack.limit()));
}

TEST(OsStackTest, ManyLeaveNoMappingBehind) {
  constexpr size_t kStacks = 200;
  // What the allocator may map in the meantime for itself.
  constexpr int kOthers = 20;
  std::vector<OsStack> stacks;
  stacks.reserve(kStacks);
  const auto create_and_destroy = [&stacks] {
    for (size_t i = 0; i < kStacks; ++i) stacks.push_back(*OsStack::Create(i << 10));
    stacks.clear();
  };
  // ThreadSanitizer keeps mappings of its own for each.
  if (FRINGE_TSAN) create_and_destroy();
  const int before = Mappings();
  create_and_destroy();
  EXPECT_LT(Mappings(), before + kOthers);
}

// --- Errors --------------------------------------------------------------------------------------

TEST(OsStackTest, SizeThatDoesNotFitIsInvalid) {
  constexpr size_t kMax = std::numeric_limits<size_t>::max();
  for (const size_t size_bytes : {kMax, kMax - 1, kMax - PageBytes(), kMax / 2 + 1, kMax / 2}) {
    const absl::Status status = OsStack::Create(size_bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << size_bytes;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(size_bytes) + " bytes"));
  }
}

// An error names the call, the size, and errno in words.
void ExpectExhausted(size_t size_bytes, const std::string& call, int error) {
  const int before = Mappings();
  const absl::Status status = OsStack::Create(size_bytes).status();
  ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(call));
  EXPECT_THAT(message, HasSubstr(std::to_string(size_bytes) + " bytes"));
  EXPECT_THAT(message, HasSubstr(std::strerror(error)));
  EXPECT_EQ(Mappings(), before);
}

TEST(OsStackTest, SizeLargerThanTheAddressSpaceIsExhausted) {
#if UINTPTR_MAX > UINT32_MAX
  ExpectExhausted(size_t{1} << 62, "mmap", ENOMEM);
  ExpectExhausted(size_t{1} << 48, "mmap", ENOMEM);
#else
  GTEST_SKIP() << "an address space of 32 bits holds any size that fits";
#endif
}

TEST(OsStackTest, FailedMappingIsAnError) {
  const FailingCalls failing(Call::kMmap, ENOMEM);
  ExpectExhausted(1 << 20, "mmap", ENOMEM);
}

TEST_P(OsStackGuardTest, FailedGuardIsAnErrorAndLeavesNothingMapped) {
  if (GetParam() == GuardKind::kLight) {
    const FailingCalls failing(Call::kMadvise, ENOMEM, 1);
    ExpectExhausted(1 << 20, "madvise(MADV_GUARD_INSTALL)", ENOMEM);
  } else {
    const FailingCalls failing(Call::kMprotect, ENOMEM);
    ExpectExhausted(1 << 20, "mprotect", ENOMEM);
  }
}

TEST_P(OsStackGuardTest, LockedMemoryIsGuardedBySomethingElse) {
  // What the kernel says to a light guard in locked memory; it is the second advice on a stack.
  const FailingCalls failing(Call::kMadvise, EINVAL, 1);
  const OsStack stack = *OsStack::Create(64 << 10);
  EXPECT_EXIT(
      {
        std::signal(SIGSEGV, SIG_DFL);
        *static_cast<volatile std::byte*>(stack.limit() - 1) = std::byte{1};
      },
      KilledBySignal(SIGSEGV), "");
}

TEST(OsStackTest, FailedAdviceIsAnErrorAndLeavesNothingMapped) {
  const FailingCalls failing(Call::kMadvise, ENOMEM);
  ExpectExhausted(1 << 20, "madvise(MADV_NOHUGEPAGE)", ENOMEM);
}

TEST(OsStackTest, KernelWithoutHugePagesIsNoError) {
  const FailingCalls failing(Call::kMadvise, EINVAL);
  EXPECT_TRUE(OsStack::Create(1 << 20).ok());
}

TEST(OsStackDeathTest, FailedUnmapIsFatal) {
  EXPECT_DEATH(
      {
        std::optional<OsStack> stack = *OsStack::Create(1 << 20);
        const FailingCalls failing(Call::kMunmap, EINVAL);
        stack.reset();
      },
      HasSubstr("fringe: munmap of a stack failed (Invalid argument):"));
}

// A mapping that cannot be split goes once it can.
TEST_P(OsStackGuardTest, UnmapThatTheLimitOfMappingsForbidsIsMadeUpFor) {
  std::optional<OsStack> stack = *OsStack::Create(1 << 20);
  std::byte* const limit = stack->limit();
  std::byte* const base = stack->base();
  std::memset(limit, 1, static_cast<size_t>(base - limit));
  {
    const FailingCalls failing(Call::kMunmap, ENOMEM);
    stack.reset();
  }
  ASSERT_TRUE(IsMapped(limit));
  std::array<unsigned char, 256> resident;
  ASSERT_EQ(mincore(limit, resident.size() * PageBytes(), resident.data()), 0);
  for (const unsigned char page : resident) EXPECT_EQ(page & 1, 0);
  { const OsStack other = *OsStack::Create(64 << 10); }
  EXPECT_FALSE(IsMapped(limit));
}

// So that hundreds of thousands of stacks fit into an address space of 32 bits.
constexpr OsStack::Options kSmallGuard = {.guard_bytes = sizeof(void*) == 4 ? 4096 : 0};

// Takes all the mappings that the process may have, and says what came of it.
[[noreturn]] void CreateMany(size_t count) {
  std::vector<OsStack> stacks;
  stacks.reserve(count);
  while (stacks.size() < count) {
    absl::StatusOr<OsStack> stack = OsStack::Create(16 << 10, kSmallGuard);
    if (!stack.ok()) {
      std::fprintf(stderr, "%zu stacks: %s\n", stacks.size(),
                   std::string(stack.status().message()).c_str());
      std::fflush(stderr);
      stacks.clear();
      _exit(stack.status().code() == absl::StatusCode::kResourceExhausted ? 1 : 2);
    }
    stacks.push_back(*std::move(stack));
  }
  _exit(0);
}

long MaximumMappings() {
  std::ifstream file("/proc/sys/vm/max_map_count");
  long number = 0;
  file >> number;
  return number;
}

TEST(OsStackDeathTest, LimitOfMappingsIsToldWithAdvice) {
  if (FRINGE_ASAN || FRINGE_TSAN) GTEST_SKIP() << "the sanitizer needs mappings too, and dies";
  if (Emulator() != nullptr) {
    GTEST_SKIP() << "the mappings of " << Emulator() << " count too, and are not shown";
  }
  const long limit = MaximumMappings();
  if (limit > 70000) GTEST_SKIP() << "vm.max_map_count is " << limit << ": too many for a test";
  EXPECT_EXIT(
      {
        ForceGuardKind(GuardKind::kProtected);
        CreateMany(40000);
      },
      ExitedWithCode(1),
      AllOf(HasSubstr("for a stack of 16384 bytes: " + std::string(std::strerror(ENOMEM))),
            HasSubstr("vm.max_map_count is " + std::to_string(limit)),
            ContainsRegex("there are [0-9]+ stacks"),
            HasSubstr("MADV_GUARD_INSTALL does not work here")));
}

// Other mappings are what fills the process: the text must not blame the guards.
TEST(OsStackDeathTest, LimitOfMappingsWithLightGuardsIsNotBlamedOnGuards) {
  if (FRINGE_ASAN || FRINGE_TSAN) GTEST_SKIP() << "the sanitizer needs mappings too, and dies";
  if (SystemGuardKind() != GuardKind::kLight) GTEST_SKIP() << "this kernel or build has none";
  const long limit = MaximumMappings();
  if (limit > 70000) GTEST_SKIP() << "vm.max_map_count is " << limit << ": too many for a test";
  EXPECT_EXIT(
      {
        // Every second page is a mapping of its own.
        const size_t bytes = static_cast<size_t>(2 * limit) * PageBytes();
        auto* const memory = static_cast<std::byte*>(
            mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        for (size_t page = 0; page < bytes; page += 2 * PageBytes()) {
          if (mprotect(memory + page, PageBytes(), PROT_NONE) != 0) break;
        }
        // Before the kind of guard is known.
        absl::Status status;
        std::vector<OsStack> stacks;
        stacks.reserve(100);
        while (stacks.size() < 100) {
          absl::StatusOr<OsStack> stack = OsStack::Create(16 << 10, {.guard_bytes = 2 << 20});
          status = stack.status();
          if (!stack.ok()) break;
          stacks.push_back(*std::move(stack));
        }
        std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
        std::fflush(stderr);
        _exit(1);
      },
      ExitedWithCode(1),
      AllOf(HasSubstr("vm.max_map_count is " + std::to_string(limit)),
            ::testing::Not(HasSubstr("MADV_GUARD_INSTALL")), HasSubstr("StackPool")));
}

TEST(OsStackDeathTest, LightGuardsTakeNoMappings) {
  if (SystemGuardKind() != GuardKind::kLight) GTEST_SKIP() << "this kernel or build has none";
  EXPECT_EXIT(CreateMany(100000), ExitedWithCode(0), "");
}

// Each second of many neighbours: what is left needs more mappings than there are.
TEST(OsStackDeathTest, HolesBeyondTheLimitOfMappingsAreNoError) {
  if (SystemGuardKind() != GuardKind::kLight) GTEST_SKIP() << "this kernel or build has none";
  const long limit = MaximumMappings();
  if (limit > 70000) GTEST_SKIP() << "vm.max_map_count is " << limit << ": too many for a test";
  EXPECT_EXIT(
      {
        std::vector<std::optional<OsStack>> stacks;
        for (long i = 0; i < 3 * limit; ++i) stacks.push_back(*OsStack::Create(4096, kSmallGuard));
        const int before = Mappings();
        // No allocation from here on: the heap has no mappings left either.
        for (size_t i = 0; i < stacks.size(); i += 2) stacks[i].reset();
        const int holes = Mappings();
        stacks.clear();
        const int after = Mappings();
        std::fprintf(stderr, "%d, with holes %d, after %d\n", before, holes, after);
        _exit(holes > limit / 2 && after < before + 100 ? 0 : 1);
      },
      ExitedWithCode(0), "");
}

// In any order, and with the mappings of the process at their limit meanwhile.
TEST(OsStackDeathTest, ShuffledDestructionLeavesNothing) {
  if (FRINGE_ASAN || FRINGE_TSAN) GTEST_SKIP() << "the sanitizer needs mappings too";
  if (SystemGuardKind() != GuardKind::kLight) GTEST_SKIP() << "this kernel or build has none";
  const long limit = MaximumMappings();
  if (limit > 70000) GTEST_SKIP() << "vm.max_map_count is " << limit << ": too many for a test";
  EXPECT_EXIT(
      {
        std::vector<OsStack> stacks;
        stacks.reserve(static_cast<size_t>(4 * limit));
        const int before = Mappings();
        for (long i = 0; i < 4 * limit; ++i) stacks.push_back(*OsStack::Create(4096, kSmallGuard));
        std::shuffle(stacks.begin(), stacks.end(), std::mt19937(1));
        while (!stacks.empty()) stacks.pop_back();
        const int after = Mappings();
        std::fprintf(stderr, "%d before, %d after\n", before, after);
        _exit(after <= before + 2 ? 0 : 1);
      },
      ExitedWithCode(0), "");
}

// --- The guard
// ------------------------------------------------------------------------------------

using OsStackGuardDeathTest = OsStackGuardTest;

INSTANTIATE_TEST_SUITE_P(, OsStackGuardDeathTest,
                         ::testing::Values(GuardKind::kLight, GuardKind::kProtected),
                         [](const auto& test) {
                           return test.param == GuardKind::kLight ? "Light" : "Protected";
                         });

TEST_P(OsStackGuardDeathTest, EveryByteOfTheGuardFaults) {
  const OsStack stack = *OsStack::Create(64 << 10);
  // Sanitizers have handlers of their own.
  auto write_at = [](std::byte* byte) {
    std::signal(SIGSEGV, SIG_DFL);
    *static_cast<volatile std::byte*>(byte) = std::byte{1};
  };
  auto read_at = [](std::byte* byte) {
    std::signal(SIGSEGV, SIG_DFL);
    static_cast<void>(*static_cast<volatile std::byte*>(byte));
  };
  EXPECT_EXIT(write_at(stack.limit() - 1), KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(read_at(stack.limit() - 1), KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(write_at(stack.limit() - PageBytes()), KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(read_at(stack.limit() - PageBytes()), KilledBySignal(SIGSEGV), "");
  // 64 KiB unless the user chooses another size.
  EXPECT_EXIT(write_at(stack.limit() - (64 << 10)), KilledBySignal(SIGSEGV), "");
  for (const size_t guard_bytes : {size_t{3} << 16, size_t{2} << 20}) {
    const OsStack other = *OsStack::Create(64 << 10, {.guard_bytes = guard_bytes});
    EXPECT_EXIT(write_at(other.limit() - 1), KilledBySignal(SIGSEGV), "");
    EXPECT_EXIT(write_at(other.limit() - guard_bytes), KilledBySignal(SIGSEGV), "");
  }
}

// With -fstack-clash-protection, GCC and Clang touch a large frame in such steps: one on AArch64
// may leap a guard of a page.
TEST(OsStackTest, GuardIsNoSmallerThanTheStepsInWhichCompilersProbe) {
#if defined(__aarch64__)
  constexpr size_t kStepBytes = 64 << 10;
#else
  constexpr size_t kStepBytes = 4 << 10;
#endif
  EXPECT_GE(internal::GuardBytes(0), kStepBytes);
}

constexpr int kFaultInTheGuard = 65;
constexpr int kFaultElsewhere = 66;

std::byte* guard_begin = nullptr;
std::byte* guard_end = nullptr;

void OnFault(int, siginfo_t* info, void*) {
  const auto* const address = static_cast<const std::byte*>(info->si_addr);
  _exit(address >= guard_begin && address < guard_end ? kFaultInTheGuard : kFaultElsewhere);
}

// Recurses until the stack ends. Each frame is smaller than a guard.
[[gnu::noinline]] int Recurse(volatile int* depth) {
  volatile char frame[200];
  *depth = *depth + 1;
  frame[0] = static_cast<char>(*depth);
  if (*depth < 0) return 0;
  return Recurse(depth) + frame[0];
}

[[noreturn]] void Overflow() {
  OsStack stack = *OsStack::Create(64 << 10);
  guard_begin = stack.limit() - PageBytes();
  guard_end = stack.limit();

  // The handler cannot run on the stack that is full.
  static std::array<std::byte, 256 << 10> handler_memory;
  stack_t handler_stack = {};
  handler_stack.ss_sp = handler_memory.data();
  handler_stack.ss_size = handler_memory.size();
  sigaltstack(&handler_stack, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = &OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);

  auto gen = MakeGenerator<int>(std::move(stack), [](Yielder<int>& yielder) {
    volatile int depth = 0;
    yielder.Suspend(Recurse(&depth));
  });
  gen.Resume();
  _exit(0);
}

TEST_P(OsStackGuardDeathTest, OverflowInAGeneratorFaultsInTheGuard) {
  EXPECT_EXIT(Overflow(), ExitedWithCode(kFaultInTheGuard), "");
}

}  // namespace
}  // namespace fringe
