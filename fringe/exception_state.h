// The C++ runtime's exception state of the running thread: which exceptions are being handled, and
// how many are in flight. Each generator needs its own; `Control` swaps them around a resume.

#ifndef FRINGE_EXCEPTION_STATE_H_
#define FRINGE_EXCEPTION_STATE_H_

#include "fringe/config.h"

#if FRINGE_EXCEPTIONS

namespace fringe::internal {

// `__cxa_eh_globals` of the "Itanium C++ ABI: Exception Handling", section 2.2.2. libstdc++ and
// libc++abi keep this layout.
struct ExceptionState {
  void* caught = nullptr;      // the stack of exceptions being handled, the latest first
  unsigned int uncaught = 0;   // how many were thrown and not yet caught

  // Whether the thread handles no exception and none is in flight.
  bool empty() const { return caught == nullptr && uncaught == 0; }
};

}  // namespace fringe::internal

extern "C" {
// Where this thread's exception state is, once the first generator was resumed on it; until then the
// address of a state that is not empty. A cache of `__cxa_get_globals`, which costs a call, and whose
// result a compiler may itself cache across a switch.
//
// Read through `ThreadExceptionState` alone.
extern thread_local constinit fringe::internal::ExceptionState* fringe_thread_exception_state
    __attribute__((tls_model("initial-exec")));
}

namespace fringe::internal {

// Fills `fringe_thread_exception_state`.
//
// Returns: this thread's exception state.
ExceptionState* InitThreadExceptionState();

// Where there is no asm for it: a function that returns what the variable holds, not where it is,
// has nothing that could be cached.
[[gnu::noinline]] ExceptionState* LoadThreadExceptionState();

// Returns: the exception state of the running thread, or one that is not empty and must not be
//   changed where `InitThreadExceptionState` has not run on it.
// Cost: one load.
[[gnu::always_inline]] inline ExceptionState* ThreadExceptionState() {
#if defined(__x86_64__) && defined(__ELF__)
  // A compiler may compute the address of a thread-local once and use it again after a switch, when
  // another thread runs the generator (LLVM issue 98479). It cannot look into this.
  ExceptionState* state;
  asm volatile(
      "movq fringe_thread_exception_state@gottpoff(%%rip), %0\n\t"
      "movq %%fs:(%0), %0"
      : "=r"(state));
  return state;
#else
  return LoadThreadExceptionState();
#endif
}

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS

#endif  // FRINGE_EXCEPTION_STATE_H_
