// Reuses fibers on Windows, where creating one costs tens of microseconds.
//
//   fringe::WindowsFiberPool pool({.stack_bytes = 128 << 10});
//   absl::StatusOr<fringe::PooledWindowsFiberStack> stack = pool.Acquire();
//   if (!stack.ok()) return stack.status();
//   auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);

#ifndef FRINGE_STACKS_WINDOWS_FIBER_POOL_H_
#define FRINGE_STACKS_WINDOWS_FIBER_POOL_H_

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "../arch/arch.h"
#include "absl/status/statusor.h"
#include "stack.h"
#include "windows_fiber_stack.h"

namespace fringe {

class WindowsFiberPool;

// Owns a fiber that returns to its pool, which must outlive it.
class PooledWindowsFiberStack {
 public:
  // A moved-from stack owns nothing: it may be assigned to and destroyed.
  PooledWindowsFiberStack(PooledWindowsFiberStack&& other) noexcept
      : pool_(other.pool_), stack_(std::exchange(other.stack_, std::nullopt)) {}
  // Releases the stack that is assigned to, as its destructor does.
  PooledWindowsFiberStack& operator=(PooledWindowsFiberStack&& other) noexcept {
    PooledWindowsFiberStack taken(std::move(other));
    std::swap(pool_, taken.pool_);
    std::swap(stack_, taken.stack_);
    return *this;
  }
  // Releases the stack, on any thread.
  //
  // Cost: a lock. Deletes the fiber if the pool has enough unused ones.
  ~PooledWindowsFiberStack();

  // As of `WindowsFiberStack`.
  //
  // Requires, of all that follow: not moved from.
  std::byte* base() const noexcept { return stack_->base(); }
  std::byte* limit() const noexcept { return stack_->limit(); }
  arch::Fiber* fiber() const noexcept { return stack_->fiber(); }

 private:
  friend WindowsFiberPool;
  PooledWindowsFiberStack(WindowsFiberPool* pool, WindowsFiberStack stack)
      : pool_(pool), stack_(std::move(stack)) {}

  WindowsFiberPool* pool_;
  std::optional<WindowsFiberStack> stack_;
};

template <>
inline constexpr bool enable_guarded_stack<PooledWindowsFiberStack> = true;

static_assert(GuardedStack<PooledWindowsFiberStack> && FiberStack<PooledWindowsFiberStack>);

// A source of fibers that reuses those that are released.
//
// Thread safety: any thread, except for construction and destruction.
class WindowsFiberPool {
 public:
  // How a pool works.
  struct Options {
    // As for `WindowsFiberStack::Create`.
    size_t stack_bytes = size_t{256} << 10;
    size_t commit_bytes = 4096;

    // How many unused fibers are kept at most. Each keeps the memory that its stack has touched.
    size_t unused_fibers = 1024;
  };

  // Makes a pool without fibers. Options that cannot be met are an error of `Acquire`.
  WindowsFiberPool() : WindowsFiberPool(Options()) {}
  explicit WindowsFiberPool(const Options& options);
  WindowsFiberPool(const WindowsFiberPool&) = delete;
  WindowsFiberPool& operator=(const WindowsFiberPool&) = delete;

  // Deletes all fibers.
  //
  // Errors: fatal if any of its stacks is in use.
  ~WindowsFiberPool();

  // Returns: the pool of the process, with the default options. It is never destroyed.
  static WindowsFiberPool& Default();

  // Returns: an unused stack, the latest released first, or a new one.
  // Errors: as `WindowsFiberStack::Create`; `std::bad_alloc` if the heap has no memory.
  // Cost: a lock, and tens of microseconds for a new fiber.
  [[nodiscard]] absl::StatusOr<PooledWindowsFiberStack> Acquire();

 private:
  friend PooledWindowsFiberStack;

  void Release(WindowsFiberStack stack);

  const Options options_;
  std::mutex mutex_;
  std::vector<WindowsFiberStack> unused_;  // has room for all that it may hold
  size_t acquired_ = 0;
};

inline PooledWindowsFiberStack::~PooledWindowsFiberStack() {
  if (stack_.has_value()) pool_->Release(*std::move(stack_));
}

}  // namespace fringe

#endif  // FRINGE_STACKS_WINDOWS_FIBER_POOL_H_
