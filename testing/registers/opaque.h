// Values in the registers that a test selects, opaque to the compiler.
//
//   double kept = 1.5;
//   Hide(kept);          // now in a register, and unknown to the compiler
//   arch::Resume(...);   // so the compiler must keep it across this
//   EXPECT_EQ(kept, 1.5);

#ifndef FRINGE_TESTING_REGISTERS_OPAQUE_H_
#define FRINGE_TESTING_REGISTERS_OPAQUE_H_

#include <cstdint>
#include <type_traits>

// One header per CPU: the classes of registers, and how to overwrite them all
// (`ScrambleRegisters`).
#if defined(__x86_64__)
#include "testing/registers/x86_64.h"
#elif defined(__aarch64__)
#include "testing/registers/aarch64.h"
#elif defined(__arm__)
#include "testing/registers/arm.h"
#elif defined(__loongarch_lp64)
#include "testing/registers/loongarch64.h"
#elif defined(__mips64) && _MIPS_SIM == _ABI64
#include "testing/registers/mips64.h"
#elif defined(__powerpc64__) && _CALL_ELF == 2
#include "testing/registers/ppc64le.h"
#elif defined(__riscv) && __riscv_xlen == 64
#include "testing/registers/riscv64.h"
#elif defined(__s390x__)
#include "testing/registers/s390x.h"
#elif defined(__i386__)
#include "testing/registers/x86.h"
#else
#error "testing/registers/ describes the registers of other CPUs only: add a header for this one."
#endif

namespace fringe::testing {

using Vector128 [[gnu::vector_size(16)]] = uint64_t;
using Vector256 [[gnu::vector_size(32)]] = uint64_t;
using Vector512 [[gnu::vector_size(64)]] = uint64_t;

// An integer that takes two registers.
#if defined(__SIZEOF_INT128__)
__extension__ using WideInteger = unsigned __int128;
#else
using WideInteger = uint64_t;
#endif

// Makes `value` unknown to the compiler, so that it cannot be recomputed. Puts it in a register of
// the class that its type uses, or in memory if this target has no such register.
template <typename T>
[[gnu::always_inline]] inline void Hide(T& value) {
  if constexpr (std::is_same_v<T, WideInteger>) {
    constexpr unsigned kHalfBits = 4 * sizeof(T);
    auto low = static_cast<uintptr_t>(value);
    auto high = static_cast<uintptr_t>(value >> kHalfBits);
    asm volatile("" : "+r"(low), "+r"(high));
    value = (static_cast<T>(high) << kHalfBits) + low;
  } else if constexpr (std::is_same_v<T, long double>) {
    asm volatile("" : "+" FRINGE_REGISTER_LONG_DOUBLE(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    asm volatile("" : "+" FRINGE_REGISTER_FLOAT(value));
  } else if constexpr (std::is_same_v<T, Vector128>) {
    asm volatile("" : "+" FRINGE_REGISTER_VECTOR128(value));
  } else if constexpr (std::is_same_v<T, Vector256>) {
    asm volatile("" : "+" FRINGE_REGISTER_VECTOR256(value));
  } else if constexpr (std::is_same_v<T, Vector512>) {
    asm volatile("" : "+" FRINGE_REGISTER_VECTOR512(value));
  } else if constexpr ((std::is_scalar_v<T> || std::is_enum_v<T>)&&sizeof(T) <= sizeof(uintptr_t)) {
    asm volatile("" : "+r"(value));
  } else {
    asm volatile("" : "+m"(value));
  }
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_OPAQUE_H_
