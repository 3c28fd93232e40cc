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
#include "config.h"
#include "control.h"

namespace fringe {

namespace internal {
inline namespace FRINGE_ABI {

// A call of an `F` on its way to another stack and back.
template <typename F>
class Call {
 public:
  using Return = std::invoke_result_t<F>;

  explicit Call(F&& function) : function_(std::forward<F>(function)) {}

  Return RunOn(std::byte* limit, std::byte* base) {
    std::byte* const place = Control::Place(limit, base, 0, 1);
    auto* const control = new (place) Control(limit, base);
    control->Start(Control::AlignDown(place, kStackAlignment), &Entry);
    control->Call(reinterpret_cast<uintptr_t>(this));
    std::destroy_at(control);
#if FRINGE_EXCEPTIONS
    if (exception_ != nullptr) std::rethrow_exception(std::move(exception_));
#endif
    if constexpr (std::is_reference_v<Return>) {
      return static_cast<Return>(*result_);
    } else if constexpr (!std::is_void_v<Return>) {
      return *std::move(result_);
    }
  }

 private:
  // What holds the result until the caller's stack is back.
  using Result = std::conditional_t<
      std::is_void_v<Return>, std::nullptr_t,
      std::conditional_t<std::is_reference_v<Return>, std::remove_reference_t<Return>*,
                         std::optional<std::remove_cv_t<Return>>>>;

  [[noreturn]] static void Entry(uintptr_t word, arch::LinkRecord* record,
                                 arch::LinkRecord*) noexcept {
    Control* const control = Control::Of(record);
    control->AtStart();
    reinterpret_cast<internal::Call<F>*>(word)->Invoke();
    control->Finish(0);
  }

  void Invoke() {
#if FRINGE_EXCEPTIONS
    try {
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
    } catch (...) {
      exception_ = std::current_exception();
    }
#endif
  }

  F&& function_;
  Result result_ = {};
#if FRINGE_EXCEPTIONS
  std::exception_ptr exception_;
#endif
};

}  // namespace FRINGE_ABI
}  // namespace internal

inline namespace FRINGE_ABI {

// Calls `function()` on `stack`, which is free again afterwards. The caller's exceptions being
// handled stay visible to it, as in any call.
//
// A generator does not suspend from inside it: that is fatal.
//
// Requires: nothing else runs or is suspended on `stack`.
// Returns: what `function` returns; a value is moved, once or twice.
// Errors: what `function` throws. Fatal where `stack` is too small, where its base is not
//   aligned to `kStackAlignment`, and where the CPU keeps a shadow stack.
// Cost: two switches.
template <typename StackT, std::invocable F>
  requires Stack<std::remove_cvref_t<StackT>>
std::invoke_result_t<F> OnStack(StackT&& stack, F&& function) {
  return internal::Call<F>(std::forward<F>(function)).RunOn(stack.limit(), stack.base());
}

}  // namespace FRINGE_ABI
}  // namespace fringe

#endif  // FRINGE_ON_STACK_H_
