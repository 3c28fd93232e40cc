// The program for gdb_every_instruction_test: resumes a generator three times. The first resume
// starts it, and the last cancels it.

#include <cstdint>

#include "arch/arch.h"
#include "stacks/span_stack.h"
#include "testing/support/ordered_stacks.h"
#include "testing/support/raw_generator.h"
#include "testing/unwinding/backtrace.h"

namespace arch = fringe::arch;

// For the debugger. `main` sets both, so that the linker keeps them.
const arch::LinkRecord* volatile the_record;
volatile int frame_pointer;

// Every switch leaves another value in the register that both sides save.
[[gnu::always_inline]] inline void SetBasePointer(int value) {
  asm volatile("mov r6, %0" : : "r"(value) : "r6");
}

void Body(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  for (arch::Message message = {word, record}; message.record != nullptr;) {
    SetBasePointer(11);
    message = arch::Suspend(message.word, record);
  }
  SetBasePointer(13);
  arch::Finish(0, record);
}

constexpr int kResumes = 3;

[[gnu::noinline]] void Resumer(arch::LinkRecord* record, int number) {
  SetBasePointer(number);
  if (number < kResumes) {
    arch::Resume(0, record);
  } else {
    arch::Cancel(record);
  }
  fringe::testing::KeepFrame();
}

// The frame that is lost if a CFA is wrong.
[[gnu::noinline]] void AboveResumer(arch::LinkRecord* record, int number) {
  Resumer(record, number);
  fringe::testing::KeepFrame();
}

int main() {
  const fringe::testing::OrderedStacks stacks;
  const fringe::testing::RawGenerator<fringe::SpanStack> generator(stacks.below, &Body);
  the_record = generator.record();
#if defined(__thumb__)
  frame_pointer = 7;
#else
  frame_pointer = 11;
#endif
  for (int number = 1; number <= kResumes; ++number) AboveResumer(generator.record(), number);
  return 0;
}
