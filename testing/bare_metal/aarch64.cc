// The board `virt` of qemu-system-aarch64. It starts in EL1, with the memory management unit off.

#include <cstdint>

#include "testing/bare_metal/machine.h"

asm(R"(
  .pushsection .reset, "ax"
  .globl fringe_testing_start
fringe_testing_start:
  mov x0, 3 << 20               // floating point and vectors do not trap
  msr cpacr_el1, x0
  adrp x0, .Lvectors
  add x0, x0, :lo12:.Lvectors
  msr vbar_el1, x0
  isb
  adrp x0, fringe_testing_stack_base
  add x0, x0, :lo12:fringe_testing_stack_base
  mov sp, x0
  mov x29, xzr
  bl fringe_testing_start_interrupts
  msr daifclr, 2
  bl fringe_testing_run

  // 16 kinds of exceptions, 128 bytes each. The sixth is an interrupt at the same level on the same
  // stack.
  .balign 2048
.Lvectors:
  .rept 5
  .balign 128
  b .Lexception
  .endr
  .balign 128
  b .Ltimer
  .rept 10
  .balign 128
  b .Lexception
  .endr

.Ltimer:
  stp x0, x1, [sp, -32]!
  str x2, [sp, 16]
  mrs x0, elr_el1               // the interrupted address
  mov x1, sp
  adrp x2, fringe_testing_interruption
  add x2, x2, :lo12:fringe_testing_interruption
  stp x0, x1, [x2]
  msr cntv_ctl_el0, xzr
  mov x2, 0x08010000            // the interrupt controller's interface
  ldr w0, [x2, 0x0c]            // acknowledge
  str w0, [x2, 0x10]            // end of interrupt
  ldr x2, [sp, 16]
  ldp x0, x1, [sp], 32
  eret

.Lexception:
  bl fringe_testing_on_unexpected
  .popsection
)");

extern "C" void fringe_testing_start_interrupts();

namespace fringe::testing {
namespace {

// A register of a device.
volatile uint32_t& Register(uintptr_t address) {
  return *reinterpret_cast<volatile uint32_t*>(address);
}

}  // namespace

void Write(const char* text) {
  constexpr uintptr_t kSerialPort = 0x09000000;
  for (; *text != '\0'; ++text) Register(kSerialPort) = static_cast<unsigned char>(*text);
}

// "Semihosting for AArch32 and AArch64": SYS_EXIT (0x18) because of ADP_Stopped_ApplicationExit.
void End(Status status) {
  const uint64_t block[] = {0x20026, status};
  register uint64_t x0 asm("x0") = 0x18;
  register const uint64_t* x1 asm("x1") = block;
  for (;;) asm volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
}

void StartTimer(uint32_t ticks) {
  asm volatile(
      "msr cntv_tval_el0, %0\n\t"
      "msr cntv_ctl_el0, %1"
      :
      : "r"(uint64_t{ticks}), "r"(uint64_t{1}));
}

}  // namespace fringe::testing

// "ARM Generic Interrupt Controller Architecture Specification", version 2.
void fringe_testing_start_interrupts() {
  using fringe::testing::Register;
  constexpr uintptr_t kDistributor = 0x08000000;
  constexpr uintptr_t kInterface = 0x08010000;
  constexpr uint32_t kVirtualTimer = 27;
  Register(kDistributor + 0x000) = 1;                    // enabled
  Register(kDistributor + 0x100) = 1U << kVirtualTimer;  // set-enable
  Register(kInterface + 0x04) = 0xff;                    // every priority
  Register(kInterface + 0x00) = 1;                       // enabled
}
