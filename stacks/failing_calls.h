// Lets system calls of the stacks fail, for tests.
//
//   FailingCalls failing(Call::kMprotect, ENOMEM);       // every one
//   FailingCalls failing(Call::kMadvise, ENOMEM, 2, 1);  // the third alone

#ifndef FRINGE_STACKS_FAILING_CALLS_H_
#define FRINGE_STACKS_FAILING_CALLS_H_

#include <sys/mman.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <limits>

#include "system.h"

namespace fringe::internal {

enum class Call { kMmap, kMprotect, kMadvise, kMunmap, kMincore };

// Lets calls of one kind fail with `error`, and do nothing, for as long as it lives: `count` of
// them, after the first `skipped`. At most one lives at a time.
class FailingCalls {
 public:
  FailingCalls(Call call, int error, long skipped = 0,
               long count = std::numeric_limits<long>::max())
      : usual_(system_calls) {
    state = {call, error, skipped, count, system_calls};
    seen = 0;
    system_calls = {&Mmap, &Mprotect, &Madvise, &Munmap, &Mincore};
  }
  FailingCalls(const FailingCalls&) = delete;
  FailingCalls& operator=(const FailingCalls&) = delete;
  ~FailingCalls() { system_calls = usual_; }

  // Returns: how many calls of that kind were made.
  long calls() const { return seen; }

 private:
  struct State {
    Call call;
    int error;
    long skipped;
    long count;
    SystemCalls usual;
  };

  static bool Fails(Call call) {
    if (call != state.call) return false;
    const long number = seen++;
    if (number < state.skipped || number - state.skipped >= state.count) return false;
    errno = state.error;
    return true;
  }

  static void* Mmap(void* address, size_t length_bytes, int protection, int flags, int file,
                    off_t offset) {
    if (Fails(Call::kMmap)) return MAP_FAILED;
    return state.usual.mmap(address, length_bytes, protection, flags, file, offset);
  }
  static int Mprotect(void* address, size_t length_bytes, int protection) {
    if (Fails(Call::kMprotect)) return -1;
    return state.usual.mprotect(address, length_bytes, protection);
  }
  static int Madvise(void* address, size_t length_bytes, int advice) {
    if (Fails(Call::kMadvise)) return -1;
    return state.usual.madvise(address, length_bytes, advice);
  }
  static int Munmap(void* address, size_t length_bytes) {
    if (Fails(Call::kMunmap)) return -1;
    return state.usual.munmap(address, length_bytes);
  }
  static int Mincore(void* address, size_t length_bytes, unsigned char* pages) {
    if (Fails(Call::kMincore)) return -1;
    return state.usual.mincore(address, length_bytes, pages);
  }

  static inline State state;
  static inline std::atomic<long> seen;

  const SystemCalls usual_;
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_FAILING_CALLS_H_
