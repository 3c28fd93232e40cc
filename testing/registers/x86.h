// The registers of 32-bit x86, for tests: see opaque.h.

#ifndef FRINGE_TESTING_REGISTERS_X86_H_
#define FRINGE_TESTING_REGISTERS_X86_H_

#include <cstdint>

#include "arch/arch.h"

// The asm constraints for registers that can hold a value of a type; for memory if this target has
// no such register.
#if defined(__SSE_MATH__)
#define FRINGE_REGISTER_FLOAT "x"
#else
#define FRINGE_REGISTER_FLOAT "t"
#endif
#define FRINGE_REGISTER_LONG_DOUBLE "t"
#if defined(__SSE2__)
#define FRINGE_REGISTER_VECTOR128 "x"
#else
#define FRINGE_REGISTER_VECTOR128 "m"
#endif
#if defined(__AVX__)
#define FRINGE_REGISTER_VECTOR256 "x"
#else
#define FRINGE_REGISTER_VECTOR256 "m"
#endif
#if defined(__AVX512F__)
#define FRINGE_REGISTER_VECTOR512 "x"
#else
#define FRINGE_REGISTER_VECTOR512 "m"
#endif

namespace fringe::testing {

// One fewer than the x87 unit has, because compilers need one register to work with.
inline constexpr int kLiveLongDoubles = 7;

// Returns: the address of the next instruction, or of one shortly before it.
[[gnu::always_inline]] inline const void* NextInstruction() {
#if defined(__PIC__)
  return reinterpret_cast<const void*>(arch::ProgramCounter());
#else
  const void* pc;
  asm volatile("movl $0f, %0\n0:" : "=r"(pc));
  return pc;
#endif
}

// Overwrites every register that a compiler may keep a value in, except the stack and frame
// pointers. Not for functions that call `alloca` or have over-aligned locals: Clang keeps the
// address of those in `esi`.
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

#if defined(__SSE__)
#if defined(__AVX512F__)
#define FRINGE_SCRAMBLE "vmovups (%0), %%zmm"
#elif defined(__AVX__)
#define FRINGE_SCRAMBLE "vmovups (%0), %%ymm"
#else
#define FRINGE_SCRAMBLE "movups (%0), %%xmm"
#endif
  asm volatile(FRINGE_SCRAMBLE "0\n\t" FRINGE_SCRAMBLE "1\n\t" FRINGE_SCRAMBLE
                               "2\n\t" FRINGE_SCRAMBLE "3\n\t" FRINGE_SCRAMBLE
                               "4\n\t" FRINGE_SCRAMBLE "5\n\t" FRINGE_SCRAMBLE
                               "6\n\t" FRINGE_SCRAMBLE "7"
               :
               : "r"(garbage)
               : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
#undef FRINGE_SCRAMBLE
#endif
#if defined(__AVX512F__)
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

  asm volatile(
      "movl (%%eax), %%eax\n\t"
      "movl %%eax, %%ebx\n\t"
      "movl %%eax, %%ecx\n\t"
      "movl %%eax, %%edx\n\t"
      "movl %%eax, %%esi\n\t"
      "movl %%eax, %%edi"
      : "+a"(garbage)
      :
      : "ebx", "ecx", "edx", "esi", "edi");
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_X86_H_
