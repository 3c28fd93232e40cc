// Tests what the personality routine of the trampoline returns. Unwinders treat most values alike,
// so the exceptions of backtrace_test do not show it.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "arch/arch.h"
#include "gtest/gtest.h"
#include "testing/support/landing_pad.h"

#if defined(__ARM_EABI__)

TEST(PersonalityTest, OfTheTrampolineEndsTheSearchForAHandler) {
  GTEST_SKIP()
      << "the routine cannot be found by Arm's unwind tables: backtrace_test unwinds to it";
}

#else

// Of libgcc and of LLVM's libunwind, which have no header for it.
struct dwarf_eh_bases {
  void* text;
  void* data;
  void* function;
};
extern "C" const unsigned char* _Unwind_Find_FDE(void* pc, dwarf_eh_bases* bases);

namespace fringe::testing {
namespace {

using Personality = int(int version, int actions, uint64_t exception_class, void* exception,
                        void* context);

uint64_t ReadUleb(const unsigned char*& at) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const unsigned char byte = *at++;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
}

// A value of type `T` at `at`, which it moves behind the value.
template <typename T>
T Read(const unsigned char*& at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  at += sizeof value;
  return value;
}

// The personality routine of the function with a frame description, or null if it has none.
Personality* PersonalityOf(const unsigned char* description) {
  const unsigned char* at = description + 4;
  const unsigned char* const place = at;
  at = place - Read<int32_t>(at) + 8;  // behind the length and the zero
  const auto version = Read<unsigned char>(at);
  const char* letter = reinterpret_cast<const char*>(at);
  at += std::strlen(letter) + 1;
  ReadUleb(at);  // the alignment of code
  ReadUleb(at);  // the alignment of data, whose value is of no use here
  if (version == 1) {
    ++at;  // the return address
  } else {
    ReadUleb(at);
  }
  if (*letter++ != 'z') return nullptr;
  ReadUleb(at);  // the length of what follows
  for (; *letter != 'P'; ++letter, ++at) {
    if (*letter != 'R' && *letter != 'L') return nullptr;
  }
  const auto encoding = Read<unsigned char>(at);
  uintptr_t address = (encoding & 0x70) == 0x10 ? reinterpret_cast<uintptr_t>(at) : 0;
  if ((encoding & 0x0f) == 0x0b) {  // DW_EH_PE_sdata4
    address += static_cast<uintptr_t>(static_cast<intptr_t>(Read<int32_t>(at)));
  } else {  // DW_EH_PE_absptr, or DW_EH_PE_sdata8 in 64-bit code
    address += Read<uintptr_t>(at);
  }
  if ((encoding & 0x80) != 0) address = *reinterpret_cast<const uintptr_t*>(address);  // indirect
  return reinterpret_cast<Personality*>(address);
}

void ReportReturnAddress(uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
  const auto address = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  for (;;) arch::Suspend(address, record);
}

Personality* PersonalityOfTheTrampoline() {
  struct alignas(arch::LinkRecord) Memory {
    std::byte stack[16 << 10];
    arch::LinkRecord record;
  };
  static Memory memory;
  arch::Init(&memory.record, memory.stack + sizeof memory.stack, &ReportReturnAddress);
  const uintptr_t trampoline = arch::Resume(0, &memory.record).word;
  dwarf_eh_bases bases = {};
  const unsigned char* const description =
      _Unwind_Find_FDE(reinterpret_cast<void*>(trampoline - 1), &bases);
  return description == nullptr ? nullptr : PersonalityOf(description);
}

TEST(PersonalityTest, OfTheTrampolineEndsTheSearchForAHandler) {
  Personality* const personality = PersonalityOfTheTrampoline();
  ASSERT_NE(personality, nullptr);
  uint64_t exception[8] = {};
  constexpr int kVersion = 1, kSearchPhase = 1, kFatalPhase1Error = 3;
  EXPECT_EQ(personality(kVersion, kSearchPhase, 0, exception, nullptr), kFatalPhase1Error);
}

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
// Unwinders call it by its address. A CPU that checks indirect branches allows that only for such
// an instruction.
TEST(PersonalityTest, OfTheTrampolineBeginsWithALandingPad) {
  Personality* const personality = PersonalityOfTheTrampoline();
  ASSERT_NE(personality, nullptr);
  const auto* const code = reinterpret_cast<const unsigned char*>(personality);
  EXPECT_TRUE(IsLandingPad(code));
#if !defined(__aarch64__)
  // Behind a `mov` of 5 bytes. If it were missing, the code that the linker places there could
  // return just as well.
  EXPECT_EQ(code[9], 0xc3);  // ret
#endif
}
#endif

}  // namespace
}  // namespace fringe::testing

#endif  // !defined(__ARM_EABI__)
