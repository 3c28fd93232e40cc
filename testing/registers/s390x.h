// The registers of z/Architecture, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_S390X_H_
#define FRINGE_TESTING_REGISTERS_S390X_H_

#include <cstdint>

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#define FRINGE_REGISTER_FLOAT "f"
// A pair of registers, or a vector register if there are any.
#define FRINGE_REGISTER_LONG_DOUBLE "f"
#if defined(__VX__)
#define FRINGE_REGISTER_VECTOR128 "v"
#else
#define FRINGE_REGISTER_VECTOR128 "m"
#endif
#define FRINGE_REGISTER_VECTOR256 "m"
#define FRINGE_REGISTER_VECTOR512 "m"

namespace fringe::testing {

// As many as there are pairs of registers, and one more.
inline constexpr int kLiveLongDoubles = 9;

// Returns: the address of the next instruction.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const char* pc;
  asm volatile("larl %0, ." : "=r"(pc));
  return pc + 6;
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers, and r12 and r13, which GCC reserves.
[[gnu::always_inline]] inline void ScrambleRegisters() {
#if defined(__VX__)
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "vgbm %%v\\n, 0xa5a5\n\t"
      ".endr"
      :
      :
      : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",
        "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
        "v27", "v28", "v29", "v30", "v31");
#else
  const uint64_t garbage = 0xa5a5a5a5a5a5a5a5;
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
      "ldgr %%f\\n, %0\n\t"
      ".endr"
      :
      : "d"(garbage)
      : "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12", "f13",
        "f14", "f15");
#endif
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14\n\t"
      "lghi %%r\\n, -0x5a5\n\t"
      ".endr\n\t"
      "cgr %%r0, %%r0"
      :
      :
      : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r14", "cc");
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_S390X_H_
