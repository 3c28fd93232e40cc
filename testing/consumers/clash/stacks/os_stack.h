// A header with the name of one of fringe's. A file that includes it in place of fringe's does not
// compile.

#if !defined(CONSUMER) || __INCLUDE_LEVEL__ != 1
#error "this stacks/os_stack.h is not fringe's"
#endif

#ifndef STACKS_OS_STACK_H_
#define STACKS_OS_STACK_H_

namespace consumer {

class OsStack {};

}  // namespace consumer

#endif  // STACKS_OS_STACK_H_
