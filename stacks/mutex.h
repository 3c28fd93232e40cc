// A lock with Abseil's annotations over the C++ library's. Not for users.
//
// It is not `absl::Mutex` because the pool's locks are taken over a `fork`, which the child must
// come out of alive: Abseil keeps a record of which locks are held behind a lock of its own, which
// another thread may have at that moment. Nor does this one allocate, where no memory is left.

#ifndef FRINGE_STACKS_MUTEX_H_
#define FRINGE_STACKS_MUTEX_H_

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace fringe::internal {

class ABSL_LOCKABLE Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
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
