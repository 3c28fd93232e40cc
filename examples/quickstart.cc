// The first program of the README: a generator that yields three numbers.
//
//   ./bazelw run //examples:quickstart

#include <iostream>
#include <optional>

#include "fringe/generator.h"
#include "stacks/os_stack.h"

int main() {
  auto gen = fringe::MakeGenerator<int>(*fringe::OsStack::Create(1 << 16), [](auto& yielder) {
    for (int i = 1; i < 4; ++i) yielder.Suspend(i);
  });
  while (std::optional<int> i = gen.Resume()) std::cout << *i << "\n";
}
