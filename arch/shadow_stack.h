// Whether the CPU keeps a shadow stack, which a switch does not change.
//
// Such a stack holds return addresses alone: calls push theirs, and a return to any other address
// is a fault. A generator that suspends from within a call leaves its addresses above those of its
// resumer, whose next return would be the fault. So it is an error before it comes to that.

#ifndef FRINGE_ARCH_SHADOW_STACK_H_
#define FRINGE_ARCH_SHADOW_STACK_H_

#include <cstdint>

namespace fringe::arch {

// Returns: whether there is one for the running thread. False on CPUs that cannot be asked, or only
//   by an instruction that older ones do not have.
// Cost: an instruction that does nothing where there is none.
[[gnu::always_inline]] inline bool ShadowStackIsOn() {
#if defined(__x86_64__)
  // "Intel 64 and IA-32 Architectures Software Developer's Manual", RDSSPQ: its operand stays as it
  // was where there is none.
  uintptr_t address = 0;
  asm("rdsspq %q0" : "+r"(address));
  return address != 0;
#elif defined(__aarch64__)
  // "Arm Architecture Reference Manual for A-profile", CHKFEAT: clears the bit of each feature that
  // is on; the guarded control stack is bit 0. By a name that every assembler knows.
  register uintptr_t is_off asm("x16") = 1;
  asm("hint 40  // chkfeat x16" : "+r"(is_off));
  return is_off == 0;
#else
  return false;
#endif
}

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_SHADOW_STACK_H_
