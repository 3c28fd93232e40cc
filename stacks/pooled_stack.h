// Guarded stacks from a pool: fast to acquire and release, and a million of them in one process.
//
//   fringe::StackPool pool({.stack_bytes = 32 << 10});
//   absl::StatusOr<fringe::PooledStack> stack = pool.Acquire();
//   if (!stack.ok()) return stack.status();
//   {
//     auto gen = fringe::MakeGenerator<int>(*std::move(stack), body);
//     ...
//   }                                         // the stack is back in the pool
//   std::cout << pool.Stats();
//
// A pool maps large ranges of memory, its arenas, and carves stacks with guards out of them. A
// released stack goes to a cache of the thread that released it, from there to the pool's depot,
// and from there to any thread. If the kernel has light guards (Linux 6.13), a stack needs no
// mapping of its own. If not, guards are made with mprotect, and a process ends near 32,753 stacks
// with the default `vm.max_map_count`, pool or not.

#ifndef FRINGE_STACKS_POOLED_STACK_H_
#define FRINGE_STACKS_POOLED_STACK_H_

#if defined(_WIN32)
#error \
    "fringe::StackPool cannot be used on Windows: use WindowsFiberPool (stacks/windows_fiber_pool.h)."
#endif

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "stack.h"
#include "stack_bounds.h"

namespace fringe {

class StackPool;

namespace internal {
class PoolCore;
}  // namespace internal

// Owns a stack that returns to its pool, which must outlive it.
class PooledStack {
 public:
  // A moved-from stack owns nothing: it may be assigned to and destroyed.
  PooledStack(PooledStack&& other) noexcept : bounds_(std::exchange(other.bounds_, nullptr)) {}
  // Releases the stack that is assigned to, as its destructor does.
  PooledStack& operator=(PooledStack&& other) noexcept {
    PooledStack taken(std::move(other));
    std::swap(bounds_, taken.bounds_);
    return *this;
  }
  // Releases the stack, on any thread. It needs no memory.
  //
  // Errors: fatal if the stack was already released through a copy of this object's bytes. If
  //   `StackPool::Trim` has unmapped the stack's arena meanwhile, a segmentation fault instead.
  // Cost: some loads and stores; a lock if the thread's cache is full; system calls if the stack
  // was
  //   used deeper than the pool's `resident_bytes`, at a cost that depends on the memory used.
  ~PooledStack();

  // Its ends, as of every `Stack`.
  //
  // Requires, of both: not moved from.
  std::byte* base() const noexcept { return bounds_->base; }
  std::byte* limit() const noexcept { return bounds_->limit; }

 private:
  friend StackPool;
  explicit PooledStack(internal::StackBounds* bounds) : bounds_(bounds) {}

  internal::StackBounds* bounds_;
};

// Below the limit is a guard of `StackPool::Options::guard_bytes`.
template <>
inline constexpr bool enable_guarded_stack<PooledStack> = true;

static_assert(GuardedStack<PooledStack>);

// A source of guarded stacks, which reuses those that are released.
//
// Thread safety: any thread, except for construction and destruction. Not from signal handlers: if
//   one has interrupted the pool's own code, that is fatal where it can be detected.
//
// After a `fork` with other threads running, the child may continue to use the pool: stacks in the
// caches of threads that it does not have are in its depot. Stacks those threads were using are
// never returned. So the child must not destroy the pool (`_exit`, or a pool that is never
// destroyed, such as `Default`) unless it destroys their owners itself.
//
// At program exit, see the destructor.
class StackPool {
 public:
  // How a pool works. Each can be chosen when the pool is made.
  struct Options {
    // How many bytes of a stack are usable, at least; the guard is extra. Rounded up to whole
    // pages. 64 KiB are enough for ordinary C++, exceptions and stdio included; only touched pages
    // take memory.
    size_t stack_bytes = size_t{64} << 10;

    // How many bytes below each stack fault, rounded up to whole pages; at most 1 GiB. A frame that
    // is larger may jump over the guard, unless the code is compiled with
    // -fstack-clash-protection. With that flag the least is enough, which is what 0 means: the
    // steps in which the ABI's compilers probe, a page on most CPUs. Each page of a guard costs
    // 8 bytes of page tables with light guards.
    size_t guard_bytes = size_t{64} << 10;

    // How many unused stacks a thread keeps for itself at most. They are acquired and released
    // without a lock. 0 means none: every step takes the pool's lock. It costs only what is used.
    size_t thread_cached_stacks = 32;

    // How many unused stacks in the depot keep memory at most. Beyond that, only address space is
    // kept. 1,024 of them hold 16 MiB at most with the default `resident_bytes`.
    size_t depot_cached_stacks = 1024;

    // How many bytes stay resident in an unused stack at most, counted from its top; rounded up to
    // whole pages, and at least one. Any value: as much as a stack has means all of it. A stack
    // that was used deeper returns the rest to the system when it is released. That costs some
    // microseconds, as does touching it again, so choose it so that this is rare. 16 KiB are more
    // than an exception needs to be thrown and caught. A frame that leaves a gap where the pool
    // looks may keep more for some hundred acquisitions by a thread.
    size_t resident_bytes = size_t{16} << 10;

    // How many bytes all unused stacks together keep resident at most, at `resident_bytes` each.
    // Threads' caches count in full. A thread that finds little left gets a smaller cache, and the
    // depot keeps the memory of fewer stacks.
    size_t unused_resident_bytes = size_t{64} << 20;

    // How many mappings the guards of unused stacks take at most. It matters only without light
    // guards, where each guard takes two. Unused stacks beyond it lose their guards, and get them
    // back when they are acquired. So a peak does not keep the process at `vm.max_map_count`.
    size_t unused_mappings = 8192;

    // How many stacks there are at most, in use or not. Unused ones in other threads' caches count,
    // and cannot be had. Unlimited, as memory is what limits most programs.
    size_t maximum_stacks = std::numeric_limits<size_t>::max();

    // Staggers the bases of stacks. Otherwise all stack tops compete for the same sets of the
    // cache. It can be turned off to be measured.
    bool colours = true;

    // Returns all memory of a stack at its release, so that every stack is acquired full of zeros.
    // Otherwise a stack contains what its previous owner has left there. It costs a system call at
    // each release, and page faults at each use: about a microsecond, and half of one for each
    // page.
    bool zeroed = false;
  };

  // What the pool has done and holds. Each number is right by itself; those of other threads may
  // change while they are added.
  struct Statistics {
    size_t live = 0;            // stacks in use
    size_t cached = 0;          // unused ones, in threads' caches and in the depot
    size_t peak = 0;            // most live at once; with many threads, maybe some cached ones too
    size_t arenas = 0;          // ranges mapped
    size_t mapped_bytes = 0;    // their length: addresses, not memory
    size_t mappings = 0;        // at most, that the arenas and their guards take
    size_t resident_bytes = 0;  // the memory in them, without page tables
    uint64_t hits = 0;          // acquisitions from the thread's own cache
    uint64_t misses = 0;        // all others, failures too
    uint64_t returns = 0;       // times that memory was returned to the system
    uint64_t refusals = 0;      // times that the system refused to take it

    // Returns: a line for each number.
    std::string ToString() const;
    friend std::ostream& operator<<(std::ostream& stream, const Statistics& statistics);
  };

  // Makes a pool without stacks.
  //
  // Cost: an allocation, and no system call. Options that cannot be met are an error of `Acquire`.
  StackPool() : StackPool(Options()) {}
  explicit StackPool(const Options& options);
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  // Unmaps everything. Other threads may still run, and end, but must not use the pool any more.
  //
  // While the program exits (`exit` was called, or `main` has returned), a pool is left as it is if
  // any of its stacks is in use or another thread runs: its stacks can still be used and released.
  //
  // Errors: fatal if any of its stacks is in use, unless the program exits.
  ~StackPool();

  // Returns: the pool of the process, with the default options. It is never destroyed, unless it is
  //   that of a plug-in, which is being unloaded, and none of its stacks is in use.
  static StackPool& Default();

  // Returns: a stack whose `base()` is a multiple of 64. Its contents are unspecified, unless
  //   `Options::zeroed` is set.
  // Errors: kResourceExhausted if there are `maximum_stacks`, or the system or the heap has no
  //   memory; kInvalidArgument if a stack or a guard of that size cannot be had. Later calls may
  //   succeed. Throws nothing.
  // Cost: some loads and stores if the thread has a stack cached, otherwise a lock, and for a new
  //   stack a system call. Errors need some KiB of the caller's stack.
  [[nodiscard]] absl::StatusOr<PooledStack> Acquire() {
    internal::StackBounds* const stack = AcquireCached(core_);
    if (stack == nullptr) [[unlikely]] {
      return AcquireSlow(core_);
    }
    return PooledStack(stack);
  }

  // Releases a stack, as its destructor does.
  //
  // Errors: fatal if it belongs to another pool.
  void Release(PooledStack stack);

  // Returns the memory of all unused stacks to the system, except for those in caches of other
  // threads, and unmaps arenas in which no others are left.
  //
  // Cost: a system call for each run of neighbouring unused stacks. It needs no memory.
  void Trim();

  // Cost: a system call for each 8 MiB of all arenas, with the pool's lock. It needs no memory.
  Statistics Stats() const;

 private:
  friend PooledStack;

  // Returns: null if the running thread has none cached, or a look is due.
  static internal::StackBounds* AcquireCached(const internal::PoolCore* core);
  static absl::StatusOr<PooledStack> AcquireSlow(internal::PoolCore* core);
  static void Release(internal::StackBounds* stack);

  internal::PoolCore* const core_;
};

inline PooledStack::~PooledStack() {
  if (bounds_ != nullptr) StackPool::Release(bounds_);
}

}  // namespace fringe

#endif  // FRINGE_STACKS_POOLED_STACK_H_
