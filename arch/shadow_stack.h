// Hardware shadow stacks: x86's (SHSTK), and AArch64's guarded control stack (GCS).
//
// A shadow stack holds return addresses only: a call pushes its own, and a return to any other
// address faults. A generator that suspends inside a call leaves its addresses above those of its
// resumer, whose next return would fault. So a generator needs a shadow stack of its own. README.md
// has the contract. Builds without `FRINGE_SHADOW_STACKS` (fringe/config.h) only detect one.

#ifndef FRINGE_ARCH_SHADOW_STACK_H_
#define FRINGE_ARCH_SHADOW_STACK_H_

#include <cstddef>
#include <cstdint>

namespace fringe::arch {

// Returns: whether the running thread has a shadow stack. False on CPUs that have no instruction to
//   ask that is safe on older models. The compiler may use the answer of an earlier call, which is
//   another one if the program has turned the shadow stack on in between.
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

// Returns: `value`. If the running thread has a shadow stack, a number that is at least 4096: one
//   comparison answers two questions. As with `ShadowStackIsOn`, it may be an earlier answer.
// Cost: as `ShadowStackIsOn`.
[[gnu::always_inline]] inline uintptr_t ShadowStackAddressOr(uintptr_t value) {
#if !defined(_WIN32) && defined(__x86_64__)
  asm("rdsspq %q0" : "+r"(value));
  return value;
#else
  return ShadowStackIsOn() ? UINTPTR_MAX : value;
#endif
}

// A shadow stack that is not in use. It continues at its token, a word in it that the CPU checks.
struct ShadowStack {
  void* token;
  void* empty_token;  // where the token is if the shadow stack holds no address
};

#if defined(_WIN32)
#elif defined(__x86_64__) || defined(__aarch64__)

// The least that a stack grows from one call to the next, in bytes. A call takes a word of the
// shadow stack.
#if defined(__x86_64__)
inline constexpr size_t kStackBytesPerCall = 8;  // the return address
#else
inline constexpr size_t kStackBytesPerCall = 16;  // x29 and x30
#endif

// As `ShadowStackIsOn`, asked anew at each call.
[[gnu::always_inline]] inline bool ShadowStackIsOnNow() {
#if defined(__x86_64__)
  uintptr_t address = 0;
  asm volatile("rdsspq %q0" : "+r"(address));
  return address != 0;
#else
  register uintptr_t is_off asm("x16") = 1;
  asm volatile("hint 40  // chkfeat x16" : "+r"(is_off));
  return is_off == 0;
#endif
}

// Leaves the thread's shadow stack with a token on it, and continues on the one whose token is at
// `token`. Until the left one is continued, the calling function must not return. What it calls
// may.
//
// Requires: the thread has a shadow stack.
// Returns: the address of the token on the one that was left.
[[gnu::always_inline]] inline void* SwitchShadowStack(void* token) {
#if defined(__x86_64__)
  std::byte* left;
  asm volatile(
      "rdsspq %0\n\t"
      "{rstorssp (%1)|rstorssp qword ptr [%1]}\n\t"
      "saveprevssp"
      : "=&r"(left)
      : "r"(token)
      : "cc", "memory");
  return left - sizeof(void*);
#else
  void* left;
  // By names that every assembler knows.
  asm volatile(
      "sys #3, c7, c7, #2, %1   // gcsss1\n\t"
      "sysl %0, #3, c7, c7, #3  // gcsss2"
      : "=r"(left)
      : "r"(token)
      : "memory");
  return left;
#endif
}

#endif

}  // namespace fringe::arch

// Where shadow stacks come from. Hosted builds have them in stacks/shadow_stacks.cc; a freestanding
// program with shadow stacks defines both functions.
extern "C" {
// Returns: an empty shadow stack for a stack of `stack_bytes`, as its token; null if there is no
//   memory.
void* fringe_acquire_shadow_stack(size_t stack_bytes) noexcept;
// Takes one back that is not in use.
//
// Requires: `stack_bytes` as when it was acquired.
void fringe_release_shadow_stack(fringe::arch::ShadowStack shadow_stack,
                                 size_t stack_bytes) noexcept;
}

#endif  // FRINGE_ARCH_SHADOW_STACK_H_
