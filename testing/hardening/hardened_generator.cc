#include "testing/hardening/hardened_generator.h"

#include <optional>

#include "fringe/generator.h"
#include "stacks/os_stack.h"

namespace fringe::testing {

int SumOfGenerated(int count) {
  auto generator = MakeGenerator<int>(*OsStack::Create(64 << 10), [count](auto& yielder) {
    for (int i = 0; i < count; ++i) yielder.Suspend(i);
  });
  int sum = 0;
  while (const std::optional<int> i = generator.Resume()) sum += *i;
  return sum;
}

}  // namespace fringe::testing
