#include <cstddef>

#include "third_party/fringe/fringe/generator.h"
#include "third_party/fringe/fringe/on_stack.h"
#include "third_party/fringe/fringe/stacks/span_stack.h"
#include "third_party/fringe/stacks/os_stack.h"

int main() {
  int sum = 0;
  for (const int number :
       fringe::MakeGenerator<int>(*fringe::OsStack::Create(1 << 16), [](auto& yielder) {
         for (int i = 1; i <= 4; ++i) yielder.Suspend(i);
       })) {
    sum += number;
  }
  static std::byte memory[1 << 14];
  auto stack = *fringe::SpanStack::Create(memory);
  return sum + fringe::OnStack(stack, [] { return 32; }) == 42 ? 0 : 1;
}
