// The C++ runtime's exception state of the running thread: which exceptions are being handled, and
// how many are in flight. Each generator needs its own; `Control` swaps them around a resume.

#ifndef FRINGE_EXCEPTION_STATE_H_
#define FRINGE_EXCEPTION_STATE_H_

#include <cstddef>
#include <cstdint>

#include "../arch/arch.h"
#include "config.h"

#if FRINGE_EXCEPTIONS

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
  uintptr_t any() const {
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

}  // namespace fringe::internal

extern "C" {
// Where this thread's exception state is, once the first generator was resumed on it; until then
// the address of a state that is not empty. A cache of `__cxa_get_globals`, which costs a call, and
// whose result a compiler may itself cache across a switch.
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
  // A compiler may compute the address of a thread-local once and use it again after a switch, when
  // another thread runs the generator (LLVM issue 98479). It cannot look into these.
#if defined(__ELF__) && defined(__x86_64__)
  ExceptionState* state;
  asm volatile(
      "movq fringe_thread_exception_state@gottpoff(%%rip), %0\n\t"
      "movq %%fs:(%0), %0"
      : "=r"(state));
  return state;
#elif defined(__ELF__) && defined(__aarch64__)
  ExceptionState* state;
  uintptr_t thread;
  asm volatile(
      "adrp %0, :gottprel:fringe_thread_exception_state\n\t"
      "ldr %0, [%0, :gottprel_lo12:fringe_thread_exception_state]\n\t"
      "mrs %1, tpidr_el0\n\t"
      "ldr %0, [%0, %1]"
      : "=r"(state), "=r"(thread));
  return state;
#elif defined(__ELF__) && defined(__powerpc64__) && _CALL_ELF == 2 && defined(__PCREL__)
  ExceptionState* state;
  asm volatile(
      "pld %0, fringe_thread_exception_state@got@tprel@pcrel(0), 1\n\t"
      "ldx %0, %0, fringe_thread_exception_state@tls@pcrel"
      : "=b"(state));
  return state;
#elif defined(__ELF__) && defined(__powerpc64__) && _CALL_ELF == 2
  // A function sets r2 up only where its compiler knows of a use.
  register uintptr_t toc asm("r2");
  asm volatile("" : "=r"(toc));
  ExceptionState* state;
  asm volatile(
      "addis %0, %1, fringe_thread_exception_state@got@tprel@ha\n\t"
      "ld %0, fringe_thread_exception_state@got@tprel@l(%0)\n\t"
      "ldx %0, %0, fringe_thread_exception_state@tls"
      : "=&b"(state)
      : "b"(toc));
  return state;
#elif defined(__ELF__) && defined(__riscv) && __riscv_xlen == 64
  ExceptionState* state;
  asm volatile(
      "la.tls.ie %0, fringe_thread_exception_state\n\t"
      "add %0, %0, tp\n\t"
      "ld %0, (%0)"
      : "=r"(state));
  return state;
#elif defined(__ELF__) && defined(__arm__) && __ARM_ARCH >= 7
  // The word that says where the variable is lies in the code. (The program counter reads as 4
  // bytes further on in T32 code, and as 8 in A32 code.)
#if defined(__thumb__)
#define FRINGE_ARM_AHEAD "4"
#else
#define FRINGE_ARM_AHEAD "8"
#endif
  ExceptionState* state;
  uintptr_t thread;
  asm volatile(
      "ldr %0, 1f\n\t"
      "mrc p15, 0, %1, c13, c0, 3\n"
      "0: add %0, pc, %0\n\t"
      "ldr %0, [%0]\n\t"
      "ldr %0, [%0, %1]\n\t"
      "b 2f\n\t"
      ".balign 4\n"
      "1: .word fringe_thread_exception_state(gottpoff) + (. - 0b - " FRINGE_ARM_AHEAD
      ")\n"
      "2:"
      : "=&r"(state), "=&r"(thread));
#undef FRINGE_ARM_AHEAD
  return state;
#elif defined(__ELF__) && defined(__s390x__)
  ExceptionState* state;
  uintptr_t offset;
  asm volatile(
      "ear %0, %%a0\n\t"
      "sllg %0, %0, 32\n\t"
      "ear %0, %%a1\n\t"
      "larl %1, fringe_thread_exception_state@indntpoff\n\t"
      "lg %1, 0(%1)\n\t"
      "lg %0, 0(%1, %0)"
      : "=&a"(state), "=&a"(offset)
      :
      : "cc");
  return state;
#elif defined(__ELF__) && defined(__i386__)
  ExceptionState* state;
#if defined(__PIC__)
  asm volatile(
      FRINGE_X86_LOAD_PC("%0")
      "addl $_GLOBAL_OFFSET_TABLE_ + (. - 1b), %0\n\t"
      "movl fringe_thread_exception_state@gotntpoff(%0), %0\n\t"
      "movl %%gs:(%0), %0"
      : "=r"(state)
      :
      : "cc");
#else
  asm volatile(
      "movl fringe_thread_exception_state@indntpoff, %0\n\t"
      "movl %%gs:(%0), %0"
      : "=r"(state));
#endif
  return state;
#else
  return LoadThreadExceptionState();
#endif
}

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS

#endif  // FRINGE_EXCEPTION_STATE_H_
