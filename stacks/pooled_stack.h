// Guarded stacks from a pool: fast to get, fast to give back, and a million of them in one process.
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
// A pool maps large ranges of memory, its arenas, and carves stacks with guards out of them. Stacks
// that come back go to a cache of the thread that gave them back, from there to the pool's depot,
// and from there to any thread. Where the kernel has light guards (Linux 6.13), a stack takes no
// mapping of its own; where not, guards are made with mprotect, and a process ends near 32,753
// stacks with the default `vm.max_map_count`, pool or not.

#ifndef FRINGE_STACKS_POOLED_STACK_H_
#define FRINGE_STACKS_POOLED_STACK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "mutex.h"
#include "stack.h"

namespace fringe {

class StackPool;

namespace internal {

struct StackArena;
struct StackCache;

// What a pool knows of one stack. It lies at the start of the stack's arena, in a cache line of its
// own.
struct alignas(64) StackSlot {
  std::byte* base;
  std::byte* limit;
  StackPool* pool;
  StackArena* arena;
  StackSlot* next;       // in one of the depot's lists
  const uint64_t* mark;  // the line whose contents tell how deep the stack was used
  uint32_t is_out = 0;   // somebody has it: it is in no cache and in no list
};

}  // namespace internal

// Owns a stack that goes back to its pool, which must outlive it.
class PooledStack {
 public:
  // A stack that was moved from owns nothing: it may be assigned to and destroyed.
  PooledStack(PooledStack&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  // Gives the stack that is assigned to back, as its destructor does.
  PooledStack& operator=(PooledStack&& other) noexcept {
    PooledStack taken(std::move(other));
    std::swap(slot_, taken.slot_);
    return *this;
  }
  // Gives the stack back, on whichever thread.
  //
  // Errors: fatal where the stack went back already, by way of a copy that somebody made of this
  //   object's bytes; where `StackPool::Trim` has unmapped the stack's arena meanwhile, the program
  //   ends in a segmentation fault instead.
  // Cost: some loads and stores; where the thread's cache is full, a lock; where the stack was used
  //   deeper than the pool's `resident_bytes`, system calls.
  ~PooledStack();

  // Its ends, as of every `Stack`.
  //
  // Requires, of both: not moved from.
  std::byte* base() const noexcept { return slot_->base; }
  std::byte* limit() const noexcept { return slot_->limit; }

 private:
  friend StackPool;
  explicit PooledStack(internal::StackSlot* slot) : slot_(slot) {}

  internal::StackSlot* slot_;
};

// An overflow faults.
template <>
inline constexpr bool enable_guarded_stack<PooledStack> = true;

static_assert(GuardedStack<PooledStack>);

// Hands out guarded stacks, and keeps those that come back for the next.
//
// Thread safety: any thread, at any time, except for construction and destruction.
//
// After a `fork` with other threads running, the child may go on using the pool: stacks in the
// caches of threads that it does not have are in its depot. Those that such threads had out stay
// out for good, so the child must leave the pool undestroyed (`_exit`, or a pool that is never
// destroyed, such as `Default`) unless it destroys their owners itself.
class StackPool {
 public:
  // What can be chosen of a pool when it is made.
  struct Options {
    // How many bytes of a stack can be used, at least; the guard is extra. Rounded up to whole
    // pages. 64 KiB hold what ordinary C++ does, exceptions and stdio included; only what is
    // touched takes memory.
    size_t stack_bytes = size_t{64} << 10;

    // How many bytes below each stack fault, rounded up to whole pages. The least that the ABI asks
    // for is enough for code that is compiled with -fstack-clash-protection, and is what any less
    // means; more catches larger frames of code that is not.
    size_t guard_bytes = 0;

    // How many unused stacks a thread keeps for itself at most. They are acquired and released
    // without a lock. 0 means none: every step takes the pool's lock.
    size_t thread_cached_stacks = 32;

    // How many unused stacks in the depot keep memory at most. Of those beyond it only addresses
    // stay. 1,024 of them hold 16 MiB at most with the default `resident_bytes`.
    size_t depot_cached_stacks = 1024;

    // How many bytes stay resident in an unused stack at most, counted from its top; rounded up to
    // whole pages, and at least one. A stack that was used deeper gives what lies below back to the
    // system when it is released, which costs some microseconds, as does touching it again: choose
    // it so that few are. 16 KiB is more than an exception needs to be thrown and caught.
    size_t resident_bytes = size_t{16} << 10;

    // How many stacks there are at most, in use or not. What other threads keep unused counts, and
    // cannot be had. Unlimited, as memory is what limits most programs.
    size_t maximum_stacks = std::numeric_limits<size_t>::max();

    // Whether the bases of stacks lie at different places of their pages. Without, the tops of all
    // compete for the same sets of the cache; it is there to be measured.
    bool colours = true;
  };

  // What the pool has done and holds. Each number is right by itself; those of other threads may
  // change while they are summed.
  struct Statistics {
    size_t live = 0;            // stacks that somebody has
    size_t cached = 0;          // unused ones, in threads' caches and in the depot
    size_t peak = 0;            // most live at once; with many threads, maybe some cached ones too
    size_t arenas = 0;          // ranges mapped
    size_t mapped_bytes = 0;    // their length: addresses, not memory
    size_t resident_bytes = 0;  // the memory in them, without page tables
    uint64_t hits = 0;          // acquisitions from the thread's own cache
    uint64_t misses = 0;        // all others, failures too
    uint64_t returns = 0;       // times that memory went back to the system
    uint64_t refusals = 0;      // times that the system refused to take it back

    // Returns: a line for each number.
    std::string ToString() const;
    friend std::ostream& operator<<(std::ostream& stream, const Statistics& statistics);
  };

  // Makes a pool without stacks.
  //
  // Cost: no system call. What the options ask for and cannot be had is an error of `Acquire`.
  StackPool() : StackPool(Options()) {}
  explicit StackPool(const Options& options);
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  // Unmaps everything. Other threads may still run, and end, but must be done with the pool.
  //
  // Errors: fatal while any of its stacks lives.
  ~StackPool();

  // Returns: the pool of the process, with the default options. It is never destroyed.
  static StackPool& Default();

  // Returns: a stack whose `base()` is a multiple of 64. Its contents are whatever they are.
  // Errors: kResourceExhausted if there are `maximum_stacks`, or the system gives no memory;
  //   kInvalidArgument if a stack of that size does not fit. The pool goes on: a later call may
  //   succeed.
  // Cost: some loads and stores where the thread has one cached, otherwise a lock, and for a new
  //   stack a system call. Errors need some KiB of the caller's stack.
  absl::StatusOr<PooledStack> Acquire() {
    internal::StackSlot* const slot = AcquireCached();
    if (slot == nullptr) [[unlikely]] {
      return AcquireFromDepot();
    }
    return PooledStack(slot);
  }

  // Gives a stack back, as its destructor does.
  //
  // Errors: fatal where it is another pool's.
  void Release(PooledStack stack);

  // Gives the memory of all unused stacks back to the system, but for those in caches of other
  // threads, and unmaps arenas in which no other are left.
  //
  // Cost: a system call for each run of neighbouring unused stacks, and the lock for that long.
  void Trim();

  // Cost: looks through the page tables of all arenas: a system call for each 256 MiB.
  Statistics Stats() const;

 private:
  friend PooledStack;
  class Threads;

  // A list by `StackSlot::next`.
  struct List {
    void Push(internal::StackSlot* slot);
    internal::StackSlot* Pop();

    internal::StackSlot* first = nullptr;
    size_t count = 0;
  };

  // Returns: the running thread's cache; null where it has none yet, or is ending.
  internal::StackCache* ThreadCache() const;

  // Returns: null where the running thread has none cached.
  internal::StackSlot* AcquireCached();
  // The same where a look at the stack is due. There is one cached.
  internal::StackSlot* AcquireAndLook();
  static void Release(internal::StackSlot* slot);
  absl::StatusOr<PooledStack> AcquireFromDepot();
  void ReleaseUnusual(internal::StackSlot* slot);

  // Looks how deep an unused stack was used, gives back what is too much, and marks it anew.
  void LookAt(internal::StackSlot* slot);
  void GiveBack(std::byte* start, size_t length_bytes);
  // Gives back the whole of each of them.
  void GiveBackAll(internal::StackSlot** slots, size_t count);

  // Puts what is in no list, and counts as out, into the depot.
  void ToDepot(internal::StackSlot** slots, size_t count);
  // The same for the `count` stacks that have been in a cache for longest.
  void Flush(internal::StackCache* cache, size_t count);
  void NotePeak(const internal::StackCache* cache) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status Carve(internal::StackSlot** slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AddArena() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void AddCache(internal::StackCache* cache);
  void RemoveCache(internal::StackCache* cache);
  // After a fork, in the child: takes over what threads had that are not there.
  void AdoptCaches() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t id_;  // of no other pool, ever
  const Options options_;
  const bool fits_;           // no size overflows
  const size_t guard_bytes_;  // these are in whole pages
  const size_t keep_bytes_;
  const size_t room_bytes_;    // from limit to the next guard
  const size_t stride_bytes_;  // guard and room

  mutable internal::Mutex mutex_;
  List warm_ ABSL_GUARDED_BY(mutex_);  // the depot's that may have memory
  List cold_ ABSL_GUARDED_BY(mutex_);  // and that have none
  internal::StackArena* arenas_ ABSL_GUARDED_BY(mutex_) = nullptr;  // the first has room to carve
  internal::StackCache* caches_ ABSL_GUARDED_BY(mutex_) = nullptr;
  size_t carved_ ABSL_GUARDED_BY(mutex_) = 0;  // stacks there are
  size_t next_colour_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t next_arena_stacks_ ABSL_GUARDED_BY(mutex_);
  Statistics totals_ ABSL_GUARDED_BY(mutex_);  // peak, misses, and what ended threads have counted
  std::atomic<uint64_t> returns_ = 0;
  std::atomic<uint64_t> refusals_ = 0;
};

inline PooledStack::~PooledStack() {
  if (slot_ != nullptr) StackPool::Release(slot_);
}

}  // namespace fringe

#endif  // FRINGE_STACKS_POOLED_STACK_H_
