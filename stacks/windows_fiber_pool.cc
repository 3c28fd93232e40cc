#include "windows_fiber_pool.h"

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <new>
#include <utility>

#include "../arch/fatal.h"

namespace fringe {

WindowsFiberPool::WindowsFiberPool(const Options& options) : options_(options) {}

WindowsFiberPool::~WindowsFiberPool() {
  if (acquired_ != 0) {
    fringe_fatal(
        "a WindowsFiberPool was destroyed while its stacks were in use: destroy their generators "
        "first.");
  }
}

WindowsFiberPool& WindowsFiberPool::Default() {
  alignas(WindowsFiberPool) static std::byte place[sizeof(WindowsFiberPool)];
  static WindowsFiberPool& pool = *new (place) WindowsFiberPool;
  return pool;
}

absl::StatusOr<PooledWindowsFiberStack> WindowsFiberPool::Acquire() {
  {
    const std::lock_guard lock(mutex_);
    if (!unused_.empty()) {
      PooledWindowsFiberStack stack(this, std::move(unused_.back()));
      unused_.pop_back();
      ++acquired_;
      return stack;
    }
  }
  absl::StatusOr<WindowsFiberStack> stack =
      WindowsFiberStack::Create(options_.stack_bytes, {.commit_bytes = options_.commit_bytes});
  if (!stack.ok()) return stack.status();
  const std::lock_guard lock(mutex_);
  // So that `Release` needs no memory.
  const size_t places = std::min(options_.unused_fibers, unused_.size() + acquired_ + 1);
  if (unused_.capacity() < places) unused_.reserve(std::max(places, 2 * unused_.capacity()));
  ++acquired_;
  return PooledWindowsFiberStack(this, *std::move(stack));
}

void WindowsFiberPool::Release(WindowsFiberStack stack) {
  const std::lock_guard lock(mutex_);
  --acquired_;
  if (unused_.size() < options_.unused_fibers) unused_.push_back(std::move(stack));
}

}  // namespace fringe
