// Values in registers that a function has by its `target` attribute, and its file has not, survive
// a switch.

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"
#include "gtest/gtest.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && (!defined(__clang__) || __clang_major__ >= 16)
// Clang 14 has no types of SVE in functions that have it by an attribute.
#define FRINGE_TEST_HAS_SVE 1
#include <arm_sve.h>
#include <sys/auxv.h>
#endif

namespace fringe::arch {
namespace {

[[maybe_unused]] constexpr int64_t kNumbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
// The sum of the numbers above 4, twice that of all numbers, and twice that of those above 4.
constexpr int64_t kSum = 26 + 72 + 52;

#if defined(__x86_64__)

bool HasExtension() { return __builtin_cpu_supports("avx512bw") != 0; }

// Overwrites what a file without AVX-512 has no names for.
[[gnu::noinline]] void OverwriteRegisters() {
  asm volatile(
      ".irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "vpxorq %%zmm\\i, %%zmm\\i, %%zmm\\i\n\t"
      ".endr\n\t"
      ".irp i, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
      "kxorw %%k\\i, %%k\\i, %%k\\i\n\t"
      ".endr"
      :
      :
      : "memory");
}

// Keeps two vectors and a mask over two switches.
#define FRINGE_TEST_SUM                                                               \
  const __m512i numbers = _mm512_loadu_si512(kNumbers);                               \
  const __mmask8 above4 = _mm512_cmpgt_epi64_mask(numbers, _mm512_set1_epi64(4));     \
  const __m512i twice = _mm512_add_epi64(numbers, numbers);                           \
  Suspend(1, record);                                                                 \
  const int64_t sum =                                                                 \
      _mm512_mask_reduce_add_epi64(above4, numbers) + _mm512_reduce_add_epi64(twice); \
  Suspend(2, record);                                                                 \
  return sum + _mm512_mask_reduce_add_epi64(above4, twice)

[[gnu::target("avx512f"), gnu::noinline]] int64_t SumByAttribute(LinkRecord* record) {
  FRINGE_TEST_SUM;
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512dq"), gnu::noinline]] int64_t SumByMoreOfThem(
    LinkRecord* record) {
  FRINGE_TEST_SUM;
}

// Masks of 64 bits, as many as there are registers for them.
[[gnu::target("avx512bw"), gnu::noinline]] int64_t SumByMasks(LinkRecord* record) {
  const __m512i bytes = _mm512_set1_epi64(0x0807060504030201);
  const __mmask64 masks[] = {_mm512_cmpgt_epi8_mask(bytes, _mm512_set1_epi8(0)),
                             _mm512_cmpgt_epi8_mask(bytes, _mm512_set1_epi8(1)),
                             _mm512_cmpgt_epi8_mask(bytes, _mm512_set1_epi8(2)),
                             _mm512_cmpgt_epi8_mask(bytes, _mm512_set1_epi8(3)),
                             _mm512_cmpgt_epi8_mask(bytes, _mm512_set1_epi8(4)),
                             _mm512_cmpgt_epi8_mask(bytes, _mm512_set1_epi8(5)),
                             _mm512_cmpgt_epi8_mask(bytes, _mm512_set1_epi8(6))};
  Suspend(1, record);
  int64_t bits = 0;
  __m512i sum = _mm512_setzero_si512();
  for (const __mmask64 mask : masks) {
    sum = _mm512_mask_add_epi8(sum, mask, sum, _mm512_set1_epi8(1));
  }
  Suspend(2, record);
  for (const __mmask64 mask : masks) bits += __builtin_popcountll(mask);
  alignas(64) int8_t sums[64];
  _mm512_store_si512(sums, sum);
  for (const int8_t byte : sums) bits -= byte;
  return kSum + bits;
}

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
#endif
[[gnu::noinline]] int64_t SumByPragma(LinkRecord* record) { FRINGE_TEST_SUM; }
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

constexpr int64_t (*kSums[])(LinkRecord*) = {&SumByAttribute, &SumByMoreOfThem, &SumByMasks,
                                             &SumByPragma};

#elif defined(FRINGE_TEST_HAS_SVE) && defined(__linux__)

bool HasExtension() { return (getauxval(AT_HWCAP) & (1UL << 22)) != 0; }  // HWCAP_SVE

#if defined(__clang__)
#define FRINGE_TEST_SVE "sve"
#else
#define FRINGE_TEST_SVE "+sve"
#endif

[[gnu::target(FRINGE_TEST_SVE), gnu::noinline]] void OverwriteRegisters() {
  asm volatile(
      ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
      "pfalse p\\i\\().b\n\t"
      "dup z\\i\\().d, #0\n\t"
      ".endr\n\t"
      ".irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "dup z\\i\\().d, #0\n\t"
      ".endr"
      :
      :
      : "memory", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15");
}

[[gnu::target(FRINGE_TEST_SVE), gnu::noinline]] int64_t SumByAttribute(LinkRecord* record) {
  const svbool_t first2 = svwhilelt_b64(0, 2);
  int64_t sum = 0;
  // A vector may hold two numbers only.
  for (int i = 0; i < 8; i += 2) {
    const svint64_t numbers = svld1_s64(first2, kNumbers + i);
    const svbool_t above4 = svcmpgt_n_s64(first2, numbers, 4);
    const svint64_t twice = svadd_s64_z(first2, numbers, numbers);
    if (i % 4 == 0) Suspend(1, record);
    sum += svaddv_s64(above4, numbers) + svaddv_s64(first2, twice) + svaddv_s64(above4, twice);
  }
  return sum;
}

constexpr int64_t (*kSums[])(LinkRecord*) = {&SumByAttribute};

#else

bool HasExtension() { return false; }
void OverwriteRegisters() {}
constexpr int64_t (*kSums[])(LinkRecord*) = {nullptr};

#endif

// The sum that runs next, and its result.
int64_t (*current)(LinkRecord*);

void Body(uintptr_t, LinkRecord* record, LinkRecord*) {
  const int64_t sum = current(record);
  Finish(static_cast<uintptr_t>(sum), record);
}

TEST(TargetAttributeTest, ValuesSurviveSwitches) {
  if (!HasExtension()) GTEST_SKIP() << "this CPU has no registers that only an attribute gives";
  for (int64_t (*const sum)(LinkRecord*) : kSums) {
    current = sum;
    struct Memory {
      alignas(kStackAlignment) std::byte bytes[64 << 10];
      LinkRecord record;
    };
    static Memory memory;
    Init(&memory.record, memory.bytes + sizeof(memory.bytes), &Body);
    for (int i = 0; i < 2; ++i) {
      EXPECT_NE(Resume(0, &memory.record).record, nullptr);
      OverwriteRegisters();
    }
    const Message last = Resume(0, &memory.record);
    EXPECT_EQ(last.record, nullptr);
    EXPECT_EQ(static_cast<int64_t>(last.word), kSum);
  }
}

}  // namespace
}  // namespace fringe::arch
