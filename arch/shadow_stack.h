// Detects a hardware shadow stack, which a switch does not change.
//
// A shadow stack holds return addresses only: a call pushes its own, and a return to any other
// address faults. A generator that suspends inside a call leaves its addresses above those of its
// resumer, whose next return would fault. The layers above therefore end the program first, with a
// message.

#ifndef FRINGE_ARCH_SHADOW_STACK_H_
#define FRINGE_ARCH_SHADOW_STACK_H_

#include <cstdint>

namespace fringe::arch {

// Returns: whether the running thread has a shadow stack. False on CPUs that have no instruction to
//   ask that is safe on older models.
// Cost: an instruction, which is a no-op if there is none.
[[gnu::always_inline]] inline bool ShadowStackIsOn() {
#if defined(_WIN32)
  return false;  // a fiber has a shadow stack of its own
#elif defined(__x86_64__)
  // "Intel 64 and IA-32 Architectures Software Developer's Manual", RDSSPQ: its operand is
  // unchanged if there is none.
  uintptr_t address = 0;
  asm("rdsspq %q0" : "+r"(address));
  return address != 0;
#elif defined(__aarch64__)
  // "Arm Architecture Reference Manual for A-profile", CHKFEAT: clears the bit of each feature that
  // is on; the guarded control stack is bit 0. `hint 40` is its name in every assembler.
  register uintptr_t is_off asm("x16") = 1;
  asm("hint 40  // chkfeat x16" : "+r"(is_off));
  return is_off == 0;
#else
  return false;
#endif
}

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_SHADOW_STACK_H_
