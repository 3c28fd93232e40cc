// The registers of 64-bit PowerPC, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_PPC64LE_H_
#define FRINGE_TESTING_REGISTERS_PPC64LE_H_

#include <cstdint>

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#define FRINGE_REGISTER_FLOAT "d"
// A pair of registers, for which Clang has no constraint.
#if defined(__clang__)
#define FRINGE_REGISTER_LONG_DOUBLE "m"
#else
#define FRINGE_REGISTER_LONG_DOUBLE "d"
#endif
#if defined(__ALTIVEC__)
#define FRINGE_REGISTER_VECTOR128 "v"
#else
#define FRINGE_REGISTER_VECTOR128 "m"
#endif
#define FRINGE_REGISTER_VECTOR256 "m"
#define FRINGE_REGISTER_VECTOR512 "m"

namespace fringe::testing {

// As many as there are pairs of registers, and one more.
inline constexpr int kLiveLongDoubles = 17;

// Returns: the address of the next instruction.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const char* pc;
  asm volatile(
      "bcl 20, 31, 1f\n"
      "1:\n\t"
      "mflr %0"
      : "=r"(pc)
      :
      : "lr");
  return pc + 4;
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers, the TOC pointer, and Clang's `r30`.
[[gnu::always_inline]] inline void ScrambleRegisters() {
  uint64_t garbage = 0xa5a5a5a5a5a5a5a5;
#if defined(__VSX__)
  // Writes both halves of each: a callee preserves the halves of vs14 to vs31 that are f14 to f31.
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "xxlxor \\n, \\n, \\n\n\t"
      "vspltisb \\n, -0x5\n\t"
      ".endr"
      :
      :
      : "vs0", "vs1", "vs2", "vs3", "vs4", "vs5", "vs6", "vs7", "vs8", "vs9", "vs10", "vs11",
        "vs12", "vs13", "vs14", "vs15", "vs16", "vs17", "vs18", "vs19", "vs20", "vs21", "vs22",
        "vs23", "vs24", "vs25", "vs26", "vs27", "vs28", "vs29", "vs30", "vs31", "v0", "v1", "v2",
        "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
        "v30", "v31");
#endif
  asm volatile(
      "mtcrf 0xff, %0\n\t"
      "mtctr %0\n\t"
      "mtlr %0\n\t"
      "addic %0, %0, 1"
      : "+b"(garbage)
      :
      : "lr", "ctr", "xer", "cr0", "cr1", "cr2", "cr3", "cr4", "cr5", "cr6", "cr7");
  asm volatile(
      ".irp n, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, "
      "26, 27, 28, 29\n\t"
      "li \\n, -0x5a5\n\t"
      ".endr"
      :
      :
      : "r0", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r14", "r15", "r16",
        "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29");
#if !defined(__clang__)
  // Clang addresses the locals of a function with over-aligned locals through this register.
  asm volatile("li 30, -0x5a5" : : : "r30");
#endif
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_PPC64LE_H_
