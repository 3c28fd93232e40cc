// What every mistake includes.

#ifndef FRINGE_TESTING_MISTAKES_COMMON_H_
#define FRINGE_TESTING_MISTAKES_COMMON_H_

#include <cstddef>
#include <mutex>
#include <ranges>
#include <string>
#include <utility>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"

// A correct body, and a generator with it.
inline auto Count() {
  return [](fringe::Yielder<int>& yielder) { yielder.Suspend(1); };
}
inline fringe::Generator<int> Counter() { return fringe::MakeGenerator<int>(Count()); }

#endif  // FRINGE_TESTING_MISTAKES_COMMON_H_
