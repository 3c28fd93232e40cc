// The registers of 64-bit RISC-V, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_RISCV64_H_
#define FRINGE_TESTING_REGISTERS_RISCV64_H_

#include <cstdint>

#if defined(__riscv_vector) && defined(__clang__)
#include <sys/auxv.h>
#endif

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#if defined(__riscv_flen) && __riscv_flen >= 64
#define FRINGE_REGISTER_FLOAT "f"
#else
#define FRINGE_REGISTER_FLOAT "r"
#endif
#define FRINGE_REGISTER_LONG_DOUBLE "m"
#define FRINGE_REGISTER_VECTOR128 "m"
#define FRINGE_REGISTER_VECTOR256 "m"
#define FRINGE_REGISTER_VECTOR512 "m"

namespace fringe::testing {

// Their values are in pairs of integer registers, or in memory.
inline constexpr int kLiveLongDoubles = 17;

// Returns: the address of the next instruction.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const char* pc;
  asm volatile("auipc %0, 0" : "=r"(pc));
  return pc + 4;
}

// Whether a file has vectors that the compiler can keep values in. GCC before 14 only assembles
// them.
#if defined(__riscv_vector) && defined(__clang__)
#define FRINGE_HAS_RISCV_VECTORS 1

inline bool HasVectors() { return (getauxval(AT_HWCAP) >> ('v' - 'a') & 1) != 0; }

// Leaves other values in `vl` and `vtype` than any intrinsic with 64-bit elements expects.
[[gnu::always_inline]] inline void ScrambleVectors() {
  asm volatile(
      "vsetvli t0, zero, e8, m1, ta, ma\n\t"
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "vmv.v.i v\\n, 5\n\t"
      ".endr\n\t"
      "vsetivli zero, 1, e8, m1, ta, ma"
      :
      :
      : "t0", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
        "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
        "v26", "v27", "v28", "v29", "v30", "v31"
#if __clang_major__ >= 15
        ,
        "vl", "vtype"
#endif
  );
}
#else
#define FRINGE_HAS_RISCV_VECTORS 0
#endif

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers. Not for functions that call `alloca` or have over-aligned locals: Clang keeps the
// address of those in `s1`.
[[gnu::always_inline]] inline void ScrambleRegisters() {
#if FRINGE_HAS_RISCV_VECTORS
  ScrambleVectors();
#endif
#if defined(__riscv_flen)
  uint64_t garbage = 0xa5a5a5a5a5a5a5a5;
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "fmv.d.x f\\n, %0\n\t"
      ".endr"
      :
      : "r"(garbage)
      : "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "ft8", "ft9", "ft10", "ft11", "fa0",
        "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7", "fs0", "fs1", "fs2", "fs3", "fs4", "fs5",
        "fs6", "fs7", "fs8", "fs9", "fs10", "fs11");
#endif
  asm volatile(
      ".irp r, ra, t0, t1, t2, t3, t4, t5, t6, a0, a1, a2, a3, a4, a5, a6, a7, s1, s2, s3, s4, s5, "
      "s6, s7, s8, s9, s10, s11\n\t"
      "li \\r, -0x5a5\n\t"
      ".endr"
      :
      :
      : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
        "a7", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11");
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_RISCV64_H_
