#include "pool_core.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "../arch/fatal.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "colour.h"
#include "stack_mark.h"
#include "system.h"
#include "thread_caches.h"
#include "unused_memory.h"

namespace fringe::internal {
namespace {

// How many addresses an arena takes at most.
constexpr size_t kMaximumArenaBytes = size_t{1} << 30;
constexpr size_t kFirstArenaStacks = 16;

// So that no size of an arena overflows.
constexpr size_t kMaximumStackBytes = std::numeric_limits<size_t>::max() / (4 * kFirstArenaStacks);

// How many stacks a cache gets from the depot at once, at most.
constexpr size_t kMaximumRefill = 256;

// How far below what may be kept memory is looked for, before it is returned without looking. So
// the cost does not grow with the size of the stack.
constexpr size_t kMaximumLookBytes = size_t{1} << 20;

// Whether a thread is looking. Where two threads return memory at once, Linux makes each of them
// flush the TLBs of all CPUs, though there may be nothing to return (`mm_tlb_flush_nested`). On a
// virtual machine, a look then takes microseconds instead of 0.2.
//
// It fills the cache lines that a CPU fetches together. Each look stores there, and would make
// every other thread wait for the line of a variable beside it.
struct alignas(128) LookState {
  std::atomic<uint32_t> is_running = 0;
  const ThreadCaches* last_thread = nullptr;  // that has looked; changed by the one that looks

  // Fetches the line from the thread that has looked last: some 100 ns, in which this one goes on.
  void Prefetch() const { __builtin_prefetch(&is_running, /*for a write*/ 1); }
};
constinit LookState look_state;

class LookLock {
 public:
  LookLock() : is_held_(look_state.is_running.exchange(1, std::memory_order_acquire) == 0) {}
  LookLock(const LookLock&) = delete;
  LookLock& operator=(const LookLock&) = delete;
  ~LookLock() {
    if (is_held_) look_state.is_running.store(0, std::memory_order_release);
  }

  bool is_held() const { return is_held_; }

  // Notes that `thread` looks. Requires: `is_held()`.
  //
  // Returns: whether another thread looked last.
  bool Follows(const ThreadCaches* thread) const {
    const ThreadCaches* const last = std::exchange(look_state.last_thread, thread);
    return last != thread && last != nullptr;
  }

 private:
  const bool is_held_;
};

bool Fits(const StackPool::Options& options) {
  return options.stack_bytes < kMaximumStackBytes && options.guard_bytes <= kMaximumGuardBytes;
}

StackLayout Layout(const StackPool::Options& options) {
  if (!Fits(options)) return {};
  const size_t stack_bytes = RoundUpToPages(std::max(options.stack_bytes, size_t{1}));
  return {.guard_bytes = GuardBytes(options.guard_bytes),
          .room_bytes = RoundUpToPages(stack_bytes + kMaximumColourBytes)};
}

size_t KeepBytes(const StackPool::Options& options, const StackLayout& layout) {
  const size_t least_bytes = PageBytes();
  if (options.resident_bytes >= layout.room_bytes) return std::max(least_bytes, layout.room_bytes);
  return std::max(least_bytes, RoundUpToPages(options.resident_bytes));
}

}  // namespace

PoolCore::PoolCore(const StackPool::Options& options)
    : options_(options),
      fits_(Fits(options)),
      layout_(Layout(options)),
      keep_bytes_(KeepBytes(options, layout_)),
      next_arena_stacks_(kFirstArenaStacks) {}

PoolCore::~PoolCore() {
  CountStacks(-static_cast<ptrdiff_t>(carved_));
  while (arenas_ != nullptr) {
    StackArena* const arena = arenas_;
    arenas_ = arena->next;
    for (size_t i = 0; i < arena->carved; ++i) UnpoisonStack(*arena->slot(i));
    StackArena::Destroy(arena);
  }
}

// --- Acquisition --------------------------------------------------------------------------------

absl::Status PoolCore::Acquire(StackSlot** slot) {
  ThreadCache* cache = nullptr;
  if (ThreadCaches::FindOrCreate(this, &cache) == ThreadCaches::Result::kNoMemory) {
    return MakeError(absl::StatusCode::kResourceExhausted,
                     {"the heap has no memory for a thread's cache of stacks: free some memory"});
  }
  if (cache != nullptr) {
    // It may also be that the thread has not used this cache lately.
    if (!cache->look_is_due()) {
      *slot = cache->Pop();
    } else if (cache->BeginLastHits()) {
      look_state.Prefetch();
      *slot = cache->Pop();
    } else if (const LookLock lock; lock.is_held()) {
      cache->BeginPeriod(lock.Follows(cache->owner()) ? ThreadCache::kHitsPerLookInTurn
                                                      : ThreadCache::kHitsPerLook);
      *slot = cache->Pop();
      ReturnBelowLimit(*slot);
      if (StackSlot* const other = cache->NextToLookAt()) ReturnBelowLimit(other);
    } else {
      cache->PutOffLook();
      *slot = cache->Pop();
    }
    if (*slot != nullptr) return absl::OkStatus();
  }
  return AcquireFromDepot(cache, slot);
}

absl::Status PoolCore::AcquireFromDepot(ThreadCache* cache, StackSlot** slot) {
  MutexLock lock(&mutex_);
  NotePeak(cache);
  ++totals_.misses;
  *slot = warm_.Pop();
  if (*slot != nullptr) {
    // Half of the cache, so that it takes as many steps either way to come back here.
    if (cache != nullptr) {
      cache->Refill(&warm_, std::min<size_t>(cache->capacity() / 2, kMaximumRefill));
    }
  } else if (!cold_.empty()) {
    *slot = cold_.Pop();
    --(*slot)->arena->cold;
  } else if (!bare_.empty()) {
    StackSlot* const bare = bare_.Pop();
    if (const char* const failed_call = InstallSlotGuard(bare)) {
      const int error = errno;
      bare_.Push(bare);
      return SystemError(failed_call, error, options_.stack_bytes, /*of_pool=*/true);
    }
    mapped_guards_ += bare->guard_is_mapped ? size_t{1} : size_t{0};
    --bare->arena->cold;
    *slot = bare;
  } else {
    absl::Status status = Carve(slot);
    if (!status.ok()) return status;
  }
  (*slot)->next = StackSlot::Acquired();
  // As many as are in use now, without those that were put into the cache for later.
  const size_t cached = cache == nullptr ? 0 : cache->count();
  totals_.peak = std::max(totals_.peak, carved_ - Unused() - cached);
  return absl::OkStatus();
}

absl::Status PoolCore::Carve(StackSlot** slot) {
  if (!fits_) {
    return options_.guard_bytes > kMaximumGuardBytes ? GuardTooLarge(options_.guard_bytes)
                                                     : StackTooLarge(options_.stack_bytes);
  }
  if (carved_ >= options_.maximum_stacks) {
    const Decimal maximum(options_.maximum_stacks);
    return MakeError(absl::StatusCode::kResourceExhausted,
                     {"the pool already has its maximum of ", maximum,
                      " stacks: release some, or choose a larger maximum_stacks"});
  }
  if (arenas_ == nullptr || arenas_->carved == arenas_->stacks) {
    absl::Status status = AddArena();
    if (!status.ok()) return status;
  }
  const size_t colour_bytes = options_.colours ? ColourBytes(next_colour_) : size_t{0};
  std::byte* const limit = arenas_->limit(arenas_->carved);
  auto* const carved = new (arenas_->slot(arenas_->carved))
      StackSlot{{.base = limit + layout_.room_bytes - colour_bytes, .limit = limit},
                this,
                arenas_,
                nullptr,
                keep_bytes_ == layout_.room_bytes && !options_.zeroed ? kIntactMark : kBrokenMark};
  if (const char* const failed_call = InstallSlotGuard(carved)) {
    return SystemError(failed_call, errno, options_.stack_bytes, /*of_pool=*/true);
  }
  mapped_guards_ += carved->guard_is_mapped ? size_t{1} : size_t{0};
  ++arenas_->carved;
  ++carved_;
  ++next_colour_;
  CountStacks(1);
  *slot = carved;
  return absl::OkStatus();
}

absl::Status PoolCore::AddArena() {
  size_t stacks = std::min(next_arena_stacks_, options_.maximum_stacks - carved_);
  const char* failed_call = nullptr;
  for (;; stacks = (stacks + 1) / 2) {
    if (StackArena* const arena = StackArena::Create(layout_, stacks, &failed_call)) {
      arena->next = arenas_;
      arenas_ = arena;
      if (next_arena_stacks_ * 2 * layout_.stride_bytes() <= kMaximumArenaBytes) {
        next_arena_stacks_ *= 2;
      }
      return absl::OkStatus();
    }
    if (stacks == 1) break;
  }
  return SystemError(failed_call, errno, options_.stack_bytes, /*of_pool=*/true);
}

// --- Release ------------------------------------------------------------------------------------

void PoolCore::Release(StackSlot* slot) {
  if (!slot->acquired()) fringe_fatal("this stack was already returned to its pool.");
  TellMemcheck(*slot, slot->mark, kMarkWords * sizeof(uint64_t));
  if (options_.zeroed) {
    Zero(slot);
  } else if (!IsIntact(slot->mark)) {
    TrimToResidentLimit(slot);
  }
  // Without memory for a cache, the depot serves.
  ThreadCache* cache = nullptr;
  ThreadCaches::FindOrCreate(this, &cache);
  if (cache != nullptr && cache->capacity() != 0) {
    if (cache->Push(slot)) return;
    Flush(cache, (cache->count() + 1) / 2);
    if (cache->Push(slot)) return;
  }
  SlotChain chain;
  chain.Push(slot);
  ToDepot(chain);
}

void PoolCore::NotePeak(const ThreadCache* cache) {
  const size_t taken = carved_ - Unused();
  const size_t low = cache == nullptr ? 0 : cache->low();
  totals_.peak = std::max(totals_.peak, taken - std::min(taken, low));
}

void PoolCore::Flush(ThreadCache* cache, size_t count) {
  SlotChain oldest;
  {
    // The lock is for a fork: it must not see the cache half moved.
    MutexLock lock(&mutex_);
    NotePeak(cache);
    oldest = cache->Flush(count);
  }
  ToDepot(oldest);
}

void PoolCore::ToDepot(SlotChain chain) {
  if (!options_.zeroed) {
    for (StackSlot* slot = chain.first; slot != nullptr; slot = slot->next) {
      if (++slot->flushes % kFlushesPerLook != 0) continue;
      if (const LookLock lock; lock.is_held()) {
        ReturnBelowLimit(slot);
      } else {
        --slot->flushes;
      }
    }
  }
  {
    MutexLock lock(&mutex_);
    const size_t maximum = MaximumWarm();
    const size_t room = maximum - std::min(maximum, warm_.count);
    SlotChain rest = chain.CutAfter(std::min(room, chain.count));
    warm_.Prepend(std::move(chain));
    chain = rest;
  }
  ToCold(chain);
}

void PoolCore::ToCold(SlotChain chain) {
  if (chain.empty()) return;
  chain.Sort();
  ReturnMemoryOf(chain);
  MutexLock lock(&mutex_);
  for (StackSlot* slot = chain.first; slot != nullptr; slot = slot->next) ++slot->arena->cold;
  const size_t maximum = MaximumCold();
  SlotChain bare = TakeBare(&chain, maximum - std::min(maximum, cold_.count));
  bare_.Prepend(std::move(bare));
  cold_.Prepend(std::move(chain));
}

SlotChain PoolCore::TakeBare(SlotChain* chain, size_t room) {
  if (chain->count <= room) return {};
  SlotChain rest = chain->CutAfter(room);
  SlotChain kept;
  SlotChain bare;
  while (!rest.empty()) {
    // A run of neighbours.
    std::byte* const start = rest.first->limit - layout_.guard_bytes;
    std::byte* end = start;
    SlotChain run;
    while (!rest.empty() && rest.first->limit - layout_.guard_bytes == end) {
      end += layout_.stride_bytes();
      run.Push(rest.Pop());
    }
    if (run.first->guard_is_mapped && RemapMemory(start, static_cast<size_t>(end - start))) {
      for (StackSlot* slot = run.first; slot != nullptr; slot = slot->next) {
        mapped_guards_ -= slot->guard_is_mapped ? size_t{1} : size_t{0};
        slot->has_guard = false;
        slot->guard_is_mapped = false;
      }
      bare.Prepend(std::move(run));
    } else {
      kept.Prepend(std::move(run));
    }
  }
  chain->Prepend(std::move(kept));
  return bare;
}

void PoolCore::ShrinkDepot() {
  SlotChain excess;
  {
    MutexLock lock(&mutex_);
    excess = warm_.CutAfter(MaximumWarm());
  }
  ToCold(excess);
}

size_t PoolCore::MaximumUnused() const {
  size_t maximum = options_.unused_resident_bytes / keep_bytes_;
  // Each guard that is mapped takes two.
  if (mapped_guards_ != 0) maximum = std::min(maximum, options_.unused_mappings / 2);
  return maximum;
}

size_t PoolCore::MaximumWarm() const {
  const size_t maximum = MaximumUnused();
  return std::min(options_.depot_cached_stacks, maximum - std::min(maximum, allotted_));
}

size_t PoolCore::MaximumCold() const {
  if (mapped_guards_ == 0) return std::numeric_limits<size_t>::max();
  const size_t maximum = options_.unused_mappings / 2;
  return maximum - std::min(maximum, allotted_ + warm_.count);
}

// --- Memory -------------------------------------------------------------------------------------

void PoolCore::TrimToResidentLimit(StackSlot* slot) {
  const size_t page_bytes = PageBytes();
  std::byte* const top = slot->limit + layout_.room_bytes;
  std::byte* const kept = top - keep_bytes_;
  // The lowest page in use; at least one page is kept, for the mark.
  std::byte* lowest = nullptr;
  if (layout_.room_bytes <= kMaximumLookBytes) {
    lowest = LowestResidentPage(slot->limit, top - page_bytes);
  } else {
    std::byte* const look =
        kept - std::min(static_cast<size_t>(kept - slot->limit), kMaximumLookBytes);
    lowest = LowestResidentPage(look, kept);
    if (lowest == kept) {
      if (look != slot->limit) {
        system_calls.madvise(slot->limit, static_cast<size_t>(look - slot->limit), MADV_DONTNEED);
      }
      lowest = LowestPageInUse(kept, top - page_bytes);
    }
  }
  if (lowest == nullptr) {
    // Unknown: return everything below, and find out more when more than a page was used.
    if (kept > slot->limit) ReturnMemory(slot->limit, static_cast<size_t>(kept - slot->limit));
    lowest = top - page_bytes;
  }
  if (lowest < kept) {
    ReturnMemory(slot->limit, static_cast<size_t>(kept - slot->limit));
    lowest = kept;
  } else if (reinterpret_cast<const std::byte*>(slot->mark) == lowest && lowest > kept) {
    // The last line of its lowest page is in use, and would be each time.
    lowest -= page_bytes;
  }
  auto* const mark = static_cast<uint64_t*>(static_cast<void*>(lowest));
  PaintMark(mark);
  slot->mark = mark;
}

void PoolCore::ReturnBelowLimit(StackSlot* slot) {
  const size_t length_bytes = layout_.room_bytes - keep_bytes_;
  if (length_bytes == 0) return;
  if (system_calls.madvise(slot->limit, length_bytes, MADV_DONTNEED) != 0) {
    refusals_.fetch_add(1, std::memory_order_relaxed);
  }
}

void PoolCore::ReturnMemory(std::byte* start, size_t length_bytes) {
  returns_.fetch_add(1, std::memory_order_relaxed);
  if (system_calls.madvise(start, length_bytes, MADV_DONTNEED) != 0) {
    refusals_.fetch_add(1, std::memory_order_relaxed);
  }
}

void PoolCore::ReturnMemoryOf(const SlotChain& chain) {
  const uint64_t* const mark =
      keep_bytes_ == layout_.room_bytes && !options_.zeroed ? kIntactMark : kBrokenMark;
  for (StackSlot* slot = chain.first; slot != nullptr;) {
    std::byte* const start = slot->limit;
    std::byte* end = start;
    do {
      end = slot->limit + layout_.room_bytes;
      slot->mark = mark;
      slot = slot->next;
      // A guard between two neighbours outlives this.
    } while (slot != nullptr && slot->limit == end + layout_.guard_bytes);
    ReturnMemory(start, static_cast<size_t>(end - start));
  }
}

void PoolCore::Zero(StackSlot* slot) {
  returns_.fetch_add(1, std::memory_order_relaxed);
  if (system_calls.madvise(slot->limit, layout_.room_bytes, MADV_DONTNEED) != 0) {
    refusals_.fetch_add(1, std::memory_order_relaxed);
    StoreZeros(slot->limit, layout_.room_bytes);
  }
}

void PoolCore::Trim() {
  if (ThreadCache* const cache = ThreadCaches::Find(this)) Flush(cache, cache->count());
  SlotChain warm;
  {
    MutexLock lock(&mutex_);
    warm = std::exchange(warm_, {});
  }
  ToCold(warm);

  StackArena* unused = nullptr;
  {
    MutexLock lock(&mutex_);
    for (StackArena** link = &arenas_; *link != nullptr;) {
      StackArena* const arena = *link;
      arena->unmapping = arena->cold == arena->carved;
      if (!arena->unmapping) {
        link = &arena->next;
        continue;
      }
      *link = std::exchange(arena->next, unused);
      unused = arena;
      carved_ -= arena->carved;
      CountStacks(-static_cast<ptrdiff_t>(arena->carved));
      for (size_t i = 0; i < arena->carved; ++i) {
        mapped_guards_ -= arena->slot(i)->guard_is_mapped ? size_t{1} : size_t{0};
        UnpoisonStack(*arena->slot(i));
      }
    }
    for (SlotChain* const chain : {&cold_, &bare_}) {
      SlotChain kept;
      while (StackSlot* const slot = chain->Pop()) {
        if (!slot->arena->unmapping) kept.Push(slot);
      }
      // In this order, the next that are acquired are neighbours.
      kept.Sort();
      *chain = kept;
    }
  }
  while (unused != nullptr) StackArena::Destroy(std::exchange(unused, unused->next));
}

// --- Caches -------------------------------------------------------------------------------------

ThreadCache* PoolCore::AddCache(ThreadCaches* owner) {
  ThreadCache* cache = nullptr;
  {
    MutexLock lock(&mutex_);
    // Half of what is left, so that there is always some for the next thread.
    const size_t maximum = MaximumUnused();
    const size_t left = maximum - std::min(maximum, allotted_);
    const size_t capacity = std::min(options_.thread_cached_stacks, (left + 1) / 2);
    cache = new (std::nothrow) ThreadCache(this, owner, capacity);
    if (cache == nullptr) return nullptr;
    allotted_ += cache->capacity();
    cache->next = caches_;
    caches_ = cache;
  }
  ShrinkDepot();
  return cache;
}

void PoolCore::RemoveCache(ThreadCache* cache) {
  Flush(cache, cache->count());
  MutexLock lock(&mutex_);
  totals_.hits += cache->hits();
  allotted_ -= cache->capacity();
  ThreadCache** link = &caches_;
  while (*link != cache) link = &(*link)->next;
  *link = cache->next;
}

void PoolCore::OrphanCaches() {
  MutexLock lock(&mutex_);
  while (caches_ != nullptr) std::exchange(caches_, caches_->next)->Orphan();
}

void PoolCore::AdoptCaches(const ThreadCaches* own) {
  for (ThreadCache** link = &caches_; *link != nullptr;) {
    ThreadCache* const cache = *link;
    if (cache->owner() == own) {
      link = &cache->next;
      continue;
    }
    warm_.Prepend(cache->Clear());
    totals_.hits += cache->hits();
    allotted_ -= cache->capacity();
    *link = cache->next;
  }
}

void PoolCore::EndLooksOfOtherThreads() {
  look_state.is_running.store(0, std::memory_order_relaxed);
}

size_t PoolCore::LiveStacks() const {
  MutexLock lock(&mutex_);
  size_t unused = Unused();
  for (const ThreadCache* cache = caches_; cache != nullptr; cache = cache->next) {
    unused += cache->count();
  }
  return carved_ - std::min(carved_, unused);
}

bool PoolCore::IsUsedByOtherThreads() const {
  const ThreadCaches* const own = ThreadCaches::OfThisThread();
  MutexLock lock(&mutex_);
  for (const ThreadCache* cache = caches_; cache != nullptr; cache = cache->next) {
    if (cache->owner() != own) return true;
  }
  return false;
}

// --- Statistics ---------------------------------------------------------------------------------

StackPool::Statistics PoolCore::Stats() const {
  MutexLock lock(&mutex_);
  StackPool::Statistics stats = totals_;
  size_t in_caches = 0;
  size_t low = 0;
  for (const ThreadCache* cache = caches_; cache != nullptr; cache = cache->next) {
    in_caches += cache->count();
    low += cache->low();
    stats.hits += cache->hits();
  }
  const size_t taken = carved_ - Unused();
  // Threads that continue meanwhile may make it seem that more is cached than taken.
  stats.live = taken - std::min(taken, in_caches);
  stats.cached = carved_ - stats.live;
  stats.peak = std::max(stats.peak, taken - std::min(taken, low));
  stats.returns = returns_.load(std::memory_order_relaxed);
  stats.refusals = refusals_.load(std::memory_order_relaxed);
  stats.mappings = 2 * mapped_guards_;
  const size_t page_bytes = PageBytes();
  // On the stack, which may be a generator's: neither large, nor from the heap.
  unsigned char pages[2048];
  for (StackArena* arena = arenas_; arena != nullptr; arena = arena->next) {
    ++stats.arenas;
    stats.mapped_bytes += arena->mapped_bytes;
    stats.mappings += arena->mappings();
    for (size_t offset = 0; offset < arena->mapped_bytes; offset += sizeof(pages) * page_bytes) {
      const size_t length_bytes =
          std::min(arena->mapped_bytes - offset, sizeof(pages) * page_bytes);
      if (system_calls.mincore(arena->start + offset, length_bytes, pages) != 0) continue;
      for (size_t i = 0; i < length_bytes / page_bytes; ++i) {
        stats.resident_bytes += (pages[i] & 1) * page_bytes;
      }
    }
  }
  return stats;
}

}  // namespace fringe::internal
