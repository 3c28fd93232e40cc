#include "pooled_stack.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <ostream>
#include <vector>

#include "../arch/fatal.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "colour.h"
#include "system.h"

#if defined(FRINGE_WANTS_VALGRIND) && __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define FRINGE_MEMCHECK 1
#else
#define FRINGE_MEMCHECK 0
#endif

namespace fringe {
namespace internal {

// One mapping: this, the slots, and then for each slot a guard and a stack.
struct StackArena {
  std::byte* start() { return reinterpret_cast<std::byte*>(this); }
  StackSlot* slots() {
    return static_cast<StackSlot*>(static_cast<void*>(start() + sizeof(StackSlot)));
  }

  StackArena* next;
  size_t mapped_bytes;
  std::byte* first_guard;
  size_t stacks;  // that it has room for
  size_t carved;  // the first so many slots are in use
  size_t cold;    // how many of those are in `cold_`
  bool goes;      // is about to be unmapped
};

// How often a thread looks at a stack whose mark is whole, in acquisitions. A frame may lie across
// a mark and not write to it; then this is what finds the memory.
constexpr uint64_t kHitsPerLook = 16384;

// One thread's unused stacks of one pool. The thread alone writes, but for the links; others read
// the counters.
struct alignas(128) StackCache {
  // The upper half of `state`, at first: it wraps around when a look is due.
  static constexpr uint64_t kHit = uint64_t{1} << 32;
  static constexpr uint64_t kNoHits = -kHitsPerLook * kHit;

  uint32_t count() const { return static_cast<uint32_t>(state.load(std::memory_order_relaxed)); }
  void set_count(size_t count) {
    const uint64_t hits = state.load(std::memory_order_relaxed) / kHit * kHit;
    // After the slots: a child that a fork makes in between reads both.
    state.store(hits | count, std::memory_order_release);
  }
  // To be called with the pool's lock.
  uint64_t hits() const {
    return earlier_hits + (state.load(std::memory_order_relaxed) - kNoHits) / kHit;
  }

  // How many slots are in use, and above that a count of hits: so an acquisition stores one word.
  std::atomic<uint64_t> state = kNoHits;
  std::atomic<uint32_t> low = 0;  // the least that `count` was since the cache met the depot
  uint32_t capacity = 0;
  std::unique_ptr<StackSlot*[]> slots;  // the last is used next
  uint64_t earlier_hits = 0;            // not in `state`; guarded by the pool's lock
  StackCache* next = nullptr;           // in the pool's list
};

// It lies at the very start of its mapping, in the place of a slot.
static_assert(sizeof(StackArena) <= sizeof(StackSlot));
static_assert(alignof(StackSlot) == 64);

namespace {

// What is written into a mark. As the words of a frame neither zero nor an address.
constexpr uint64_t kPaint = 0x5f3c'a1e9'7bd2'460d;
constexpr size_t kMarkWords = 4;

// The mark of a stack that has none: it is looked at when it is released.
alignas(32) constexpr uint64_t kNoMark[kMarkWords] = {};

// How many addresses an arena takes at most. A million stacks of 64 KiB are 68 such.
constexpr size_t kMaximumArenaBytes = size_t{1} << 30;
constexpr size_t kFirstArenaStacks = 16;

// The sanitizers need not know of this, nor understand it: whatever lies there is read.
#if defined(__clang__) || defined(__GNUC__)
__attribute__((no_sanitize("address", "thread")))
#endif
bool IsWhole(const uint64_t* mark) {
  static_assert(kMarkWords == 4);
  return ((mark[0] ^ kPaint) | (mark[1] ^ kPaint) | (mark[2] ^ kPaint) | (mark[3] ^ kPaint)) == 0;
}

#if defined(__clang__) || defined(__GNUC__)
__attribute__((no_sanitize("address", "thread")))
#endif
void Paint(uint64_t* mark) {
  for (size_t i = 0; i < kMarkWords; ++i) mark[i] = kPaint;
}

// What Memcheck believes of a stack's memory is what its last user left; the next may use all of
// it.
void TellMemcheck([[maybe_unused]] const StackSlot* slot) {
#if FRINGE_MEMCHECK
  if (RUNNING_ON_VALGRIND) [[unlikely]] {
    VALGRIND_MAKE_MEM_UNDEFINED(slot->limit, slot->base - slot->limit);
    VALGRIND_MAKE_MEM_DEFINED(slot->mark, kMarkWords * 8);
  }
#endif
}

bool RunsUnderMemcheck() {
#if FRINGE_MEMCHECK
  static const bool runs = RUNNING_ON_VALGRIND != 0;
  return runs;
#else
  return false;
#endif
}

// The cache that this thread used last: plain data, so that the fast path needs no initialisation
// to be checked for. Ids are not used twice, so what is out of date does no harm.
//
// It is one, at a fixed place, so that a processor which executes ahead has the cache before it
// knows which stack comes back: 35 against 46 cycles for a generator's life on a pooled stack.
struct Recent {
  uint64_t pool_id;
  StackCache* cache;
};
thread_local constinit Recent recent __attribute__((tls_model("initial-exec"))) = {0, nullptr};

}  // namespace
}  // namespace internal

using internal::StackArena;
using internal::StackCache;
using internal::StackSlot;

// Which pools there are, and what the running thread has of each. A thread that ends meets pools
// that are gone; a pool that goes meets threads that still run.
class StackPool::Threads {
 public:
  // Returns: the running thread's cache of `pool`, a new one if need be; null where the thread is
  //   ending.
  static StackCache* Find(StackPool* pool) {
    if (ending_) return nullptr;
    std::map<uint64_t, StackCache*>& caches = mine_.caches;
    auto [place, is_new] = caches.try_emplace(pool->id_, nullptr);
    if (is_new) {
      place->second = new StackCache;
      place->second->capacity = static_cast<uint32_t>(std::min<size_t>(
          pool->options_.thread_cached_stacks, std::numeric_limits<uint32_t>::max()));
      place->second->slots = std::make_unique<StackSlot*[]>(place->second->capacity);
      pool->AddCache(place->second);
      if (caches.size() > 64) ForgetGone();
    }
    internal::recent = {pool->id_, place->second};
    return place->second;
  }

  static void Add(StackPool* pool) {
    internal::MutexLock lock(&mutex_);
    if (pools_ == nullptr) {
      pools_ = new std::map<uint64_t, StackPool*>;
      pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
    }
    pools_->emplace(pool->id_, pool);
  }

  static void Remove(StackPool* pool) {
    internal::MutexLock lock(&mutex_);
    pools_->erase(pool->id_);
  }

 private:
  struct Mine {
    ~Mine() {
      ending_ = true;
      internal::recent = {0, nullptr};
      // The lock keeps each pool from going away meanwhile.
      internal::MutexLock lock(&mutex_);
      for (const auto& [id, cache] : caches) {
        const auto pool = pools_->find(id);
        if (pool != pools_->end()) pool->second->RemoveCache(cache);
      }
    }
    std::map<uint64_t, StackCache*> caches;  // some may be of pools that are gone
  };

  static void ForgetGone() {
    internal::MutexLock lock(&mutex_);
    std::erase_if(mine_.caches, [](const auto& entry) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return pools_->count(entry.first) == 0;
    });
  }

  // A fork copies whatever state the locks are in. So they are taken before it, and released after
  // it in both processes.
  static void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    mutex_.Lock();
    for (const auto& [id, pool] : *pools_) pool->mutex_.Lock();
  }
  static void AfterForkInParent() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const auto& [id, pool] : *pools_) pool->mutex_.Unlock();
    mutex_.Unlock();
  }
  static void AfterForkInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const auto& [id, pool] : *pools_) {
      pool->AdoptCaches();
      pool->mutex_.Unlock();
    }
    mutex_.Unlock();
  }

  static constinit internal::Mutex mutex_;  // taken before any pool's
  static std::map<uint64_t, StackPool*>* pools_ ABSL_GUARDED_BY(mutex_);
  static thread_local constinit bool ending_;
  static thread_local Mine mine_;
};

constinit internal::Mutex StackPool::Threads::mutex_;
std::map<uint64_t, StackPool*>* StackPool::Threads::pools_ = nullptr;
thread_local constinit bool StackPool::Threads::ending_ = false;
thread_local StackPool::Threads::Mine StackPool::Threads::mine_;

// --- The fast path
// --------------------------------------------------------------------------------

StackCache* StackPool::ThreadCache() const {
  return internal::recent.pool_id == id_ ? internal::recent.cache : nullptr;
}

// Not to be inlined, this and `Release`: a compiler may keep the address of a thread-local over a
// switch, after which the generator may be on another thread.
[[gnu::noinline]] StackSlot* StackPool::AcquireCached() {
  if (internal::recent.pool_id != id_) [[unlikely]] {
    return nullptr;
  }
  StackCache* const cache = internal::recent.cache;
  uint64_t state = cache->state.load(std::memory_order_relaxed);
  const auto count = static_cast<uint32_t>(state);
  if (count == 0) [[unlikely]] {
    return nullptr;
  }
  StackSlot* const slot = cache->slots[count - 1];
  if (__builtin_add_overflow(state, StackCache::kHit - 1, &state)) [[unlikely]] {
    return AcquireAndLook();
  }
  cache->state.store(state, std::memory_order_release);
  if (count <= cache->low.load(std::memory_order_relaxed)) [[unlikely]] {
    cache->low.store(count - 1, std::memory_order_relaxed);
  }
  slot->is_out = 1;
  return slot;
}

StackSlot* StackPool::AcquireAndLook() {
  StackCache* const cache = ThreadCache();
  {
    internal::MutexLock lock(&mutex_);
    // The last before the count wraps around is this one.
    cache->earlier_hits += internal::kHitsPerLook - 1;
    cache->state.store(StackCache::kNoHits | cache->count(), std::memory_order_relaxed);
  }
  StackSlot* const slot = AcquireCached();
  LookAt(slot);
  return slot;
}

[[gnu::noinline]] void StackPool::Release(StackSlot* slot) {
  StackPool* const pool = slot->pool;
  if (internal::recent.pool_id != pool->id_ || slot->is_out == 0 || !internal::IsWhole(slot->mark))
      [[unlikely]] {
    return pool->ReleaseUnusual(slot);
  }
  StackCache* const cache = internal::recent.cache;
  const uint64_t state = cache->state.load(std::memory_order_relaxed);
  const auto count = static_cast<uint32_t>(state);
  if (count == cache->capacity) [[unlikely]] {
    return pool->ReleaseUnusual(slot);
  }
  slot->is_out = 0;
  // The stack that was acquired last and goes back first is still there. Where it is not written
  // again, the processor need not wait for this store to know what the next acquisition gets.
  if (cache->slots[count] != slot) cache->slots[count] = slot;
  // After the slot: a child that a fork makes in between reads both.
  cache->state.store(state + 1, std::memory_order_release);
}

// --- The depot
// ------------------------------------------------------------------------------------

absl::StatusOr<PooledStack> StackPool::AcquireFromDepot() {
  StackCache* const cache = Threads::Find(this);
  // The thread may have a cache that it did not use lately.
  if (StackSlot* const slot = AcquireCached()) return PooledStack(slot);
  internal::MutexLock lock(&mutex_);
  NotePeak(cache);
  ++totals_.misses;
  StackSlot* slot = warm_.Pop();
  if (slot != nullptr) {
    // Half of what the cache holds, so that it takes as many steps either way to come back here.
    size_t count = 0;
    if (cache != nullptr) {
      for (; count < cache->capacity / 2 && warm_.first != nullptr; ++count) {
        cache->slots[count] = warm_.Pop();
      }
      cache->set_count(count);
      cache->low.store(static_cast<uint32_t>(count), std::memory_order_relaxed);
    }
  } else {
    slot = cold_.Pop();
    if (slot != nullptr) {
      --slot->arena->cold;
    } else {
      const absl::Status status = Carve(&slot);
      if (!status.ok()) return status;
    }
  }
  slot->is_out = 1;
  // As many as are out now, without those that were put into the cache for later.
  const size_t cached = cache == nullptr ? 0 : cache->count();
  totals_.peak = std::max(totals_.peak, carved_ - warm_.count - cold_.count - cached);
  return PooledStack(slot);
}

void StackPool::ReleaseUnusual(StackSlot* slot) {
  if (slot->is_out == 0) fringe_fatal("a stack goes back to its pool once.");
  slot->is_out = 0;
  if (internal::RunsUnderMemcheck()) internal::TellMemcheck(slot);
  if (!internal::IsWhole(slot->mark)) LookAt(slot);
  StackCache* const cache = Threads::Find(this);
  if (cache == nullptr || cache->capacity == 0) {
    ToDepot(&slot, 1);
    return;
  }
  size_t count = cache->count();
  if (count == cache->capacity) {
    Flush(cache, (count + 1) / 2);
    count = cache->count();
  }
  cache->slots[count] = slot;
  cache->set_count(count + 1);
}

void StackPool::NotePeak(const StackCache* cache) {
  const size_t taken = carved_ - warm_.count - cold_.count;
  const size_t low = cache == nullptr ? 0 : cache->low.load(std::memory_order_relaxed);
  totals_.peak = std::max(totals_.peak, taken - low);
}

void StackPool::Flush(StackCache* cache, size_t count) {
  std::vector<StackSlot*> gone(count);
  {
    // The lock is for a fork: it must not see the cache half moved.
    internal::MutexLock lock(&mutex_);
    NotePeak(cache);
    StackSlot** const slots = cache->slots.get();
    const size_t left = cache->count() - count;
    std::copy(slots, slots + count, gone.begin());
    std::copy(slots + count, slots + count + left, slots);
    cache->set_count(left);
    cache->low.store(static_cast<uint32_t>(left), std::memory_order_relaxed);
  }
  ToDepot(gone.data(), gone.size());
}

void StackPool::ToDepot(StackSlot** slots, size_t count) {
  size_t warm = 0;
  {
    internal::MutexLock lock(&mutex_);
    while (warm < count && warm_.count < options_.depot_cached_stacks) warm_.Push(slots[warm++]);
  }
  if (warm == count) return;
  GiveBackAll(slots + warm, count - warm);
  internal::MutexLock lock(&mutex_);
  for (size_t i = warm; i < count; ++i) {
    ++slots[i]->arena->cold;
    cold_.Push(slots[i]);
  }
}

void StackPool::List::Push(StackSlot* slot) {
  slot->next = first;
  first = slot;
  ++count;
}

StackSlot* StackPool::List::Pop() {
  StackSlot* const slot = first;
  if (slot != nullptr) {
    first = slot->next;
    --count;
  }
  return slot;
}

// --- Memory
// ---------------------------------------------------------------------------------------

void StackPool::LookAt(StackSlot* slot) {
  const size_t page_bytes = internal::PageBytes();
  std::byte* const top = slot->limit + room_bytes_;
  // The lowest page that has memory; one at least, where the mark will be.
  std::byte* lowest = internal::LowestResidentPage(slot->limit, top - page_bytes);
  if (lowest == nullptr) {
    // No telling: give back what lies below, and look again when more than a page was used.
    GiveBack(slot->limit, room_bytes_ - keep_bytes_);
    lowest = top - page_bytes;
  }
  std::byte* const kept = top - keep_bytes_;
  if (lowest < kept) {
    GiveBack(slot->limit, static_cast<size_t>(kept - slot->limit));
    lowest = kept;
  } else if (reinterpret_cast<const std::byte*>(slot->mark) == lowest && lowest > kept) {
    // The last line of its lowest page is in use, and would be each time.
    lowest -= page_bytes;
  }
  auto* const mark = static_cast<uint64_t*>(static_cast<void*>(lowest));
  internal::Paint(mark);
  slot->mark = mark;
}

void StackPool::GiveBack(std::byte* start, size_t length_bytes) {
  returns_.fetch_add(1, std::memory_order_relaxed);
  if (internal::system_calls.madvise(start, length_bytes, MADV_DONTNEED) != 0) {
    refusals_.fetch_add(1, std::memory_order_relaxed);
  }
}

void StackPool::GiveBackAll(StackSlot** slots, size_t count) {
  std::sort(slots, slots + count, std::less<StackSlot*>());
  for (size_t i = 0; i < count;) {
    std::byte* const start = slots[i]->limit;
    std::byte* end = start;
    do {
      end = slots[i]->limit + room_bytes_;
      slots[i]->mark = internal::kNoMark;
      ++i;
      // A guard between two neighbours outlives this.
    } while (i < count && slots[i]->limit == end + guard_bytes_);
    GiveBack(start, static_cast<size_t>(end - start));
  }
}

absl::Status StackPool::Carve(StackSlot** slot) {
  if (!fits_) {
    return absl::InvalidArgumentError(absl::StrCat("mmap for a stack of ", options_.stack_bytes,
                                                   " bytes: the size does not fit"));
  }
  if (carved_ >= options_.maximum_stacks) {
    return absl::ResourceExhaustedError(absl::StrCat("mmap for a stack of ", options_.stack_bytes,
                                                     " bytes: the pool has its maximum of ",
                                                     options_.maximum_stacks, " stacks"));
  }
  if (arenas_ == nullptr || arenas_->carved == arenas_->stacks) {
    absl::Status status = AddArena();
    if (!status.ok()) return status;
  }
  std::byte* const guard = arenas_->first_guard + arenas_->carved * stride_bytes_;
  if (const char* const failed_call = internal::InstallGuard(guard, guard_bytes_)) {
    return internal::SystemError(failed_call, errno, options_.stack_bytes, /*of_pool=*/true);
  }
  const size_t colour_bytes = options_.colours ? internal::ColourBytes(next_colour_++) : size_t{0};
  std::byte* const limit = guard + guard_bytes_;
  *slot = new (arenas_->slots() + arenas_->carved) StackSlot{
      limit + room_bytes_ - colour_bytes, limit, this, arenas_, nullptr, internal::kNoMark};
  ++arenas_->carved;
  ++carved_;
  internal::CountStacks(1);
  return absl::OkStatus();
}

absl::Status StackPool::AddArena() {
  size_t stacks = std::min(next_arena_stacks_, options_.maximum_stacks - carved_);
  const char* failed_call = nullptr;
  for (;; stacks = (stacks + 1) / 2) {
    const size_t header_bytes =
        internal::RoundUpToPages(sizeof(StackSlot) + stacks * sizeof(StackSlot));
    const size_t mapped_bytes = header_bytes + stacks * stride_bytes_;
    std::byte* const start = internal::MapMemory(mapped_bytes, &failed_call);
    if (start != nullptr) {
      arenas_ =
          new (start) StackArena{arenas_, mapped_bytes, start + header_bytes, stacks, 0, 0, false};
      if (next_arena_stacks_ * 2 * stride_bytes_ <= internal::kMaximumArenaBytes) {
        next_arena_stacks_ *= 2;
      }
      return absl::OkStatus();
    }
    if (stacks == 1) break;
  }
  return internal::SystemError(failed_call, errno, options_.stack_bytes, /*of_pool=*/true);
}

void StackPool::Trim() {
  if (StackCache* const cache = ThreadCache()) {
    Flush(cache, cache->count());
  }
  std::vector<StackSlot*> slots;
  internal::MutexLock lock(&mutex_);
  slots.reserve(warm_.count);
  while (StackSlot* const slot = warm_.Pop()) slots.push_back(slot);
  GiveBackAll(slots.data(), slots.size());
  // In this order the next ones that are carved or acquired are neighbours again.
  for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) {
    ++(*slot)->arena->cold;
    cold_.Push(*slot);
  }

  for (StackArena* arena = arenas_; arena != nullptr; arena = arena->next) {
    arena->goes = arena->cold == arena->carved;
  }
  slots.clear();
  while (StackSlot* const slot = cold_.Pop()) {
    if (!slot->arena->goes) slots.push_back(slot);
  }
  for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) cold_.Push(*slot);
  for (StackArena** link = &arenas_; *link != nullptr;) {
    StackArena* const arena = *link;
    if (!arena->goes) {
      link = &arena->next;
      continue;
    }
    *link = arena->next;
    carved_ -= arena->carved;
    internal::CountStacks(-static_cast<ptrdiff_t>(arena->carved));
    internal::UnmapMemory(arena->start(), arena->mapped_bytes);
  }
}

// --- Threads, and the pool itself
// -----------------------------------------------------------------

void StackPool::AddCache(StackCache* cache) {
  internal::MutexLock lock(&mutex_);
  cache->next = caches_;
  caches_ = cache;
}

void StackPool::RemoveCache(StackCache* cache) {
  Flush(cache, cache->count());
  internal::MutexLock lock(&mutex_);
  totals_.hits += cache->hits();
  StackCache** link = &caches_;
  while (*link != cache) link = &(*link)->next;
  *link = cache->next;
  delete cache;
}

void StackPool::AdoptCaches() {
  const StackCache* const own = ThreadCache();
  for (StackCache* cache = caches_; cache != nullptr; cache = cache->next) {
    if (cache == own) continue;
    const size_t count = cache->count();
    for (size_t i = 0; i < count; ++i) {
      cache->slots[i]->is_out = 0;
      warm_.Push(cache->slots[i]);
    }
    cache->set_count(0);
  }
}

StackPool& StackPool::Default() {
  static StackPool& pool = *new StackPool;
  return pool;
}

namespace {

std::atomic<uint64_t> next_id = 1;

// So that no size of an arena overflows.
constexpr size_t kMaximumBytes =
    std::numeric_limits<size_t>::max() / (4 * internal::kFirstArenaStacks);

}  // namespace

StackPool::StackPool(const Options& options)
    : id_(next_id.fetch_add(1, std::memory_order_relaxed)),
      options_(options),
      fits_(options.stack_bytes < kMaximumBytes && options.guard_bytes < kMaximumBytes),
      guard_bytes_(
          fits_ ? std::max(internal::GuardBytes(), internal::RoundUpToPages(options.guard_bytes))
                : 0),
      keep_bytes_(std::max(internal::PageBytes(), internal::RoundUpToPages(std::min(
                                                      options.resident_bytes, kMaximumBytes)))),
      room_bytes_(fits_ ? internal::RoundUpToPages(
                              internal::RoundUpToPages(std::max(options.stack_bytes, size_t{1})) +
                              internal::kMaximumColourBytes)
                        : 0),
      stride_bytes_(guard_bytes_ + room_bytes_),
      next_arena_stacks_(internal::kFirstArenaStacks) {
  Threads::Add(this);
}

StackPool::~StackPool() {
  Threads::Remove(this);
  internal::MutexLock lock(&mutex_);
  size_t live = carved_ - warm_.count - cold_.count;
  while (caches_ != nullptr) {
    StackCache* const cache = caches_;
    live -= cache->count();
    caches_ = cache->next;
    delete cache;
  }
  if (live != 0) {
    char sentence[96];
    std::snprintf(sentence, sizeof(sentence),
                  "a pool of stacks outlives its stacks, and %zu of them still live.", live);
    fringe_fatal(sentence);
  }
  internal::CountStacks(-static_cast<ptrdiff_t>(carved_));
  while (arenas_ != nullptr) {
    StackArena* const arena = arenas_;
    arenas_ = arena->next;
    internal::UnmapMemory(arena->start(), arena->mapped_bytes);
  }
}

void StackPool::Release(PooledStack stack) {
  if (stack.slot_ == nullptr || stack.slot_->pool != this) {
    fringe_fatal("a stack goes back to the pool that it is from.");
  }
}

// --- Statistics
// -----------------------------------------------------------------------------------

StackPool::Statistics StackPool::Stats() const {
  internal::MutexLock lock(&mutex_);
  Statistics stats = totals_;
  size_t in_caches = 0;
  size_t low = 0;
  for (const StackCache* cache = caches_; cache != nullptr; cache = cache->next) {
    in_caches += cache->count();
    low += cache->low.load(std::memory_order_relaxed);
    stats.hits += cache->hits();
  }
  const size_t taken = carved_ - warm_.count - cold_.count;
  // Threads that go on meanwhile may make it seem that more is cached than taken.
  stats.live = taken - std::min(taken, in_caches);
  stats.cached = carved_ - stats.live;
  stats.peak = std::max(stats.peak, taken - std::min(taken, low));
  stats.returns = returns_.load(std::memory_order_relaxed);
  stats.refusals = refusals_.load(std::memory_order_relaxed);
  const size_t page_bytes = internal::PageBytes();
  std::vector<unsigned char> pages(size_t{64} << 10);
  for (StackArena* arena = arenas_; arena != nullptr; arena = arena->next) {
    ++stats.arenas;
    stats.mapped_bytes += arena->mapped_bytes;
    std::byte* const start = arena->start();
    for (size_t offset = 0; offset < arena->mapped_bytes; offset += pages.size() * page_bytes) {
      const size_t length_bytes = std::min(arena->mapped_bytes - offset, pages.size() * page_bytes);
      if (internal::system_calls.mincore(start + offset, length_bytes, pages.data()) != 0) continue;
      for (size_t i = 0; i < length_bytes / page_bytes; ++i) {
        stats.resident_bytes += (pages[i] & 1) * page_bytes;
      }
    }
  }
  return stats;
}

std::string StackPool::Statistics::ToString() const {
  return absl::StrCat("live      ", live, " stacks\ncached    ", cached, " stacks\npeak      ",
                      peak, " stacks\narenas    ", arenas, "\nmapped    ", mapped_bytes,
                      " bytes\nresident  ", resident_bytes, " bytes\nhits      ", hits,
                      "\nmisses    ", misses, "\nreturns   ", returns, "\nrefusals  ", refusals,
                      "\n");
}

std::ostream& operator<<(std::ostream& stream, const StackPool::Statistics& statistics) {
  return stream << statistics.ToString();
}

}  // namespace fringe
