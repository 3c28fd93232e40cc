#include "exception_state.h"

#if FRINGE_EXCEPTIONS

namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals* __cxa_get_globals() noexcept;
#if defined(_LIBCPP_VERSION) && !defined(__APPLE__)
extern "C" int __cxa_thread_atexit(void (*function)(void*), void* argument, void* library) noexcept;
#endif
}  // namespace __cxxabiv1

#if defined(__APPLE__)
// Of macOS's C library, which calls it for destructors of thread-local variables.
extern "C" void _tlv_atexit(void (*function)(void*), void* argument) noexcept;
#elif defined(_LIBCPP_VERSION)
// Under another name, because compilers declare it too.
extern "C" [[gnu::visibility("hidden")]] void* fringe_library_handle __asm__("__dso_handle");
#endif

namespace {

constinit fringe::internal::ExceptionState unset = {nullptr, 1};
#if defined(_LIBCPP_VERSION)
// In the slot of a thread that ends.
constinit fringe::internal::ExceptionState ending = {nullptr, 1};

void BeginEnd(void*) { fringe_thread_slot = &ending; }

// Calls `BeginEnd` when the running thread ends.
void RegisterEnd() {
#if defined(__APPLE__)
  _tlv_atexit(&BeginEnd, nullptr);
#else
  __cxxabiv1::__cxa_thread_atexit(&BeginEnd, nullptr, &fringe_library_handle);
#endif
}
#endif

}  // namespace

// The declaration gave it C linkage. `used`, because only assembler reads it, which link-time
// optimisation does not see.
[[gnu::used]] thread_local constinit void* fringe_thread_slot = &unset;

namespace fringe::internal {

ExceptionState* InitThreadExceptionState() {
  auto* const state = reinterpret_cast<ExceptionState*>(__cxxabiv1::__cxa_get_globals());
#if defined(_LIBCPP_VERSION)
  // libc++abi frees the state in the destructor of a pthread key, and allocates another when one is
  // asked for after that. Destructors of other keys may run later and resume generators. So nothing
  // is cached from the end of the thread on.
  if (fringe_thread_slot == &ending) return state;
  if (fringe_thread_slot == &unset) RegisterEnd();
#endif
  fringe_thread_slot = state;
  return state;
}

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS
