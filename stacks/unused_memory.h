// Tells AddressSanitizer and Memcheck which pooled stacks are unused. Not for users.

#ifndef FRINGE_STACKS_UNUSED_MEMORY_H_
#define FRINGE_STACKS_UNUSED_MEMORY_H_

#include <cstddef>

#include "stack_bounds.h"

#if defined(__SANITIZE_ADDRESS__)
#define FRINGE_POISONS_STACKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FRINGE_POISONS_STACKS 1
#endif
#endif
#if !defined(FRINGE_POISONS_STACKS)
#define FRINGE_POISONS_STACKS 0
#endif

#if FRINGE_POISONS_STACKS
#include <sanitizer/asan_interface.h>
#endif

#if defined(FRINGE_WANTS_VALGRIND) && __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define FRINGE_MEMCHECK 1
#else
#define FRINGE_MEMCHECK 0
#endif

namespace fringe::internal {

// AddressSanitizer: from here on, an access to the stack is an error.
//
// Cost, in builds with AddressSanitizer: an eighth of the stack is written.
inline void PoisonStack([[maybe_unused]] const StackBounds& stack) {
#if FRINGE_POISONS_STACKS
  __asan_poison_memory_region(stack.limit, static_cast<size_t>(stack.base - stack.limit));
#endif
}

inline void UnpoisonStack([[maybe_unused]] const StackBounds& stack) {
#if FRINGE_POISONS_STACKS
  __asan_unpoison_memory_region(stack.limit, static_cast<size_t>(stack.base - stack.limit));
#endif
}

// Memcheck: the next user may use all of the stack, whatever the last has left; the pool reads
// `mark`.
inline void TellMemcheck([[maybe_unused]] const StackBounds& stack,
                         [[maybe_unused]] const void* mark, [[maybe_unused]] size_t mark_bytes) {
#if FRINGE_MEMCHECK
  if (RUNNING_ON_VALGRIND) [[unlikely]] {
    VALGRIND_MAKE_MEM_UNDEFINED(stack.limit, stack.base - stack.limit);
    VALGRIND_MAKE_MEM_DEFINED(mark, mark_bytes);
  }
#endif
}

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_UNUSED_MEMORY_H_
