#ifndef COUNT_H_
#define COUNT_H_

#include "fringe/generator.h"
#include "stacks/os_stack.h"

// Yields the numbers from 1 to `last`.
fringe::Generator<int, void, fringe::OsStack> CountTo(int last);

#endif  // COUNT_H_
