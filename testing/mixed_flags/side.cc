// Compiled once for each side. MIXED_SIDE is the name of its function in sides.h.

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "stacks/os_stack.h"
#include "testing/mixed_flags/sides.h"

namespace mixed {
namespace {

using IntGenerator = fringe::Generator<int, void, fringe::OsStack>;

fringe::OsStack NewStack() { return *fringe::OsStack::Create(256 << 10); }

int Sum(int n) {
  auto gen = fringe::MakeGenerator<int>(NewStack(), [n](auto& yielder) {
    for (int i = 1; i <= n; ++i) yielder.Suspend(i);
  });
  int sum = 0;
  while (std::optional<int> i = gen.Resume()) sum += *i;
  return sum;
}

std::function<int()> Make(std::function<int()> next) {
  auto gen = std::make_shared<IntGenerator>(NewStack(), [next = std::move(next)](auto& yielder) {
    for (int value = next(); value >= 0; value = next()) yielder.Suspend(value);
  });
  return [gen] { return gen->Resume().value_or(-1); };
}

}  // namespace

const Side& MIXED_SIDE() {
  static const Side side = {
    FRINGE_EXCEPTIONS != 0,
#if defined(__GXX_RTTI) || defined(__cpp_rtti)
    true,
#else
    false,
#endif
    Sum,
    Make,
  };
  return side;
}

}  // namespace mixed
