#include "thread_caches.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "absl/base/thread_annotations.h"
#include "pool_core.h"
#include "system.h"

namespace fringe::internal {
namespace {

constinit ThreadCache no_cache;
// The recent cache of a thread whose caches have been returned.
constinit ThreadCache ended_cache;

// Held before any pool's lock.
constinit Mutex registry_mutex;
constinit ThreadCaches* all_threads ABSL_GUARDED_BY(registry_mutex) = nullptr;
constinit PoolCore* all_pools ABSL_GUARDED_BY(registry_mutex) = nullptr;

// A word, since GCC 12 for RISC-V exchanges nothing smaller without libatomic.
constinit std::atomic<uint32_t> has_key = 0;
pthread_key_t key;

void* KeyValue() {
  return has_key.load(std::memory_order_relaxed) != 0 ? pthread_getspecific(key) : nullptr;
}

size_t Hash(const PoolCore* core) {
  return (reinterpret_cast<uintptr_t>(core) >> 6) * size_t{0x9e37'79b9};
}

}  // namespace

thread_local constinit ThreadCache* recent_cache = &no_cache;

struct ThreadCaches::Lifetime {
  // Returns the stacks of a thread that ends. Its thread-locals have been destroyed; destructors of
  // other keys may still follow, which do without caches.
  static void AtThreadEnd(void* value) {
    recent_cache = &ended_cache;
    auto* const caches = static_cast<ThreadCaches*>(value);
    {
      // The lock keeps each pool from being destroyed meanwhile.
      MutexLock lock(&registry_mutex);
      caches->ReturnAll();
      Unlink(caches);
    }
    delete caches;
  }

  static void Link(ThreadCaches* caches) ABSL_EXCLUSIVE_LOCKS_REQUIRED(registry_mutex) {
    caches->next_ = all_threads;
    if (all_threads != nullptr) all_threads->previous_ = caches;
    all_threads = caches;
  }

  static void Unlink(ThreadCaches* caches) ABSL_EXCLUSIVE_LOCKS_REQUIRED(registry_mutex) {
    if (caches->next_ != nullptr) caches->next_->previous_ = caches->previous_;
    (caches->previous_ == nullptr ? all_threads : caches->previous_->next_) = caches->next_;
  }

  static void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    registry_mutex.Lock();
    for (PoolCore* core = all_pools; core != nullptr; core = core->next) core->Lock();
  }
  static void AfterForkInParent() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (PoolCore* core = all_pools; core != nullptr; core = core->next) core->Unlock();
    registry_mutex.Unlock();
  }
  // The other threads are not in the child.
  static void AfterForkInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const ThreadCaches* const own = OfThisThread();
    PoolCore::EndLooksOfOtherThreads();
    for (PoolCore* core = all_pools; core != nullptr; core = core->next) {
      core->AdoptCaches(own);
      core->Unlock();
    }
    for (ThreadCaches* caches = all_threads; caches != nullptr;) {
      ThreadCaches* const next = caches->next_;
      if (caches != own) {
        Unlink(caches);
        delete caches;
      }
      caches = next;
    }
    registry_mutex.Unlock();
  }

  static constexpr ForkHandlers kForkHandlers = {&BeforeFork, &AfterForkInParent,
                                                 &AfterForkInChild};

  // When the program or the plug-in is loaded, before its static objects are constructed.
  [[gnu::constructor(101)]] static void AtLoad() {
    SetForkHandlers(&kForkHandlers);
    has_key = pthread_key_create(&key, &AtThreadEnd) == 0;
  }
};

ThreadCaches::~ThreadCaches() {
  for (size_t i = 0; i < table_size_; ++i) delete table_[i];
  delete[] table_;
}

ThreadCaches::Result ThreadCaches::FindOrCreate(PoolCore* core, ThreadCache** cache) {
  *cache = nullptr;
  if (!has_key.load(std::memory_order_relaxed)) return Result::kNone;
  if (recent_cache == &ended_cache) return Result::kNone;
  auto* caches = static_cast<ThreadCaches*>(KeyValue());
  if (caches == nullptr) {
    caches = new (std::nothrow) ThreadCaches;
    if (caches == nullptr) return Result::kNoMemory;
    if (pthread_setspecific(key, caches) != 0) {
      delete caches;
      return Result::kNoMemory;
    }
    MutexLock lock(&registry_mutex);
    Lifetime::Link(caches);
  }
  *cache = caches->Lookup(core);
  if (*cache == nullptr) {
    if (!caches->MakeRoom()) return Result::kNoMemory;
    *cache = core->AddCache(caches);
    if (*cache == nullptr) return Result::kNoMemory;
    caches->Insert(*cache);
  }
  recent_cache = *cache;
  return Result::kFound;
}

ThreadCache* ThreadCaches::Find(const PoolCore* core) {
  const ThreadCaches* const caches = OfThisThread();
  return caches == nullptr ? nullptr : caches->Lookup(core);
}

const ThreadCaches* ThreadCaches::OfThisThread() {
  return static_cast<const ThreadCaches*>(KeyValue());
}

ThreadCache* ThreadCaches::Lookup(const PoolCore* core) const {
  if (table_size_ == 0) return nullptr;
  for (size_t i = Hash(core);; ++i) {
    ThreadCache* const cache = table_[i & (table_size_ - 1)];
    if (cache == nullptr || cache->core() == core) return cache;
  }
}

bool ThreadCaches::MakeRoom() {
  if (2 * (used_ + 1) <= table_size_) return true;
  size_t kept = 0;
  for (size_t i = 0; i < table_size_; ++i) {
    kept += table_[i] != nullptr && table_[i]->core() != nullptr ? size_t{1} : size_t{0};
  }
  // At least as many steps until the next time as this one takes.
  size_t size = 8;
  while (size < 4 * (kept + 1)) size *= 2;
  auto** const table = new (std::nothrow) ThreadCache* [size] {};
  if (table == nullptr) return false;
  ThreadCache** const old = table_;
  const size_t old_size = table_size_;
  table_ = table;
  table_size_ = size;
  used_ = 0;
  for (size_t i = 0; i < old_size; ++i) {
    if (old[i] == nullptr) continue;
    if (old[i]->core() != nullptr) {
      Insert(old[i]);
    } else {
      if (recent_cache == old[i]) recent_cache = &no_cache;
      delete old[i];
    }
  }
  delete[] old;
  return true;
}

void ThreadCaches::Insert(ThreadCache* cache) {
  size_t i = Hash(cache->core());
  while (table_[i & (table_size_ - 1)] != nullptr) ++i;
  table_[i & (table_size_ - 1)] = cache;
  ++used_;
}

void ThreadCaches::ReturnAll() {
  for (size_t i = 0; i < table_size_; ++i) {
    if (table_[i] == nullptr) continue;
    if (PoolCore* const core = table_[i]->core()) core->RemoveCache(table_[i]);
  }
}

void ThreadCaches::AddPool(PoolCore* core) {
  MutexLock lock(&registry_mutex);
  core->next = all_pools;
  if (all_pools != nullptr) all_pools->previous = core;
  all_pools = core;
}

void ThreadCaches::RemovePool(PoolCore* core) {
  MutexLock lock(&registry_mutex);
  core->OrphanCaches();
  if (core->next != nullptr) core->next->previous = core->previous;
  (core->previous == nullptr ? all_pools : core->previous->next) = core->next;
}

void ThreadCaches::FreeAll() {
  if (has_key.exchange(0) == 0) return;
  pthread_key_delete(key);
  recent_cache = &no_cache;
  MutexLock lock(&registry_mutex);
  while (all_threads != nullptr) {
    ThreadCaches* const caches = all_threads;
    caches->ReturnAll();
    Lifetime::Unlink(caches);
    delete caches;
  }
}

}  // namespace fringe::internal
