// The guarded stack that every system has, for code that runs on several.
//
//   absl::StatusOr<fringe::SystemStack> stack = fringe::SystemStack::Create(64 << 10);

#ifndef FRINGE_STACKS_SYSTEM_STACK_H_
#define FRINGE_STACKS_SYSTEM_STACK_H_

#if defined(_WIN32)
#include "windows_fiber_stack.h"
#else
#include "os_stack.h"
#endif

namespace fringe {

// An `OsStack`, or on Windows a `WindowsFiberStack`.
#if defined(_WIN32)
using SystemStack = WindowsFiberStack;
#else
using SystemStack = OsStack;
#endif

}  // namespace fringe

#endif  // FRINGE_STACKS_SYSTEM_STACK_H_
