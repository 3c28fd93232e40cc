// Carries an exception from a callback of a C function to that function's caller. C functions have
// no destructors, so an exception that passes through them leaks what they hold.
//
//   struct Context {
//     fringe::Yielder<Row>& yielder;
//     fringe::CallbackGuard guard;
//   };
//
//   int SuspendWithRow(void* data, int columns, char** values, char**) {
//     auto* const context = static_cast<Context*>(data);
//     return context->guard.Call(
//         [&] {
//           context->yielder.Suspend(Row(values, values + columns));
//           return 0;
//         },
//         1);
//   }
//   ...
//   sqlite3_exec(database, query.c_str(), SuspendWithRow, &context, nullptr);
//   context.guard.Rethrow();

#ifndef FRINGE_CALLBACK_GUARD_H_
#define FRINGE_CALLBACK_GUARD_H_

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "config.h"

#if FRINGE_EXCEPTIONS
#include <exception>
#endif

namespace fringe {
inline namespace FRINGE_ABI {

// The exception of a callback, if any. One of these belongs to one call of the C function.
//
// This includes the exception by which a generator is destroyed, so a callback may use `Suspend`.
// `TrySuspend` does without a guard. Without exceptions, the guard does nothing.
//
// Thread safety: the C function must call back on the thread that calls `Rethrow`.
class CallbackGuard {
 public:
  // A guard without an exception.
  CallbackGuard() = default;
  CallbackGuard(const CallbackGuard&) = delete;
  CallbackGuard& operator=(const CallbackGuard&) = delete;

  // Calls `function()`, unless an earlier call has thrown: some C functions call back after they
  // were told to stop.
  //
  // Returns: its result; `if_thrown` if this call or an earlier one has thrown. Choose the value by
  //   which the C function stops.
  // Errors: an exception of another language passes through, as it does without a guard.
  template <std::invocable F>
  std::invoke_result_t<F> Call(F&& function, std::invoke_result_t<F> if_thrown) {
#if FRINGE_EXCEPTIONS
    if (has_thrown()) return if_thrown;
    try {
      return std::invoke(std::forward<F>(function));
    } catch (...) {
      Keep();
    }
    return if_thrown;
#else
    static_cast<void>(if_thrown);
    return std::invoke(std::forward<F>(function));
#endif
  }

  // The same for a callback without a result. If the C function can be told to stop in another way,
  // do so if `has_thrown()`.
  template <std::invocable F>
    requires std::is_void_v<std::invoke_result_t<F>>
  void Call(F&& function) {
    Call(
        [&] {
          std::invoke(std::forward<F>(function));
          return true;
        },
        false);
  }

  // Returns: whether a call has thrown.
  bool has_thrown() const {
#if FRINGE_EXCEPTIONS
    return exception_ != nullptr;
#else
    return false;
#endif
  }

  // Throws the exception of the callback, if there is one. Call it when the C function has returned
  // and its results are released: otherwise the exception is lost.
  void Rethrow() {
#if FRINGE_EXCEPTIONS
    if (has_thrown()) std::rethrow_exception(std::exchange(exception_, nullptr));
#endif
  }

#if FRINGE_EXCEPTIONS
 private:
  // Called in a handler.
  void Keep() {
    exception_ = std::current_exception();
    if (exception_ == nullptr) throw;
  }

  std::exception_ptr exception_;
#endif
};

}  // namespace FRINGE_ABI
}  // namespace fringe

#endif  // FRINGE_CALLBACK_GUARD_H_
