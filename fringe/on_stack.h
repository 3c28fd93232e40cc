// Calls a function on another stack.
//
//   absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(8 << 20);
//   int depth = fringe::OnStack(*stack, [&] { return DeeplyRecursive(input); });

#ifndef FRINGE_ON_STACK_H_
#define FRINGE_ON_STACK_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "../arch/arch.h"
#include "../stacks/stack.h"
#include "caught_exception.h"
#include "config.h"
#include "control.h"

namespace fringe {

namespace internal {
inline namespace FRINGE_ABI {

// A call of an `F` on another stack.
template <typename F>
class Call {
 public:
  using Return = std::invoke_result_t<F>;

  explicit Call(F&& function) : function_(std::forward<F>(function)) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {}

  template <Stack StackT>
  Return RunOn(const StackT& stack) {
    std::byte* const limit = stack.limit();
    std::byte* const base = stack.base();
    std::byte* const place = Control::Place(limit, base, 0, 1);
    MakeRoom(stack, static_cast<size_t>(base - place));
    auto* const control = new (place) Control(limit, base);
    control->Start(Control::AlignDown(place, kStackAlignment), &Entry, base);
    Attach(stack, control->record());
    [[maybe_unused]] const uintptr_t has_thrown = control->Call(reinterpret_cast<uintptr_t>(this));
    std::destroy_at(control);
#if FRINGE_EXCEPTIONS
    if (has_thrown != 0) [[unlikely]] {
      Rethrow();
    }
#endif
    if constexpr (std::is_reference_v<Return>) {
      return static_cast<Return>(*result_);
    } else if constexpr (!std::is_void_v<Return>) {
      return *std::move(result_);
    }
  }

 private:
  // Holds the result until the caller's stack is back.
  using Result = std::conditional_t<
      std::is_void_v<Return>, std::nullptr_t,
      std::conditional_t<std::is_reference_v<Return>, std::remove_reference_t<Return>*,
                         std::optional<std::remove_cv_t<Return>>>>;

  [[noreturn]] static void Entry(uintptr_t word, arch::LinkRecord* record,
                                 arch::LinkRecord*) noexcept {
    Control* const control = Control::Of(record);
    control->AtStart();
    const uintptr_t has_thrown = reinterpret_cast<internal::Call<F>*>(word)->Invoke();
    control->Finish(has_thrown);
  }

  // Returns: whether the function has thrown, as 0 or 1.
  uintptr_t Invoke() {
#if FRINGE_EXCEPTIONS
    void* handled = nullptr;
    try {
      HandledExceptionsGuard guard(handled);
#endif
      if constexpr (std::is_void_v<Return>) {
        std::invoke(std::forward<F>(function_));
      } else if constexpr (std::is_reference_v<Return>) {
        Return result = std::invoke(std::forward<F>(function_));
        result_ = std::addressof(result);
      } else {
        result_.emplace(std::invoke(std::forward<F>(function_)));
      }
#if FRINGE_EXCEPTIONS
      guard.Release();
      return 0;
    } catch (...) {
      new (&exception_) CaughtException(CaughtException::Take());
    }
    HandledExceptionsGuard::Restore(handled);
    return 1;
#else
    return 0;
#endif
  }

#if FRINGE_EXCEPTIONS
  [[noreturn, gnu::noinline]] void Rethrow() {
    CaughtException exception = std::move(exception_);
    std::destroy_at(&exception_);
    std::move(exception).Rethrow();
  }
#endif

  F&& function_;
  Result result_ = {};
#if FRINGE_EXCEPTIONS
  union {
    CaughtException exception_;  // if `Invoke` has returned 1
  };
#endif
};

}  // namespace FRINGE_ABI
}  // namespace internal

inline namespace FRINGE_ABI {

// Calls `function()` on `stack`, which is free again afterwards. The function sees the exceptions
// that its caller is handling, as in any call.
//
// A generator cannot suspend from inside it: that is fatal.
//
// Requires: nothing else is running or suspended on `stack`.
// Returns: the result of `function`; a value is moved, once or twice.
// Errors: rethrows any exception that leaves `function`. Fatal if `stack` is too small, if its base
//   is not aligned to `kStackAlignment`, and if the thread runs with a hardware shadow stack that
//   the build does not support (docs/platforms.md).
// Cost: two switches.
template <typename StackT, std::invocable F>
  requires Stack<std::remove_cvref_t<StackT>>
std::invoke_result_t<F> OnStack(StackT&& stack, F&& function) {
  return internal::Call<F>(std::forward<F>(function)).RunOn(stack);
}

// A mistake.
template <typename S, typename F>
  requires internal::MaybeAStack<std::remove_cvref_t<S>>
void OnStack(S&& stack, F&& function) = delete;  // check the StatusOr, then pass its stack

}  // namespace FRINGE_ABI
}  // namespace fringe

#endif  // FRINGE_ON_STACK_H_
