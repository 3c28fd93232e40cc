#include "caught_exception.h"

#if FRINGE_EXCEPTIONS

#include <unwind.h>

#include <cstddef>
#include <exception>
#include <utility>

#include "exception_state.h"

namespace fringe::internal {

namespace {

// Takes an exception of another language out of its handler.
_Unwind_Exception* TakeForeign() {
  ExceptionState& state = *InitThreadExceptionState();
  // The runtime keeps the address of a header that it has in front of each exception of C++, for
  // one of another language as well: then only the header's last part, the `_Unwind_Exception`, is
  // there. The size of a header differs between runtimes and versions, so it is measured.
  std::ptrdiff_t header_bytes = 0;
  try {
    throw 0;
  } catch (const int& after_header) {
    header_bytes =
        reinterpret_cast<const std::byte*>(&after_header) - static_cast<std::byte*>(state.caught);
  }
  std::byte* const header = static_cast<std::byte*>(state.caught);
  // The handler finds nothing to delete at its end.
  state.caught = nullptr;
  void* const end = header + header_bytes;
  return static_cast<_Unwind_Exception*>(end) - 1;
}

}  // namespace

CaughtException CaughtException::Take() noexcept {
  CaughtException taken;
  taken.exception_ = std::current_exception();
  if (taken.exception_ == nullptr) taken.foreign_ = TakeForeign();
  return taken;
}

void CaughtException::Rethrow() && {
  if (exception_ != nullptr) std::rethrow_exception(std::move(exception_));
  auto* const foreign = static_cast<_Unwind_Exception*>(foreign_);
  _Unwind_Resume_or_Rethrow(foreign);
  // It returns if there is no handler.
  _Unwind_DeleteException(foreign);
  std::terminate();
}

void* HandledExceptionsGuard::Hide() {
  return std::exchange(InitThreadExceptionState()->caught, nullptr);
}

void HandledExceptionsGuard::Restore(void* handled) {
  InitThreadExceptionState()->caught = handled;
}

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS
