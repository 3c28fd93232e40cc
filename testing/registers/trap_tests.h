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

// A trap may have two more functions. The first says whether this CPU has its registers.
template <typename Trap>
bool IsSupported() {
  if constexpr (requires { Trap::IsSupported(); }) return Trap::IsSupported();
  return HasRegistersOfFile();
}

// Whether the compiler put no value where a raw switch could overwrite it.
template <typename Trap>
bool IsVoid() {
  if constexpr (requires { Trap::IsVoid(); }) return Trap::IsVoid();
  return false;
}

class TrapTest : public ::testing::Test {
 public:
  using IsTrue = bool (*)();

  TrapTest(unsigned (*wrong)(), IsTrue is_supported, IsTrue is_void)
      : wrong_(wrong), is_supported_(is_supported), is_void_(is_void) {}

  void TestBody() override {
    if (!is_supported_()) GTEST_SKIP() << "this CPU has no such registers";
    EXPECT_EQ(wrong_(), 0U);
    if (is_void_()) {
      GTEST_SKIP() << "the compiler put the values where a switch overwrites nothing";
    }
  }

 private:
  unsigned (*const wrong_)();
  const IsTrue is_supported_;
  const IsTrue is_void_;
};

inline void RegisterTrapTest(const std::string& suite, const char* name, unsigned (*wrong)(),
                             TrapTest::IsTrue is_supported, TrapTest::IsTrue is_void) {
  ::testing::RegisterTest(
      suite.c_str(), name, nullptr, nullptr, __FILE__, __LINE__,
      [=]() -> TrapTest* { return new TrapTest(wrong, is_supported, is_void); });
}

// Registers the tests of one trap, in the suite "SUITE/TRAP". A function that uses `Generator`
// calls others, so what can be void is only a test with a raw switch.
template <typename Trap, typename Scramble>
void RegisterTrap(const char* suite) {
  const std::string name = std::string(suite) + "/" + Trap::kName;
  const TrapTest::IsTrue is_supported = &IsSupported<Trap>;
  const TrapTest::IsTrue never = [] { return false; };
  RegisterTrapTest(name, "KeepsItOverARawResume", &WrongAfterRawResume<Trap, Scramble>,
                   is_supported, &IsVoid<Trap>);
  RegisterTrapTest(name, "KeepsItOverARawSuspend", &WrongAfterRawSuspend<Trap, Scramble>,
                   is_supported, &IsVoid<Trap>);
  RegisterTrapTest(name, "KeepsItOverAResume", &WrongAfterResume<Trap, Scramble>, is_supported,
                   never);
  RegisterTrapTest(name, "KeepsItOverASuspend", &WrongAfterSuspend<Trap, Scramble>, is_supported,
                   never);
}

template <typename... Traps>
struct TrapList {};

// Registers the tests of some traps. The other side overwrites the registers with `Scramble`,
// because a trap takes effect only if it uses them.
template <typename Scramble, typename... Traps>
bool RegisterTraps(const char* suite, TrapList<Traps...>) {
  (RegisterTrap<Traps, Scramble>(suite), ...);
  return true;
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_TRAP_TESTS_H_
