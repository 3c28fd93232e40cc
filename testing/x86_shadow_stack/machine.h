// The PC that Bochs emulates. testing/bare_metal/machine.h declares its console and exit; there is
// no timer.
//
// The program runs in ring 3, as a program of Linux does. If the CPU has shadow stacks (SHSTK in
// "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 1, "Control-flow
// Enforcement Technology"), it runs with one, and without the instruction that writes to it, as
// Linux has it.

#ifndef FRINGE_TESTING_X86_SHADOW_STACK_MACHINE_H_
#define FRINGE_TESTING_X86_SHADOW_STACK_MACHINE_H_

#include <cstddef>
#include <cstdint>

namespace fringe::testing {

// Whether the program is compiled with landing pads, which are then enforced. It defines this.
extern const bool kHasLandingPads;

// Whether the program runs with a shadow stack.
bool HasShadowStack();

// Returns: the pointer of the shadow stack; 0 if there is none.
[[gnu::always_inline]] inline uintptr_t ShadowStackPointer() {
  uintptr_t pointer = 0;
  asm volatile("rdsspq %0" : "+r"(pointer));
  return pointer;
}

// An exception of the CPU.
struct Fault {
  uint64_t vector = 0;
  uint64_t error = 0;
  uintptr_t pc = 0;
  uintptr_t sp = 0;

  bool Is(uint64_t this_vector, uint64_t this_error) const {
    return vector == this_vector && error == this_error;
  }
};
inline constexpr uint64_t kNone = ~uint64_t{0};
inline constexpr uint64_t kInvalidOpcode = 6;
inline constexpr uint64_t kPageFault = 14;
inline constexpr uint64_t kControlProtection = 21;
// Error codes of `kControlProtection`.
inline constexpr uint64_t kNearReturn = 1;
inline constexpr uint64_t kEndBranch = 3;
inline constexpr uint64_t kRestoreShadowStack = 4;

// Calls `function`, and abandons it at an exception of the CPU. Calls do not nest.
//
// Returns: the exception; `kNone` if `function` has returned.
Fault Attempt(void (*function)());

// Calls `function`, and abandons it where it misuses fringe.
//
// Returns: the sentence; an empty one if `function` has returned.
const char* Misuse(void (*function)());

// Calls `function` with an exception after each of its instructions.
//
// Returns: how many there were.
uint64_t InSingleSteps(void (*function)());

inline constexpr size_t kPageBytes = 4096;

// Takes the shadow stack of the thread away, and gives it back at the next call. The calling
// function must not return in between.
inline constexpr uint8_t kToggleVector = 32;
[[gnu::always_inline]] inline void ToggleShadowStack() {
  asm volatile("int %0" : : "i"(kToggleVector) : "memory");
}

// As Linux does, maps a shadow stack of `bytes`, a multiple of the page's size, with a token at its
// top. There is nothing below it.
//
// Returns: its lowest address; 0 if there is no room.
uintptr_t MapShadowStack(size_t bytes);

// Returns: whether there was such a mapping.
bool UnmapShadowStack(uintptr_t start, size_t bytes);

// Returns: how many are mapped.
size_t ShadowStackMappings();

// Returns: a word of a shadow stack.
uint64_t ReadShadowStack(uintptr_t address);

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_X86_SHADOW_STACK_MACHINE_H_
