// Whether the program is ending. Not for users.

#ifndef FRINGE_STACKS_EXITING_H_
#define FRINGE_STACKS_EXITING_H_

namespace fringe::internal {

// Returns: whether the running thread has called `exit`, or `main` has returned: what runs now is a
//   destructor of a static object or a function that `atexit` has registered. False where the C
//   library has no unwind tables.
// Cost: a backtrace.
bool ProcessIsExiting();

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_EXITING_H_
