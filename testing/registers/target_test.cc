// Values in registers that a function has and its file lacks, because of an attribute. The switch
// is inlined there, with the clobbers of its own file.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "testing/registers/extensions.h"
#include "testing/registers/opaque.h"
#include "testing/registers/trap_tests.h"
#include "testing/support/landing_pad.h"

#if defined(__aarch64__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC target("+sve")
#include <arm_sve.h>
#pragma GCC pop_options
#endif
namespace fringe::testing {
namespace {

[[maybe_unused]] constexpr int kSwitches = 3;

// As many values of a type as `kCount`, which is more than there are registers for them, and
// statements on all of them. Each is a macro, because a function cannot be inlined into one with
// fewer registers. The constraints in a lambda are also checked separately.

#define FRINGE_EACH(F) \
  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17)

// Declares a trap: values of `TYPE` in registers of `CONSTRAINT` in a function with `TARGET`.
// clang-format off
#define FRINGE_MAKE_VALUE(I)                                                                       \
  Type v##I, w##I;                                                                                 \
  Make(v##I, I);                                                                                   \
  Make(w##I, 100 + I);
#define FRINGE_HIDE_VALUE(I)                                                                       \
  asm volatile("" : "+" FRINGE_CONSTRAINT(v##I));                                                  \
  asm volatile("" : "+" FRINGE_CONSTRAINT(w##I));
#define FRINGE_COMPARE_VALUE(I)                                                                    \
  wrong += Differs(v##I, I) + Differs(w##I, 100 + I);
#define FRINGE_DEFINE_RUN                                                                          \
  static unsigned Run(Side side) {                                                                 \
    FRINGE_EACH(FRINGE_MAKE_VALUE)                                                                 \
    for (int i = 0; i < kSwitches; ++i) {                                                          \
      FRINGE_EACH(FRINGE_HIDE_VALUE)                                                               \
      side();                                                                                      \
      FRINGE_EACH(FRINGE_HIDE_VALUE)                                                               \
    }                                                                                              \
    unsigned wrong = 0;                                                                            \
    FRINGE_EACH(FRINGE_COMPARE_VALUE)                                                              \
    return wrong;                                                                                  \
  }
// clang-format on

template <typename T>
[[gnu::always_inline]] inline void Make(T& value, size_t number) {
  unsigned char bytes[sizeof(T)];
  for (size_t i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<unsigned char>(3 * i + number);
  std::memcpy(&value, bytes, sizeof value);
}

// In a separate function: the value is then in memory.
[[maybe_unused, gnu::noinline]] unsigned DiffersInMemory(const void* value, size_t bytes,
                                                         size_t number) {
  for (size_t i = 0; i < bytes; ++i) {
    if (static_cast<const unsigned char*>(value)[i] != static_cast<unsigned char>(3 * i + number)) {
      return 1;
    }
  }
  return 0;
}

template <typename T>
[[gnu::always_inline]] inline unsigned Differs(const T& value, size_t number) {
  T copy = value;
  return DiffersInMemory(&copy, sizeof copy, number);
}

// GCC for 32-bit x86 accepts no name of a register that the file lacks: arch/README.md.
#if defined(__x86_64__) || (defined(__i386__) && defined(__clang__))
#define FRINGE_X86_EXTENSIONS 1
#else
#define FRINGE_X86_EXTENSIONS 0
#endif

#if FRINGE_X86_EXTENSIONS

using Vector64 [[gnu::vector_size(8)]] = int;

// 512-bit vectors: on x86_64, of zmm0 to zmm31.
struct Zmm {
  static constexpr const char* kName = "Zmm";
  using Type = Vector512;
  static bool IsSupported() { return HasAvx512(); }

  template <typename Side>
#define FRINGE_CONSTRAINT "v"
  [[gnu::noinline, gnu::target("avx512f,avx512bw")]] FRINGE_DEFINE_RUN
};

// Scalars. With AVX-512, they can be in xmm16 to xmm31 too.
struct HighXmm {
  static constexpr const char* kName = "HighXmm";
  using Type = Vector128;
  static bool IsSupported() { return HasAvx512(); }

  template <typename Side>
  [[gnu::noinline, gnu::target("avx512f,avx512vl")]] FRINGE_DEFINE_RUN
#undef FRINGE_CONSTRAINT
};

struct Ymm {
  static constexpr const char* kName = "Ymm";
  using Type = Vector256;
  static bool IsSupported() { return __builtin_cpu_supports("avx2") != 0; }

  template <typename Side>
#define FRINGE_CONSTRAINT "x"
  [[gnu::noinline, gnu::target("avx2")]] FRINGE_DEFINE_RUN
};

// On 32-bit x86, a file has no vector registers unless its flags enable them.
struct Xmm {
  static constexpr const char* kName = "Xmm";
  using Type = Vector128;
  static bool IsSupported() { return __builtin_cpu_supports("sse2") != 0; }

  template <typename Side>
  [[gnu::noinline, gnu::target("sse2")]] FRINGE_DEFINE_RUN
#undef FRINGE_CONSTRAINT
};

// The mask registers.
struct Masks {
  static constexpr const char* kName = "Masks";
  using Type = uint16_t;
  static bool IsSupported() { return HasAvx512(); }

  template <typename Side>
  [[gnu::noinline, gnu::target("avx512f,avx512bw")]] static unsigned Run(Side side) {
    Type a = 0x1234, b = 0x2345, c = 0x3456, d = 0x4567, e = 0x5678, f = 0x6789, g = 0x789a;
    for (int i = 0; i < kSwitches; ++i) {
      asm volatile("" : "+k"(a), "+k"(b), "+k"(c), "+k"(d), "+k"(e), "+k"(f), "+k"(g));
      side();
      asm volatile("" : "+k"(a), "+k"(b), "+k"(c), "+k"(d), "+k"(e), "+k"(f), "+k"(g));
    }
    return 0U + (a != 0x1234) + (b != 0x2345) + (c != 0x3456) + (d != 0x4567) + (e != 0x5678) +
           (f != 0x6789) + (g != 0x789a);
  }
};

// Obsolete registers that compilers still support. They alias those of the x87 unit, which nothing
// else uses until the `emms`.
struct Mm {
  static constexpr const char* kName = "Mm";
  using Type = Vector64;
  static bool IsSupported() { return __builtin_cpu_supports("mmx") != 0; }

  template <typename Side>
  [[gnu::noinline, gnu::target("mmx")]] static unsigned Run(Side side) {
    Type a = {1, 2}, b = {3, 4}, c = {5, 6}, d = {7, 8};
    for (int i = 0; i < kSwitches; ++i) {
      asm volatile("" : "+y"(a), "+y"(b), "+y"(c), "+y"(d));
      side();
      asm volatile("" : "+y"(a), "+y"(b), "+y"(c), "+y"(d));
    }
    Type kept[] = {a, b, c, d};
    asm volatile("emms" : "+m"(kept));
    unsigned wrong = 0;
    for (int i = 0; i < 8; ++i) wrong += kept[i / 2][i % 2] != i + 1;
    return wrong;
  }
};

using Traps = TrapList<Zmm, HighXmm, Ymm, Xmm, Masks, Mm>;

#elif defined(__aarch64__) && !defined(__clang__)

// Scalable vectors. There is no array of them.
struct Scalable {
  static constexpr const char* kName = "Scalable";
  static bool IsSupported() { return HasSve(); }

#define FRINGE_MAKE_Z(I) svuint64_t v##I = svindex_u64(I, 5), w##I = svindex_u64(100 + I, 3);
#define FRINGE_HIDE_Z(I) asm volatile("" : "+w"(v##I), "+w"(w##I));
#define FRINGE_COMPARE_Z(I)                                           \
  wrong += svptest_any(all, svcmpne(all, v##I, svindex_u64(I, 5))) || \
           svptest_any(all, svcmpne(all, w##I, svindex_u64(100 + I, 3)));
  template <typename Side>
  [[gnu::noinline, gnu::target("+sve")]] static unsigned Run(Side side) {
    FRINGE_EACH(FRINGE_MAKE_Z)
    for (int i = 0; i < kSwitches; ++i) {
      FRINGE_EACH(FRINGE_HIDE_Z)
      side();
      FRINGE_EACH(FRINGE_HIDE_Z)
    }
    const svbool_t all = svptrue_b64();
    unsigned wrong = 0;
    FRINGE_EACH(FRINGE_COMPARE_Z)
    return wrong;
  }
};

// p0 to p15.
struct Predicates {
  static constexpr const char* kName = "Predicates";
  static bool IsSupported() { return HasSve(); }

#define FRINGE_MAKE_P(I) svbool_t p##I = svwhilelt_b8(0, (I) + 1);
#define FRINGE_HIDE_P(I) asm volatile("" : "+Upa"(p##I));
#define FRINGE_COMPARE_P(I) \
  wrong += svcntp_b8(all, p##I) != (svcntb() < (I) + 1 ? svcntb() : (I) + 1);
  template <typename Side>
  [[gnu::noinline, gnu::target("+sve")]] static unsigned Run(Side side) {
    FRINGE_EACH(FRINGE_MAKE_P)
    for (int i = 0; i < kSwitches; ++i) {
      FRINGE_EACH(FRINGE_HIDE_P)
      side();
      FRINGE_EACH(FRINGE_HIDE_P)
    }
    const svbool_t all = svptrue_b8();
    unsigned wrong = 0;
    FRINGE_EACH(FRINGE_COMPARE_P)
    return wrong;
  }
};

using Traps = TrapList<Scalable, Predicates>;

#elif defined(__arm__) && !defined(__clang__)

// q0 to q15. A file for VFPv3-D16 has only the lower half of them.
struct Neon {
  static constexpr const char* kName = "Neon";
  using Type = Vector128;
  static bool IsSupported() { return HasNeon(); }

  template <typename Side>
#define FRINGE_CONSTRAINT "w"
  [[gnu::noinline, gnu::target("fpu=neon")]] FRINGE_DEFINE_RUN
#undef FRINGE_CONSTRAINT
};

using Traps = TrapList<Neon>;

#elif defined(__loongarch__)

// xr0 to xr31. A file for the first standard of this CPU has only the lower half of them.
struct Lasx {
  static constexpr const char* kName = "Lasx";
  using Type = Vector256;
  static bool IsSupported() { return HasLasx(); }

  template <typename Side>
#define FRINGE_CONSTRAINT "f"
  [[gnu::noinline, gnu::target("lasx")]] FRINGE_DEFINE_RUN
#undef FRINGE_CONSTRAINT
};

using Traps = TrapList<Lasx>;

#elif defined(__mips64) && defined(__clang__)

// w0 to w31. A file without MSA has only their lower halves, which are floats.
struct Msa {
  static constexpr const char* kName = "Msa";
  using Type = Vector128;
  static bool IsSupported() { return HasMsa(); }

  template <typename Side>
#define FRINGE_CONSTRAINT "f"
  [[gnu::noinline, gnu::target("arch=mips64r5,msa")]] FRINGE_DEFINE_RUN
#undef FRINGE_CONSTRAINT
};

using Traps = TrapList<Msa>;

#elif defined(__powerpc64__)

// vs0 to vs63. A file without VSX has only the floating-point half of vs0 to vs31.
struct Vsx {
  static constexpr const char* kName = "Vsx";
  using Type = Vector128;
  static bool IsSupported() { return HasVsx(); }

  template <typename Side>
#define FRINGE_CONSTRAINT "wa"
  [[gnu::noinline, gnu::target("altivec,vsx")]] FRINGE_DEFINE_RUN
#undef FRINGE_CONSTRAINT
};

using Traps = TrapList<Vsx>;

#else
#define FRINGE_NO_EXTENSIONS 1
#endif

#if defined(FRINGE_NO_EXTENSIONS)

TEST(TargetTest, IsNotOfThisCompiler) {
#if defined(__s390x__)
  GTEST_SKIP() << "the compilers refuse to inline a switch into a function with vector registers, "
                  "unless its file has them too";
#elif defined(__i386__)
  GTEST_SKIP() << "GCC accepts no name of a register that the file lacks: arch/README.md";
#elif defined(__mips__) || defined(__riscv)
  GTEST_SKIP() << "this compiler has no attribute that gives a function vector registers";
#else
  GTEST_SKIP() << "this compiler's types of such registers need flags of the file";
#endif
}

#else

struct Scramble {
  [[gnu::always_inline]] void operator()() const {
    ScrambleRegisters();
    ScrambleExtensions();
  }
};

const bool kIsRegistered = RegisterTraps<Scramble>("TargetTest", Traps());

#if defined(__x86_64__) && !defined(__clang__) && !defined(__AVX512F__)
// In functions that have AVX-512 by an attribute, a switch of GCC is a function that saves
// registers.

[[gnu::noinline, gnu::target("avx512f,avx512bw")]] void ResumeWithVectors(
    arch::LinkRecord* record) {
  arch::Resume(0, record);
}

extern "C" {
void fringe_x86_64_switch_avx512f();
void fringe_x86_64_switch_avx512bw();
[[gnu::used]] uintptr_t target_test_rbx;
[[gnu::used]] void TargetTestSuspendForever(uintptr_t, arch::LinkRecord* record,
                                            arch::LinkRecord*) {
  for (;;) arch::Suspend(0, record);
}
}

[[gnu::naked]] void StoreRbx(uintptr_t, arch::LinkRecord*, arch::LinkRecord*) {
  asm("movq %rbx, target_test_rbx(%rip)\n\t"
      "jmp TargetTestSuspendForever");
}

// A side that Clang compiled needs it.
TEST(SavingSwitchTest, LoadsTheBasePointerOfTheOtherSide) {
  if (!HasAvx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  const RawGenerator<OsStack> generator(*OsStack::Create(kSideStackBytes), &StoreRbx);
  int place = 0;
  generator.record()->generator.bp = &place;
  ResumeWithVectors(generator.record());
  EXPECT_EQ(target_test_rbx, reinterpret_cast<uintptr_t>(&place));
}

TEST(SavingSwitchTest, EveryIndirectJumpGoesToALandingPad) {
  EXPECT_TRUE(IsLandingPad(reinterpret_cast<const void*>(&fringe_x86_64_switch_avx512f)));
  EXPECT_TRUE(IsLandingPad(reinterpret_cast<const void*>(&fringe_x86_64_switch_avx512bw)));
  if (!HasAvx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  static bool is_landing_pad;
  const RawGenerator<OsStack> generator(*OsStack::Create(kSideStackBytes),
                                        [](uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
                                          is_landing_pad = IsLandingPad(record->resumer.pc);
                                          for (;;) arch::Suspend(0, record);
                                        });
  ResumeWithVectors(generator.record());
  EXPECT_TRUE(is_landing_pad);
}
#endif

#endif  // !defined(FRINGE_NO_EXTENSIONS)

}  // namespace
}  // namespace fringe::testing
