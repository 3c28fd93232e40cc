// Counts the instructions of a resume and a suspend, and checks that none of them is a call. The
// code is always compiled at -O2 and is single-stepped.

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/registers/opaque.h"
#include "testing/support/raw_generator.h"
#if !defined(__arm__)
#include "testing/support/single_step.h"
#endif

#if defined(__arm__)

TEST(InstructionCountTest, IsNotOfThisCpu) {
  GTEST_SKIP() << "testing/support/single_step.h cannot step through code of 32-bit Arm";
}

#else

// Defined by UBSan's runtime.
extern "C" [[gnu::weak]] void __ubsan_handle_pointer_overflow();

namespace fringe::testing {
namespace {

// Written by the handler.
size_t instructions;
size_t calls;

void CountInstruction(const ucontext_t& context) {
  ++instructions;
  if (IsCall(ProgramCounter(context))) ++calls;
}

struct Count {
  size_t instructions;
  size_t calls;
};

// Returns: the difference between `round_trips(2 * n)` and `round_trips(n)`, divided by n.
template <typename F>
Count PerRoundTrip(F round_trips) {
  constexpr size_t kRoundTrips = 16;
  const auto count = [&](size_t n) {
    Hide(n);
    instructions = 0;
    calls = 0;
    {
      const SingleStep step(&CountInstruction);
      round_trips(n);
    }
    return Count{instructions, calls};
  };
  count(kRoundTrips);  // runs once without counting: the dynamic linker, the first resume
  const Count once = count(kRoundTrips);
  const Count twice = count(2 * kRoundTrips);
  return {(twice.instructions - once.instructions) / kRoundTrips,
          (twice.calls - once.calls) / kRoundTrips};
}

// Whether a sanitizer has added instructions. GCC defines no macro for UBSan, but links its
// runtime.
bool IsSanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__clang__)
  return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||
         __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer);
#else
  return &__ubsan_handle_pointer_overflow != nullptr;
#endif
}

// The loops that are counted, each with one resume or suspend.

[[gnu::noinline]] void ResumeRaw(arch::LinkRecord* record, size_t n) {
  for (size_t i = 0; i < n; ++i) arch::Resume(0, record);
}

void SuspendRaw(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  for (;;) word = arch::Suspend(word, record).word;
}

using Uint64Generator = Generator<uint64_t, uint64_t, OsStack>;

[[gnu::noinline]] uint64_t ResumeGenerator(Uint64Generator& generator, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += generator.Resume(i).value_or(0);
  return sum;
}

// The number of instructions by which a CPU exceeds the bounds below. On RISC-V, an address takes
// two instructions, and each constant or memory operand takes one. PowerPC is similar. There, a
// resume also copies the back chain, and a switch saves r2 and jumps through ctr. On 32-bit x86,
// code reads its own address with two more instructions in each direction, and when it loads a
// thread-local variable. It has few registers, and each value takes two of them. On MIPS, code that
// loads a thread-local variable first computes the address of its global offset table. A branch and
// the instruction in its delay slot count as one.
#if defined(__powerpc64__)
constexpr size_t kMoreRaw = 12;
constexpr size_t kMoreGenerator = 18;
#elif defined(__mips__)
constexpr size_t kMoreRaw = 0;
constexpr size_t kMoreGenerator = 8;
#elif defined(__riscv)
constexpr size_t kMoreRaw = 2;
constexpr size_t kMoreGenerator = 18;
#elif defined(__i386__)
constexpr size_t kMoreRaw = 4;
constexpr size_t kMoreGenerator = 18;
#else
constexpr size_t kMoreRaw = 0;
constexpr size_t kMoreGenerator = 0;
#endif

// Ten instructions in each direction, and the loops on both sides.
TEST(InstructionCountTest, RawRoundTrip) {
  if (IsSanitized()) GTEST_SKIP() << "sanitizers add instructions";
  const RawGenerator<> generator(*OsStack::Create(64 << 10), &SuspendRaw);
  const Count count = PerRoundTrip([&](size_t n) { ResumeRaw(generator.record(), n); });
  EXPECT_EQ(count.calls, 0U);
  EXPECT_LE(count.instructions, 28U + kMoreRaw);
  RecordProperty("instructions", static_cast<int>(count.instructions));
}

// With a value in each direction.
TEST(InstructionCountTest, GeneratorRoundTrip) {
  if (IsSanitized()) GTEST_SKIP() << "sanitizers add instructions";
  auto generator = MakeGenerator<uint64_t, uint64_t>(
      *OsStack::Create(64 << 10), [](Yielder<uint64_t, uint64_t>& yielder, uint64_t input) {
        for (;;) input = yielder.Suspend(input);
      });
  const Count count = PerRoundTrip([&](size_t n) { ResumeGenerator(generator, n); });
  EXPECT_EQ(count.calls, 0U);
#if defined(__cpp_exceptions)
  EXPECT_LE(count.instructions, 54U + kMoreGenerator);
#else
  EXPECT_LE(count.instructions, 44U + kMoreGenerator);
#endif
  RecordProperty("instructions", static_cast<int>(count.instructions));
  // Does not rely on the destructor, which needs exceptions.
  static_cast<void>(std::move(generator).UnsafeUnwrap());
}

}  // namespace
}  // namespace fringe::testing

#endif  // defined(__arm__)
