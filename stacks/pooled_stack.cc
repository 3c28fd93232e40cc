#include "pooled_stack.h"

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <ostream>
#include <string>

#include "../arch/fatal.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "exiting.h"
#include "pool_core.h"
#include "stack_mark.h"
#include "stack_slot.h"
#include "thread_cache.h"
#include "thread_caches.h"
#include "unused_memory.h"

// Of the C runtime: null in a program at fixed addresses. Under another name, because compilers
// declare it too.
#if defined(__APPLE__)
#define FRINGE_DSO_HANDLE "___dso_handle"
#else
#define FRINGE_DSO_HANDLE "__dso_handle"
#endif
extern "C" [[gnu::visibility("hidden")]] void* fringe_dso_handle __asm__(FRINGE_DSO_HANDLE);

namespace fringe {

using internal::PoolCore;
using internal::StackBounds;
using internal::StackSlot;
using internal::ThreadCache;
using internal::ThreadCaches;

// --- The fast path ------------------------------------------------------------------------------

// Not to be inlined, this and `Release` (thread_caches.h).
[[gnu::noinline]] StackBounds* StackPool::AcquireCached(const PoolCore* core) {
  ThreadCache* const cache = internal::recent_cache;
  if (cache->core() != core) [[unlikely]] {
    return nullptr;
  }
  StackSlot* const slot = cache->Pop();
#if FRINGE_POISONS_STACKS
  if (slot != nullptr) internal::UnpoisonStack(*slot);
#endif
  return slot;
}

[[gnu::noinline]] void StackPool::Release(StackBounds* stack) {
  auto* const slot = static_cast<StackSlot*>(stack);
  ThreadCache* const cache = internal::recent_cache;
#if FRINGE_POISONS_STACKS
  if (slot->acquired()) internal::PoisonStack(*slot);
#endif
  if (cache->core() != slot->core || !slot->acquired() || !internal::IsIntact(slot->mark) ||
      !cache->Push(slot)) [[unlikely]] {
    slot->core->Release(slot);
  }
}

[[gnu::noinline]] absl::StatusOr<PooledStack> StackPool::AcquireSlow(PoolCore* core) {
  StackSlot* slot = nullptr;
  absl::Status status = core->Acquire(&slot);
  if (!status.ok()) return status;
  internal::UnpoisonStack(*slot);
  return PooledStack(slot);
}

// --- The pool -----------------------------------------------------------------------------------

StackPool::~StackPool() {
  const size_t live = core_->LiveStacks();
  // The rest of the program must be able to go on until it ends.
  if ((live != 0 || core_->IsUsedByOtherThreads()) && internal::ProcessIsExiting()) return;
  if (live != 0) {
    char sentence[128];
    std::snprintf(sentence, sizeof(sentence),
                  "a StackPool was destroyed while %zu of its stacks were in use: destroy their "
                  "owners first.",
                  live);
    fringe_fatal(sentence);
  }
  ThreadCaches::RemovePool(core_);
  delete core_;
}

namespace {

std::atomic<StackPool*> default_pool = nullptr;

void FreeUnused() {
  // A program at fixed addresses is never unloaded. If it is linked statically, it has no unwind
  // tables any more here, and a backtrace would end it.
  if (fringe_dso_handle == nullptr) return;
  if (internal::ProcessIsExiting()) return;
  ThreadCaches::FreeAll();
  StackPool* const pool = default_pool.load();
  if (pool != nullptr && pool->Stats().live == 0) delete pool;
}

// Set by the first pool. By a pointer, because with link-time optimization gold keeps the
// destructor functions of library files that the program does not need, but not the functions that
// they call.
std::atomic<void (*)()> at_unload = nullptr;

// When a plug-in is unloaded, after its static objects were destroyed. At the end of the program
// everything is left as it is: other threads may still run.
[[gnu::destructor(101)]] void AtUnload() {
  if (void (*const function)() = at_unload.load()) function();
}

}  // namespace

StackPool::StackPool(const Options& options) : core_(new PoolCore(options)) {
  ThreadCaches::AddPool(core_);
  at_unload.store(&FreeUnused);
}

StackPool& StackPool::Default() {
  // Not a local static: a fork while another thread initializes it would hang the child.
  StackPool* pool = default_pool.load(std::memory_order_acquire);
  if (pool == nullptr) [[unlikely]] {
    auto* const created = new StackPool;
    if (default_pool.compare_exchange_strong(pool, created, std::memory_order_acq_rel)) {
      pool = created;
    } else {
      delete created;
    }
  }
  return *pool;
}

void StackPool::Release(PooledStack stack) {
  if (stack.bounds_ == nullptr || static_cast<StackSlot*>(stack.bounds_)->core != core_) {
    fringe_fatal("this stack belongs to another pool, or was moved from.");
  }
}

void StackPool::Trim() { core_->Trim(); }

StackPool::Statistics StackPool::Stats() const { return core_->Stats(); }

std::string StackPool::Statistics::ToString() const {
  return absl::StrCat("live      ", live, " stacks\ncached    ", cached, " stacks\npeak      ",
                      peak, " stacks\narenas    ", arenas, "\nmapped    ", mapped_bytes,
                      " bytes\nmappings  ", mappings, "\nresident  ", resident_bytes,
                      " bytes\nhits      ", hits, "\nmisses    ", misses, "\nreturns   ", returns,
                      "\nrefusals  ", refusals, "\n");
}

std::ostream& operator<<(std::ostream& stream, const StackPool::Statistics& statistics) {
  return stream << statistics.ToString();
}

}  // namespace fringe
