// Exceptions of any language on their way from one stack to another. Not for users.

#ifndef FRINGE_CAUGHT_EXCEPTION_H_
#define FRINGE_CAUGHT_EXCEPTION_H_

#include "config.h"

#if FRINGE_EXCEPTIONS

#include <exception>

namespace fringe::internal {

// An exception that was caught on one stack, to be rethrown on another.
//
// It may be an exception of C++, one of another language (LuaJIT, Rust, Ada), or the forced unwind
// by which a thread ends. `std::exception_ptr` holds the first kind only.
class CaughtException {
 public:
  // Takes over the exception that is being handled: the handler neither ends nor deletes it.
  //
  // Requires: called in a `catch (...)` which then does nothing else. No other exception is being
  //   handled on this stack, see `HandledExceptionsGuard`.
  static CaughtException Take() noexcept;

  // Continues the exception from here.
  //
  // Errors: if nothing catches an exception of another language, its cleanup function is called,
  //   and then `std::terminate`.
  [[noreturn]] void Rethrow() &&;

 private:
  std::exception_ptr exception_;  // null if it is not one of C++
  void* foreign_ = nullptr;       // then its `_Unwind_Exception`
};

// Hides the exceptions that the caller of a function is handling while one that leaves the function
// is caught. The C++ runtime ends the program if it catches an exception of another language while
// it handles any other.
//
//   void* handled = nullptr;
//   try {
//     HandledExceptionsGuard guard(handled);
//     ...
//     guard.Release();
//   } catch (...) {
//     ...
//   }
//   if (caught) HandledExceptionsGuard::Restore(handled);
class HandledExceptionsGuard {
 public:
  explicit HandledExceptionsGuard(void*& handled) : handled_(&handled) {}
  HandledExceptionsGuard(const HandledExceptionsGuard&) = delete;
  HandledExceptionsGuard& operator=(const HandledExceptionsGuard&) = delete;
  ~HandledExceptionsGuard() {
    if (handled_ != nullptr) *handled_ = Hide();
  }

  // Leaves everything as it is: no exception leaves the function.
  void Release() { handled_ = nullptr; }

  static void Restore(void* handled);

 private:
  static void* Hide();

  void** handled_;
};

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS

#endif  // FRINGE_CAUGHT_EXCEPTION_H_
