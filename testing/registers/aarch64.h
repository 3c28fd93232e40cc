// The registers of AArch64, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_AARCH64_H_
#define FRINGE_TESTING_REGISTERS_AARCH64_H_

#include <cstdint>

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#define FRINGE_REGISTER_FLOAT "w"
#define FRINGE_REGISTER_LONG_DOUBLE "w"
#define FRINGE_REGISTER_VECTOR128 "w"
#define FRINGE_REGISTER_VECTOR256 "m"
#define FRINGE_REGISTER_VECTOR512 "m"

namespace fringe::testing {

// As many as there are registers, and one more.
inline constexpr int kLiveLongDoubles = 33;

// Returns: the address of the next instruction.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const void* pc;
  asm volatile("adr %0, . + 4" : "=r"(pc));
  return pc;
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers. Not for functions that call `alloca` or have over-aligned locals: Clang keeps the
// address of those in `x19`.
[[gnu::always_inline]] inline void ScrambleRegisters() {
  // Writes both halves of each vector register: a callee preserves the lower halves of v8 to v15.
  asm volatile(
      "movi v0.16b, 0xa5\n\t"
      ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, "
      "24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "movi v\\n\\().16b, 0xa5\n\t"
      ".endr"
      :
      :
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",
        "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
        "v27", "v28", "v29", "v30", "v31");
#if defined(__ARM_FEATURE_SVE)
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "mov z\\n\\().b, 0x5a\n\t"
      ".endr\n\t"
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
      "pfalse p\\n\\().b\n\t"
      ".endr\n\t"
      "wrffr p0.b"
      :
      :
      : "z0", "z1", "z2", "z3", "z4", "z5", "z6", "z7", "z8", "z9", "z10", "z11", "z12", "z13",
        "z14", "z15", "z16", "z17", "z18", "z19", "z20", "z21", "z22", "z23", "z24", "z25", "z26",
        "z27", "z28", "z29", "z30", "z31", "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8",
        "p9", "p10", "p11", "p12", "p13", "p14", "p15");
#endif
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 30\n\t"
      "mov x\\n, 0xaaaaaaaaaaaaaaaa\n\t"
      ".endr\n\t"
      "cmp x0, x0"
      :
      :
      : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
        "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
        "x27", "x28", "x30", "cc");
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_AARCH64_H_
