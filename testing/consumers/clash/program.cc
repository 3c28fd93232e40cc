// Includes every public header of fringe by its unambiguous path, together with this project's own
// headers.

#include <cstddef>
#include <iostream>
#include <memory>
#include <string>
#include <type_traits>

#include "fringe/callback_guard.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "fringe/overflow.h"
#include "fringe/stack_usage.h"
#include "fringe/stacks/default_stack.h"
#include "fringe/stacks/malloc_stack.h"
#include "fringe/stacks/os_stack.h"
#include "fringe/stacks/pooled_stack.h"
#include "fringe/stacks/span_stack.h"
#include "fringe/stacks/stack.h"
#include "fringe/stacks/system_stack.h"
#include "library.h"
#include "stacks/os_stack.h"

namespace {

template <typename Generator>
int Sum(Generator generator) {
  int sum = 0;
  for (const int number : generator) sum += number;
  return sum;
}

}  // namespace

int main() {
  const auto count = [](auto& yielder) {
    for (int i = 1; i <= 4; ++i) yielder.Suspend(i);
  };
  static std::byte memory[1 << 14];
  auto span = *fringe::SpanStack::Create(memory);
  const int sum = Sum(fringe::Generator<int>(count)) +
                  Sum(fringe::MakeGenerator<int>(*fringe::OsStack::Create(1 << 16), count)) +
                  Sum(fringe::MakeGenerator<int>(*fringe::StackPool::Default().Acquire(), count)) +
                  Sum(fringe::Generator<int, void, fringe::MallocStack>::Unguarded(
                      *fringe::MallocStack::Create(1 << 16), count)) +
                  fringe::OnStack(span, [] { return 2; });
  static_assert(!std::is_same_v<consumer::OsStack, fringe::OsStack>);
  std::cout << sum << " "
            << (std::is_same_v<fringe::DefaultStack, fringe::OsStack> ? "OsStack" : "another")
            << " " << StackOfLibrary() << "\n";
}
