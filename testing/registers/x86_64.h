// The registers of x86_64, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_X86_64_H_
#define FRINGE_TESTING_REGISTERS_X86_64_H_

#include <cstdint>

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#define FRINGE_REGISTER_FLOAT "v"
#define FRINGE_REGISTER_LONG_DOUBLE "t"
#define FRINGE_REGISTER_VECTOR128 "v"
#if defined(__AVX__)
#define FRINGE_REGISTER_VECTOR256 "v"
#else
#define FRINGE_REGISTER_VECTOR256 "m"
#endif
#if defined(__AVX512F__)
#define FRINGE_REGISTER_VECTOR512 "v"
#else
#define FRINGE_REGISTER_VECTOR512 "m"
#endif

namespace fringe::testing {

// One fewer than the x87 unit has, because compilers need one register to work with.
inline constexpr int kLiveLongDoubles = 7;

// Returns: the address of the next instruction.
[[gnu::always_inline]] inline const void* NextInstruction() {
  const void* pc;
  asm volatile("leaq 0(%%rip), %0" : "=r"(pc));
  return pc;
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers. Not for functions that call `alloca` or have over-aligned locals: Clang keeps the
// address of those in `rbx`.
[[gnu::always_inline]] inline void ScrambleRegisters() {
  alignas(64) static const uint64_t kGarbage[8] = {
      0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a, 0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a,
      0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a, 0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a};
  const auto* garbage = kGarbage;
  asm volatile("" : "+r"(garbage));

  // Pushes eight values, all that the unit can hold, and then marks all of them as free.
  asm volatile(
      ".rept 8\n\t"
      "fldpi\n\t"
      ".endr\n\t"
      "emms"
      :
      :
      : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");

#if defined(__AVX512F__)
#define FRINGE_SCRAMBLE "vmovups (%0), %%zmm"
#elif defined(__AVX__)
#define FRINGE_SCRAMBLE "vmovups (%0), %%ymm"
#else
#define FRINGE_SCRAMBLE "movups (%0), %%xmm"
#endif
  asm volatile(FRINGE_SCRAMBLE
               "0\n\t" FRINGE_SCRAMBLE "1\n\t" FRINGE_SCRAMBLE "2\n\t" FRINGE_SCRAMBLE
               "3\n\t" FRINGE_SCRAMBLE "4\n\t" FRINGE_SCRAMBLE "5\n\t" FRINGE_SCRAMBLE
               "6\n\t" FRINGE_SCRAMBLE "7\n\t" FRINGE_SCRAMBLE "8\n\t" FRINGE_SCRAMBLE
               "9\n\t" FRINGE_SCRAMBLE "10\n\t" FRINGE_SCRAMBLE "11\n\t" FRINGE_SCRAMBLE
               "12\n\t" FRINGE_SCRAMBLE "13\n\t" FRINGE_SCRAMBLE "14\n\t" FRINGE_SCRAMBLE "15"
               :
               : "r"(garbage)
               : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#if defined(__AVX512F__)
  asm volatile(FRINGE_SCRAMBLE
               "16\n\t" FRINGE_SCRAMBLE "17\n\t" FRINGE_SCRAMBLE "18\n\t" FRINGE_SCRAMBLE
               "19\n\t" FRINGE_SCRAMBLE "20\n\t" FRINGE_SCRAMBLE "21\n\t" FRINGE_SCRAMBLE
               "22\n\t" FRINGE_SCRAMBLE "23\n\t" FRINGE_SCRAMBLE "24\n\t" FRINGE_SCRAMBLE
               "25\n\t" FRINGE_SCRAMBLE "26\n\t" FRINGE_SCRAMBLE "27\n\t" FRINGE_SCRAMBLE
               "28\n\t" FRINGE_SCRAMBLE "29\n\t" FRINGE_SCRAMBLE "30\n\t" FRINGE_SCRAMBLE "31"
               :
               : "r"(garbage)
               : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
                 "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
  asm volatile(
      "kxnorw %%k0, %%k0, %%k0\n\t"
      "kxnorw %%k1, %%k1, %%k1\n\t"
      "kxnorw %%k2, %%k2, %%k2\n\t"
      "kxnorw %%k3, %%k3, %%k3\n\t"
      "kxnorw %%k4, %%k4, %%k4\n\t"
      "kxnorw %%k5, %%k5, %%k5\n\t"
      "kxnorw %%k6, %%k6, %%k6\n\t"
      "kxnorw %%k7, %%k7, %%k7"
      :
      :
      : "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7");
#endif
#undef FRINGE_SCRAMBLE

  asm volatile(
      "movq (%%rax), %%rax\n\t"
      "movq %%rax, %%rbx\n\t"
      "movq %%rax, %%rcx\n\t"
      "movq %%rax, %%rdx\n\t"
      "movq %%rax, %%rsi\n\t"
      "movq %%rax, %%rdi\n\t"
      "movq %%rax, %%r8\n\t"
      "movq %%rax, %%r9\n\t"
      "movq %%rax, %%r10\n\t"
      "movq %%rax, %%r11\n\t"
      "movq %%rax, %%r12\n\t"
      "movq %%rax, %%r13\n\t"
      "movq %%rax, %%r14\n\t"
      "movq %%rax, %%r15"
      : "+a"(garbage)
      :
      : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15");
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_X86_64_H_
