// Registers the tests of traps, which sides.h describes: a suite for each trap, a test for each
// side of each kind of switch. As typed tests they would double the time that their file takes to
// compile.

#ifndef FRINGE_TESTING_REGISTERS_TRAP_TESTS_H_
#define FRINGE_TESTING_REGISTERS_TRAP_TESTS_H_

#include <string>

#include "gtest/gtest.h"
#include "testing/registers/opaque.h"
#include "testing/registers/sides.h"

#if defined(__ARM_FEATURE_SVE)
#include <sys/auxv.h>
#endif

namespace fringe::testing {

// Whether this CPU has the registers for which the whole file is compiled.
inline bool HasRegistersOfFile() {
#if defined(__ARM_FEATURE_SVE)
  return (getauxval(AT_HWCAP) & HWCAP_SVE) != 0;
#elif defined(FRINGE_HAS_RISCV_VECTORS) && FRINGE_HAS_RISCV_VECTORS
  return HasVectors();
#else
  return true;
#endif
}

// A trap may have two more functions:
// - `IsSupported()`: whether this CPU has its registers;
// - `IsVoid()`: whether the compiler put no value where a raw switch could overwrite it.
class TrapTest : public ::testing::Test {
 public:
  using IsTrue = bool (*)();

  TrapTest(unsigned (*wrong)(), IsTrue is_supported, IsTrue is_void)
      : wrong_(wrong), is_supported_(is_supported), is_void_(is_void) {}

  void TestBody() override {
    if (!HasRegistersOfFile() || (is_supported_ != nullptr && !is_supported_())) {
      GTEST_SKIP() << "this CPU has no such registers";
    }
    EXPECT_EQ(wrong_(), 0U);
    if (is_void_ != nullptr && is_void_()) {
      GTEST_SKIP() << "the compiler put the values where a switch overwrites nothing";
    }
  }

 private:
  unsigned (*wrong_)();
  IsTrue is_supported_;
  IsTrue is_void_;
};

template <typename Trap>
constexpr TrapTest::IsTrue IsSupportedBy() {
  if constexpr (requires { Trap::IsSupported(); }) return &Trap::IsSupported;
  return nullptr;
}

template <typename Trap>
constexpr TrapTest::IsTrue IsVoidOf() {
  if constexpr (requires { Trap::IsVoid(); }) return &Trap::IsVoid;
  return nullptr;
}

// Registers the tests of one trap, in the suite "SUITE/TRAP".
[[gnu::noinline]] inline void RegisterTrap(const std::string& suite, unsigned (*raw_resume)(),
                                           unsigned (*raw_suspend)(), unsigned (*resume)(),
                                           unsigned (*suspend)(), TrapTest::IsTrue is_supported,
                                           TrapTest::IsTrue is_void) {
  const auto add = [&](const char* name, unsigned (*wrong)(), TrapTest::IsTrue is_void_here) {
    ::testing::RegisterTest(
        suite.c_str(), name, nullptr, nullptr, __FILE__, __LINE__,
        [=]() -> TrapTest* { return new TrapTest(wrong, is_supported, is_void_here); });
  };
  add("KeepsItOverARawResume", raw_resume, is_void);
  add("KeepsItOverARawSuspend", raw_suspend, is_void);
  add("KeepsItOverAResume", resume, nullptr);
  add("KeepsItOverASuspend", suspend, nullptr);
}

template <typename... Traps>
struct TrapList {};

// Registers the tests of some traps. The other side overwrites the registers with `Scramble`,
// because a trap takes effect only if it uses them.
template <typename Scramble, typename... Traps>
bool RegisterTraps(const char* suite, TrapList<Traps...>) {
  (RegisterTrap(std::string(suite) + "/" + Traps::kName, &WrongAfterRawResume<Traps, Scramble>,
                &WrongAfterRawSuspend<Traps, Scramble>, &WrongAfterResume<Traps, Scramble>,
                &WrongAfterSuspend<Traps, Scramble>, IsSupportedBy<Traps>(), IsVoidOf<Traps>()),
   ...);
  return true;
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_TRAP_TESTS_H_
