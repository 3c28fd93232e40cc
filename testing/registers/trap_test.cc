// Tests each trap of a switch in inline assembly: values that the compiler keeps across it, on
// either side, in any location. arch/README.md lists the traps. BUILD compiles this with more flags
// than those of the build.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#if defined(__ARM_FEATURE_SVE)
#include <arm_sve.h>
#endif
#if defined(__riscv_vector) && defined(__clang__)
#include <riscv_vector.h>
#endif

#include "arch/arch.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/registers/opaque.h"
#include "testing/registers/trap_tests.h"
#include "testing/support/raw_generator.h"

namespace fringe::testing {
namespace {

[[maybe_unused]] constexpr size_t kStackBytes = 256 << 10;

struct Scramble {
  [[gnu::always_inline]] void operator()() const { ScrambleRegisters(); }
};

// --- The traps -----------------------------------------------------------------------------------

// Each has `Run(side)`, a function that keeps values across several switches and returns the number
// of wrong ones afterwards.

constexpr int kSwitches = 3;

// A leaf function's locals are below its stack pointer. A push in a switch would overwrite them.
struct RedZone {
  static constexpr const char* kName = "RedZone";

  // Whether the locals were below the stack pointer: not if the compiler uses no red zone.
  static inline bool below_stack_pointer;

  static bool IsVoid() { return !below_stack_pointer; }

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    uint64_t locals[12];
    for (unsigned i = 0; i < 12; ++i) locals[i] = 0x0101010101010101 * i;
    asm volatile("" : "+m"(locals));
    below_stack_pointer = static_cast<ptrdiff_t>(arch::StackBytesBelow(locals)) < 0;
    side();
    asm volatile("" : "+m"(locals));
    unsigned wrong = 0;
    for (unsigned i = 0; i < 12; ++i) wrong += locals[i] != 0x0101010101010101 * i;
    return wrong;
  }
};

// In a function with `alloca`, Clang addresses an over-aligned local through a reserved register,
// and GCC through the frame pointer.
struct BasePointer {
  static constexpr const char* kName = "BasePointer";

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < kSwitches; ++i) {
      size_t bytes = 24 + 40 * i;
      Hide(bytes);
      auto* const block = static_cast<unsigned char*>(__builtin_alloca(bytes));
      std::memset(block, static_cast<int>(i + 1), bytes);
      alignas(64) uint64_t aligned[8];
      for (unsigned j = 0; j < 8; ++j) aligned[j] = i * 8 + j;
      asm volatile("" : "+m"(aligned) : "r"(block) : "memory");
      side();
      asm volatile("" : "+m"(aligned) : "r"(block) : "memory");
      auto address = reinterpret_cast<uintptr_t>(aligned);
      Hide(address);
      wrong += address % 64 != 0;
      for (unsigned j = 0; j < 8; ++j) wrong += aligned[j] != i * 8 + j;
      for (unsigned j = 0; j < bytes; ++j) wrong += block[j] != i + 1;
    }
    return wrong;
  }
};

// More values of one type than there are registers for it, so that each register holds one.
template <typename T>
struct Live {
  using Type = T;

  static constexpr auto kNameAndCount = [] {
    if constexpr (std::is_same_v<T, uint32_t>) return std::pair("Uint32", 33);
    if constexpr (std::is_same_v<T, WideInteger>) return std::pair("WideInteger", 17);
    if constexpr (std::is_same_v<T, uint64_t>) return std::pair("Uint64", 33);
    if constexpr (std::is_same_v<T, float>) return std::pair("Float", 33);
    if constexpr (std::is_same_v<T, double>) return std::pair("Double", 33);
    if constexpr (std::is_same_v<T, long double>) return std::pair("LongDouble", kLiveLongDoubles);
    if constexpr (std::is_same_v<T, Vector128>) return std::pair("Vector128", 33);
    if constexpr (std::is_same_v<T, Vector256>) return std::pair("Vector256", 33);
    if constexpr (std::is_same_v<T, Vector512>) return std::pair("Vector512", 33);
  }();
  static constexpr const char* kName = kNameAndCount.first;
  static constexpr size_t kCount = kNameAndCount.second;

  [[gnu::always_inline]] static void Make(T& value, size_t i) {
    if constexpr (std::is_same_v<T, WideInteger>) {
      value = (static_cast<T>(i + 1) << 4 * sizeof(T)) + i + 2;
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = static_cast<T>(i + 1);
    } else {
      for (size_t j = 0; j < sizeof(T) / sizeof(uint64_t); ++j) value[j] = i * 16 + j + 1;
    }
  }

  template <size_t... kIndices>
  [[gnu::always_inline]] static void HideAll(T* values, std::index_sequence<kIndices...>) {
    (Hide(values[kIndices]), ...);
  }

  [[gnu::always_inline]] static bool Differs(const T& value, size_t i) {
    T expected;
    Make(expected, i);
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, WideInteger>) {
      return value != expected;
    } else {
      return std::memcmp(&value, &expected, sizeof value) != 0;
    }
  }

  template <size_t... kIndices>
  [[gnu::always_inline]] static unsigned CountDifferences(const T* values,
                                                          std::index_sequence<kIndices...>) {
    return (0U + ... + (Differs(values[kIndices], kIndices) ? 1U : 0U));
  }

  template <size_t... kIndices>
  [[gnu::always_inline]] static void MakeAll(T* values, std::index_sequence<kIndices...>) {
    (Make(values[kIndices], kIndices), ...);
  }

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    constexpr std::make_index_sequence<kCount> kIndices;
    T values[kCount];
    MakeAll(values, kIndices);
    for (int i = 0; i < kSwitches; ++i) {
      HideAll(values, kIndices);
      side();
    }
    return CountDifferences(values, kIndices);
  }
};

#if defined(__AVX512F__)
// The mask registers.
struct LiveMasks {
  static constexpr const char* kName = "Mask";

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    uint16_t a = 0x1234, b = 0x2345, c = 0x3456, d = 0x4567, e = 0x5678, f = 0x6789, g = 0x789a;
    for (int i = 0; i < kSwitches; ++i) {
      asm volatile("" : "+k"(a), "+k"(b), "+k"(c), "+k"(d), "+k"(e), "+k"(f), "+k"(g));
      side();
      asm volatile("" : "+k"(a), "+k"(b), "+k"(c), "+k"(d), "+k"(e), "+k"(f), "+k"(g));
    }
    return 0U + (a != 0x1234) + (b != 0x2345) + (c != 0x3456) + (d != 0x4567) + (e != 0x5678) +
           (f != 0x6789) + (g != 0x789a);
  }
};
#endif

#if defined(__mips__) && __mips_isa_rev < 6
// The register of the low half of a product.
struct LiveProduct {
  static constexpr const char* kName = "Product";

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    uint64_t product = 0x1234;
    for (int i = 0; i < kSwitches; ++i) {
      asm volatile("" : "+l"(product));
      side();
      asm volatile("" : "+l"(product));
    }
    return product != 0x1234;
  }
};
#endif

#if defined(__ARM_FEATURE_SVE)
// Scalable vectors and predicates. They have no size, so there is no array of them.
struct LiveScalable {
  static constexpr const char* kName = "Scalable";

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    svuint64_t a = svindex_u64(1, 1), b = svindex_u64(2, 3), c = svindex_u64(3, 5),
               d = svindex_u64(4, 7);
    svbool_t p = svwhilelt_b8(0, 3), q = svwhilelt_b8(0, 17), r = svptrue_b8();
    for (int i = 0; i < kSwitches; ++i) {
      asm volatile("" : "+w"(a), "+w"(b), "+w"(c), "+w"(d), "+Upa"(p), "+Upa"(q), "+Upa"(r));
      side();
      asm volatile("" : "+w"(a), "+w"(b), "+w"(c), "+w"(d), "+Upa"(p), "+Upa"(q), "+Upa"(r));
    }
    const svbool_t all = svptrue_b8();
    const auto differs = [&](svuint64_t value, uint64_t first, uint64_t step) {
      return svptest_any(all, svcmpne(all, value, svindex_u64(first, step)));
    };
    const auto misses = [&](svbool_t value, uint64_t count) {
      return svcntp_b8(all, value) != count;
    };
    return 0U + differs(a, 1, 1) + differs(b, 2, 3) + differs(c, 3, 5) + differs(d, 4, 7) +
           misses(p, 3) + misses(q, svcntb() < 17 ? svcntb() : 17) + misses(r, svcntb());
  }
};
#endif

#if defined(FRINGE_HAS_RISCV_VECTORS) && FRINGE_HAS_RISCV_VECTORS
// Scalable vectors, and the length and element type that the compiler takes as set. They have no
// size, so there is no array of them. Clang before 16 has other names for the intrinsics.
#if defined(__riscv_v_intrinsic)
#define FRINGE_RVV(name) __riscv_##name
#else
#define FRINGE_RVV(name) name
#endif

struct LiveScalable {
  static constexpr const char* kName = "Scalable";

  // Whether the elements are `first`, `first + 1` and so on.
  [[gnu::noinline]] static bool IsSequence(vuint64m1_t value, uint64_t first) {
    const size_t count = FRINGE_RVV(vsetvlmax_e64m1)();
    uint64_t elements[1024];  // At most 65536 bits.
    FRINGE_RVV(vse64_v_u64m1)(elements, value, count);
    for (size_t i = 0; i < count; ++i) {
      if (elements[i] != first + i) return false;
    }
    return true;
  }

// clang-format off
#define FRINGE_EACH_VECTOR(DO)                                                \
  DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)  \
  DO(13) DO(14) DO(15) DO(16) DO(17) DO(18) DO(19) DO(20) DO(21) DO(22)       \
  DO(23) DO(24) DO(25) DO(26) DO(27) DO(28) DO(29) DO(30) DO(31)
#define FRINGE_MAKE_VECTOR(I)                                                 \
  vuint64m1_t v##I = FRINGE_RVV(vadd_vx_u64m1)(ascending, 100 * (I), count);
#define FRINGE_HIDE_VECTOR(I) asm volatile("" : "+vr"(v##I));
#define FRINGE_ADD_TO_VECTOR(I)                                               \
  v##I = FRINGE_RVV(vadd_vx_u64m1)(v##I, 1, count);
#define FRINGE_COMPARE_VECTOR(I)                                              \
  wrong += !IsSequence(v##I, 100 * (I) + kSwitches);
  // clang-format on
  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    const size_t count = FRINGE_RVV(vsetvlmax_e64m1)();
    const vuint64m1_t ascending = FRINGE_RVV(vid_v_u64m1)(count);
    FRINGE_EACH_VECTOR(FRINGE_MAKE_VECTOR)
    for (int i = 0; i < kSwitches; ++i) {
      FRINGE_EACH_VECTOR(FRINGE_HIDE_VECTOR)
      side();
      // These need the same `vl` and `vtype` as those before the switch.
      FRINGE_EACH_VECTOR(FRINGE_ADD_TO_VECTOR)
    }
    unsigned wrong = 0;
    FRINGE_EACH_VECTOR(FRINGE_COMPARE_VECTOR)
    return wrong;
  }
};
#endif

// A few values of each class, so that no class is spilled for lack of registers in another.
struct LiveMixture {
  static constexpr const char* kName = "Mixture";

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    uint64_t a = 1, b = 2, c = 3;
    double d = 4, e = 5;
    float f = 6;
    Vector128 g = {7, 8}, h = {9, 10};
    long double j = 11;
    bool k = true;
    for (int i = 0; i < kSwitches; ++i) {
      Hide(a), Hide(b), Hide(c), Hide(d), Hide(e), Hide(f), Hide(g), Hide(h), Hide(j), Hide(k);
      side();
    }
    return 0U + (a != 1) + (b != 2) + (c != 3) + (d != 4) + (e != 5) + (f != 6) +
           (g[0] != 7 || g[1] != 8) + (h[0] != 9 || h[1] != 10) + (j != 11) + !k;
  }
};

// Two comparisons of the same values. A compiler that takes the flags for unchanged does the second
// one by the flags of the first.
struct LiveFlags {
  static constexpr const char* kName = "Flags";

  template <typename Side>
  [[gnu::noinline]] static bool AreEqualAfter(Side side, intptr_t a, intptr_t b) {
    if (a > b) return false;
    side();
    bool are_equal = false;
    if (a == b) {
      are_equal = true;
      Hide(are_equal);  // Otherwise the comparison could become arithmetic.
    }
    return are_equal;
  }

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    intptr_t one = 1, two = 2;
    Hide(one), Hide(two);
    const bool has_less = !AreEqualAfter(side, one, two);
    const bool has_equal = AreEqualAfter(side, two, two);
    return 0U + !has_less + !has_equal;
  }
};

// The result of a comparison of floats, which a CPU may have a register for.
struct LiveCondition {
  static constexpr const char* kName = "Condition";

  template <typename Side>
  [[gnu::noinline]] static void CompareAround(Side side, double a, double b, unsigned* less) {
    const bool is_less = a < b;
    side();
    // A branch: an assignment of the result would move it to another register before.
    if (is_less) {
      *less = 1;
    } else {
      *less = 2;
    }
  }

  template <typename Side>
  [[gnu::noinline]] static unsigned Run(Side side) {
    double one = 1, two = 2;
    Hide(one), Hide(two);
    unsigned first = 0, second = 0;
    CompareAround(side, one, two, &first);
    CompareAround(side, two, one, &second);
    return 0U + (first != 1) + (second != 2);
  }
};

TEST(TrapTargetTest, HasEveryRegister) {
#if (defined(__x86_64__) || defined(__i386__)) && !defined(__AVX512F__)
  GTEST_SKIP() << "no AVX-512: vectors of more than "
#if defined(__AVX__)
               << 256
#elif defined(__SSE2__)
               << 128
#else
               << 64
#endif
               << " bits and masks are tested under --config=native";
#elif defined(__aarch64__) && !defined(__ARM_FEATURE_SVE)
  GTEST_SKIP() << "no SVE: scalable vectors and predicates are tested by trap_test_sve";
#elif defined(__mips__) && !defined(__mips_msa)
  GTEST_SKIP() << "no vector registers: they are tested by trap_test_msa";
#elif defined(__s390x__) && !defined(__VX__)
  GTEST_SKIP() << "no vector registers: they are tested by trap_test_z13";
#elif defined(__riscv) && !FRINGE_HAS_RISCV_VECTORS
  GTEST_SKIP() << "no vectors: they are tested by trap_test_rvv, compiled by Clang";
#endif
}

// --- The tests -----------------------------------------------------------------------------------

// The register classes of this target. HasEveryRegister reports the missing ones.
using Traps = TrapList<
#if defined(__AVX__)
    Live<Vector256>,
#endif
#if defined(__AVX512F__)
    Live<Vector512>, LiveMasks,
#endif
#if defined(__mips__) && __mips_isa_rev < 6
    LiveProduct,
#endif
#if defined(__ARM_FEATURE_SVE)
    LiveScalable,
#endif
#if defined(FRINGE_HAS_RISCV_VECTORS) && FRINGE_HAS_RISCV_VECTORS
    LiveScalable,
#endif
#if UINTPTR_MAX > UINT32_MAX
    Live<uint64_t>,
#endif
    RedZone, BasePointer, Live<uint32_t>, Live<WideInteger>, Live<float>, Live<double>,
    Live<long double>, Live<Vector128>, LiveMixture, LiveFlags, LiveCondition>;

const bool kIsRegistered = RegisterTraps<Scramble>("TrapTest", Traps());

#if defined(__MMX__)
// Compilers keep integers in MMX registers only if intrinsics request it. The ABI requires `emms`
// before a call, but a switch is not a call. Neither side uses the x87 unit in between.
TEST(MmxTest, KeepsThemOverARawResume) {
  const RawGenerator<> generator(*OsStack::Create(kStackBytes),
                                 [](uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
                                   for (;;) {
                                     asm volatile(
                                         "pcmpeqd %%mm0, %%mm0\n\t"
                                         "pcmpeqd %%mm1, %%mm1\n\t"
                                         "pcmpeqd %%mm2, %%mm2\n\t"
                                         "pcmpeqd %%mm3, %%mm3\n\t"
                                         "pcmpeqd %%mm4, %%mm4\n\t"
                                         "pcmpeqd %%mm5, %%mm5\n\t"
                                         "pcmpeqd %%mm6, %%mm6\n\t"
                                         "pcmpeqd %%mm7, %%mm7"
                                         :
                                         :
                                         : "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7");
                                     arch::Suspend(0, record);
                                   }
                                 });
  using Vector64 [[gnu::vector_size(8)]] = int;
  Vector64 a = {1, 2}, b = {3, 4}, c = {5, 6}, d = {7, 8};
  asm volatile("" : "+y"(a), "+y"(b), "+y"(c), "+y"(d));
  arch::Resume(0, generator.record());
  asm volatile("" : "+y"(a), "+y"(b), "+y"(c), "+y"(d));
  const int kept[] = {a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]};
  asm volatile("emms" : : : "memory");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(kept[i], i + 1);
}
#endif  // defined(__MMX__)

#if defined(__powerpc64__)
[[gnu::noinline]] void ResumeOnce(arch::LinkRecord* record) { arch::Resume(0, record); }

// No statement can place a condition in one of these, but a caller may have one there.
TEST(ConditionRegisterTest, AFunctionThatResumesKeepsThoseOfItsCaller) {
  const RawGenerator<> generator(*OsStack::Create(kStackBytes), &ScrambleForever<Scramble>);
  constexpr uint64_t kKept = 0x00fff000;  // cr2 to cr4
  constexpr uint64_t kConditions = 0x00428000;
  asm volatile("mtcrf 0x38, %0" : : "r"(kConditions) : "cr2", "cr3", "cr4");
  ResumeOnce(generator.record());
  uint64_t conditions;
  asm volatile("mfcr %0" : "=r"(conditions));
  EXPECT_EQ(conditions & kKept, kConditions);
}
#endif  // defined(__powerpc64__)

}  // namespace
}  // namespace fringe::testing
