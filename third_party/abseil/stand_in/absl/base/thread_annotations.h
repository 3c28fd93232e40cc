// A stand-in for the part of Abseil that fringe's stacks use. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_BASE_THREAD_ANNOTATIONS_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_BASE_THREAD_ANNOTATIONS_H_

// Clang's -Wthread-safety checks them. GCC does not know them.
#if defined(__clang__)
#define FRINGE_THREAD_ANNOTATION(attribute) __attribute__((attribute))
#else
#define FRINGE_THREAD_ANNOTATION(attribute)
#endif

#define ABSL_EXCLUSIVE_LOCKS_REQUIRED(...) \
  FRINGE_THREAD_ANNOTATION(exclusive_locks_required(__VA_ARGS__))
#define ABSL_EXCLUSIVE_LOCK_FUNCTION(...) \
  FRINGE_THREAD_ANNOTATION(exclusive_lock_function(__VA_ARGS__))
#define ABSL_GUARDED_BY(mutex) FRINGE_THREAD_ANNOTATION(guarded_by(mutex))
#define ABSL_LOCKABLE FRINGE_THREAD_ANNOTATION(lockable)
#define ABSL_NO_THREAD_SAFETY_ANALYSIS FRINGE_THREAD_ANNOTATION(no_thread_safety_analysis)
#define ABSL_SCOPED_LOCKABLE FRINGE_THREAD_ANNOTATION(scoped_lockable)
#define ABSL_UNLOCK_FUNCTION(...) FRINGE_THREAD_ANNOTATION(unlock_function(__VA_ARGS__))

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_BASE_THREAD_ANNOTATIONS_H_
