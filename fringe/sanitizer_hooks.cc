#include "sanitizer_hooks.h"

#if FRINGE_RUNTIME_TOOLS

namespace fringe::internal {

constinit ToolState tool_state;

}  // namespace fringe::internal

extern "C" {

// Null in programs without AddressSanitizer.
[[gnu::weak]] void __asan_init();

// The options of LeakSanitizer on its own, unless the program has its own function of that name, or
// the runtime is linked statically and its empty one comes first, as with Clang.
//
// By default the runtime looks for the caller of malloc by frame pointers, and only on the thread's
// own stack. It finds none in a generator's body, and then reports no leak of that memory.
[[gnu::weak]] const char* __lsan_default_options() {
  return __asan_init == nullptr ? "fast_unwind_on_malloc=0" : "";
}

}  // extern "C"

#endif
