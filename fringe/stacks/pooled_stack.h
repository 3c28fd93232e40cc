// stacks/pooled_stack.h, for projects that have a folder stacks/ of their own.

#ifndef FRINGE_FRINGE_STACKS_POOLED_STACK_H_
#define FRINGE_FRINGE_STACKS_POOLED_STACK_H_

#include "../../stacks/pooled_stack.h"  // IWYU pragma: export

#endif  // FRINGE_FRINGE_STACKS_POOLED_STACK_H_
