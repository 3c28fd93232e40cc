// The program in docs/bare_metal.md.

#include <cstddef>
#include <optional>

#include "fringe/generator.h"
#include "stacks/span_stack.h"
#include "testing/bare_metal/machine.h"

namespace {

constexpr int kMore = -1;

using Reader = fringe::Generator<int, char, fringe::SpanStack>;

alignas(fringe::kStackAlignment) constinit std::byte reader_memory[2048] = {};

// Takes characters one by one, and yields a number at each end of a line.
Reader MakeReader() {
  return Reader::Unguarded(*fringe::SpanStack::Create(reader_memory), [](auto& yielder, char c) {
    for (;;) {
      int number = 0;
      for (; c != '\n'; c = yielder.Suspend(kMore)) number = 10 * number + (c - '0');
      c = yielder.Suspend(number);
    }
  });
}

}  // namespace

void fringe_testing_main() {
  using namespace fringe::testing;
  Reader reader = MakeReader();
  for (const char* input = "1\n12\n123\n"; *input != '\0'; ++input) {
    const std::optional<int> number = reader.Resume(*input);
    if (*number == kMore) continue;
    WriteNumber(static_cast<uintptr_t>(*number));
    Write(" ");
  }
  End(kWell);  // a device would continue
}
