#include "exception_state.h"

#if FRINGE_EXCEPTIONS

namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals* __cxa_get_globals() noexcept;
}  // namespace __cxxabiv1

namespace {

constinit fringe::internal::ExceptionState unset = {nullptr, 1};

}  // namespace

// The declaration gave it C linkage.
thread_local constinit fringe::internal::ExceptionState* fringe_thread_exception_state = &unset;

namespace fringe::internal {

ExceptionState* InitThreadExceptionState() {
  fringe_thread_exception_state =
      reinterpret_cast<ExceptionState*>(__cxxabiv1::__cxa_get_globals());
  return fringe_thread_exception_state;
}

ExceptionState* LoadThreadExceptionState() { return fringe_thread_exception_state; }

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS
