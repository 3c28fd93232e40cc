// The stack of a generator that names none.

#ifndef FRINGE_STACKS_DEFAULT_STACK_H_
#define FRINGE_STACKS_DEFAULT_STACK_H_

#include <cstddef>

#include "stacks/os_stack.h"

namespace fringe {

using DefaultStack = OsStack;

// How large such a stack is, in bytes. Only the pages that are touched take memory.
inline constexpr size_t kDefaultStackBytes = size_t{256} << 10;

// Returns: a new stack of `kDefaultStackBytes`. Ends the program with the text of `Create`'s error
//   where there is none to be had.
// Thread safety: any thread.
DefaultStack CreateDefaultStack();

}  // namespace fringe

#endif  // FRINGE_STACKS_DEFAULT_STACK_H_
