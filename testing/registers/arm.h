// The registers of 32-bit Arm, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_ARM_H_
#define FRINGE_TESTING_REGISTERS_ARM_H_

#include <cstdint>

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#if defined(__ARM_FP)
#define FRINGE_REGISTER_FLOAT "w"
#define FRINGE_REGISTER_LONG_DOUBLE "w"
#else
#define FRINGE_REGISTER_FLOAT "m"
#define FRINGE_REGISTER_LONG_DOUBLE "m"
#endif
#if defined(__ARM_NEON)
#define FRINGE_REGISTER_VECTOR128 "w"
#else
#define FRINGE_REGISTER_VECTOR128 "m"
#endif
#define FRINGE_REGISTER_VECTOR256 "m"
#define FRINGE_REGISTER_VECTOR512 "m"

namespace fringe::testing {

// As many as there are registers, and one more.
inline constexpr int kLiveLongDoubles = 33;

// Returns: the address of the instruction after the next, or one shortly after it.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const void* pc;
  asm volatile("mov %0, pc" : "=r"(pc));
  return pc;
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers. Not for functions that call `alloca` or have over-aligned locals: Clang keeps the
// address of those in `r6`.
[[gnu::always_inline]] inline void ScrambleRegisters() {
  // One line per instruction: GCC estimates the length of a branch from the number of lines that it
  // spans.
#if defined(__ARM_FP)
  asm volatile(
      "vmov d0, r0, r0\n\t"
      "vmov d1, r0, r0\n\t"
      "vmov d2, r0, r0\n\t"
      "vmov d3, r0, r0\n\t"
      "vmov d4, r0, r0\n\t"
      "vmov d5, r0, r0\n\t"
      "vmov d6, r0, r0\n\t"
      "vmov d7, r0, r0\n\t"
      "vmov d8, r0, r0\n\t"
      "vmov d9, r0, r0\n\t"
      "vmov d10, r0, r0\n\t"
      "vmov d11, r0, r0\n\t"
      "vmov d12, r0, r0\n\t"
      "vmov d13, r0, r0\n\t"
      "vmov d14, r0, r0\n\t"
      "vmov d15, r0, r0"
      :
      :
      : "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13",
        "d14", "d15");
#endif
#if defined(__ARM_NEON)
  asm volatile(
      "vmov d16, r0, r0\n\t"
      "vmov d17, r0, r0\n\t"
      "vmov d18, r0, r0\n\t"
      "vmov d19, r0, r0\n\t"
      "vmov d20, r0, r0\n\t"
      "vmov d21, r0, r0\n\t"
      "vmov d22, r0, r0\n\t"
      "vmov d23, r0, r0\n\t"
      "vmov d24, r0, r0\n\t"
      "vmov d25, r0, r0\n\t"
      "vmov d26, r0, r0\n\t"
      "vmov d27, r0, r0\n\t"
      "vmov d28, r0, r0\n\t"
      "vmov d29, r0, r0\n\t"
      "vmov d30, r0, r0\n\t"
      "vmov d31, r0, r0"
      :
      :
      : "d16", "d17", "d18", "d19", "d20", "d21", "d22", "d23", "d24", "d25", "d26", "d27", "d28",
        "d29", "d30", "d31");
#endif
  // All except the frame pointer, which is r7 or r11.
#if defined(__thumb__)
#define FRINGE_SCRAMBLE "r11"
#else
#define FRINGE_SCRAMBLE "r7"
#endif
  asm volatile(
      "mvn r0, #0x5a\n\t"
      "mvn r1, #0x5a\n\t"
      "mvn r2, #0x5a\n\t"
      "mvn r3, #0x5a\n\t"
      "mvn r4, #0x5a\n\t"
      "mvn r5, #0x5a\n\t"
      "mvn r6, #0x5a\n\t"
      "mvn r8, #0x5a\n\t"
      "mvn r9, #0x5a\n\t"
      "mvn r10, #0x5a\n\t"
      "mvn r12, #0x5a\n\t"
      "mvn lr, #0x5a\n\t"
      "mvn " FRINGE_SCRAMBLE
      ", #0x5a\n\t"
      "cmp r0, r0"
      :
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", FRINGE_SCRAMBLE,
        "cc");
#undef FRINGE_SCRAMBLE
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_ARM_H_
