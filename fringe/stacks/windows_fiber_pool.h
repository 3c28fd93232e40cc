// stacks/windows_fiber_pool.h, for projects that have a folder stacks/ of their own.

#ifndef FRINGE_FRINGE_STACKS_WINDOWS_FIBER_POOL_H_
#define FRINGE_FRINGE_STACKS_WINDOWS_FIBER_POOL_H_

#include "../../stacks/windows_fiber_pool.h"  // IWYU pragma: export

#endif  // FRINGE_FRINGE_STACKS_WINDOWS_FIBER_POOL_H_
