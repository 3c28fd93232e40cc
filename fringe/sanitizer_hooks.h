// Reports stacks and switches to AddressSanitizer, LeakSanitizer, MemorySanitizer, ThreadSanitizer
// and Valgrind. In builds without them, every function here is empty except those for tools that
// are found at run time: `Control` calls them off its fast paths.

#ifndef FRINGE_SANITIZER_HOOKS_H_
#define FRINGE_SANITIZER_HOOKS_H_

#include <cstddef>
#include <cstdint>

#include "../arch/fatal.h"
#include "config.h"
#include "leak_roots.h"

#if FRINGE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if FRINGE_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if FRINGE_MSAN
#include <sanitizer/msan_interface.h>
#endif

// Tools that are found at run time: Valgrind, and LeakSanitizer on its own (-fsanitize=leak), for
// which no compiler defines a macro. On macOS, no program links with a weak symbol that nothing
// defines, so they cannot be found.
#if __STDC_HOSTED__ && !defined(_WIN32) && !defined(__APPLE__) && !FRINGE_ASAN && !FRINGE_TSAN && \
    !FRINGE_MSAN
#define FRINGE_RUNTIME_TOOLS 1
#else
#define FRINGE_RUNTIME_TOOLS 0
#endif

#if FRINGE_RUNTIME_TOOLS
#if FRINGE_VALGRIND
#include <valgrind/valgrind.h>
#endif
// Null in programs without code that was compiled with -fsplit-stack.
extern "C" [[gnu::weak]] void __splitstack_getcontext(void* context[]);
#endif

namespace fringe::internal {

#if FRINGE_RUNTIME_TOOLS
// What closes the record of a finished generator if no such tool watches the program, for each mode
// without a sanitizer. Otherwise, and until the first generator of the mode has asked, a number
// that no record is closed with: each question costs nanoseconds. So one comparison with the record
// tells that a generator has finished and that no tool has to learn of its end. Each life of a
// generator loads it, so it is in no cache line that threads store to.
struct alignas(128) ToolState {
  uintptr_t unwatched_end[2] = {UINTPTR_MAX, UINTPTR_MAX};
};
extern ToolState tool_state;
#endif

inline namespace FRINGE_ABI {

// One generator's stack, as the tools see it. Created before the first resume, and destroyed after
// the generator has finished or was abandoned.
//
// The switch to the generator is between `BeforeResume` (called by the resumer) and `AfterSuspend`
// (called by the generator). The switch back is between `BeforeSuspend` or `BeforeFinish` and
// `AfterResume`.
//
// The functions around a switch are inlined at every level of optimisation: ThreadSanitizer records
// the entry and the exit of a function on the current fiber. A function that was entered on the
// generator's fiber would be left on the resumer's.
class SanitizerHooks {
 public:
  SanitizerHooks([[maybe_unused]] std::byte* limit, [[maybe_unused]] std::byte* base) {
#if FRINGE_ASAN || FRINGE_MSAN
    limit_ = limit;
    size_bytes_ = static_cast<size_t>(base - limit);
#endif
#if FRINGE_ASAN
    // Memory that only a suspended generator points to is not leaked.
    AddLeakRoot(limit_, size_bytes_);
#endif
#if FRINGE_TSAN
    generator_fiber_ = __tsan_create_fiber(0);
    __tsan_set_fiber_name(generator_fiber_, "fringe generator");  // in its reports
#endif
  }
  SanitizerHooks(const SanitizerHooks&) = delete;
  SanitizerHooks& operator=(const SanitizerHooks&) = delete;
#if FRINGE_TSAN || FRINGE_ASAN
  ~SanitizerHooks() {
#if FRINGE_ASAN
    if (generator_fake_stack_ != nullptr) DestroyFakeStack();
    RemoveLeakRoot(limit_);
    // Abandoned frames leave their redzones poisoned for the next user of the memory.
    __asan_unpoison_memory_region(limit_, size_bytes_);
#endif
#if FRINGE_TSAN
    __tsan_destroy_fiber(generator_fiber_);
#endif
  }
#endif

  [[gnu::always_inline]] void BeforeResume() {
#if FRINGE_ASAN
    __sanitizer_start_switch_fiber(&resumer_fake_stack_, limit_, size_bytes_);
#endif
#if FRINGE_TSAN
    resumer_fiber_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(generator_fiber_, 0);
#endif
#if FRINGE_MSAN
    __msan_start_switch_fiber(limit_, size_bytes_);
    // Those of the generator's first function, which no call passes.
    __msan_unpoison_param(3);
#endif
  }

  [[gnu::always_inline]] void AfterResume() {
#if FRINGE_ASAN
    __sanitizer_finish_switch_fiber(resumer_fake_stack_, nullptr, nullptr);
#endif
#if FRINGE_MSAN
    __msan_finish_switch_fiber(nullptr, nullptr);
#endif
  }

  [[gnu::always_inline]] void BeforeSuspend() {
#if FRINGE_ASAN
    __sanitizer_start_switch_fiber(&generator_fake_stack_, resumer_limit_, resumer_size_bytes_);
#endif
#if FRINGE_TSAN
    __tsan_switch_to_fiber(resumer_fiber_, 0);
#endif
#if FRINGE_MSAN
    __msan_start_switch_fiber(resumer_limit_, resumer_size_bytes_);
#endif
  }

  [[gnu::always_inline]] void AfterSuspend() {
#if FRINGE_ASAN
    __sanitizer_finish_switch_fiber(generator_fake_stack_, &resumer_limit_, &resumer_size_bytes_);
    generator_fake_stack_ = nullptr;
#endif
#if FRINGE_MSAN
    __msan_finish_switch_fiber(&resumer_limit_, &resumer_size_bytes_);
#endif
  }

  [[gnu::always_inline]] void BeforeFinish() {
#if FRINGE_ASAN
    // Null: AddressSanitizer releases the generator's fake stack.
    __sanitizer_start_switch_fiber(nullptr, resumer_limit_, resumer_size_bytes_);
#endif
#if FRINGE_TSAN
    __tsan_switch_to_fiber(resumer_fiber_, 0);
#endif
#if FRINGE_MSAN
    __msan_start_switch_fiber(resumer_limit_, resumer_size_bytes_);
#endif
  }

#if FRINGE_RUNTIME_TOOLS
  // Tells the tools that are found at run time of the stack.
  //
  // Returns: whether there is one.
  [[gnu::noinline]] bool Register(std::byte* limit, std::byte* base) {
    // Its functions compare the stack pointer with a limit that a switch does not change. No macro
    // tells of it.
    if (__splitstack_getcontext != nullptr) {
      fringe_fatal("fringe cannot be used with -fsplit-stack: compile the program without it.");
    }
    limit_ = limit;
    size_bytes_ = static_cast<size_t>(base - limit);
    bool has_tools = false;
#if FRINGE_VALGRIND
    if (RUNNING_ON_VALGRIND != 0) {
      if (!RunsUnderDrd()) valgrind_id_ = VALGRIND_STACK_REGISTER(limit, base);
      has_tools = true;
    }
#endif
    if (HasLeakSanitizer()) {
      AddLeakRoot(limit_, size_bytes_);
      has_tools = true;
    }
    return has_tools;
  }

  // Tells them of its end. Requires: `Register` has returned true.
  [[gnu::noinline]] void Deregister() {
#if FRINGE_VALGRIND
    if (RUNNING_ON_VALGRIND != 0 && !RunsUnderDrd()) VALGRIND_STACK_DEREGISTER(valgrind_id_);
#endif
    if (HasLeakSanitizer()) RemoveLeakRoot(limit_);
  }
#endif

 private:
#if FRINGE_ASAN
  // Releases the fake stack of an abandoned generator, which only the stack that it belongs to can
  // do: for AddressSanitizer, this switches to the generator and back.
  [[gnu::noinline, gnu::no_sanitize_address]] void DestroyFakeStack() {
    void* own_fake_stack = nullptr;
    const void* own_limit = nullptr;
    size_t own_size_bytes = 0;
    __sanitizer_start_switch_fiber(&own_fake_stack, limit_, size_bytes_);
    __sanitizer_finish_switch_fiber(generator_fake_stack_, &own_limit, &own_size_bytes);
    __sanitizer_start_switch_fiber(nullptr, own_limit, own_size_bytes);
    __sanitizer_finish_switch_fiber(own_fake_stack, nullptr, nullptr);
  }
#endif

#if FRINGE_RUNTIME_TOOLS && FRINGE_VALGRIND
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"  // in Valgrind's macro, on s390x
  // DRD of Valgrind 3.19 fails at the end of every program that has registered a stack (assertion
  // "a1 <= a2" in drd_stop_using_mem). No other tool answers the question for its number of the
  // thread.
  static bool RunsUnderDrd() {
    return VALGRIND_DO_CLIENT_REQUEST_EXPR(0, VG_USERREQ_TOOL_BASE('D', 'R'), 0, 0, 0, 0, 0) != 0;
  }
#pragma GCC diagnostic pop
#endif

#if FRINGE_ASAN || FRINGE_MSAN || FRINGE_RUNTIME_TOOLS
  std::byte* limit_;
  size_t size_bytes_;
#endif
#if FRINGE_ASAN
  void* resumer_fake_stack_ = nullptr;
  void* generator_fake_stack_ = nullptr;  // while it is suspended
#endif
#if FRINGE_ASAN || FRINGE_MSAN
  const void* resumer_limit_ = nullptr;
  size_t resumer_size_bytes_ = 0;
#endif
#if FRINGE_TSAN
  void* generator_fiber_;
  void* resumer_fiber_ = nullptr;
#endif
#if FRINGE_RUNTIME_TOOLS
  // In programs without Valgrind's headers too: they are not part of the mode.
  [[maybe_unused]] unsigned valgrind_id_;  // under Valgrind
#endif
};

}  // namespace FRINGE_ABI
}  // namespace fringe::internal

#endif  // FRINGE_SANITIZER_HOOKS_H_
