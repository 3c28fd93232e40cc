// A stack on the heap.
//
//   absl::StatusOr<fringe::MallocStack> stack = fringe::MallocStack::Create(16 << 10);
//   if (!stack.ok()) return stack.status();
//   auto gen = fringe::Generator<int, void, fringe::MallocStack>::Unguarded(
//       *std::move(stack), body);

#ifndef FRINGE_STACKS_MALLOC_STACK_H_
#define FRINGE_STACKS_MALLOC_STACK_H_

#if defined(_WIN32)
#error "fringe::MallocStack cannot be used on Windows: use SystemStack (stacks/system_stack.h)."
#endif

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "stack.h"

namespace fringe {

// Owns a block of the heap. Not guarded: an overflow corrupts the heap.
//
// `--//flags:malloc` says which heap. With `system` it is whatever answers to `aligned_alloc`. With
// `jemalloc` it is an arena of jemalloc's that holds stacks only, and each thread that makes or
// destroys stacks has a cache of them of its own until it ends: stacks and other blocks do not
// share pages. A thread's cache has blocks up to 32 KiB (jemalloc's `opt.tcache_max`); larger ones
// go to the arena at once, under its locks.
class MallocStack {
 public:
  // Allocates a stack.
  //
  // `size_bytes` is rounded up to a multiple of `kStackAlignment`, and 0 means one such unit.
  //
  // Errors: kResourceExhausted if the heap has no such block, or jemalloc no arena;
  //   kInvalidArgument if the rounded size does not fit.
  // Cost: one `aligned_alloc`, or one `mallocx`. No byte of the stack is touched.
  // Thread safety: any thread.
  static absl::StatusOr<MallocStack> Create(size_t size_bytes);

  // A stack that was moved from owns nothing: it may be assigned to and destroyed.
  MallocStack(MallocStack&& other) noexcept
      : limit_(std::exchange(other.limit_, nullptr)), size_bytes_(other.size_bytes_) {}
  // Frees the block of the stack that is assigned to.
  MallocStack& operator=(MallocStack&& other) noexcept {
    MallocStack taken(std::move(other));
    std::swap(limit_, taken.limit_);
    std::swap(size_bytes_, taken.size_bytes_);
    return *this;
  }
  // Frees the block.
  ~MallocStack();

  // Its ends, as of every `Stack`.
  std::byte* base() const noexcept { return limit_ + size_bytes_; }
  std::byte* limit() const noexcept { return limit_; }

 private:
  MallocStack(std::byte* limit, size_t size_bytes) : limit_(limit), size_bytes_(size_bytes) {}

  std::byte* limit_;
  size_t size_bytes_;
};

static_assert(Stack<MallocStack> && !GuardedStack<MallocStack>);

}  // namespace fringe

#endif  // FRINGE_STACKS_MALLOC_STACK_H_
