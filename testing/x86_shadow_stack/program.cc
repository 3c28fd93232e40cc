// Uses generators on a thread with a hardware shadow stack. Each check prints a line. The image
// ends with `kWell` if none fails.

#include <unwind.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <utility>

#include "arch/arch.h"
#include "arch/shadow_stack.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"
#include "testing/bare_metal/machine.h"
#include "testing/x86_shadow_stack/machine.h"

namespace fringe::testing {

#if defined(__CET__) && (__CET__ & 1)
const bool kHasLandingPads = true;
#else
const bool kHasLandingPads = false;
#endif

namespace {

constexpr size_t kStackBytes = 32 << 10;
constexpr size_t kStacks = 8;
alignas(kStackAlignment) constinit std::byte memory[kStacks * kStackBytes] = {};

SpanStack StackNumber(size_t i) {
  return *SpanStack::Create(std::span(memory + i * kStackBytes, kStackBytes));
}

uint32_t failures = 0;

bool StartsWith(const char* text, const char* start) {
  for (; *start != '\0'; ++text, ++start) {
    if (*text != *start) return false;
  }
  return true;
}

void Check(bool holds, const char* what) {
  if (!holds) ++failures;
  Write(holds ? "ok " : "FAILED ");
  Write(what);
  Write("\n");
}

// --- The CPU -------------------------------------------------------------------------------------

// A function that returns behind the `ud2` that follows the call of it.
asm(R"(
  .pushsection .text
  .globl fringe_testing_return_elsewhere
fringe_testing_return_elsewhere:
  endbr64
  call 1f
  ud2
2:
  ret
1:
  movq $2b, (%rsp)
  ret
  .popsection
)");
extern "C" void fringe_testing_return_elsewhere();

void TestCpu() {
  Check(Attempt([] {}).vector == kNone, "Cpu.NoFault");
  uint16_t segment;
  asm volatile("movw %%cs, %0" : "=r"(segment));
  Check((segment & 3) == 3, "Cpu.Ring3");
  const uintptr_t before = ShadowStackPointer();
  const Fault elsewhere = Attempt(&fringe_testing_return_elsewhere);
  if (!HasShadowStack()) {
    Check(before == 0, "Cpu.NoShadowStack");
    Check(elsewhere.vector == kNone, "Cpu.NoShadowStackNoFault");
    return;
  }
  Check(before != 0, "Cpu.ShadowStack");
  Check(elsewhere.Is(kControlProtection, kNearReturn), "Cpu.ReturnElsewhereFaults");
  Check(ShadowStackPointer() == before, "Cpu.ContinuesAfterFault");
  constexpr uint64_t kPresentWriteUser = 7;
  Check(Attempt([] {
          *reinterpret_cast<volatile uint64_t*>(MapShadowStack(kPageBytes)) = 1;
        }).Is(kPageFault, kPresentWriteUser),
        "Cpu.StoreToShadowStackFaults");
  Check(Attempt([] {
          asm volatile("wrssq %0, (%1)" : : "r"(1L), "r"(MapShadowStack(kPageBytes)));
        }).Is(kInvalidOpcode, 0),
        "Cpu.WritingInstructionIsOff");
  Check(Attempt([] {
          asm volatile("rstorssp (%0)" : : "r"(MapShadowStack(kPageBytes)));
        }).Is(kControlProtection, kRestoreShadowStack),
        "Cpu.SwitchWithoutTokenFaults");
  if (!kHasLandingPads) return;
  Check(Attempt([] {
          asm volatile("leaq 1f(%%rip), %%rax\n\tjmp *%%rax\n1:\tnop" : : : "rax");
        }).Is(kControlProtection, kEndBranch),
        "Cpu.JumpWithoutLandingPadFaults");
}

// --- A switch that leaves the shadow stack as it is ----------------------------------------------

[[gnu::noinline]] void SuspendInCall(arch::LinkRecord* record) {
  arch::Suspend(0, record);
  asm volatile("");
}

void CallAndSuspend(uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
  SuspendInCall(record);
  arch::Finish(0, record);
}

[[gnu::noinline]] void ResumeInCall(arch::LinkRecord* record) {
  arch::Resume(0, record);
  asm volatile("");
}

void ResumePlainly() {
  const SpanStack stack = StackNumber(0);
  std::byte* const place = stack.base() - sizeof(arch::LinkRecord);
  auto* const record = reinterpret_cast<arch::LinkRecord*>(place);
  arch::Init(record, place, &CallAndSuspend);
  ResumeInCall(record);
  ResumeInCall(record);
}

// The negative control of everything below.
void TestSwitchThatLeavesShadowStack() {
  const uintptr_t before = ShadowStackPointer();
  const Fault fault = Attempt(&ResumePlainly);
  if (!HasShadowStack()) {
    Check(fault.vector == kNone, "PlainSwitch.Works");
    return;
  }
  Check(fault.Is(kControlProtection, kNearReturn), "PlainSwitch.Faults");
  const auto* const sp = reinterpret_cast<const std::byte*>(fault.sp);
  Check(sp < memory || sp >= memory + sizeof memory, "PlainSwitch.FaultsInResumer");
  Check(ShadowStackPointer() == before, "PlainSwitch.ContinuesAfterFault");
}

// --- The cost for threads without one ------------------------------------------------------------

Generator<int, int, SpanStack>* echo = nullptr;

// Prints the number of instructions of a resume and a suspend. testing/x86_shadow_stack/run
// compares that of images with and without support for shadow stacks.
void CountSteps() {
  auto generator =
      Generator<int, int, SpanStack>::Unguarded(StackNumber(0), [](auto& yielder, int input) {
        while (input != 0) input = yielder.Suspend(input);
      });
  echo = &generator;
  const bool is_right = generator.Resume(1) == 1;
  const uint64_t without = InSingleSteps([] {});
  const uint64_t with = InSingleSteps([] { (void)echo->Resume(2); });
  Check(is_right && !generator.Resume(0), "Steps.Work");
  Write("steps ");
  WriteNumber(with - without);
  Write("\n");
}

#if defined(__CET__) && (__CET__ & 2)
static_assert(FRINGE_SHADOW_STACKS == 1, "-fcf-protection=return and full must give support");
#else
static_assert(FRINGE_SHADOW_STACKS == 0, "other code must not change");
#endif

#if FRINGE_SHADOW_STACKS

// --- The shadow stacks of generators -------------------------------------------------------------

// How many were acquired, how many are in use, and how many were released with addresses on them.
size_t acquired = 0;
size_t used = 0;
size_t abandoned = 0;

bool IsToken(const void* place) {
  const auto address = reinterpret_cast<uintptr_t>(place);
  return ReadShadowStack(address) == ((address + sizeof(void*)) | 1);
}

// The image is linked with --wrap for these two, which are in stacks/shadow_stacks.cc.
extern "C" {
void* __real_fringe_acquire_shadow_stack(size_t stack_bytes) noexcept;
void __real_fringe_release_shadow_stack(arch::ShadowStack shadow_stack,
                                        size_t stack_bytes) noexcept;

void* __wrap_fringe_acquire_shadow_stack(size_t stack_bytes) noexcept {
  ++acquired;
  ++used;
  void* const token = __real_fringe_acquire_shadow_stack(stack_bytes);
  if (!IsToken(token)) Check(false, "Acquired.HasAToken");
  return token;
}

void __wrap_fringe_release_shadow_stack(arch::ShadowStack shadow_stack,
                                        size_t stack_bytes) noexcept {
  --used;
  if (shadow_stack.token != shadow_stack.empty_token) ++abandoned;
  if (!IsToken(shadow_stack.token)) Check(false, "Released.HasItsToken");
  __real_fringe_release_shadow_stack(shadow_stack, stack_bytes);
}
}

// Checks that all is as before a test.
class Unchanged {
 public:
  bool operator()() const { return ShadowStackPointer() == pointer_ && used == 0; }

 private:
  uintptr_t pointer_ = ShadowStackPointer();
};

// --- Generators ----------------------------------------------------------------------------------

template <typename Output, typename Input = void>
using OnSpan = Generator<Output, Input, SpanStack>;

// A complete binary tree: the node `i` has the children `2 * i` and `2 * i + 1`.
// NOLINTNEXTLINE(misc-no-recursion): this is what it tests.
[[gnu::noinline]] void Walk(Yielder<unsigned>& yielder, unsigned node, unsigned nodes) {
  if (node > nodes) return;
  Walk(yielder, 2 * node, nodes);
  yielder.Suspend(node);
  Walk(yielder, 2 * node + 1, nodes);
}

OnSpan<unsigned> MakeWalk(size_t stack, unsigned nodes) {
  return OnSpan<unsigned>::Unguarded(
      StackNumber(stack), [nodes](Yielder<unsigned>& yielder) { Walk(yielder, 1, nodes); });
}

// Resumes below `depth` calls, so that a shadow stack which is not switched does not fit by chance.
template <typename Output>
// NOLINTNEXTLINE(misc-no-recursion): as it says.
[[gnu::noinline]] std::optional<Output> ResumeBelow(unsigned depth, OnSpan<Output>& generator) {
  if (depth == 0) return generator.Resume();
  std::optional<Output> output = ResumeBelow(depth - 1, generator);
  asm volatile("");
  return output;
}

// `nodes` is a power of two minus 1.
bool WalkIsRight(size_t stack, unsigned nodes) {
  OnSpan<unsigned> walk = MakeWalk(stack, nodes);
  unsigned count = 0;
  bool is_right = true;
  while (const std::optional<unsigned> node = ResumeBelow(count % 5, walk)) {
    ++count;
    const auto height = static_cast<unsigned>(__builtin_ctz(count));
    is_right = is_right && *node == (nodes + 1 + count) >> (height + 1);
  }
  return is_right && count == nodes && walk.state() == State::kUnavailable;
}

void TestGenerators() {
  const Unchanged unchanged;
  const size_t before = ShadowStackMappings();
  Check(WalkIsRight(0, 255), "Generator.Recursive");
  Check(unchanged(), "Generator.RecursiveLeavesNothing");
  bool is_right = true;
  for (size_t i = 0; i < 50; ++i) is_right = is_right && WalkIsRight(i % 3, i % 2 ? 127 : 31);
  Check(is_right, "Generator.Many");
  Check(unchanged() && ShadowStackMappings() <= before + 1, "Generator.ManyUseOneShadowStack");

  OnSpan<unsigned> walks[] = {MakeWalk(0, 63), MakeWalk(1, 63), MakeWalk(2, 63)};
  for (unsigned i = 0; i < 3 * 63; ++i) {
    const unsigned count = i / 3 + 1;
    const auto height = static_cast<unsigned>(__builtin_ctz(count));
    is_right = is_right && ResumeBelow(i % 4, walks[i % 3]) == (64 + count) >> (height + 1);
  }
  Check(is_right, "Generator.InTurn");
  Check(used == (HasShadowStack() ? 3 : 0), "Generator.EachHasAShadowStack");
  for (OnSpan<unsigned>& walk : walks) {
    OnSpan<unsigned> moved = std::move(walk);
    is_right = is_right && !moved.Resume() && !moved.Resume();
  }
  Check(is_right && unchanged(), "Generator.EndGivesBackTheShadowStack");

  const size_t acquired_before = acquired;
  { const OnSpan<unsigned> never_resumed = MakeWalk(0, 63); }
  Check(unchanged() && acquired == acquired_before, "Generator.NeedsNoneBeforeItsStart");
}

// Every other generator is abandoned where it is.
// NOLINTNEXTLINE(misc-no-recursion): this is what it tests.
[[gnu::noinline]] int Nested(size_t depth, int input) {
  auto inner = OnSpan<int, int>::Unguarded(StackNumber(depth), [depth](auto& yielder, int in) {
    for (int i = 0; i < 3; ++i) {
      in = yielder.Suspend(depth + 1 == kStacks ? in : Nested(depth + 1, in) + 1);
    }
  });
  int result = 0;
  for (int i = 0; i < 3; ++i) result = *inner.Resume(input);
  if (depth % 2 == 0) {
    (void)std::move(inner).UnsafeUnwrap();
  } else {
    while (inner.Resume(0)) {
    }
  }
  return result;
}

void TestNested() {
  const Unchanged unchanged;
  Check(Nested(kStacks - 4, 7) == 7 + 3, "Nested.Works");
  Check(unchanged(), "Nested.LeavesNothing");
}

void TestAbandoned() {
  const Unchanged unchanged;
  const size_t abandoned_before = abandoned;
  const size_t mappings_before = ShadowStackMappings();
  bool is_right = true;
  for (unsigned nodes : {31U, 63U}) {
    for (unsigned resumes = 1; resumes <= nodes; ++resumes) {
      OnSpan<unsigned> walk = MakeWalk(3, nodes);
      for (unsigned i = 0; i < resumes; ++i) is_right = is_right && ResumeBelow(i % 3, walk);
      (void)std::move(walk).UnsafeUnwrap();
    }
  }
  Check(is_right, "Abandoned.AtEveryNode");
  Check(unchanged(), "Abandoned.LeavesNothing");
  Check((abandoned != abandoned_before) == HasShadowStack(), "Abandoned.ShadowStackIsNotEmpty");
  // The first ones had been kept.
  Check((ShadowStackMappings() < mappings_before) == HasShadowStack(),
        "Abandoned.ShadowStackIsUnmapped");
  // Never resumed: no shadow stack.
  (void)MakeWalk(3, 3).UnsafeUnwrap();
  Check(unchanged(), "Abandoned.BeforeItsStart");
}

// Returns: the result of `function`, which is called below `depth` calls, plus `depth`.
// NOLINTNEXTLINE(misc-no-recursion): as it says.
[[gnu::noinline]] int CallBelow(int depth, int (*function)()) {
  if (depth == 0) return function();
  const int result = CallBelow(depth - 1, function);
  asm volatile("");
  return result + 1;
}

void TestOnStack() {
  const Unchanged unchanged;
  int local = 1;
  const int result = OnStack(StackNumber(4), [&] {
    return OnStack(StackNumber(5), [&] { return WalkIsRight(6, 31) ? ++local + 40 : 0; });
  });
  Check(result == 42 && local == 2, "OnStack.Works");
  // More calls than fit on one shadow stack.
  const int depth = OnStack(StackNumber(4), [] {
    return CallBelow(280, [] {
      return OnStack(StackNumber(5), [] { return CallBelow(280, [] { return 0; }); });
    });
  });
  Check(depth == 560, "OnStack.HasItsOwnShadowStack");
  Check(unchanged(), "OnStack.LeavesNothing");
}

void TestSingleSteps() {
  const Unchanged unchanged;
  static bool is_right = false;
  const uint64_t steps = InSingleSteps([] { is_right = WalkIsRight(0, 63); });
  Check(is_right && unchanged(), "SingleSteps.ChangeNothing");
  Check(steps > 1000, "SingleSteps.Happen");
}

// --- Threads with and without a shadow stack -----------------------------------------------------

OnSpan<unsigned>* travelling = nullptr;

// A generator stays on threads of the kind that it has started on.
void TestOtherThreads() {
  const Unchanged unchanged;
  const auto resume = [] { (void)ResumeBelow(1, *travelling); };
  {
    OnSpan<unsigned> walk = MakeWalk(0, 31);
    travelling = &walk;
    bool is_right = ResumeBelow(2, walk) == 16U;
    ToggleShadowStack();
    const char* const sentence = Misuse(resume);
    ToggleShadowStack();
    Check(StartsWith(sentence, HasShadowStack() ? "a generator that was started with a" : "") &&
              (*sentence != '\0') == HasShadowStack(),
          "OtherThread.CannotContinueWithoutShadowStack");
    while (ResumeBelow(3, walk)) is_right = is_right && used == (HasShadowStack() ? 1 : 0);
    Check(is_right && unchanged(), "OtherThread.ContinuesWithShadowStack");
  }
  {
    ToggleShadowStack();
    OnSpan<unsigned> walk = MakeWalk(0, 31);
    travelling = &walk;
    bool is_right = ResumeBelow(2, walk) == 16U;
    ToggleShadowStack();
    const char* const sentence = Misuse(resume);
    Check(StartsWith(sentence, HasShadowStack() ? "a generator that was started without a" : "") &&
              (*sentence != '\0') == HasShadowStack(),
          "OtherThread.CannotContinueWithShadowStack");
    ToggleShadowStack();
    while (ResumeBelow(3, walk)) is_right = is_right && used == 0;
    ToggleShadowStack();
    Check(is_right && unchanged(), "OtherThread.ContinuesWithoutShadowStack");
  }
  // Created without, and started with one.
  ToggleShadowStack();
  OnSpan<unsigned> walk = MakeWalk(0, 31);
  ToggleShadowStack();
  bool is_right = true;
  while (ResumeBelow(3, walk)) is_right = is_right && used == (HasShadowStack() ? 1 : 0);
  Check(is_right && unchanged(), "OtherThread.StartsAnywhere");
}

// --- Exceptions ----------------------------------------------------------------------------------

// The unwind tables (image.ld), and the function of libgcc that reads them.
extern "C" {
extern const char fringe_testing_eh_frame[];
void __register_frame_info(const void* frames, void* object);
}

int alive = 0;
struct Counted {
  Counted() { ++alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --alive; }
};

// NOLINTNEXTLINE(misc-no-recursion): unwinds many frames.
[[gnu::noinline]] int ThrowBelow(int depth) {
  const Counted counted;
  if (depth == 0) throw 42;
  const int result = ThrowBelow(depth - 1);
  asm volatile("");
  return result + 1;
}

[[gnu::noinline]] bool CatchesFrom(int depth) {
  try {
    return ThrowBelow(depth) < 0;
  } catch (int i) {
    return i == 42;
  }
}

// Throws, catches and suspends while another exception is handled.
[[gnu::noinline]] bool CatchesFromHandler(Yielder<int>& yielder) {
  try {
    ThrowBelow(3);
  } catch (int i) {
    yielder.Suspend(200);
    return i == 42;
  }
  return false;
}

// Suspends in every frame and in a handler, and throws from the bottom through all of them.
constexpr int kDeepest = 8;
// NOLINTNEXTLINE(misc-no-recursion): unwinds frames that have suspended.
[[gnu::noinline]] void Descend(Yielder<int>& yielder, int depth) {
  const Counted counted;
  yielder.Suspend(depth);
  if (depth == kDeepest) throw depth;
  if (depth != kDeepest / 2) {
    Descend(yielder, depth + 1);
    return;
  }
  try {
    Descend(yielder, depth + 1);
  } catch (int i) {
    yielder.Suspend(100 + i);
    if (CatchesFromHandler(yielder)) throw;
  }
}

// The functions that an unwinder finds, from the generator's to `TestBacktrace`.
size_t frames_of_walk = 0;
size_t frames_of_resumer = 0;
bool finds_test = false;

void WalkAndLook(Yielder<int>& yielder, int depth);
void TestBacktrace();

_Unwind_Reason_Code NoteFrame(_Unwind_Context* context, void*) {
  int is_before = 0;
  const uintptr_t pc = _Unwind_GetIPInfo(context, &is_before) - (is_before == 0 ? 1 : 0);
  void* const function = _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(pc));
  if (function == reinterpret_cast<void*>(&WalkAndLook)) ++frames_of_walk;
  if (function == reinterpret_cast<void*>(&ResumeBelow<int>)) ++frames_of_resumer;
  if (function == reinterpret_cast<void*>(&TestBacktrace)) finds_test = true;
  return _URC_NO_REASON;
}

// NOLINTNEXTLINE(misc-no-recursion): a backtrace of several frames.
[[gnu::noinline]] void WalkAndLook(Yielder<int>& yielder, int depth) {
  yielder.Suspend(depth);
  if (depth == 4) {
    _Unwind_Backtrace(&NoteFrame, nullptr);
  } else {
    WalkAndLook(yielder, depth + 1);
  }
  yielder.Suspend(depth);
}

[[gnu::noinline]] void TestBacktrace() {
  const Unchanged unchanged;
  auto generator = OnSpan<int>::Unguarded(StackNumber(3),
                                          [](Yielder<int>& yielder) { WalkAndLook(yielder, 0); });
  while (frames_of_walk == 0 && ResumeBelow(6, generator)) {
  }
  Check(frames_of_walk == 5, "Backtrace.HasTheGenerator");
  Check(frames_of_resumer == 7, "Backtrace.HasTheResumer");
  Check(finds_test, "Backtrace.GoesOn");
  while (ResumeBelow(6, generator)) {
  }
  Check(unchanged(), "Backtrace.LeavesNothing");
}

void TestExceptions() {
  const Unchanged unchanged;
  Check(CatchesFrom(0) && CatchesFrom(10) && CatchesFrom(300) && alive == 0,
        "Exceptions.WithoutGenerator");
  Check(unchanged(), "Exceptions.WithoutGeneratorLeaveNothing");

  bool is_right = true;
  for (unsigned round = 0; round < 10; ++round) {
    auto generator = OnSpan<int>::Unguarded(StackNumber(round % 2),
                                            [](Yielder<int>& yielder) { Descend(yielder, 0); });
    for (int i = 0; i <= kDeepest; ++i)
      is_right = is_right && ResumeBelow(round % 3, generator) == i;
    is_right = is_right && ResumeBelow(1, generator) == 100 + kDeepest;
    // The generator waits in a handler: the resumer is in none.
    is_right = is_right && std::current_exception() == nullptr;
    is_right = is_right && ResumeBelow(2, generator) == 200;
    bool has_thrown = false;
    try {
      ResumeBelow(4, generator);
    } catch (int i) {
      has_thrown = i == kDeepest;
    }
    is_right = is_right && has_thrown && alive == 0 && !generator.Resume();
  }
  Check(is_right, "Exceptions.LeaveTheBody");
  Check(unchanged(), "Exceptions.LeaveNothing");

  for (int resumes = 0; resumes <= kDeepest + 3; ++resumes) {
    {
      auto generator = OnSpan<int>::Unguarded(StackNumber(2), [](Yielder<int>& yielder) {
        const Counted counted;
        Descend(yielder, 0);
      });
      for (int i = 0; i < resumes; ++i) is_right = is_right && ResumeBelow(1, generator);
    }
    is_right = is_right && alive == 0;
  }
  Check(is_right, "Exceptions.DestructionUnwinds");
  Check(unchanged(), "Exceptions.DestructionLeavesNothing");

  int caught = 0;
  try {
    OnStack(StackNumber(4), [] { return ThrowBelow(20); });
  } catch (int i) {
    caught = i;
  }
  Check(caught == 42 && alive == 0 && unchanged(), "Exceptions.LeaveOnStack");
}

#else

// --- Code that is not compiled for shadow stacks -------------------------------------------------

void TestWithoutSupport() {
  const auto make = [] {
    (void)Generator<int, void, SpanStack>::Unguarded(StackNumber(0), [](auto&) {});
  };
  const auto call = [] { OnStack(StackNumber(0), [] {}); };
  if (!HasShadowStack()) {
    Check(*Misuse(make) == '\0' && *Misuse(call) == '\0', "WithoutSupport.Works");
    return;
  }
  constexpr const char* kStart = "generators cannot run with a hardware shadow stack";
  Check(StartsWith(Misuse(make), kStart), "WithoutSupport.GeneratorIsFatal");
  Check(StartsWith(Misuse(call), kStart), "WithoutSupport.OnStackIsFatal");
}

#endif

}  // namespace
}  // namespace fringe::testing

void fringe_testing_main() {
  using namespace fringe::testing;
  TestCpu();
  TestSwitchThatLeavesShadowStack();
  if (!HasShadowStack()) CountSteps();
#if FRINGE_SHADOW_STACKS
  TestGenerators();
  TestNested();
  TestAbandoned();
  TestOnStack();
  TestSingleSteps();
  TestOtherThreads();
  static uintptr_t object[8];
  __register_frame_info(fringe_testing_eh_frame, object);
  TestExceptions();
  TestBacktrace();
#else
  TestWithoutSupport();
#endif
  End(failures == 0 ? kWell : kWrong);
}
