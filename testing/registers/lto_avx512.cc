// The only file of lto_test that is compiled for AVX-512. It defines nothing else that the linker
// could choose over the definition in another file.

#include <cstdint>

#include "testing/registers/lto_switches.h"

namespace fringe::testing {
namespace {

using Vector [[gnu::vector_size(64)]] = uint64_t;

// More of both than there are registers for them.
#define FRINGE_EACH(F) \
  F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17) F(18)
#define FRINGE_MAKE(I)                                    \
  Vector v##I = {I, I + 1, I + 2}, w##I = {I + 3, I + 4}; \
  uint16_t k##I = I;
#define FRINGE_HIDE(I)           \
  asm volatile("" : "+v"(v##I)); \
  asm volatile("" : "+v"(w##I)); \
  asm volatile("" : "+k"(k##I));
#define FRINGE_COMPARE(I)                                                        \
  wrong += v##I[0] != I || v##I[1] != I + 1 || v##I[2] != I + 2 || v##I[7] != 0; \
  wrong += w##I[0] != I + 3 || w##I[1] != I + 4 || w##I[7] != 0;                 \
  wrong += k##I != I;

template <typename Switch>
[[gnu::always_inline]] inline unsigned WrongOver(Switch do_switch) {
  FRINGE_EACH(FRINGE_MAKE)
  FRINGE_EACH(FRINGE_HIDE)
  do_switch();
  FRINGE_EACH(FRINGE_HIDE)
  unsigned wrong = 0;
  FRINGE_EACH(FRINGE_COMPARE)
  return wrong;
}

}  // namespace

unsigned WrongOverResume(arch::LinkRecord* record) {
  return WrongOver([=] { ResumeWithoutExtensions(record); });
}

unsigned WrongOverSuspend(arch::LinkRecord* record) {
  return WrongOver([=] { SuspendWithoutExtensions(record); });
}

}  // namespace fringe::testing
