// The first program of the README: a generator that yields three numbers.
//
//   ./bazelw run //examples:quickstart

#include <iostream>
#include <optional>

#include "fringe/generator.h"

int main() {
  auto gen = fringe::MakeGenerator<int>([](auto& yielder) {
    for (int i = 1; i < 4; ++i) yielder.Suspend(i);
  });
  while (std::optional<int> i = gen.Resume()) std::cout << *i << "\n";
}
