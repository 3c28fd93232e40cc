// stacks/system_stack.h, for projects that have a folder stacks/ of their own.

#ifndef FRINGE_FRINGE_STACKS_SYSTEM_STACK_H_
#define FRINGE_FRINGE_STACKS_SYSTEM_STACK_H_

#include "../../stacks/system_stack.h"  // IWYU pragma: export

#endif  // FRINGE_FRINGE_STACKS_SYSTEM_STACK_H_
