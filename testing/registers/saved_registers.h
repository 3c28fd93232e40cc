// What an unwinder that arrives at a resume address takes the registers to be, for tests that
// compare it with what the side that is to be resumed there has left in the record.

#ifndef FRINGE_TESTING_REGISTERS_SAVED_REGISTERS_H_
#define FRINGE_TESTING_REGISTERS_SAVED_REGISTERS_H_

#include <unwind.h>

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"

namespace fringe::testing {

// Which register of the ABI's DWARF mapping each word of a record's half is.
struct SavedRegister {
  int number;
  void* arch::SavedRegisters::*word;
};

#if defined(__aarch64__)
inline constexpr SavedRegister kSavedRegisters[] = {{29, &arch::SavedRegisters::fp},
                                                    {19, &arch::SavedRegisters::bp}};
#elif defined(__arm__)
#if defined(__thumb__)
inline constexpr int kFramePointer = 7;
#else
inline constexpr int kFramePointer = 11;
#endif
inline constexpr SavedRegister kSavedRegisters[] = {{kFramePointer, &arch::SavedRegisters::fp},
                                                    {6, &arch::SavedRegisters::bp}};
#elif defined(__powerpc64__)
inline constexpr SavedRegister kSavedRegisters[] = {{31, &arch::SavedRegisters::fp},
                                                    {30, &arch::SavedRegisters::bp},
                                                    {2, &arch::SavedRegisters::toc}};
#elif defined(__riscv)
inline constexpr SavedRegister kSavedRegisters[] = {{8, &arch::SavedRegisters::fp},
                                                    {9, &arch::SavedRegisters::bp}};
#elif defined(__s390x__)
inline constexpr SavedRegister kSavedRegisters[] = {{11, &arch::SavedRegisters::fp},
                                                    {12, &arch::SavedRegisters::got},
                                                    {13, &arch::SavedRegisters::literals}};
#elif defined(__i386__)
inline constexpr SavedRegister kSavedRegisters[] = {{5, &arch::SavedRegisters::fp},
                                                    {6, &arch::SavedRegisters::bp}};
#elif defined(__x86_64__)
inline constexpr SavedRegister kSavedRegisters[] = {{6, &arch::SavedRegisters::fp},
                                                    {3, &arch::SavedRegisters::bp}};
#else
#error "Tests of unwinding do not know which registers this CPU's record holds: say so here."
#endif

// How far above the stack pointer at a call the CFA is.
#if defined(__s390x__)
inline constexpr uintptr_t kCfaOffset = 160;
#else
inline constexpr uintptr_t kCfaOffset = 0;
#endif

// What was found so far.
struct Arrivals {
  size_t count = 0;  // how often an unwinder stood at a resume address
  size_t wrong = 0;  // registers that were not those of the record then
};

// Compares the registers of the frame that `context` stands in with the words of `record`, where
// that is at the resume address of one of its sides.
inline void CompareRegisters(_Unwind_Context* context, const arch::LinkRecord& record,
                             Arrivals& arrivals) {
#if defined(__arm__)
  // What bit 0 says of the code is lost here.
  const int interrupted = 0;
  const auto pc = static_cast<uintptr_t>(_Unwind_GetIP(context));
  constexpr uintptr_t kAddress = ~uintptr_t{1};
#else
  int interrupted = 0;
  const auto pc = static_cast<uintptr_t>(_Unwind_GetIPInfo(context, &interrupted));
  constexpr uintptr_t kAddress = ~uintptr_t{0};
#endif
  for (const arch::SavedRegisters* half : {&record.resumer, &record.generator}) {
    // The end of the stack has no address, nor has a record that was never used.
    const auto resume_address = reinterpret_cast<uintptr_t>(half->pc) & kAddress;
    if (pc == 0 || pc != resume_address) continue;
    ++arrivals.count;
#if defined(__arm__)
    const auto cfa = static_cast<uintptr_t>(_Unwind_GetGR(context, 13));
#else
    const auto cfa = static_cast<uintptr_t>(_Unwind_GetCFA(context));
#endif
    // Above a signal's frame, this is not everywhere where the stack pointer was.
    if (interrupted == 0 && cfa != reinterpret_cast<uintptr_t>(half->sp) + kCfaOffset) {
      ++arrivals.wrong;
    }
    for (const SavedRegister& saved : kSavedRegisters) {
      const auto found = static_cast<uintptr_t>(_Unwind_GetGR(context, saved.number));
      if (found != reinterpret_cast<uintptr_t>(half->*saved.word)) ++arrivals.wrong;
    }
  }
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_SAVED_REGISTERS_H_
