// Prints the output of a generator that does not name a stack, and whether it runs on a pooled one.

#include <iostream>
#include <type_traits>

#include "third_party/fringe/fringe/generator.h"
#include "third_party/fringe/stacks/default_stack.h"
#include "third_party/fringe/stacks/pooled_stack.h"

int main() {
  fringe::Generator<int> gen([](auto& yielder) { yielder.Suspend(42); });
  std::cout << *gen.Resume()
            << (std::is_same_v<fringe::DefaultStack, fringe::PooledStack> ? " pooled\n"
                                                                          : " not pooled\n");
}
