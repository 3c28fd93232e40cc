// A guarded stack from the operating system.
//
//   absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(64 << 10);
//   if (!stack.ok()) return stack.status();
//   auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);

#ifndef FRINGE_STACKS_OS_STACK_H_
#define FRINGE_STACKS_OS_STACK_H_

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "stack.h"

namespace fringe {

// Owns an anonymous mapping whose lowest part is the guard. Pages are zero and take memory when
// they are first touched.
//
// Where the kernel has light guards (Linux 6.13), a stack next to another shares its mapping, and
// hundreds of thousands live in a process. Where not, each takes mappings of its own, and a process
// ends near 32,753 of them with the default `vm.max_map_count`.
class OsStack {
 public:
  // Maps a new stack with a guard below it.
  //
  // `size_bytes` counts usable bytes only: the guard is extra. The stack has at least as many,
  // rounded up to whole pages, and 0 means one page. It has up to a page more, so that the bases of
  // different stacks do not lie in the same sets of the cache.
  //
  // Returns: a stack whose `base()` is a multiple of 64, and whose `limit()` is the end of the
  //   guard.
  // Errors: kResourceExhausted if the system gives no mapping; kInvalidArgument if the rounded size
  //   does not fit. Nothing stays mapped after an error.
  // Cost: a few system calls. No page is touched.
  // Thread safety: any thread.
  static absl::StatusOr<OsStack> Create(size_t size_bytes);

  // A stack that was moved from owns nothing: it may be assigned to and destroyed.
  OsStack(OsStack&& other) noexcept
      : limit_(std::exchange(other.limit_, nullptr)), size_bytes_(other.size_bytes_) {}
  // Unmaps the stack that is assigned to, as its destructor does.
  OsStack& operator=(OsStack&& other) noexcept {
    OsStack taken(std::move(other));
    std::swap(limit_, taken.limit_);
    std::swap(size_bytes_, taken.size_bytes_);
    return *this;
  }
  // Unmaps the stack. Where the system refuses because the process has too many mappings to split
  // one, its memory goes back all the same, and its addresses when a later stack's can; otherwise
  // fatal.
  ~OsStack();

  // Its ends, as of every `Stack`.
  std::byte* base() const noexcept { return limit_ + size_bytes_; }
  std::byte* limit() const noexcept { return limit_; }

 private:
  OsStack(std::byte* limit, size_t size_bytes) : limit_(limit), size_bytes_(size_bytes) {}

  std::byte* limit_;
  size_t size_bytes_;  // from limit to base
};

// An overflow faults.
template <>
inline constexpr bool enable_guarded_stack<OsStack> = true;

static_assert(GuardedStack<OsStack>);

}  // namespace fringe

#endif  // FRINGE_STACKS_OS_STACK_H_
