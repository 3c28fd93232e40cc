// Unwinds at every instruction of resumes and suspends, as a profiler's signal does. After each
// instruction, a trap raises a signal whose handler takes a backtrace.

#include <ucontext.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "stacks/span_stack.h"
#include "testing/registers/extensions.h"
#include "testing/registers/opaque.h"
#include "testing/registers/saved_registers.h"
#include "testing/support/ordered_stacks.h"
#include "testing/support/raw_generator.h"
#include "testing/unwinding/backtrace.h"
#if !defined(__arm__)
#include "testing/support/single_step.h"
#endif

#if defined(__arm__)

TEST(EveryInstructionTest, IsNotOfThisCpu) {
  GTEST_SKIP()
      << "the unwind tables of 32-bit Arm describe functions where they call others, not at "
         "every instruction";
}

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

#else

// The unwinder that the program is linked with.
#if !defined(FRINGE_TESTING_LLVM_UNWINDER)
#define FRINGE_TESTING_LLVM_UNWINDER 0
#endif
#if FRINGE_TESTING_LLVM_UNWINDER
#include "testing/unwinding/llvm_backtrace.h"
#endif

namespace fringe::testing {
namespace {

constexpr int kRoundTrips = 5;

const void* main_function;

// The input and the results of the handler. It must not allocate or call assertions, because the
// interrupted code may be in either.
struct Stepping {
  const void* above_resumer = nullptr;  // the function whose frame is above the resumer's
  const void* generator = nullptr;      // the generator's function
  const arch::LinkRecord* record = nullptr;

  size_t in_stubs = 0;
  size_t instructions = 0;             // outside stubs
  size_t in_generator = 0;             // of these: with the generator's frame below the resumer's
  size_t lost = 0;                     // of these: where the resumer's caller was not found
  std::array<const void*, 8> where{};  // the first lost ones
  Arrivals arrivals;
  size_t pushed_pcs = 0;  // instructions at which a `call` has pushed their own address
  size_t wrong_after_calls =
      0;  // callee-saved registers that are wrong in the frame of that `call`
};
Stepping stepping;

#if !FRINGE_TESTING_LLVM_UNWINDER
// One walk from an interrupted instruction.
struct Walk {
  const ucontext_t& interrupted;
  int frames = 0;
  int frames_at_pc = 0;
};

#if defined(__i386__)
// Position-independent code finds its address by a `call` of the next instruction. There, an
// unwinder finds two frames at one address. The registers of both are the interrupted ones.
void CompareAfterCall(_Unwind_Context* context, Walk& walk) {
  if (_Unwind_GetIP(context) != ProgramCounter(walk.interrupted)) return;
  if (++walk.frames_at_pc != 2) return;
  ++stepping.pushed_pcs;
  struct Register {
    int number;  // in the ABI's DWARF mapping
    int place;   // in the signal's context
  };
  for (const Register saved :
       {Register{3, REG_EBX}, Register{5, REG_EBP}, Register{6, REG_ESI}, Register{7, REG_EDI}}) {
    const auto found = static_cast<uint32_t>(_Unwind_GetGR(context, saved.number));
    if (found != static_cast<uint32_t>(walk.interrupted.uc_mcontext.gregs[saved.place])) {
      ++stepping.wrong_after_calls;
    }
  }
}
#endif

_Unwind_Reason_Code VisitFrame(_Unwind_Context* context, void* argument) {
  auto* const walk = static_cast<Walk*>(argument);
  // Wrong rules may lead in circles.
  if (++walk->frames > 1000) return _URC_END_OF_STACK;
#if defined(__i386__)
  CompareAfterCall(context, *walk);
#endif
  CompareRegisters(context, *stepping.record, stepping.arrivals);
  return _URC_NO_REASON;
}
#endif

void VisitInstruction(const ucontext_t& context) {
  const uintptr_t pc = ProgramCounter(context);
  // lld's stubs for calls of shared libraries are the only code without unwind information. (The
  // unwinder looks up the address before the one that it is given.)
  if (FunctionOf(reinterpret_cast<const void*>(pc + 1)) == nullptr) {
    ++stepping.in_stubs;
    return;
  }
  ++stepping.instructions;
#if FRINGE_TESTING_LLVM_UNWINDER
  const LlvmBacktrace backtrace(context);
#else
  Walk walk = {context};
  if (stepping.record != nullptr) _Unwind_Backtrace(&VisitFrame, &walk);
  const Backtrace backtrace;
#endif
  if (backtrace.InOrder(std::array{stepping.generator, stepping.above_resumer, main_function})) {
    ++stepping.in_generator;
  } else if (!backtrace.InOrder(std::array{stepping.above_resumer, main_function})) {
    if (stepping.lost < stepping.where.size()) {
      stepping.where[stepping.lost] = reinterpret_cast<const void*>(pc);
    }
    ++stepping.lost;
  }
}

// The frame that is lost if the trampoline's CFA is wrong. The resumer's own frame is still found
// then.
template <typename F>
[[gnu::noinline]] void AboveResumer(F resumer) {
  stepping.above_resumer = ThisFunction();
  resumer();
  KeepFrame();
}

// Whether the compiler's tables are correct at every instruction, including the ends of functions.
#if defined(__aarch64__) && defined(__clang__) && __clang_major__ < 15
constexpr bool kTablesAreComplete = false;
#else
constexpr bool kTablesAreComplete = true;
#endif
constexpr const char* kIncomplete = "this compiler does not describe the ends of functions";

class EveryInstructionTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(_LIBCPP_VERSION) && !FRINGE_TESTING_LLVM_UNWINDER
    GTEST_SKIP()
        << "LLVM's unwinder is wrong about signals: every_instruction_test_llvm calls it in "
           "another way";
#endif
#if !FRINGE_ARCH_CFI || (defined(__clang__) && defined(__powerpc64__))
    GTEST_SKIP() << "this compiler does not describe the beginnings and ends of functions";
#endif
#if defined(__clang__) && __clang_major__ < 15 && defined(__ARM_FEATURE_PAC_DEFAULT)
    GTEST_SKIP() << "this compiler does not describe the beginnings of functions, where the stack "
                    "pointer that return addresses are signed with is known by nothing else";
#endif
    stepping = Stepping();
  }

  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(stepping.lost, 0U);
    for (size_t i = 0; i < stepping.lost && i < stepping.where.size(); ++i) {
      ADD_FAILURE() << "main and the function above the resumer are not found from "
                    << stepping.where[i] << " in the function at " << FunctionOf(stepping.where[i]);
    }
    EXPECT_EQ(stepping.arrivals.wrong, 0U);
    EXPECT_EQ(stepping.wrong_after_calls, 0U);
#if !FRINGE_TESTING_LLVM_UNWINDER
    if (stepping.record != nullptr) {
      EXPECT_GT(stepping.arrivals.count, stepping.in_generator / 2);
#if defined(__i386__) && defined(__PIC__)
      EXPECT_GE(stepping.pushed_pcs, 2U * kRoundTrips);
#endif
    }
#endif
    // Otherwise the test is void: a switch alone has a dozen instructions on each side.
    EXPECT_GT(stepping.instructions, 2U * 12 * kRoundTrips);
    EXPECT_GT(stepping.in_generator, 12U * kRoundTrips);
    EXPECT_LT(stepping.in_stubs, stepping.instructions / 10);
    RecordProperty("instructions", static_cast<int>(stepping.instructions));
    RecordProperty("instructions_in_generator", static_cast<int>(stepping.in_generator));
  }
};

// --- The raw switch ------------------------------------------------------------------------------

[[gnu::noinline]] void Leaf(volatile uint64_t* count) { *count = *count + 1; }

void RawBody(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  if (stepping.generator == nullptr) stepping.generator = ThisFunction();
  volatile uint64_t count = 0;
  for (arch::Message message = {word, record}; message.record != nullptr;) {
    Leaf(&count);
    message = arch::Suspend(message.word, record);
  }
  arch::Finish(0, record);
}

// The compiler does not know the size, so it uses the frame pointer for such a frame.
[[gnu::always_inline]] inline void GrowFrame() {
  size_t bytes = 100;
  Hide(bytes);
  volatile auto* const block = static_cast<unsigned char*>(__builtin_alloca(bytes));
  *block = 1;
}

// Leaves values below the caller's stack pointer that are those of no register.
[[gnu::noinline]] void DirtyStackBelow() {
  volatile uintptr_t garbage[32];
  for (volatile uintptr_t& word : garbage) word = 0xa5a5a5a5;
}

void GrowingBody(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  if (stepping.generator == nullptr) stepping.generator = ThisFunction();
  for (arch::Message message = {word, record}; message.record != nullptr;) {
    GrowFrame();
    DirtyStackBelow();
    message = arch::Suspend(message.word, record);
  }
  arch::Finish(0, record);
}

template <Stack StackT>
void StepRaw(StackT stack) {
  {
    // Runs once without steps: the dynamic linker resolves the function under a lock that the
    // unwinder takes too.
    const RawGenerator<OsStack> warm(*OsStack::Create(256 << 10), &RawBody);
    arch::Resume(0, warm.record());
    arch::Cancel(warm.record());
  }
  const RawGenerator<StackT> generator(std::move(stack), &RawBody);
  stepping.record = generator.record();
  AboveResumer([&] {
    const SingleStep step(&VisitInstruction);
    for (int i = 0; i < kRoundTrips; ++i) arch::Resume(0, generator.record());
    arch::Cancel(generator.record());
  });
}

TEST_F(EveryInstructionTest, RawSwitch) { StepRaw(*OsStack::Create(256 << 10)); }

TEST_F(EveryInstructionTest, RawSwitchToAStackBelow) {
  const OrderedStacks stacks;
  OnStack(stacks.middle, [&] { StepRaw(stacks.below); });
}

TEST_F(EveryInstructionTest, RawSwitchToAStackAbove) {
  const OrderedStacks stacks;
  OnStack(stacks.middle, [&] { StepRaw(stacks.above); });
}

TEST_F(EveryInstructionTest, RawSwitchBetweenFramesThatGrow) {
  if (!kTablesAreComplete) GTEST_SKIP() << kIncomplete;
  {
    const RawGenerator<OsStack> warm(*OsStack::Create(256 << 10), &GrowingBody);
    arch::Resume(0, warm.record());
    arch::Cancel(warm.record());
  }
  const RawGenerator<OsStack> generator(*OsStack::Create(256 << 10), &GrowingBody);
  stepping.record = generator.record();
  AboveResumer([&] {
    const SingleStep step(&VisitInstruction);
    for (int i = 0; i < kRoundTrips; ++i) {
      GrowFrame();
      DirtyStackBelow();
      arch::Resume(0, generator.record());
    }
    arch::Cancel(generator.record());
  });
}

// Calls nothing, so that only the statement itself can make the compiler save a return address.
void FinishingBody(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  arch::Finish(word, record);
}

TEST_F(EveryInstructionTest, RawFinish) {
  constexpr int kGenerators = 5 * kRoundTrips;
  stepping.generator = FunctionOf(reinterpret_cast<const std::byte*>(&FinishingBody) + 1);
  const RawGenerator<OsStack> generator(*OsStack::Create(256 << 10), &FinishingBody);
  arch::LinkRecord* const record = generator.record();
  stepping.record = record;
  AboveResumer([&] {
    const SingleStep step(&VisitInstruction);
    for (int i = 0; i < kGenerators; ++i) {
      arch::Resume(0, record);
      arch::Init(record, reinterpret_cast<std::byte*>(record), &FinishingBody);
    }
  });
}

#if defined(__x86_64__) && !defined(__clang__) && !defined(__AVX512F__)
// With AVX-512 by an attribute, a switch is a function that saves registers.
[[gnu::noinline, gnu::target("avx512f,avx512bw")]] void ResumeWithVectors(
    arch::LinkRecord* record) {
  arch::Resume(0, record);
}

[[gnu::target("avx512f,avx512bw")]] void BodyWithVectors(uintptr_t word, arch::LinkRecord* record,
                                                         arch::LinkRecord*) {
  if (stepping.generator == nullptr) stepping.generator = ThisFunction();
  volatile uint64_t count = 0;
  for (arch::Message message = {word, record}; message.record != nullptr;) {
    Leaf(&count);
    message = arch::Suspend(message.word, record);
  }
  arch::Finish(0, record);
}

// Only one side at a time, because both would have the same resume address.
TEST_F(EveryInstructionTest, RawResumeThatSavesVectors) {
  if (!HasAvx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  const RawGenerator<OsStack> generator(*OsStack::Create(256 << 10), &RawBody);
  ResumeWithVectors(generator.record());  // once without steps
  stepping.record = generator.record();
  AboveResumer([&] {
    const SingleStep step(&VisitInstruction);
    for (int i = 0; i < kRoundTrips; ++i) ResumeWithVectors(generator.record());
    arch::Cancel(generator.record());
  });
}

TEST_F(EveryInstructionTest, RawSuspendThatSavesVectors) {
  if (!HasAvx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  const RawGenerator<OsStack> generator(*OsStack::Create(256 << 10), &BodyWithVectors);
  arch::Resume(0, generator.record());  // once without steps
  stepping.record = generator.record();
  AboveResumer([&] {
    const SingleStep step(&VisitInstruction);
    for (int i = 0; i < kRoundTrips; ++i) arch::Resume(0, generator.record());
    arch::Cancel(generator.record());
  });
}
#endif

#if defined(__powerpc64__)
// Resumes as a function of another module would, with its own `r2`.
//
// Returns: the value of `r2` afterwards.
[[gnu::noinline]] uintptr_t ResumeFromAnotherModule(arch::LinkRecord* record) {
  uintptr_t ours, theirs;
  asm volatile(
      "mr %0, 2\n\t"
      "li 2, 4711"
      : "=r"(ours));
  arch::Resume(0, record);
  asm volatile(
      "mr %0, 2\n\t"
      "mr 2, %1"
      : "=&r"(theirs)
      : "r"(ours));
  return theirs;
}

TEST_F(EveryInstructionTest, RawSwitchFromAnotherModule) {
  const RawGenerator<OsStack> generator(*OsStack::Create(256 << 10), &RawBody);
  {
    const RawGenerator<OsStack> warm(*OsStack::Create(256 << 10), &RawBody);
    EXPECT_EQ(ResumeFromAnotherModule(warm.record()), 4711U);
    EXPECT_EQ(ResumeFromAnotherModule(warm.record()), 4711U);
    arch::Cancel(warm.record());
  }
  stepping.record = generator.record();
  AboveResumer([&] {
    const SingleStep step(&VisitInstruction);
    for (int i = 0; i < kRoundTrips; ++i) ResumeFromAnotherModule(generator.record());
    arch::Cancel(generator.record());
  });
}
#endif  // defined(__powerpc64__)

// --- Generator -----------------------------------------------------------------------------------

// From before the generator is created until after its body has returned.
template <Stack StackT>
void StepGenerator(StackT stack) {
  AboveResumer([&] {
    const auto run = [](StackT its_stack) {
      auto generator = Generator<int, int, StackT>::Unguarded(
          std::move(its_stack), [](Yielder<int, int>& yielder, int input) {
            if (stepping.generator == nullptr) stepping.generator = ThisFunction();
            while (input != kRoundTrips) input = yielder.Suspend(input);
          });
      int sum = 0;
      for (int i = 0; i <= kRoundTrips; ++i) sum += generator.Resume(i).value_or(0);
      return std::pair(sum, std::move(generator).Unwrap());
    };
    // Runs once without steps: the dynamic linker resolves functions under a lock that the unwinder
    // takes.
    std::pair<int, StackT> warm = run(std::move(stack));
    // Outlives the steps, because Clang 14's tables are wrong for some functions that end in a
    // jump, and releasing a stack runs many of those.
    std::optional<std::pair<int, StackT>> stepped;
    {
      const SingleStep step(&VisitInstruction);
      stepped.emplace(run(std::move(warm.second)));
    }
    if (stepped->first != warm.first) __builtin_trap();
  });
}

TEST_F(EveryInstructionTest, Generator) {
  if (!kTablesAreComplete) GTEST_SKIP() << kIncomplete;
  StepGenerator(*OsStack::Create(256 << 10));
}

TEST_F(EveryInstructionTest, GeneratorOnAStackBelow) {
  if (!kTablesAreComplete) GTEST_SKIP() << kIncomplete;
  const OrderedStacks stacks;
  OnStack(stacks.middle, [&] { StepGenerator(stacks.below); });
}

TEST_F(EveryInstructionTest, GeneratorOnAStackAbove) {
  if (!kTablesAreComplete) GTEST_SKIP() << kIncomplete;
  const OrderedStacks stacks;
  OnStack(stacks.middle, [&] { StepGenerator(stacks.above); });
}

// A call on another stack has no generator, but the same switches.
TEST_F(EveryInstructionTest, OnStack) {
  if (!kTablesAreComplete) GTEST_SKIP() << kIncomplete;
  const OsStack stack = *OsStack::Create(256 << 10);
  AboveResumer([&] {
    volatile uint64_t count = 0;
    const auto call = [&] {
      if (stepping.generator == nullptr) stepping.generator = ThisFunction();
      for (int i = 0; i < kRoundTrips; ++i) Leaf(&count);
    };
    fringe::OnStack(stack, call);
    const SingleStep step(&VisitInstruction);
    for (int i = 0; i < kRoundTrips; ++i) fringe::OnStack(stack, call);
  });
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  fringe::testing::main_function = fringe::testing::ThisFunction();
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  fringe::testing::KeepFrame();
  return result;
}

#endif  // defined(__arm__)
