// A program in which every indirect branch must land on a marked instruction, including those of
// the switch. It has neither a C library nor GoogleTest, because one unmarked object disables
// enforcement for the whole program. A wrong branch ends it with SIGILL. Its exit status reports
// other failures.

#include <elf.h>

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"

extern "C" {
extern const Elf64_Ehdr __ehdr_start;  // defined by the linker
[[noreturn, gnu::used]] void fringe_testing_main();
}

asm(R"(
  .pushsection .text
  .globl _start
_start:
  hint 34                       // bti c
  bl fringe_testing_main
  .popsection
)");

namespace fringe::arch {
namespace {

enum Status : uintptr_t { kWell, kNotMarked, kWrongWord, kWrongEnd, kNoPersonality, kWrongAnswer };

[[noreturn]] void Exit(uintptr_t status) {
  register uintptr_t x0 asm("x0") = status;
  register uintptr_t x8 asm("x8") = 94;  // exit_group
  asm volatile("svc 0" : : "r"(x0), "r"(x8));
  __builtin_unreachable();
}

// Whether the program's headers ask the kernel for enforcement.
bool IsMarked() {
  struct Property {
    Elf64_Nhdr note;
    char name[4];
    uint32_t type;
    uint32_t bytes;
    uint32_t features;
  };
  const auto* const start = reinterpret_cast<const std::byte*>(&__ehdr_start);
  for (size_t i = 0; i < __ehdr_start.e_phnum; ++i) {
    const void* const header = start + __ehdr_start.e_phoff + i * __ehdr_start.e_phentsize;
    const auto* const program_header = static_cast<const Elf64_Phdr*>(header);
    if (program_header->p_type != PT_GNU_PROPERTY) continue;
    const void* const note = start + program_header->p_offset;
    const auto* const property = static_cast<const Property*>(note);
    constexpr uint32_t kFeatures = 0xc0000000;  // GNU_PROPERTY_AARCH64_FEATURE_1_AND
    return property->type == kFeatures && (property->features & 1) != 0;
  }
  return false;
}

struct Stack {
  alignas(kStackAlignment) std::byte bytes[16 << 10];
  LinkRecord record;
};
Stack stack;

void Body(uintptr_t word, LinkRecord* record, LinkRecord*) {
  for (Message message = {word, record}; message.record != nullptr;) {
    message = Suspend(message.word + 1, record);
  }
  Finish(0, record);
}

// Returns: the trampoline's personality routine, which an unwinder calls by its address; null if no
//   instruction near the trampoline is marked for calls. It has a name only in its file.
auto FindPersonality() -> int (*)(int) {
  constexpr uint32_t kMark = 0xd503245f;  // bti c
  const auto* const code = static_cast<const uint32_t*>(fringe_aarch64_start_address);
  for (size_t i = 0; i < 16; ++i) {
    if (code[i] != kMark) continue;
    return reinterpret_cast<int (*)(int)>(reinterpret_cast<uintptr_t>(code + i));
  }
  return nullptr;
}

}  // namespace
}  // namespace fringe::arch

void fringe_testing_main() {
  using namespace fringe::arch;
  if (!IsMarked()) Exit(kNotMarked);
  Init(&stack.record, stack.bytes + sizeof stack.bytes, &Body);
  for (uintptr_t word = 0; word < 10; ++word) {
    if (Resume(word, &stack.record).word != word + 1) Exit(kWrongWord);
  }
  if (Cancel(&stack.record).record != nullptr) Exit(kWrongEnd);
  const auto personality = FindPersonality();
  if (personality == nullptr) Exit(kNoPersonality);
  constexpr int kVersion = 1;
  constexpr int kFatalPhase1Error = 3;  // _URC_FATAL_PHASE1_ERROR
  if (personality(kVersion) != kFatalPhase1Error) Exit(kWrongAnswer);
  Exit(kWell);
}
