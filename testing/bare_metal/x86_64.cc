// The machine `microvm` of qemu-system-x86_64. It starts from the PVH note, in 32-bit mode and
// without paging.

#include <cstdint>

#include "testing/bare_metal/machine.h"

// XEN_ELFNOTE_PHYS32_ENTRY is 18: "x86/HVM direct boot ABI" of Xen.
asm(R"(
  .pushsection .note.pvh, "a", @note
  .balign 4
  .long 4, 4, 18
  .asciz "Xen"
  .long fringe_testing_start
  .popsection

  .pushsection .bss
  .balign 4096
.Lpage_map_level_4:
  .skip 4096
.Lpage_directory_pointers:
  .skip 4096
.Lpage_directories:
  .skip 4 * 4096
  .popsection

  .pushsection .rodata
  .balign 8
.Ldescriptors:
  .quad 0
  .quad 0x00af9a000000ffff      # 64-bit code
  .quad 0x00cf92000000ffff      # data
.Ldescriptors_pointer:
  .word . - .Ldescriptors - 1
  .quad .Ldescriptors
  .popsection

  .pushsection .reset, "ax"
  .code32
  .globl fringe_testing_start
fringe_testing_start:
  cli
  cld
  # Every address below 4 GiB is itself, in pages of 2 MiB.
  movl $.Lpage_directory_pointers + 3, .Lpage_map_level_4
  xorl %ecx, %ecx
  movl $.Lpage_directories + 3, %eax
1:
  movl %eax, .Lpage_directory_pointers(, %ecx, 8)
  addl $4096, %eax
  incl %ecx
  cmpl $4, %ecx
  jne 1b
  xorl %ecx, %ecx
  movl $0x83, %eax              # present, writable, large
2:
  movl %eax, .Lpage_directories(, %ecx, 8)
  addl $0x200000, %eax
  incl %ecx
  cmpl $4 * 512, %ecx
  jne 2b
  movl $.Lpage_map_level_4, %eax
  movl %eax, %cr3
  movl $0x620, %eax             # PAE, OSFXSR, OSXMMEXCPT
  movl %eax, %cr4
  movl $0xc0000080, %ecx        # EFER
  rdmsr
  orl $0x100, %eax              # LME
  wrmsr
  movl $0x80000013, %eax        # PG, ET, MP, PE; not EM
  movl %eax, %cr0
  lgdt .Ldescriptors_pointer
  ljmp $8, $.Llong_mode
  .code64
.Llong_mode:
  movl $16, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  leaq fringe_testing_stack_base(%rip), %rsp
  xorl %ebp, %ebp
  call fringe_testing_start_interrupts
  sti
  call fringe_testing_run
  .popsection

  .pushsection .text
  .globl fringe_testing_timer
fringe_testing_timer:
  pushq %rax
  movq 8(%rsp), %rax            # where it was interrupted
  movq %rax, fringe_testing_interruption(%rip)
  movq %rsp, fringe_testing_interruption + 8(%rip)
  movl $0xfee000b0, %eax        # end of interrupt
  movl $0, (%rax)
  popq %rax
  iretq
  .globl fringe_testing_exception
fringe_testing_exception:
  andq $-16, %rsp
  call fringe_testing_on_unexpected
  .popsection
)");

extern "C" {
void fringe_testing_timer();
void fringe_testing_exception();
void fringe_testing_start_interrupts();
}

namespace fringe::testing {
namespace {

constexpr uint8_t kTimerVector = 64;

void Out8(uint16_t port, uint8_t value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

// A register of the local APIC. ("Intel 64 and IA-32 Architectures Software Developer's Manual",
// volume 3, chapter "Advanced Programmable Interrupt Controller".)
volatile uint32_t& Apic(uintptr_t offset) {
  return *reinterpret_cast<volatile uint32_t*>(0xfee00000 + offset);
}

struct Gate {
  uint16_t address_0;
  uint16_t segment;
  uint16_t kind;
  uint16_t address_16;
  uint32_t address_32;
  uint32_t reserved;
};
Gate gates[256];

Gate GateTo(void (*handler)()) {
  const auto address = reinterpret_cast<uintptr_t>(handler);
  constexpr uint16_t kInterruptGate = 0x8e00;
  return {
      static_cast<uint16_t>(address),       8, kInterruptGate, static_cast<uint16_t>(address >> 16),
      static_cast<uint32_t>(address >> 32), 0};
}

}  // namespace

void Write(const char* text) {
  constexpr uint16_t kSerialPort = 0x3f8;
  for (; *text != '\0'; ++text) Out8(kSerialPort, static_cast<uint8_t>(*text));
}

// `isa-debug-exit` ends the emulator with twice the value plus 1.
void End(Status status) {
  asm volatile("outl %0, %1" : : "a"(uint32_t{status}), "Nd"(uint16_t{0xf4}));
  for (;;) asm volatile("cli\n\thlt");
}

void StartTimer(uint32_t ticks) {
  Apic(0x380) = ticks;  // initial count
}

}  // namespace fringe::testing

void fringe_testing_start_interrupts() {
  using namespace fringe::testing;
  for (Gate& gate : gates) gate = GateTo(&fringe_testing_exception);
  gates[kTimerVector] = GateTo(&fringe_testing_timer);
  struct [[gnu::packed]] {
    uint16_t last_byte;
    Gate* first;
  } const pointer = {sizeof gates - 1, gates};
  asm volatile("lidt %0" : : "m"(pointer));
  // Masks all interrupts of the two legacy interrupt controllers.
  Out8(0x21, 0xff);
  Out8(0xa1, 0xff);
  Apic(0xf0) = 0x1ff;          // spurious interrupts are vector 255; enabled
  Apic(0x3e0) = 0xb;           // divide by 1
  Apic(0x320) = kTimerVector;  // the timer, once
}
