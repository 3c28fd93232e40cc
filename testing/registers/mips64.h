// The registers of 64-bit MIPS, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_MIPS64_H_
#define FRINGE_TESTING_REGISTERS_MIPS64_H_

#include <cstdint>

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#define FRINGE_REGISTER_FLOAT "f"
#define FRINGE_REGISTER_LONG_DOUBLE "m"
#if defined(__mips_msa)
#define FRINGE_REGISTER_VECTOR128 "f"
#else
#define FRINGE_REGISTER_VECTOR128 "m"
#endif
#define FRINGE_REGISTER_VECTOR256 "m"
#define FRINGE_REGISTER_VECTOR512 "m"

namespace fringe::testing {

// Their values are in memory.
inline constexpr int kLiveLongDoubles = 17;

// Returns: the address of the next instruction.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const char* pc;
  asm volatile(
      ".set push\n\t"
      ".set noreorder\n\t"
      "bltzal $0, 0f\n\t"  // never taken
      "nop\n"
      "0:\n\t"
      "move %0, $31\n\t"
      ".set pop"
      : "=r"(pc)
      :
      : "$31");
  return pc + 4;
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers, and $28, which GCC reserves. Not for functions that call `alloca` or have over-aligned
// locals: Clang keeps the address of those in $23.
[[gnu::always_inline]] inline void ScrambleRegisters() {
  const uint64_t garbage = 0xa5a5a5a5a5a5a5a5;
#if defined(__mips_msa)
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "fill.d $w\\n, %0\n\t"
      ".endr"
#else
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "dmtc1 %0, $f\\n\n\t"
      ".endr"
#endif
      :
      : "r"(garbage)
      : "$f0", "$f1", "$f2", "$f3", "$f4", "$f5", "$f6", "$f7", "$f8", "$f9", "$f10", "$f11",
        "$f12", "$f13", "$f14", "$f15", "$f16", "$f17", "$f18", "$f19", "$f20", "$f21", "$f22",
        "$f23", "$f24", "$f25", "$f26", "$f27", "$f28", "$f29", "$f30", "$f31");
  asm volatile(
      ".set push\n\t"
      ".set noat\n\t"
      ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, "
      "24, 25, 31\n\t"
      "daddiu $\\n, $0, -0x5a5\n\t"
      ".endr\n\t"
#if __mips_isa_rev < 6
      "mthi $1\n\t"
      "mtlo $1\n\t"
#endif
      ".set pop"
      :
      :
      : "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14",
        "$15", "$16", "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$31", "hi",
        "lo");
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_MIPS64_H_
