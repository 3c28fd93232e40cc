#ifndef CROSSING_NAMED_H_
#define CROSSING_NAMED_H_

#include <utility>

#include "fringe/generator.h"
#include "fringe/stacks/os_stack.h"

struct NamedHolder {
  fringe::Generator<int, void, fringe::OsStack> gen;
};

inline fringe::Generator<int, void, fringe::OsStack> MakeNamed(fringe::OsStack stack) {
  return fringe::MakeGenerator<int>(std::move(stack), [](auto& yielder) { yielder.Suspend(1); });
}

#endif  // CROSSING_NAMED_H_
