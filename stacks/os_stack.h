// A guarded stack from the operating system.
//
//   absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(64 << 10);
//   if (!stack.ok()) return stack.status();
//   auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);

#ifndef FRINGE_STACKS_OS_STACK_H_
#define FRINGE_STACKS_OS_STACK_H_

#if defined(_WIN32)
#error "fringe::OsStack cannot be used on Windows: use SystemStack (stacks/system_stack.h)."
#endif

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "stack.h"

namespace fringe {

// Owns an anonymous mapping whose lowest part is the guard. Pages are zero and take memory when
// they are first touched.
//
// If the kernel has light guards (Linux 6.13), a stack next to another shares its mapping, and
// hundreds of thousands fit in a process. If not, each takes mappings of its own, and a process
// ends near 32,753 of them with the default `vm.max_map_count`.
class OsStack {
 public:
  // How a stack is made.
  struct Options {
    // How many bytes below the stack fault, rounded up to whole pages; at most 1 GiB. A frame that
    // is larger may jump over the guard, unless the code is compiled with
    // -fstack-clash-protection. With that flag the least is enough, which is what 0 means: the
    // steps in which the ABI's compilers probe, a page on most CPUs. Each page of a guard costs
    // 8 bytes of page tables with light guards.
    size_t guard_bytes = size_t{64} << 10;
  };

  // Maps a new stack with a guard below it.
  //
  // `size_bytes` counts usable bytes only: the guard is extra. The stack has at least as many,
  // rounded up to whole pages, and 0 means one page. It has up to a page more, so that the bases of
  // different stacks do not share sets of the cache.
  //
  // Returns: a stack whose `base()` is a multiple of 64, and whose `limit()` is the end of the
  //   guard.
  // Errors: kResourceExhausted if the system gives no mapping; kInvalidArgument if a stack or a
  //   guard of that size cannot be had. Nothing stays mapped after an error. Throws nothing.
  // Cost: a few system calls. No page is touched.
  // Thread safety: any thread, but not signal handlers.
  [[nodiscard]] static absl::StatusOr<OsStack> Create(size_t size_bytes) {
    return Create(size_bytes, Options());
  }
  // The same with options.
  [[nodiscard]] static absl::StatusOr<OsStack> Create(size_t size_bytes, const Options& options);

  // A moved-from stack owns nothing: it may be assigned to and destroyed.
  OsStack(OsStack&& other) noexcept
      : limit_(std::exchange(other.limit_, nullptr)),
        size_bytes_(other.size_bytes_),
        guard_bytes_(other.guard_bytes_) {}
  // Unmaps the stack that is assigned to, as its destructor does.
  OsStack& operator=(OsStack&& other) noexcept {
    OsStack taken(std::move(other));
    std::swap(limit_, taken.limit_);
    std::swap(size_bytes_, taken.size_bytes_);
    std::swap(guard_bytes_, taken.guard_bytes_);
    return *this;
  }
  // Unmaps the stack. It needs no memory. If the process has too many mappings to split one, the
  // stack's memory is returned all the same, and its addresses as soon as possible.
  //
  // Errors: fatal if the system refuses for any other reason.
  ~OsStack();

  // Its ends, as of every `Stack`.
  std::byte* base() const noexcept { return limit_ + size_bytes_; }
  std::byte* limit() const noexcept { return limit_; }

 private:
  OsStack(std::byte* limit, size_t size_bytes, size_t guard_bytes)
      : limit_(limit), size_bytes_(size_bytes), guard_bytes_(guard_bytes) {}

  std::byte* limit_;
  size_t size_bytes_;  // from limit to base
  size_t guard_bytes_;
};

// The options of `OsStack::Create`.
using OsStackOptions = OsStack::Options;

// Below the limit is a guard of `Options::guard_bytes`.
template <>
inline constexpr bool enable_guarded_stack<OsStack> = true;

static_assert(GuardedStack<OsStack>);

}  // namespace fringe

#endif  // FRINGE_STACKS_OS_STACK_H_
