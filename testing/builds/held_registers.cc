// Values in registers that few CPUs have, across a switch. `check_held_registers` reads the code,
// so no CPU needs to have them. Each function has a twin without the switch, which shows that the
// compiler uses the registers at all.

#include <cstdint>

#include "arch/arch.h"

#if !defined(__APX_F__)
#include <immintrin.h>
#endif

namespace {

struct Switch {
  fringe::arch::LinkRecord* record;
  [[gnu::always_inline]] void operator()() const { fringe::arch::Resume(0, record); }
};

struct NoSwitch {
  [[gnu::always_inline]] void operator()() const { asm volatile("# no switch" : : : "memory"); }
};

#if defined(__APX_F__)

// clang-format off
#define EACH(F)                                                             \
  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12)       \
  F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20) F(21) F(22) F(23) F(24)   \
  F(25) F(26) F(27) F(28) F(29) F(30) F(31)
// clang-format on

// More integers than rax to r15 can hold.
template <typename Between>
[[gnu::always_inline]] inline void HoldInRegisters(Between between, uint64_t* memory) {
  volatile uint64_t* const values = memory;  // no vectors
#define LOAD(I) const uint64_t v##I = values[I];
#define STORE(I) values[I] = v##I;
  EACH(LOAD)
  between();
  EACH(STORE)
}

#else

template <typename Between>
[[gnu::always_inline]] inline void HoldInRegisters(Between between, uint64_t* values) {
  __tile1024i a = {16, 64, {}}, b = a, c = a;
  __tile_loadd(&a, values, 64);
  __tile_loadd(&b, values + 128, 64);
  __tile_loadd(&c, values + 256, 64);
  between();
  __tile_stored(values, 64, c);
  __tile_stored(values + 128, 64, b);
  __tile_stored(values + 256, 64, a);
}

#endif

}  // namespace

extern "C" void Hold(fringe::arch::LinkRecord* record, uint64_t* values) {
  HoldInRegisters(Switch{record}, values);
}

extern "C" void HoldWithoutSwitch(uint64_t* values) { HoldInRegisters(NoSwitch(), values); }
