// Uses generators on a thread with a hardware shadow stack. Each check prints a line. The image
// ends with `kWell` if none fails.

#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"
#include "testing/bare_metal/machine.h"
#include "testing/x86_shadow_stack/machine.h"

namespace fringe::testing {
namespace {

constexpr size_t kStackBytes = 16 << 10;
constexpr size_t kStacks = 8;
alignas(kStackAlignment) constinit std::byte memory[kStacks * kStackBytes] = {};

SpanStack StackNumber(size_t i) {
  return *SpanStack::Create(std::span(memory + i * kStackBytes, kStackBytes));
}

uint32_t failures = 0;

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
          *reinterpret_cast<volatile uint64_t*>(MapShadowStack()) = 1;
        }).Is(kPageFault, kPresentWriteUser),
        "Cpu.StoreToShadowStackFaults");
  Check(Attempt([] {
          asm volatile("wrssq %0, (%1)" : : "r"(1L), "r"(MapShadowStack()));
        }).Is(kInvalidOpcode, 0),
        "Cpu.WritingInstructionIsOff");
  Check(Attempt([] {
          asm volatile("rstorssp (%0)" : : "r"(MapShadowStack() - 8));
        }).Is(kControlProtection, kRestoreShadowStack),
        "Cpu.SwitchWithoutTokenFaults");
#if defined(__CET__) && (__CET__ & 1)
  Check(Attempt([] {
          asm volatile("leaq 1f(%%rip), %%rax\n\tjmp *%%rax\n1:\tnop" : : : "rax");
        }).Is(kControlProtection, kEndBranch),
        "Cpu.JumpWithoutLandingPadFaults");
#endif
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

}  // namespace
}  // namespace fringe::testing

void fringe_testing_main() {
  using namespace fringe::testing;
  TestCpu();
  TestSwitchThatLeavesShadowStack();
  End(failures == 0 ? kWell : kWrong);
}
