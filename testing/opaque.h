// Values that live where a test wants them: in a register, unknown to the compiler.
//
//   double kept = 1.5;
//   Hide(kept);          // now in a register, and the compiler cannot tell what it is
//   arch::Resume(...);   // so it must keep it over this
//   EXPECT_EQ(kept, 1.5);

#ifndef FRINGE_TESTING_OPAQUE_H_
#define FRINGE_TESTING_OPAQUE_H_

#include <cstdint>
#include <type_traits>

#if !defined(__x86_64__)
#error "Tests that look at registers know those of x86_64 only."
#endif

namespace fringe::testing {

using Vector128 [[gnu::vector_size(16)]] = uint64_t;
using Vector256 [[gnu::vector_size(32)]] = uint64_t;
using Vector512 [[gnu::vector_size(64)]] = uint64_t;

// Makes `value` one that the compiler does not know and cannot compute again, in a register of the
// class that its type uses; in memory where this target has no such register.
template <typename T>
[[gnu::always_inline]] inline void Hide(T& value) {
  if constexpr (std::is_same_v<T, long double>) {
    asm volatile("" : "+t"(value));
  } else if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, Vector128>) {
    asm volatile("" : "+v"(value));
  } else if constexpr (std::is_same_v<T, Vector256>) {
#if defined(__AVX__)
    asm volatile("" : "+v"(value));
#else
    asm volatile("" : "+m"(value));
#endif
  } else if constexpr (std::is_same_v<T, Vector512>) {
#if defined(__AVX512F__)
    asm volatile("" : "+v"(value));
#else
    asm volatile("" : "+m"(value));
#endif
  } else if constexpr ((std::is_scalar_v<T> || std::is_enum_v<T>)&&sizeof(T) <= 8) {
    asm volatile("" : "+r"(value));
  } else {
    asm volatile("" : "+m"(value));
  }
}

// Overwrites every register that a compiler may keep a value in, but for the stack and frame
// pointers. Not for functions that call `alloca` or have over-aligned locals: Clang keeps the
// address of those in `rbx`.
[[gnu::always_inline]] inline void ScrambleRegisters() {
  alignas(64) static const uint64_t kGarbage[8] = {
      0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a, 0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a,
      0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a, 0xa5a5a5a5a5a5a5a5, 0x5a5a5a5a5a5a5a5a};
  const auto* garbage = kGarbage;
  Hide(garbage);

  // Pushes eight values, the registers' number, and then marks all of them as free.
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

#endif  // FRINGE_TESTING_OPAQUE_H_
