// A plug-in with a pool of its own, for plugin_test.

#include <optional>

#include "absl/status/statusor.h"
#include "fringe/generator.h"
#include "stacks/pooled_stack.h"

// Returns: 6, or less if there is no stack.
extern "C" __attribute__((visibility("default"))) int FringePluginRun() {
  static fringe::StackPool pool;
  absl::StatusOr<fringe::PooledStack> stack = pool.Acquire();
  if (!stack.ok() || !fringe::StackPool::Default().Acquire().ok()) return 0;
  auto gen = fringe::MakeGenerator<int>(*std::move(stack), [](auto& yielder) {
    for (int i = 1; i < 4; ++i) yielder.Suspend(i);
  });
  int sum = 0;
  while (const std::optional<int> number = gen.Resume()) sum += *number;
  return sum;
}
