// The registers of 64-bit LoongArch, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_LOONGARCH64_H_
#define FRINGE_TESTING_REGISTERS_LOONGARCH64_H_

#include <cstdint>

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#if defined(__loongarch_double_float)
#define FRINGE_REGISTER_FLOAT "f"
#else
#define FRINGE_REGISTER_FLOAT "r"
#endif
#define FRINGE_REGISTER_LONG_DOUBLE "m"
#if defined(__loongarch_sx)
#define FRINGE_REGISTER_VECTOR128 "f"
#else
#define FRINGE_REGISTER_VECTOR128 "m"
#endif
#if defined(__loongarch_asx)
#define FRINGE_REGISTER_VECTOR256 "f"
#else
#define FRINGE_REGISTER_VECTOR256 "m"
#endif
#define FRINGE_REGISTER_VECTOR512 "m"

namespace fringe::testing {

// Their values are in pairs of integer registers, or in memory.
inline constexpr int kLiveLongDoubles = 17;

// Returns: the address of the next instruction.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const void* pc;
  asm volatile("pcaddi %0, 1" : "=r"(pc));
  return pc;
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers. Not for functions that call `alloca` or have over-aligned locals: Clang keeps the
// address of those in `s8`.
[[gnu::always_inline]] inline void ScrambleRegisters() {
#if defined(__loongarch_double_float)
  // Of a vector register, the whole of it.
#if defined(__loongarch_asx)
#define FRINGE_SET_VECTOR "xvreplgr2vr.d $xr\\n, %0\n\t"
#elif defined(__loongarch_sx)
#define FRINGE_SET_VECTOR "vreplgr2vr.d $vr\\n, %0\n\t"
#else
#define FRINGE_SET_VECTOR "movgr2fr.d $f\\n, %0\n\t"
#endif
  uint64_t garbage = 0xa5a5a5a5a5a5a5a5;
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t" FRINGE_SET_VECTOR
      ".endr\n\t"
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
      "movgr2cf $fcc\\n, %0\n\t"
      ".endr"
      :
      : "r"(garbage)
      : "$f0", "$f1", "$f2", "$f3", "$f4", "$f5", "$f6", "$f7", "$f8", "$f9", "$f10", "$f11",
        "$f12", "$f13", "$f14", "$f15", "$f16", "$f17", "$f18", "$f19", "$f20", "$f21", "$f22",
        "$f23", "$f24", "$f25", "$f26", "$f27", "$f28", "$f29", "$f30", "$f31", "$fcc0", "$fcc1",
        "$fcc2", "$fcc3", "$fcc4", "$fcc5", "$fcc6", "$fcc7");
#undef FRINGE_SET_VECTOR
#endif
  asm volatile(
      ".irp r, $ra, $t0, $t1, $t2, $t3, $t4, $t5, $t6, $t7, $t8, $a0, $a1, $a2, $a3, $a4, $a5, "
      "$a6, $a7, $s0, $s1, $s2, $s3, $s4, $s5, $s6, $s7, $s8\n\t"
      "addi.d \\r, $zero, -0x5a5\n\t"
      ".endr"
      :
      :
      : "$ra", "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7", "$t8", "$a0", "$a1", "$a2",
        "$a3", "$a4", "$a5", "$a6", "$a7", "$s0", "$s1", "$s2", "$s3", "$s4", "$s5", "$s6", "$s7",
        "$s8");
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_LOONGARCH64_H_
