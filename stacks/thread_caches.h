// Which caches each thread has, and which pools there are. Not for users.

#ifndef FRINGE_STACKS_THREAD_CACHES_H_
#define FRINGE_STACKS_THREAD_CACHES_H_

#include <cstddef>

#include "mutex.h"
#include "thread_cache.h"

namespace fringe::internal {

class PoolCore;

// The cache that the running thread used last; never null. It is the only thread-local of the
// stacks, one pointer: the program or plug-in needs that much static TLS. It is at a fixed place,
// so that a processor which executes ahead has the cache before it knows which stack comes back.
//
// It must be used in functions that are not inlined: a compiler may keep the address of a
// thread-local across a switch, after which the generator may be on another thread.
extern thread_local constinit ThreadCache* recent_cache
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

// The caches of one thread, one for each pool that it uses.
//
// A thread finds its own by a pthread key, whose destructor empties them into their pools. There is
// no C++ thread-local with a destructor: it would allocate, and keep a plug-in from being unloaded.
//
// Thread safety: any thread.
class ThreadCaches {
 public:
  enum class Result { kFound, kNone, kNoMemory };

  // Finds the running thread's cache of `core`, and makes it the recent one.
  //
  // Returns: kNone, and null, if the thread is ending or there are no more pthread keys: the pool
  //   works without a cache. kNoMemory if a new one would need memory that is not to be had.
  static Result FindOrCreate(PoolCore* core, ThreadCache** cache);
  // The same, but returns null if there is none yet.
  static ThreadCache* Find(const PoolCore* core);

  // Returns: the caches of the running thread; null if it has none.
  static const ThreadCaches* OfThisThread();

  // Adds a pool to those that are locked for a fork, and removes one. `Remove` orphans its caches:
  // other threads may still run, and end, but must not use the pool.
  static void AddPool(PoolCore* core);
  static void RemovePool(PoolCore* core);

  // Frees the caches of all threads, when the plug-in is being unloaded and no thread uses it. From
  // then on there are no caches.
  static void FreeAll();

 private:
  struct Lifetime;  // the key's functions, and those of a fork

  ThreadCaches() = default;
  ~ThreadCaches();

  ThreadCache* Lookup(const PoolCore* core) const;
  // Returns: whether there is room for one more.
  bool MakeRoom();
  void Insert(ThreadCache* cache);
  // Empties all caches into their pools, if they have any. Needs the registry's lock.
  void ReturnAll();

  // Open addressing by the pool's address. An orphan stays until the table is built anew.
  ThreadCache** table_ = nullptr;
  size_t table_size_ = 0;  // a power of two, or 0
  size_t used_ = 0;        // orphans included
  ThreadCaches* next_ = nullptr;
  ThreadCaches* previous_ = nullptr;
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_THREAD_CACHES_H_
