// The exception that unwinds a generator which is destroyed before its end.

#ifndef FRINGE_FORCED_UNWIND_H_
#define FRINGE_FORCED_UNWIND_H_

#include "config.h"

#if FRINGE_EXCEPTIONS

#include <exception>  // defines __GLIBCXX__

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace fringe::internal {

// What a handler sees of it.
//
// In libstdc++ it is caught as `abi::__forced_unwind`, which that library throws to end a thread.
// Its streams swallow every other exception: a body that waits for input inside a stream would take
// its own destruction for the end of the input. It is thrown like any other exception, so
// `std::uncaught_exceptions()` counts it. LLVM's streams swallow it.
#if defined(__GLIBCXX__)
using ForcedUnwind = abi::__forced_unwind;
#else
struct ForcedUnwind {
  const void* owner;
};
#endif

// Throws a `ForcedUnwind` on behalf of `owner`.
[[noreturn]] void ThrowForcedUnwind(const void* owner);

// Returns: whether the exception that is being handled was thrown on behalf of `owner`. A body may
//   have kept the exception of another generator and thrown it again, and the end of a thread is a
//   `ForcedUnwind` too. (A handler must not name that one: it is a null reference.)
//
// Requires: called in a handler of `ForcedUnwind`.
bool IsForcedUnwindOf(const void* owner);

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS

#endif  // FRINGE_FORCED_UNWIND_H_
