// The operations of the random programs: a second copy of every value that they keep.

#ifndef FRINGE_TESTING_RANDOM_PROGRAMS_KEEPER_H_
#define FRINGE_TESTING_RANDOM_PROGRAMS_KEEPER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "testing/registers/extensions.h"
#include "testing/registers/opaque.h"
#include "testing/support/new_stack.h"

// A wide function has more registers than its file. Its statements hide values by macros: a
// function that is inlined there would have no constraint for those registers.
// (GCC for 32-bit x86 accepts no name of a register that the file lacks: arch/README.md.)
#if defined(__x86_64__) || (defined(__i386__) && defined(__clang__))
#define FRINGE_WIDE_FUNCTION [[gnu::noinline, gnu::target("avx512f,avx512bw,avx512vl")]]
#define FRINGE_WIDE_128 "v"
#define FRINGE_WIDE_256 "v"
#define FRINGE_WIDE_512 "v"
#define FRINGE_WIDE_MASK "k"
#else
#if defined(__aarch64__) && !defined(__clang__)
#define FRINGE_WIDE_FUNCTION [[gnu::noinline, gnu::target("+sve")]]
#elif defined(__arm__) && !defined(__clang__)
#define FRINGE_WIDE_FUNCTION [[gnu::noinline, gnu::target("fpu=neon")]]
#elif defined(__loongarch__)
#define FRINGE_WIDE_FUNCTION [[gnu::noinline, gnu::target("lasx")]]
#else
#define FRINGE_WIDE_FUNCTION [[gnu::noinline]]
#endif
#if defined(__arm__) && !defined(__clang__)
#define FRINGE_WIDE_128 "w"
#elif defined(__loongarch__)
#define FRINGE_WIDE_128 "f"
#else
#define FRINGE_WIDE_128 FRINGE_REGISTER_VECTOR128
#endif
#if defined(__loongarch__)
#define FRINGE_WIDE_256 "f"
#else
#define FRINGE_WIDE_256 FRINGE_REGISTER_VECTOR256
#endif
#define FRINGE_WIDE_512 FRINGE_REGISTER_VECTOR512
#define FRINGE_WIDE_MASK "r"
#endif
#define FRINGE_HIDE_WIDE_128(value) asm volatile("" : "+" FRINGE_WIDE_128(value))
#define FRINGE_HIDE_WIDE_256(value) asm volatile("" : "+" FRINGE_WIDE_256(value))
#define FRINGE_HIDE_WIDE_512(value) asm volatile("" : "+" FRINGE_WIDE_512(value))
#define FRINGE_HIDE_MASK(value) asm volatile("" : "+" FRINGE_WIDE_MASK(value))

namespace fringe::testing {

// Whether this CPU can run wide functions.
inline bool HasWideRegisters() {
#if defined(__x86_64__) || (defined(__i386__) && defined(__clang__))
  return HasAvx512();
#elif defined(__aarch64__) && !defined(__clang__)
  return HasSve();
#elif defined(__arm__) && !defined(__clang__)
  return HasNeon();
#elif defined(__loongarch__)
  return HasLasx();
#else
  return true;
#endif
}

// Stores values by number, in memory that no switch touches, and compares them later. All of it is
// inlined and calls nothing, so that leaf functions can use it.
class Keeper {
 public:
  static constexpr size_t kSlots = 64;

  template <typename T>
  [[gnu::always_inline]] void Note(size_t slot, const T& value) {
    std::memcpy(slots_[slot], &value, kBytes<T>);
  }

  template <typename T>
  [[gnu::always_inline]] void Check(size_t slot, const T& value) {
    CheckThat(slot, std::memcmp(slots_[slot], &value, kBytes<T>) == 0);
  }

  [[gnu::always_inline]] void CheckThat(size_t slot, bool right) {
    wrong_ |= (right ? uint64_t{0} : uint64_t{1}) << slot;
  }

  // Checks that `address` has the alignment that the declaration of a local requested.
  [[gnu::always_inline]] void CheckAligned(size_t slot, const void* address, size_t alignment) {
    auto number = reinterpret_cast<uintptr_t>(address);
    Hide(number);  // the compiler assumes the alignment
    CheckThat(slot, number % alignment == 0);
  }

  // Returns: a bit for each number whose value was wrong.
  uint64_t wrong() const { return wrong_; }

 private:
  // The bytes of an x87 `long double` without padding.
  template <typename T>
  static constexpr size_t kBytes =
      std::is_same_v<T, long double> && std::numeric_limits<T>::digits == 64 ? 10 : sizeof(T);

  alignas(64) std::byte slots_[kSlots][64];
  uint64_t wrong_ = 0;
};

// Both are calls.
[[gnu::noinline]] void FillBlock(unsigned char* block, size_t bytes, unsigned seed);
[[gnu::noinline]] bool IsFilled(const unsigned char* block, size_t bytes, unsigned seed);

// A call that takes and returns values in registers of several classes.
[[gnu::noinline]] double Mix(uint64_t a, double b, float c);

// The two sides of a program. They may switch a different number of times.
struct RawProgram {
  const char* name;
  void (*resumer)(Keeper& keeper, arch::LinkRecord* record);
  void (*body)(Keeper& keeper, arch::LinkRecord* record);
  bool is_wide;  // whether both sides are wide functions
};

struct GeneratorProgram {
  const char* name;
  void (*resumer)(Keeper& keeper, Generator<void, void, TestStack>& generator);
  void (*body)(Keeper& keeper, Yielder<void>& yielder);
  bool is_wide;
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_RANDOM_PROGRAMS_KEEPER_H_
