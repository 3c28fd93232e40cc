// Tells the tools that watch a program's stacks of ours: AddressSanitizer, ThreadSanitizer and
// Valgrind. In other builds every function here is empty.

#ifndef FRINGE_SANITIZER_HOOKS_H_
#define FRINGE_SANITIZER_HOOKS_H_

#include <cstddef>

#include "config.h"

#if FRINGE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if FRINGE_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if FRINGE_VALGRIND
#include <valgrind/valgrind.h>
#endif

namespace fringe::internal {
inline namespace FRINGE_ABI {

#if FRINGE_VALGRIND
// Whether it is known that Valgrind does not run the program. Each question costs nanoseconds.
inline constinit bool runs_without_valgrind = false;

inline bool MayRunUnderValgrind() {
  return !__atomic_load_n(&runs_without_valgrind, __ATOMIC_RELAXED);
}

inline bool RunsUnderValgrind() {
  if (RUNNING_ON_VALGRIND != 0) return true;
  // Concurrent calls get the same answer.
  __atomic_store_n(&runs_without_valgrind, true, __ATOMIC_RELAXED);
  return false;
}
#endif

// One generator's stack, as the tools see it. Created before its first resume and destroyed after
// it has finished or was given up.
//
// The switch to the generator lies between `BeforeResume` (on the resumer's side) and
// `AfterSuspend` (on the generator's), the switch back between `BeforeSuspend` or `BeforeFinish`
// and `AfterResume`.
//
// All of these are inlined at every level of optimisation: ThreadSanitizer notes the entry of a
// function and its exit on the fiber of the moment, and one that began on the generator's would end
// on the resumer's.
class SanitizerHooks {
 public:
  SanitizerHooks([[maybe_unused]] std::byte* limit, [[maybe_unused]] std::byte* base) {
#if FRINGE_ASAN
    limit_ = limit;
    size_bytes_ = static_cast<size_t>(base - limit);
    // What only a suspended generator points to is no leak.
    __lsan_register_root_region(limit_, size_bytes_);
#endif
#if FRINGE_TSAN
    generator_fiber_ = __tsan_create_fiber(0);
#endif
#if FRINGE_VALGRIND
    if (MayRunUnderValgrind()) [[unlikely]] {
      Register(limit, base);
    }
#endif
  }
  SanitizerHooks(const SanitizerHooks&) = delete;
  SanitizerHooks& operator=(const SanitizerHooks&) = delete;
#if FRINGE_TSAN || FRINGE_VALGRIND || FRINGE_ASAN
  ~SanitizerHooks() {
#if FRINGE_ASAN
    __lsan_unregister_root_region(limit_, size_bytes_);
    // Abandoned frames leave their redzones poisoned for the next owner of the memory.
    __asan_unpoison_memory_region(limit_, size_bytes_);
#endif
#if FRINGE_TSAN
    __tsan_destroy_fiber(generator_fiber_);
#endif
#if FRINGE_VALGRIND
    if (MayRunUnderValgrind()) [[unlikely]] {
      Deregister();
    }
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
  }

  [[gnu::always_inline]] void AfterResume() {
#if FRINGE_ASAN
    __sanitizer_finish_switch_fiber(resumer_fake_stack_, nullptr, nullptr);
#endif
  }

  [[gnu::always_inline]] void BeforeSuspend() {
#if FRINGE_ASAN
    __sanitizer_start_switch_fiber(&generator_fake_stack_, resumer_limit_, resumer_size_bytes_);
#endif
#if FRINGE_TSAN
    __tsan_switch_to_fiber(resumer_fiber_, 0);
#endif
  }

  [[gnu::always_inline]] void AfterSuspend() {
#if FRINGE_ASAN
    __sanitizer_finish_switch_fiber(generator_fake_stack_, &resumer_limit_, &resumer_size_bytes_);
#endif
  }

  [[gnu::always_inline]] void BeforeFinish() {
#if FRINGE_ASAN
    // Null: the generator's fake stack is given back.
    __sanitizer_start_switch_fiber(nullptr, resumer_limit_, resumer_size_bytes_);
#endif
#if FRINGE_TSAN
    __tsan_switch_to_fiber(resumer_fiber_, 0);
#endif
  }

 private:
#if FRINGE_VALGRIND
  [[gnu::noinline]] void Register([[maybe_unused]] std::byte* limit,
                                  [[maybe_unused]] std::byte* base) {
    if (RunsUnderValgrind()) valgrind_id_ = VALGRIND_STACK_REGISTER(limit, base);
  }
  [[gnu::noinline]] void Deregister() {
    if (RunsUnderValgrind()) VALGRIND_STACK_DEREGISTER(valgrind_id_);
  }
#endif

#if FRINGE_ASAN
  std::byte* limit_;
  size_t size_bytes_;
  void* resumer_fake_stack_ = nullptr;
  void* generator_fake_stack_ = nullptr;
  const void* resumer_limit_ = nullptr;
  size_t resumer_size_bytes_ = 0;
#endif
#if FRINGE_TSAN
  void* generator_fiber_;
  void* resumer_fiber_ = nullptr;
#endif
#if !FRINGE_ASAN && !FRINGE_TSAN
  // In programs without Valgrind's headers too: it is not part of the mode.
  [[maybe_unused]] unsigned valgrind_id_;  // where it runs the program
#endif
};

}  // namespace FRINGE_ABI
}  // namespace fringe::internal

#endif  // FRINGE_SANITIZER_HOOKS_H_
