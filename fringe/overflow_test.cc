#include "fringe/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/stack.h"
#include "stacks/system.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

constexpr size_t kStackBytes = 64 << 10;

struct Outcome {
  int status;
  std::string errors;

  bool IsReport() const { return Has("stack overflow in a generator"); }
  bool Has(const std::string& text) const { return errors.find(text) != std::string::npos; }
};

// Runs `function` in a process of its own, which begins without handlers of SIGSEGV.
Outcome RunInChild(const std::function<void()>& function) {
  FILE* const file = tmpfile();
  if (file == nullptr) {
    ADD_FAILURE() << "cannot create a temporary file";
    return {};
  }
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(fileno(file), STDERR_FILENO);
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGSEGV, SIG_DFL);
    function();
    _exit(0);
  }
  Outcome outcome = {};
  EXPECT_EQ(waitpid(child, &outcome.status, 0), child);
  rewind(file);
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof(buffer), file)) {
    outcome.errors.append(buffer, count);
  }
  fclose(file);
  return outcome;
}

// Whether the process has ended by SIGSEGV.
bool EndedByFault(const Outcome& outcome) {
  return WIFSIGNALED(outcome.status) && WTERMSIG(outcome.status) == SIGSEGV;
}

// Calls itself until the stack is full, or `depth` times.
[[gnu::noinline]] int Recurse(int depth) {  // NOLINT(misc-no-recursion)
  volatile char frame[200];
  frame[0] = static_cast<char>(depth);
  const int result = depth == 0 ? 0 : Recurse(depth - 1);
  return result + frame[0];
}

constexpr int kForever = 1 << 30;

[[gnu::noinline]] void OverflowingBody(Yielder<int>& yielder) {
  yielder.Suspend(1);
  yielder.Suspend(Recurse(kForever));
}

template <typename StackT>
[[gnu::noinline]] void Overflow(StackT stack) {
  Generator<int, void, StackT> generator(std::move(stack), &OverflowingBody);
  while (generator.Resume()) {
  }
}

void Overflow() { Overflow(*OsStack::Create(kStackBytes)); }

// A stack that a user has written.
class UserStack {
 public:
  explicit UserStack(size_t size_bytes) : size_bytes_(size_bytes) {
    start_ =
        static_cast<std::byte*>(mmap(nullptr, kGuardBytes + size_bytes_, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (start_ == MAP_FAILED || mprotect(start_, kGuardBytes, PROT_NONE) != 0) abort();
  }
  UserStack(UserStack&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), size_bytes_(other.size_bytes_) {}
  UserStack& operator=(UserStack&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }
  ~UserStack() {
    if (start_ != nullptr) munmap(start_, kGuardBytes + size_bytes_);
  }
  std::byte* limit() const noexcept { return start_ + kGuardBytes; }
  std::byte* base() const noexcept { return limit() + size_bytes_; }

 private:
  static constexpr size_t kGuardBytes = 128 << 10;
  std::byte* start_;
  size_t size_bytes_;
};

}  // namespace
}  // namespace fringe::testing

template <>
inline constexpr bool fringe::enable_guarded_stack<fringe::testing::UserStack> = true;

namespace fringe::testing {
namespace {

class OverflowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Emulator() != nullptr) GTEST_SKIP() << "signals are those of " << Emulator();
  }

  // `function` must end in the overflow of a stack of `size_bytes`.
  static Outcome ExpectReport(const std::function<void()>& function) {
    Outcome outcome = RunInChild([&] {
      InstallOverflowHandler();
      function();
    });
    EXPECT_TRUE(outcome.IsReport()) << outcome.errors;
    EXPECT_TRUE(EndedByFault(outcome)) << outcome.status;
    return outcome;
  }

  // `function` must end in a fault that is no overflow of a generator.
  static void ExpectNoReport(const std::function<void()>& function) {
    const Outcome outcome = RunInChild([&] {
      InstallOverflowHandler();
      function();
    });
    EXPECT_EQ(outcome.errors, "");
    EXPECT_TRUE(EndedByFault(outcome)) << outcome.status;
  }

  // Whether the report has a line that begins with `begin` and contains `part`.
  static bool HasLine(const Outcome& outcome, const std::string& begin, const std::string& part) {
    for (size_t line = 0; line < outcome.errors.size();) {
      const size_t end = outcome.errors.find('\n', line);
      const std::string text = outcome.errors.substr(line, end - line);
      if (text.rfind(begin, 0) == 0 && text.find(part) != std::string::npos) return true;
      if (end == std::string::npos) break;
      line = end + 1;
    }
    return false;
  }
};

TEST_F(OverflowTest, ReportNamesTheBodyTheStackAndTheDeepestFrames) {
  const OsStack stack = *OsStack::Create(kStackBytes);
  const auto size_bytes = static_cast<size_t>(stack.base() - stack.limit());
  const Outcome outcome = ExpectReport([&] {
    OsStack* const mutable_stack = const_cast<OsStack*>(&stack);
    Overflow(std::move(*mutable_stack));
  });
  EXPECT_TRUE(outcome.Has("its stack of " + std::to_string(size_bytes) + " bytes"))
      << outcome.errors;
  EXPECT_TRUE(HasLine(outcome, "body: ", "OverflowingBody")) << outcome.errors;
  for (const char* const frame : {"  #0 ", "  #1 ", "  #15 "}) {
    EXPECT_TRUE(HasLine(outcome, frame, "Recurse")) << frame << "\n" << outcome.errors;
  }
  EXPECT_TRUE(outcome.Has("more frames ...")) << outcome.errors;
}

TEST_F(OverflowTest, ReportOfALambdaNamesTheFunctionThatItIsIn) {
  const Outcome outcome = ExpectReport([] {
    auto generator = MakeGenerator<int>(*OsStack::Create(kStackBytes),
                                        [](auto& yielder) { yielder.Suspend(Recurse(kForever)); });
    generator.Resume();
  });
  EXPECT_TRUE(HasLine(outcome, "body: ", "ReportOfALambdaNames")) << outcome.errors;
}

TEST_F(OverflowTest, OfPooledStackWithEitherGuard) {
  for (const auto kind : {internal::SystemGuardKind(), internal::GuardKind::kProtected}) {
    ExpectReport([&] {
      internal::ForceGuardKind(kind);
      static StackPool pool;
      Overflow(*pool.Acquire());
    });
    ExpectReport([&] {
      internal::ForceGuardKind(kind);
      Overflow();
    });
  }
}

TEST_F(OverflowTest, OfAStackThatAUserHasWritten) {
  const Outcome outcome = ExpectReport([] { Overflow(UserStack(256 << 10)); });
  EXPECT_TRUE(outcome.Has("its stack of 262144 bytes")) << outcome.errors;
}

TEST_F(OverflowTest, OnAnotherThread) {
  ExpectReport([] {
    std::thread([] {
      InstallOverflowHandler();
      Overflow();
    }).join();
  });
}

TEST_F(OverflowTest, OnManyThreadsAtOnce) {
  ExpectReport([] {
    static pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, 4);
    std::thread threads[4];
    for (std::thread& thread : threads) {
      thread = std::thread([] {
        InstallOverflowHandler();
        pthread_barrier_wait(&barrier);
        Overflow();
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

TEST_F(OverflowTest, OfAGeneratorThatAnotherResumes) {
  const Outcome outcome = ExpectReport([] {
    auto outer = MakeGenerator<int>(*OsStack::Create(kStackBytes), [](auto& yielder) {
      yielder.Suspend(1);
      Overflow(UserStack(256 << 10));
    });
    outer.Resume();
    outer.Resume();
  });
  EXPECT_TRUE(outcome.Has("its stack of 262144 bytes")) << outcome.errors;
  EXPECT_TRUE(HasLine(outcome, "body: ", "OverflowingBody")) << outcome.errors;
}

TEST_F(OverflowTest, OfAFunctionOnAStack) {
  ExpectReport([] {
    UserStack stack(kStackBytes);
    OnStack(stack, [] { Recurse(kForever); });
  });
}

// A body whose frame is larger than the stack. It touches the far end only.
constexpr auto kSkipTheStack = [](auto& yielder) {
  volatile char buffer[kStackBytes + (32 << 10)];
  // Clang reserves no more than the bytes that it knows to be used.
  asm volatile("" : : "r"(buffer));
  buffer[0] = 1;
  yielder.Suspend(buffer[0]);
};

TEST_F(OverflowTest, ByAFrameThatIsLargerThanTheStack) {
  ExpectReport([] {
    auto generator = MakeGenerator<int>(UserStack(kStackBytes), kSkipTheStack);
    generator.Resume();
  });
}

// A part of a stack, up to a base of its own.
struct StackPart {
  std::byte* part_limit;
  std::byte* part_base;
  std::byte* limit() const noexcept { return part_limit; }
  std::byte* base() const noexcept { return part_base; }
};

// What a finished generator has left in the same memory is not taken for the running one.
TEST_F(OverflowTest, OfAStackOnWhichASmallerOneHasEnded) {
  const Outcome outcome = ExpectReport([] {
    UserStack stack(kStackBytes);
    auto finished = Generator<int, void, StackPart>::Unguarded(
        StackPart{stack.limit(), stack.base() - kStackBytes / 2}, [](auto&) {});
    finished.Resume();
    // Its frame skips what is there.
    auto generator = MakeGenerator<int>(std::move(stack), kSkipTheStack);
    generator.Resume();
  });
  EXPECT_TRUE(outcome.Has("its stack of 65536 bytes")) << outcome.errors;
}

// --- Other faults ---

volatile std::byte* address;
[[gnu::noinline]] void Touch() { *address = std::byte{1}; }

TEST_F(OverflowTest, NotOfAnInvalidPointerInAGenerator) {
  ExpectNoReport([] {
    auto generator = MakeGenerator<int>(*OsStack::Create(kStackBytes), [](auto& yielder) {
      address = reinterpret_cast<std::byte*>(uintptr_t{8});
      Touch();
      yielder.Suspend(1);
    });
    generator.Resume();
  });
}

TEST_F(OverflowTest, NotOfAnAccessToTheOwnGuardByAPointer) {
  ExpectNoReport([] {
    auto generator = MakeGenerator<int>(*OsStack::Create(kStackBytes), [](auto& yielder) {
      Touch();
      yielder.Suspend(1);
    });
    address = generator.stack().limit() - 1;
    generator.Resume();
  });
}

TEST_F(OverflowTest, NotOfAnAccessToTheGuardOfASuspendedGenerator) {
  for (const bool first : {false, true}) {
    ExpectNoReport([&] {
      std::optional<Generator<int, void, OsStack>> generators[2];
      for (auto& generator : generators) {
        generator.emplace(*OsStack::Create(kStackBytes), [](auto& yielder) {
          for (;;) {
            yielder.Suspend(1);
            if (address != nullptr) Touch();
          }
        });
        generator->Resume();
      }
      address = generators[first ? 0 : 1]->stack().limit() - 1;
      generators[first ? 1 : 0]->Resume();
    });
  }
}

// The one that waits for the other is running too.
TEST_F(OverflowTest, NotOfAnAccessToTheGuardOfTheGeneratorThatResumes) {
  for (const bool resumer_is_first : {false, true}) {
    ExpectNoReport([&] {
      OsStack stacks[] = {*OsStack::Create(kStackBytes), *OsStack::Create(kStackBytes)};
      OsStack& other = stacks[resumer_is_first ? 1 : 0];
      OsStack& resumers = stacks[resumer_is_first ? 0 : 1];
      address = resumers.limit() - 1;
      auto resumer = MakeGenerator<int>(std::move(resumers), [&](auto& yielder) {
        auto inner = MakeGenerator<int>(std::move(other), [](auto& inner_yielder) {
          Touch();
          inner_yielder.Suspend(1);
        });
        yielder.Suspend(*inner.Resume());
      });
      resumer.Resume();
    });
  }
}

TEST_F(OverflowTest, NotOfAThreadsOwnStack) {
  ExpectNoReport([] {
    const rlimit small = {1 << 20, 8 << 20};
    if (setrlimit(RLIMIT_STACK, &small) != 0) abort();
    auto generator = MakeGenerator<int>(*OsStack::Create(kStackBytes), &OverflowingBody);
    generator.Resume();
    Recurse(kForever);
  });
  ExpectNoReport([] {
    std::thread([] {
      InstallOverflowHandler();
      Recurse(kForever);
    }).join();
  });
}

TEST_F(OverflowTest, NotOfASignalThatWasSent) {
  ExpectNoReport([] { raise(SIGSEGV); });
  ExpectNoReport([] { kill(getpid(), SIGSEGV); });
}

// --- Other handlers ---

[[noreturn]] void ExitWith3(int, siginfo_t* info, void* context) {
  // After the report, and with what the kernel has said.
  static constexpr char kMessage[] = "the other handler\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  _exit(info->si_addr != nullptr && info->si_code > 0 && context != nullptr ? 3 : 4);
}

TEST_F(OverflowTest, CallsTheHandlerThatItReplaces) {
  const auto install = [] {
    struct sigaction action = {};
    action.sa_sigaction = &ExitWith3;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGSEGV, &action, nullptr) != 0) abort();
    InstallOverflowHandler();
    InstallOverflowHandler();  // the second has no effect
  };
  const Outcome overflow = RunInChild([&] {
    install();
    Overflow();
  });
  EXPECT_TRUE(WIFEXITED(overflow.status) && WEXITSTATUS(overflow.status) == 3) << overflow.status;
  EXPECT_TRUE(overflow.IsReport()) << overflow.errors;
  EXPECT_LT(overflow.errors.find("OverflowingBody"), overflow.errors.find("the other handler"));

  const Outcome other_fault = RunInChild([&] {
    install();
    address = reinterpret_cast<std::byte*>(uintptr_t{8});
    Touch();
  });
  EXPECT_TRUE(WIFEXITED(other_fault.status) && WEXITSTATUS(other_fault.status) == 3);
  EXPECT_EQ(other_fault.errors, "the other handler\n");
}

TEST_F(OverflowTest, CallsAHandlerWithoutInformation) {
  const Outcome outcome = RunInChild([] {
    signal(SIGSEGV, [](int) { _exit(5); });
    InstallOverflowHandler();
    Overflow();
  });
  EXPECT_TRUE(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 5) << outcome.status;
  EXPECT_TRUE(outcome.IsReport());
}

TEST_F(OverflowTest, IgnoresASentSignalIfThatWasIgnored) {
  const Outcome outcome = RunInChild([] {
    signal(SIGSEGV, SIG_IGN);
    InstallOverflowHandler();
    raise(SIGSEGV);
    Overflow();
  });
  EXPECT_TRUE(outcome.IsReport());
  EXPECT_TRUE(EndedByFault(outcome)) << outcome.status;
}

// --- Alternate stacks ---

// Gives the thread an alternate stack of `size_bytes`, with as much memory below as it could have
// at most: if it is too small, a test fails instead of corrupting memory.
//
// Returns: its limit.
std::byte* UseAlternateStack(size_t size_bytes) {
  constexpr size_t kMaximumBytes = 64 << 10;
  alignas(64) static std::byte memory[2 * kMaximumBytes];
  stack_t stack = {};
  stack.ss_sp = memory + kMaximumBytes;
  stack.ss_size = size_bytes;
  if (size_bytes > kMaximumBytes || sigaltstack(&stack, nullptr) != 0) abort();
  return memory + kMaximumBytes;
}

TEST_F(OverflowTest, KeepsAnAlternateStackThatIsThere) {
  const Outcome outcome = ExpectReport([] {
    std::thread([] {
      const std::byte* const limit = UseAlternateStack(64 << 10);
      InstallOverflowHandler();
      stack_t current;
      if (sigaltstack(nullptr, &current) != 0 || current.ss_sp != limit) abort();
      Overflow();
    }).join();
  });
  EXPECT_TRUE(outcome.Has("OverflowingBody")) << outcome.errors;
}

// How much of an alternate stack the kernel fills with registers. `_SC_MINSIGSTKSZ` is more where
// there are registers that no thread has asked to use, such as those of AMX.
size_t SignalFrameBytes() {
  constexpr size_t kBytes = 64 << 10;
  static const std::byte* handler_frame;
  const std::byte* const limit = UseAlternateStack(kBytes);
  struct sigaction action = {};
  action.sa_handler = [](int) {
    handler_frame = static_cast<const std::byte*>(__builtin_frame_address(0));
  };
  action.sa_flags = SA_ONSTACK;
  if (sigaction(SIGUSR1, &action, nullptr) != 0 || raise(SIGUSR1) != 0) abort();
  return static_cast<size_t>(limit + kBytes - handler_frame);
}

TEST_F(OverflowTest, HasABacktraceUnlessTheAlternateStackIsSmall) {
  for (const size_t room_bytes : {size_t{6} << 10, size_t{24} << 10}) {
    const Outcome outcome = ExpectReport([=] {
      UseAlternateStack(SignalFrameBytes() + room_bytes);
      InstallOverflowHandler();
      Overflow();
    });
    EXPECT_TRUE(HasLine(outcome, "  #0 ", "Recurse")) << outcome.errors;
    EXPECT_EQ(HasLine(outcome, "  #1 ", "Recurse"), room_bytes > (size_t{8} << 10))
        << outcome.errors;
    EXPECT_EQ(outcome.Has("#1"), room_bytes > (size_t{8} << 10)) << outcome.errors;
  }
}

TEST_F(OverflowTest, UnmapsItsAlternateStackWhenTheThreadEnds) {
  const Outcome outcome = RunInChild([] {
    void* its_stack = nullptr;
    std::thread([&] {
      InstallOverflowHandler();
      stack_t current;
      if (sigaltstack(nullptr, &current) != 0) abort();
      its_stack = current.ss_sp;
    }).join();
    unsigned char page;
    if (mincore(its_stack, 1, &page) == 0) abort();
  });
  EXPECT_EQ(outcome.status, 0);
}

}  // namespace
}  // namespace fringe::testing
