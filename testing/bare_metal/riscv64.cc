// The board `virt` of qemu-system-riscv64 without firmware. It starts in machine mode.

#include <cstdint>

#include "testing/bare_metal/machine.h"

asm(R"(
  .pushsection .reset, "ax"
  .globl fringe_testing_start
fringe_testing_start:
  li t0, 1 << 13                # mstatus.FS: floating point does not trap
  csrs mstatus, t0
  lla t0, .Ltrap
  csrw mtvec, t0
  lla sp, fringe_testing_stack_base
  li s0, 0
  li t0, -1                     # no timer yet
  li t1, 0x02004000
  sd t0, (t1)
  li t0, 1 << 7                 # mie.MTIE
  csrs mie, t0
  csrsi mstatus, 1 << 3         # mstatus.MIE
  call fringe_testing_run

  .balign 4
.Ltrap:
  addi sp, sp, -32
  sd t0, 0(sp)
  sd t1, 8(sp)
  lla t1, fringe_testing_interruption
  csrr t0, mepc                 # where it was interrupted
  sd t0, 0(t1)
  sd sp, 8(t1)
  csrr t0, mcause
  bgez t0, .Lexception          # not an interrupt
  li t1, 0x02004000             # mtimecmp
  li t0, -1
  sd t0, (t1)
  ld t0, 0(sp)
  ld t1, 8(sp)
  addi sp, sp, 32
  mret
.Lexception:
  call fringe_testing_on_unexpected
  .popsection
)");

namespace fringe::testing {
namespace {

// A register of a device.
template <typename T>
volatile T& Register(uintptr_t address) {
  return *reinterpret_cast<volatile T*>(address);
}

}  // namespace

void Write(const char* text) {
  constexpr uintptr_t kSerialPort = 0x10000000;
  for (; *text != '\0'; ++text) Register<char>(kSerialPort) = *text;
}

// The device `sifive_test`: 0x3333 means failure, with a status that becomes the emulator's.
void End(Status status) {
  for (;;) Register<uint32_t>(0x100000) = uint32_t{status} << 16 | 0x3333;
}

void StartTimer(uint32_t ticks) {
  Register<uint64_t>(0x02004000) = Register<uint64_t>(0x0200bff8) + ticks;  // mtimecmp, mtime
}

}  // namespace fringe::testing
