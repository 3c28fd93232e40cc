#include <iostream>
#include <utility>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this must be compiled without exceptions and RTTI"
#endif

namespace {

const auto kCount = [](auto& yielder) {
  for (int i = 1; i <= 4; ++i) yielder.Suspend(i);
};

template <typename Generator>
int Sum(Generator generator) {
  int sum = 0;
  for (const int number : generator) sum += number;
  return sum;
}

}  // namespace

int main() {
  auto on_heap = fringe::Generator<int, void, fringe::MallocStack>::Unguarded(
      *fringe::MallocStack::Create(1 << 16), kCount);
  auto stack = *fringe::OsStack::Create(1 << 16);
  const int sum = Sum(fringe::Generator<int>(kCount)) + Sum(std::move(on_heap)) +
                  Sum(fringe::MakeGenerator<int>(*fringe::StackPool::Default().Acquire(), kCount)) +
                  fringe::OnStack(stack, [] { return 10; });
  std::cout << sum << "\n";
  return sum == 40 ? 0 : 1;
}
