// The hot loops whose machine code generated_code_test checks. FileCheck reads the comments below
// that begin with RESUMES or SUSPENSIONS. They list each store of a loop, in order.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "fringe/generator.h"
#include "stacks/span_stack.h"

namespace {

alignas(64) std::byte memory[64 << 10];

using Numbers = fringe::Generator<uint64_t, void, fringe::SpanStack>;

}  // namespace

// The resumer's side.
extern "C" [[gnu::noinline]] uint64_t fringe_hot_resumes(Numbers& numbers, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += *numbers.Resume();
  return sum;
}
// What the switch saves:
//
// RESUMES:                mov %rbp,(%rsi)
// RESUMES-NEXT:           mov %rax,0x8(%rsi)
// RESUMES-NEXT:           mov %rsp,0x10(%rsi)
// RESUMES-CLANG-NEXT:     mov %rbx,0x18(%rsi)
// RESUMES:                jmp *0x28(%rsi)
//
// The mark of a suspended generator:
//
// RESUMES:                mov{{q?}} {{.*}},0x10(%rsi)
//
// GCC keeps the sum in the frame:
//
// RESUMES-GCC:            add{{q?}} {{.*}}(%rsp)
// RESUMES:                j{{n?e}} {{.*}} <fringe_hot_resumes+

// The generator's side.
extern "C" [[gnu::noinline]] void fringe_hot_suspensions(fringe::Yielder<uint64_t>& yielder) {
  for (uint64_t number = 0;; ++number) yielder.Suspend(number);
}
// SUSPENSIONS-GCC:        addq $0x1,{{.*}}(%rsp)
// SUSPENSIONS:            mov %rbp,0x20(%rsi)
// SUSPENSIONS-NEXT:       mov %rax,0x28(%rsi)
// SUSPENSIONS-NEXT:       mov %rsp,0x30(%rsi)
// SUSPENSIONS-CLANG-NEXT: mov %rbx,0x38(%rsi)
// SUSPENSIONS:            jmp *0x8(%rsi)
// SUSPENSIONS:            j{{n?be?|ne|ae?}} {{.*}} <fringe_hot_suspensions+

// Fails unless the loops work.
int main() {
  auto numbers = Numbers::Unguarded(*fringe::SpanStack::Create(memory), &fringe_hot_suspensions);
  const bool is_right = fringe_hot_resumes(numbers, 4) == 6;
  // Without exceptions it could not be destroyed.
  static_cast<void>(std::move(numbers).UnsafeUnwrap());
  return is_right ? 0 : 1;
}
