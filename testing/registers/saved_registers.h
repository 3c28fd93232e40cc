// Compares the registers that an unwinder restores at a resume address with the words in the record
// of the side to be resumed.

#ifndef FRINGE_TESTING_REGISTERS_SAVED_REGISTERS_H_
#define FRINGE_TESTING_REGISTERS_SAVED_REGISTERS_H_

#include <unwind.h>

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"

namespace fringe::testing {

// The DWARF number of the register in each word of a record's half.
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
#elif defined(__loongarch__)
inline constexpr SavedRegister kSavedRegisters[] = {{22, &arch::SavedRegisters::fp},
                                                    {31, &arch::SavedRegisters::bp}};
#elif defined(__mips64)
inline constexpr SavedRegister kSavedRegisters[] = {{30, &arch::SavedRegisters::fp},
                                                    {23, &arch::SavedRegisters::bp},
                                                    {28, &arch::SavedRegisters::gp}};
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
#elif defined(__x86_64__) && !defined(__clang__)
inline constexpr SavedRegister kSavedRegisters[] = {{6, &arch::SavedRegisters::fp}};
#elif defined(__x86_64__)
inline constexpr SavedRegister kSavedRegisters[] = {{6, &arch::SavedRegisters::fp},
                                                    {3, &arch::SavedRegisters::bp}};
#else
#error "Tests of unwinding do not know which registers this CPU's record holds: say so here."
#endif

// The distance from the stack pointer at a call to the CFA.
#if defined(__s390x__)
inline constexpr uintptr_t kCfaOffset = 160;
#else
inline constexpr uintptr_t kCfaOffset = 0;
#endif

// The results so far.
struct Arrivals {
  size_t count = 0;  // how often an unwinder was at a resume address
  size_t wrong = 0;  // registers that differed from the record
};

// If the frame of `context` is at the resume address of a side of `record`, compares its registers
// with the words of that side.
inline void CompareRegisters(_Unwind_Context* context, const arch::LinkRecord& record,
                             Arrivals& arrivals) {
#if defined(__arm__)
  // Drops bit 0, which is the instruction set.
  const int interrupted = 0;
  const auto pc = static_cast<uintptr_t>(_Unwind_GetIP(context));
  constexpr uintptr_t kAddress = ~uintptr_t{1};
#else
  int interrupted = 0;
  const auto pc = static_cast<uintptr_t>(_Unwind_GetIPInfo(context, &interrupted));
  constexpr uintptr_t kAddress = ~uintptr_t{0};
#endif
  for (const arch::SavedRegisters* half : {&record.resumer, &record.generator}) {
    // The end of the stack has no address, and neither has an unused record.
    const auto resume_address = reinterpret_cast<uintptr_t>(half->pc) & kAddress;
    if (pc == 0 || pc != resume_address) continue;
    ++arrivals.count;
#if defined(__arm__)
    const auto cfa = static_cast<uintptr_t>(_Unwind_GetGR(context, 13));
#else
    const auto cfa = static_cast<uintptr_t>(_Unwind_GetCFA(context));
#endif
    // Above a signal frame, this is not the stack pointer on every CPU.
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
