// The program that valgrind_test runs: generators are created, destroyed and nested, and allocate
// and reuse memory.

#include <cstdio>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/os_stack.h"

namespace {

using fringe::OsStack;
using fringe::Yielder;

// Writes to locals and to the heap, below frames that are left and entered again.
int SumOfSquares(Yielder<int>& yielder, int n) {
  std::vector<int> squares;
  for (int i = 0; i < n; ++i) {
    squares.push_back(i * i);
    yielder.Suspend(squares.back());
  }
  return std::accumulate(squares.begin(), squares.end(), 0);
}

int Run() {
  int sum = 0;
  // The second round reuses the memory of the first.
  for (int round = 0; round < 2; ++round) {
    auto outer = fringe::MakeGenerator<int>(*OsStack::Create(64 << 10), [](Yielder<int>& yielder) {
      auto inner =
          fringe::MakeGenerator<int>(*OsStack::Create(64 << 10), [](Yielder<int>& inner_yielder) {
            inner_yielder.Suspend(SumOfSquares(inner_yielder, 10));
          });
      while (std::optional<int> value = inner.Resume()) {
        yielder.Suspend(*std::make_unique<int>(*value));
      }
    });
    while (std::optional<int> value = outer.Resume()) sum += *value;
    const OsStack stack = *OsStack::Create(1 << 20);
    sum += fringe::OnStack(stack, [] {
      int numbers[1000];
      std::iota(std::begin(numbers), std::end(numbers), 0);
      return std::accumulate(std::begin(numbers), std::end(numbers), 0);
    });
  }
  return sum;
}

}  // namespace

int main() {
  std::printf("%d\n", Run());
  return 0;
}
