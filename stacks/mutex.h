// A mutex with Abseil's annotations over the C++ library's. Not for users.
//
// It is not `absl::Mutex`, because the stacks' locks are held across a `fork`, after which the
// child must be able to use them. Abseil records which locks are held behind a lock of its own,
// which another thread may hold at that moment. This one also never allocates.

#ifndef FRINGE_STACKS_MUTEX_H_
#define FRINGE_STACKS_MUTEX_H_

#include <pthread.h>

#include <atomic>
#include <mutex>

#include "../arch/fatal.h"
#include "absl/base/thread_annotations.h"

namespace fringe::internal {

class ABSL_LOCKABLE Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  // Errors: fatal if the running thread holds the mutex: a signal handler has interrupted it.
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    // Only the thread itself stores its own address, so a stale value cannot match.
    if (pthread_equal(owner_.load(std::memory_order_relaxed), pthread_self()) != 0) [[unlikely]] {
      fringe_fatal("a signal handler cannot create or release stacks: do it outside the handler.");
    }
    mutex_.lock();
    owner_.store(pthread_self(), std::memory_order_relaxed);
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    owner_.store(pthread_t(), std::memory_order_relaxed);
    mutex_.unlock();
  }

 private:
  std::mutex mutex_;
  std::atomic<pthread_t> owner_ = pthread_t();
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }

 private:
  Mutex* const mutex_;
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_MUTEX_H_
