// Values in registers that a function has and its file lacks, because of a pragma or
// `target_clones`. The switch is inlined there, with the clobbers of its own file.

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "arch/arch.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/registers/extensions.h"
#include "testing/registers/opaque.h"
#include "testing/registers/sides.h"
#include "testing/support/raw_generator.h"

// GCC for 32-bit x86 accepts no name of a register that the file lacks: arch/README.md.
#if defined(__x86_64__) || (defined(__i386__) && defined(__clang__))

namespace fringe::testing {

// Each sum is one vector if the compiler has vectors of that size.
constexpr size_t kSums = 18;

#define FRINGE_EACH(F) \
  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17)
#define FRINGE_MAKE_SUM(I) const Vector512 sum##I = in[I] + in[(I) + 1];
#define FRINGE_STORE_SUM(I) out[I] = sum##I;

// The body of a function that keeps sums across a switch and does not store them before it. It is a
// macro, because a function cannot be inlined into one with fewer registers.
#define FRINGE_KEEP_SUMS       \
  FRINGE_EACH(FRINGE_MAKE_SUM) \
  arch::Resume(0, record);     \
  FRINGE_EACH(FRINGE_STORE_SUM)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
#endif
// `out` receives the sums.
[[gnu::noinline]] void KeepSumsByPragma(arch::LinkRecord* record, const Vector512* in,
                                        Vector512* out) {
  FRINGE_KEEP_SUMS
}
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

// Clones need a C library that selects one when it loads the program.
#if defined(__GLIBC__)
#define FRINGE_CLONES [[gnu::target_clones("default", "avx2", "avx512f")]]
FRINGE_CLONES void KeepSumsInClones(arch::LinkRecord* record, const Vector512* in, Vector512* out);
FRINGE_CLONES void KeepSumsInClones(arch::LinkRecord* record, const Vector512* in, Vector512* out) {
  FRINGE_KEEP_SUMS
}
#endif

namespace {

struct Scramble {
  [[gnu::always_inline]] void operator()() const {
    ScrambleRegisters();
    ScrambleExtensions();
  }
};

// Returns: the number of wrong words in the sums.
unsigned WrongSums(void (*keep_sums)(arch::LinkRecord*, const Vector512*, Vector512*)) {
  const RawGenerator<> generator(*OsStack::Create(kSideStackBytes), &ScrambleForever<Scramble>);
  static Vector512 in[kSums + 1], out[kSums];
  for (uint64_t i = 0; i < std::size(in); ++i) {
    for (uint64_t j = 0; j < 8; ++j) in[i][j] = 1000 * i + j;
  }
  keep_sums(generator.record(), in, out);
  unsigned wrong = 0;
  for (uint64_t i = 0; i < std::size(out); ++i) {
    for (uint64_t j = 0; j < 8; ++j) wrong += out[i][j] != 2000 * i + 1000 + 2 * j;
  }
  return wrong;
}

TEST(TargetPragmaTest, KeepsVectors) {
  if (!HasAvx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  EXPECT_EQ(WrongSums(&KeepSumsByPragma), 0U);
}

#if defined(FRINGE_CLONES)
TEST(TargetClonesTest, KeepVectors) {
#if defined(__i386__)
  GTEST_SKIP() << "a clone that Clang 14 links into a static program cannot be called on this CPU";
#endif
  EXPECT_EQ(WrongSums(&KeepSumsInClones), 0U);
}
#endif

}  // namespace
}  // namespace fringe::testing

#endif
