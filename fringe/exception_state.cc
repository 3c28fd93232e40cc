#include "exception_state.h"

#if FRINGE_EXCEPTIONS

namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals* __cxa_get_globals() noexcept;
}  // namespace __cxxabiv1

namespace {

constinit fringe::internal::ExceptionState unset = {nullptr, 1};

}  // namespace

// The declaration gave it C linkage. `used`, because only assembler reads it, which link-time
// optimisation does not see.
[[gnu::used]] thread_local constinit void* fringe_thread_slot = &unset;

namespace fringe::internal {

ExceptionState* InitThreadExceptionState() {
  auto* const state = reinterpret_cast<ExceptionState*>(__cxxabiv1::__cxa_get_globals());
  fringe_thread_slot = state;
  return state;
}

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS
