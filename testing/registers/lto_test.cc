// Values in registers that one file has and another lacks, if link-time optimisation inlines a
// switch of the latter into a function of the former.

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/registers/extensions.h"
#include "testing/registers/lto_switches.h"
#include "testing/registers/opaque.h"
#include "testing/support/raw_generator.h"

namespace fringe::testing {
namespace {

constexpr size_t kStackBytes = 256 << 10;

void Scramble() {
  ScrambleRegisters();
  ScrambleAvx512();
}

void ScrambleForever(uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
  for (;;) {
    Scramble();
    arch::Suspend(0, record);
  }
}

TEST(LtoTest, KeepsThemOverAResume) {
  if (!HasAvx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  const RawGenerator<> generator(*OsStack::Create(kStackBytes), &ScrambleForever);
  EXPECT_EQ(WrongOverResume(generator.record()), 0U);
}

// Not a number of wrong values.
constexpr unsigned kUnfinished = ~0U;

void SuspendOnce(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  *reinterpret_cast<unsigned*>(word) = WrongOverSuspend(record);
  for (;;) arch::Suspend(0, record);
}

TEST(LtoTest, KeepsThemOverASuspend) {
  if (!HasAvx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  const RawGenerator<> generator(*OsStack::Create(kStackBytes), &SuspendOnce);
  unsigned wrong = kUnfinished;
  while (wrong == kUnfinished) {
    Scramble();
    arch::Resume(reinterpret_cast<uintptr_t>(&wrong), generator.record());
  }
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace fringe::testing
