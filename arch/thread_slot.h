// One pointer per thread, for the layer above the switch.
//
// A compiler may compute the address of a thread-local variable once and use it again after a
// switch, when the generator runs on another thread (LLVM issue 98479). The statements below
// compute the address and load from it at once, so that there is no address to keep.

#ifndef FRINGE_ARCH_THREAD_SLOT_H_
#define FRINGE_ARCH_THREAD_SLOT_H_

#include <cstdint>

#if defined(__i386__)
#include "arch.h"
#endif

extern "C" {
// The pointer. The layer above defines it, with its initial value, as
// `thread_local constinit void* fringe_thread_slot`. Must be read by `LoadThreadSlot` alone.
extern thread_local constinit void* fringe_thread_slot __attribute__((tls_model("initial-exec")));
}

namespace fringe::arch {

// Whether `LoadThreadSlot` costs no more than to store what it returns and to load that again.
#if defined(__ELF__) && defined(__x86_64__)
inline constexpr bool kThreadSlotIsCheap = true;
#else
inline constexpr bool kThreadSlotIsCheap = false;
#endif

// Returns: what the running thread has in `fringe_thread_slot`.
// Cost: one load of the value. The address takes another, of the variable's offset.
#if defined(__ELF__) && defined(__x86_64__)
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  asm volatile(
      "{movq fringe_thread_slot@gottpoff(%%rip), %0|mov %0, fringe_thread_slot@gottpoff[rip]}\n\t"
      "{movq %%fs:(%0), %0|mov %0, fs:[%0]}"
      : "=r"(slot));
  return slot;
}
#elif defined(__ELF__) && defined(__aarch64__)
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  uintptr_t thread;
  asm volatile(
      "adrp %0, :gottprel:fringe_thread_slot\n\t"
      "ldr %0, [%0, :gottprel_lo12:fringe_thread_slot]\n\t"
      "mrs %1, tpidr_el0\n\t"
      "ldr %0, [%0, %1]"
      : "=r"(slot), "=r"(thread));
  return slot;
}
#elif defined(__ELF__) && defined(__mips_abicalls) && _MIPS_SIM == _ABI64 && \
    __mips_isa_rev >= 2 && __mips_isa_rev < 6
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  // A function computes $gp only if its compiler knows of a use. This computes it from the program
  // counter, which a call that is never taken leaves in $31.
  void* slot;
  uintptr_t offset;
  asm volatile(
      ".set push\n\t"
      ".set noreorder\n\t"
      "bltzal $0, 0f\n\t"
      "lui %1, %%hi(%%neg(%%gp_rel(0f)))  # in the delay slot\n"
      "0:\n\t"
      "daddu %1, %1, $31\n\t"
      "daddiu %1, %1, %%lo(%%neg(%%gp_rel(0b)))\n\t"
      "ld %1, %%gottprel(fringe_thread_slot)(%1)\n\t"
      "rdhwr $3, $29  # the thread pointer\n\t"
      "daddu %1, %1, $3\n\t"
      "ld %0, 0(%1)\n\t"
      ".set pop"
      : "=r"(slot), "=&r"(offset)
      :
      : "$3", "$31");
  return slot;
}
#elif defined(__ELF__) && defined(__powerpc64__) && _CALL_ELF == 2 && defined(__PCREL__)
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  asm volatile(
      "pld %0, fringe_thread_slot@got@tprel@pcrel(0), 1\n\t"
      "ldx %0, %0, fringe_thread_slot@tls@pcrel"
      : "=b"(slot));
  return slot;
}
#elif defined(__ELF__) && defined(__powerpc64__) && _CALL_ELF == 2
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  // A function sets r2 up only if its compiler knows of a use.
  register uintptr_t toc asm("r2");
  asm volatile("" : "=r"(toc));
  void* slot;
  asm volatile(
      "addis %0, %1, fringe_thread_slot@got@tprel@ha\n\t"
      "ld %0, fringe_thread_slot@got@tprel@l(%0)\n\t"
      "ldx %0, %0, fringe_thread_slot@tls"
      : "=&b"(slot)
      : "b"(toc));
  return slot;
}
#elif defined(__ELF__) && defined(__riscv) && __riscv_xlen == 64
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  asm volatile(
      "la.tls.ie %0, fringe_thread_slot\n\t"
      "add %0, %0, tp\n\t"
      "ld %0, (%0)"
      : "=r"(slot));
  return slot;
}
#elif defined(__ELF__) && defined(__loongarch_lp64)
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  asm volatile(
      "la.tls.ie %0, fringe_thread_slot\n\t"
      "ldx.d %0, %0, $tp"
      : "=r"(slot));
  return slot;
}
#elif defined(__ELF__) && defined(__arm__) && __ARM_ARCH >= 7
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  // The variable's offset is found by a word in the code, relative to label 0. The program counter
  // reads as 4 bytes further on in T32 code, and as 8 in A32 code.
#if defined(__thumb__)
  constexpr int kAhead = 4;
#else
  constexpr int kAhead = 8;
#endif
  void* slot;
  uintptr_t thread;
  asm volatile(
      "ldr %0, 1f\n\t"
      "mrc p15, 0, %1, c13, c0, 3\n"
      "0: add %0, pc, %0\n\t"
      "ldr %0, [%0]\n\t"
      "ldr %0, [%0, %1]\n\t"
      "b 2f\n\t"
      ".balign 4\n"
      "1: .word fringe_thread_slot(gottpoff) + (. - 0b - %c2)\n"
      "2:"
      : "=&r"(slot), "=&r"(thread)
      : "i"(kAhead));
  return slot;
}
#elif defined(__ELF__) && defined(__s390x__)
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  uintptr_t offset;
  asm volatile(
      "ear %0, %%a0\n\t"
      "sllg %0, %0, 32\n\t"
      "ear %0, %%a1\n\t"
      "larl %1, fringe_thread_slot@indntpoff\n\t"
      "lg %1, 0(%1)\n\t"
      "lg %0, 0(%1, %0)"
      : "=&a"(slot), "=&a"(offset)
      :
      : "cc");
  return slot;
}
#elif defined(__ELF__) && defined(__i386__) && defined(__PIC__)
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  asm volatile(
      "{movl fringe_thread_slot@gotntpoff(%1), %0|mov %0, fringe_thread_slot@gotntpoff[%1]}\n\t"
      "{movl %%gs:(%0), %0|mov %0, gs:[%0]}"
      : "=r"(slot)
      : "r"(GlobalOffsetTable()));
  return slot;
}
#elif defined(__ELF__) && defined(__i386__)
[[gnu::always_inline]] inline void* LoadThreadSlot() {
  void* slot;
  asm volatile(
      "{movl fringe_thread_slot@indntpoff, %0|mov %0, dword ptr fringe_thread_slot@indntpoff}\n\t"
      "{movl %%gs:(%0), %0|mov %0, gs:[%0]}"
      : "=r"(slot));
  return slot;
}
#else
// Not inlined: a function that returns the value, not its address, has no address to be kept.
[[gnu::noinline]] inline void* LoadThreadSlot() { return fringe_thread_slot; }
#endif

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_THREAD_SLOT_H_
