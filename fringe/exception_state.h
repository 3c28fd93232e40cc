// The C++ runtime's exception state of the running thread: which exceptions are being handled, and
// how many are in flight. Each generator needs its own; `Control` swaps them around a resume.

#ifndef FRINGE_EXCEPTION_STATE_H_
#define FRINGE_EXCEPTION_STATE_H_

#include <cstddef>
#include <cstdint>

#include "config.h"

#if FRINGE_EXCEPTIONS
#include "../arch/thread_slot.h"

namespace fringe::internal {

// `__cxa_eh_globals` of the "Itanium C++ ABI: Exception Handling", section 2.2.2. libstdc++ and
// libc++abi keep this layout.
struct ExceptionState {
  void* caught = nullptr;     // the stack of exceptions being handled, the latest first
  unsigned int uncaught = 0;  // how many were thrown and not yet caught
#if defined(__arm__) && defined(__ARM_EABI__)
  // The stack of those among them for which destructors are running ("Exception Handling ABI for
  // the Arm Architecture", on `__cxa_begin_cleanup`).
  void* propagating = nullptr;
#endif

  // Returns: zero where the thread handles no exception and none is in flight.
  uintptr_t bits() const {
#if defined(__x86_64__) && defined(__LP64__)
    // Both with one load, of bytes 2 to 9: no exception lies in the lowest 64 KiB of memory, and no
    // 65,536 of them are in flight at once. Each of the two comparisons in a resume is one
    // instruction and one branch, not three: 2.0 against 2.2 ns a step (GCC 12 and Clang 14, -O2,
    // 4.1 GHz Xeon, 2026-11; `BM_GeneratorResume`).
    static_assert(offsetof(ExceptionState, caught) == 0 && offsetof(ExceptionState, uncaught) == 8);
    uintptr_t both;
    __builtin_memcpy(&both, reinterpret_cast<const std::byte*>(this) + 2, sizeof(both));
    return both;
#else
    return reinterpret_cast<uintptr_t>(caught) | uncaught;
#endif
  }
};

// Stores the address of this thread's exception state in the thread's slot (arch/thread_slot.h).
//
// The slot is a cache of `__cxa_get_globals`, which costs a call, and whose result a compiler may
// itself cache across a switch.
//
// Returns: this thread's exception state.
ExceptionState* InitThreadExceptionState();

// Returns: the exception state of the running thread. If `InitThreadExceptionState` has not run on
//   the thread, one that is not empty and must not be changed.
// Cost: as `arch::LoadThreadSlot`.
[[gnu::always_inline]] inline ExceptionState* ThreadExceptionState() {
  return static_cast<ExceptionState*>(arch::LoadThreadSlot());
}

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS

#endif  // FRINGE_EXCEPTION_STATE_H_
