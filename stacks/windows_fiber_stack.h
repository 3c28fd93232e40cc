// A guarded stack on Windows: the stack of a fiber of the system.
//
//   absl::StatusOr<fringe::WindowsFiberStack> stack = fringe::WindowsFiberStack::Create(64 << 10);
//   if (!stack.ok()) return stack.status();
//   auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);
//
// It is the default stack on Windows. To create one costs tens of microseconds, so programs that
// need many reuse them: see `WindowsFiberPool`.

#ifndef FRINGE_STACKS_WINDOWS_FIBER_STACK_H_
#define FRINGE_STACKS_WINDOWS_FIBER_STACK_H_

#if !defined(_WIN32)
#error "fringe::WindowsFiberStack cannot be used here: use SystemStack (stacks/system_stack.h)."
#endif

#include <cstddef>
#include <utility>

#include "../arch/arch.h"
#include "absl/status/statusor.h"
#include "stack.h"

namespace fringe {

// Owns a fiber and its stack.
//
// The thread that creates it, and each thread that resumes a generator on it, becomes a fiber
// (ConvertThreadToFiberEx) unless it is one, and is converted back when it ends. A thread that the
// program has converted itself is left as it is.
class WindowsFiberStack {
 public:
  // How a stack is made.
  struct Options {
    // How many bytes of the stack have memory from the start. Windows rounds them up to whole
    // pages, and adds others when they are first touched.
    size_t commit_bytes = 4096;
  };

  // Creates a fiber whose stack has `size_bytes` or more. Windows rounds up to multiples of 64 KiB.
  // About 16 KiB of them are not usable: the guard, and what a handler of an overflow needs.
  //
  // Returns: a stack whose `base()` is a multiple of 64.
  // Errors: kResourceExhausted if Windows cannot create it; kInvalidArgument if it is too large, or
  //   less than `Options::commit_bytes`. Nothing is left after an error. Throws `std::bad_alloc` if
  //   the heap has no memory for the text of one.
  // Cost: tens of microseconds. The fiber runs once.
  // Thread safety: any thread.
  [[nodiscard]] static absl::StatusOr<WindowsFiberStack> Create(size_t size_bytes) {
    return Create(size_bytes, Options());
  }
  // The same with options.
  [[nodiscard]] static absl::StatusOr<WindowsFiberStack> Create(size_t size_bytes,
                                                                const Options& options);

  // A moved-from stack owns nothing: it may be assigned to and destroyed.
  WindowsFiberStack(WindowsFiberStack&& other) noexcept
      : fiber_(std::exchange(other.fiber_, nullptr)) {}
  // Deletes the fiber that is assigned to, as its destructor does.
  WindowsFiberStack& operator=(WindowsFiberStack&& other) noexcept {
    WindowsFiberStack taken(std::move(other));
    std::swap(fiber_, taken.fiber_);
    return *this;
  }
  // Deletes the fiber, on any thread.
  ~WindowsFiberStack() {
    if (fiber_ != nullptr) fiber_->Delete();
  }

  // Its ends, as of every `Stack`.
  //
  // Requires, of all that follow: not moved from.
  std::byte* base() const noexcept { return fiber_->base(); }
  std::byte* limit() const noexcept { return fiber_->limit(); }

  // As of every `FiberStack` (stacks/stack.h), for generators.
  arch::Fiber* fiber() const noexcept { return fiber_; }

 private:
  explicit WindowsFiberStack(arch::Fiber* fiber) : fiber_(fiber) {}

  arch::Fiber* fiber_;
};

// The options of `WindowsFiberStack::Create`.
using WindowsFiberStackOptions = WindowsFiberStack::Options;

// Windows keeps a guard below every stack.
template <>
inline constexpr bool enable_guarded_stack<WindowsFiberStack> = true;

static_assert(GuardedStack<WindowsFiberStack> && FiberStack<WindowsFiberStack>);

}  // namespace fringe

#endif  // FRINGE_STACKS_WINDOWS_FIBER_STACK_H_
