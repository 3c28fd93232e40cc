// A resume and a suspend, each in a section of its own, for cost_test. Compiled with support for
// shadow stacks and without.

#include <cstdint>

#include "fringe/generator.h"
#include "stacks/span_stack.h"

namespace fringe {
namespace {

[[gnu::section(FRINGE_RESUME), gnu::used]] uint64_t Resume(
    Generator<uint64_t, uint64_t, SpanStack>& generator, uint64_t input) {
  return *generator.Resume(input);
}

[[gnu::section(FRINGE_SUSPEND), gnu::used]] uint64_t Suspend(Yielder<uint64_t, uint64_t>& yielder,
                                                             uint64_t output) {
  return yielder.Suspend(output);
}

}  // namespace
}  // namespace fringe
