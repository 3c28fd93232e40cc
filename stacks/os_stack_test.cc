#include "stacks/os_stack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/stack.h"

namespace {

// The number of the system call that fails from now on, and how; 0 where none does.
long failing_call = 0;
int failure = 0;

long CallUnlessFailing(long number, void* address, size_t size_bytes, int argument) {
  if (number == failing_call) {
    errno = failure;
    return -1;
  }
  return syscall(number, address, size_bytes, argument);
}

}  // namespace

// These stand before those of the C library, so that each may fail.
extern "C" int mprotect(void* address, size_t size_bytes, int protection) noexcept {
  return static_cast<int>(CallUnlessFailing(SYS_mprotect, address, size_bytes, protection));
}
extern "C" int madvise(void* address, size_t size_bytes, int advice) noexcept {
  return static_cast<int>(CallUnlessFailing(SYS_madvise, address, size_bytes, advice));
}
extern "C" int munmap(void* address, size_t size_bytes) noexcept {
  return static_cast<int>(CallUnlessFailing(SYS_munmap, address, size_bytes, 0));
}

namespace fringe {
namespace {

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

// Lets a system call fail for as long as it lives.
class Failing {
 public:
  Failing(long number, int error) {
    failing_call = number;
    failure = error;
  }
  Failing(Failing&&) = delete;
  Failing& operator=(Failing&&) = delete;
  ~Failing() { failing_call = 0; }
};

TEST(OsStackTest, ZeroBytesIsOnePage) {
  const absl::StatusOr<OsStack> stack = OsStack::Create(0);
  ASSERT_TRUE(stack.ok());
  EXPECT_EQ(SizeOf(*stack), PageBytes());
}

TEST(OsStackTest, SizeIsRoundedUpToPages) {
  const size_t page = PageBytes();
  EXPECT_EQ(SizeOf(*OsStack::Create(1)), page);
  EXPECT_EQ(SizeOf(*OsStack::Create(page - 1)), page);
  EXPECT_EQ(SizeOf(*OsStack::Create(page)), page);
  EXPECT_EQ(SizeOf(*OsStack::Create(page + 1)), 2 * page);
  EXPECT_EQ(SizeOf(*OsStack::Create(1 << 20)), 1u << 20);
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
  std::array<unsigned char, kPages> resident;
  ASSERT_EQ(mincore(stack.limit(), SizeOf(stack), resident.data()), 0);
  for (const unsigned char page : resident) EXPECT_EQ(page & 1, 0);
  // A single page for a single byte: no huge one.
  stack.base()[-1] = std::byte{1};
  ASSERT_EQ(mincore(stack.limit(), SizeOf(stack), resident.data()), 0);
  EXPECT_EQ(resident.back() & 1, 1);
  EXPECT_EQ(resident.front() & 1, 0);
}

TEST(OsStackTest, NothingStaysMappedAfterDestruction) {
  std::byte* limit = nullptr;
  std::byte* base = nullptr;
  {
    const OsStack stack = *OsStack::Create(64 << 10);
    limit = stack.limit();
    base = stack.base();
    EXPECT_TRUE(IsMapped(limit - PageBytes()));
    EXPECT_TRUE(IsMapped(base - PageBytes()));
  }
  // From the guard on. Nothing has been mapped since that could lie there now.
  for (std::byte* page = limit - PageBytes(); page != base; page += PageBytes()) {
    EXPECT_FALSE(IsMapped(page)) << page;
  }
}

TEST(OsStackTest, MoveAssignmentReleasesTheOldOne) {
  OsStack stack = *OsStack::Create(64 << 10);
  std::byte* const old_limit = stack.limit();
  {
    OsStack other = *OsStack::Create(64 << 10);
    stack = std::move(other);
  }
  EXPECT_FALSE(IsMapped(old_limit));
  EXPECT_TRUE(IsMapped(stack.limit()));
}

TEST(OsStackTest, ManyLeaveNoMappingBehind) {
  constexpr size_t kStacks = 200;
  // What the allocator may map in the meantime for itself.
  constexpr int kOthers = 20;
  std::vector<OsStack> stacks;
  stacks.reserve(kStacks);
  const int before = Mappings();
  for (size_t i = 0; i < kStacks; ++i) stacks.push_back(*OsStack::Create(i << 10));
  stacks.clear();
  EXPECT_LT(Mappings(), before + kOthers);
}

// --- Errors
// ---------------------------------------------------------------------------------------

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
  ExpectExhausted(size_t{1} << 62, "mmap", ENOMEM);
  ExpectExhausted(size_t{1} << 48, "mmap", ENOMEM);
}

TEST(OsStackTest, FailedGuardIsAnErrorAndLeavesNothingMapped) {
  const Failing failing(SYS_mprotect, ENOMEM);
  ExpectExhausted(1 << 20, "mprotect", ENOMEM);
}

TEST(OsStackTest, FailedAdviceIsAnErrorAndLeavesNothingMapped) {
  const Failing failing(SYS_madvise, ENOMEM);
  ExpectExhausted(1 << 20, "madvise", ENOMEM);
}

TEST(OsStackTest, KernelWithoutHugePagesIsNoError) {
  const Failing failing(SYS_madvise, EINVAL);
  EXPECT_TRUE(OsStack::Create(1 << 20).ok());
}

TEST(OsStackDeathTest, FailedUnmapIsFatal) {
  EXPECT_DEATH(
      {
        std::optional<OsStack> stack = *OsStack::Create(1 << 20);
        const Failing failing(SYS_munmap, ENOMEM);
        stack.reset();
      },
      HasSubstr("fringe: munmap of a stack"));
}

// --- The guard
// ------------------------------------------------------------------------------------

TEST(OsStackDeathTest, EveryByteOfTheGuardFaults) {
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

TEST(OsStackDeathTest, OverflowInAGeneratorFaultsInTheGuard) {
  EXPECT_EXIT(Overflow(), ExitedWithCode(kFaultInTheGuard), "");
}

}  // namespace
}  // namespace fringe
