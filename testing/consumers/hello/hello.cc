#include <cstddef>
#include <iostream>

#include "count.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"

int main() {
  for (const int number : CountTo(3)) std::cout << number << "\n";
  fringe::Generator<int, int> sum([](auto& yielder, int number) {
    for (int total = 0;;) number = yielder.Suspend(total += number);
  });
  sum.Resume(20);
  std::cout << *sum.Resume(22) << "\n";
  static std::byte memory[1 << 14];
  auto stack = *fringe::SpanStack::Create(memory);
  std::cout << fringe::OnStack(stack, [] { return 43; }) << "\n";
}
