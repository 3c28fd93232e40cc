// The board `mps2-an500` of qemu-system-arm, whose CPU is a Cortex-M7. It starts from the vectors
// at address 0, in Thumb state.

#include <cstdint>

#include "testing/bare_metal/machine.h"

// The vectors: the initial stack pointer, the reset handler, then one word per exception. The
// timer's is the sixteenth. The CPU itself saves r0 to r3, r12, lr, pc and the flags, in this
// order.
asm(R"(
  .syntax unified
  .thumb
  .pushsection .reset, "ax"
  .word fringe_testing_stack_base
  .word fringe_testing_start
  .rept 13
  .word .Lexception
  .endr
  .word .Ltimer

  .thumb_func
  .globl fringe_testing_start
  .type fringe_testing_start, %function
fringe_testing_start:
  ldr r0, =0xe000ed88           @ CPACR
  movs r1, 0xf
  lsls r1, r1, 20               @ floating point does not trap
  str r1, [r0]
  dsb
  isb
  movs r7, 0
  bl fringe_testing_run

  .thumb_func
  .type .Ltimer, %function
.Ltimer:
  ldr r0, [sp, 24]              @ where it was interrupted
  mov r1, sp
  ldr r2, =fringe_testing_interruption
  stm r2, {r0, r1}
  ldr r2, =0xe000e010           @ SYST_CSR: off
  movs r0, 0
  str r0, [r2]
  bx lr

  .thumb_func
  .type .Lexception, %function
.Lexception:
  bl fringe_testing_on_unexpected
  .balign 4
  .ltorg
  .popsection
)");

namespace fringe::testing {
namespace {

// A register of a device.
volatile uint32_t& Register(uintptr_t address) {
  return *reinterpret_cast<volatile uint32_t*>(address);
}

// "Semihosting for AArch32 and AArch64".
void CallHost(uint32_t operation, const void* argument) {
  register uint32_t r0 asm("r0") = operation;
  register const void* r1 asm("r1") = argument;
  asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

}  // namespace

void Write(const char* text) {
  constexpr uintptr_t kSerialPort = 0x40004000;
  Register(kSerialPort + 0x10) = 16;  // the minimum divisor of the baud rate
  Register(kSerialPort + 0x08) = 1;   // transmitter on
  for (; *text != '\0'; ++text) Register(kSerialPort) = static_cast<unsigned char>(*text);
}

// SYS_EXIT_EXTENDED (0x20) because of ADP_Stopped_ApplicationExit.
void End(Status status) {
  const uint32_t block[] = {0x20026, status};
  for (;;) CallHost(0x20, block);
}

// "Armv7-M Architecture Reference Manual", section "The system timer, SysTick".
void StartTimer(uint32_t ticks) {
  Register(0xe000e014) = ticks;  // reload value
  Register(0xe000e018) = 0;      // reload
  Register(0xe000e010) = 7;      // CPU clock, interrupt enabled, on
}

}  // namespace fringe::testing
