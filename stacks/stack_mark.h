// Marks: how a pool finds out, with one comparison, that a stack was used deeper than before. Not
// for users.
//
// A mark is a painted line at the start of the lowest page that an unused stack keeps. A frame that
// reaches the page from above and goes further usually stores there. One that spans the mark
// without storing there is found by other means (pool_core.h).

#ifndef FRINGE_STACKS_STACK_MARK_H_
#define FRINGE_STACKS_STACK_MARK_H_

#include <cstddef>
#include <cstdint>

namespace fringe::internal {

inline constexpr size_t kMarkWords = 4;

// Not an address, and as unlikely as any other word in a frame.
inline constexpr uint64_t kMarkPaint = 0x5f3c'a1e9'7bd2'460d;

// The mark of a stack whose use is not known: it is examined when it is released.
alignas(32) inline constexpr uint64_t kBrokenMark[kMarkWords] = {};

// The mark of a stack that keeps all of its memory.
alignas(32) inline constexpr uint64_t kIntactMark[kMarkWords] = {kMarkPaint, kMarkPaint, kMarkPaint,
                                                                 kMarkPaint};

// The sanitizers must not check these accesses: the memory belongs to frames that have ended.
#define FRINGE_UNCHECKED __attribute__((no_sanitize("address", "thread")))

FRINGE_UNCHECKED inline bool IsIntact(const uint64_t* mark) {
  static_assert(kMarkWords == 4);
  // Words with the same sum are as unlikely as the paint itself. To compare each would take five
  // instructions more.
  return mark[0] + mark[1] + mark[2] + mark[3] == kMarkWords * kMarkPaint;
}

FRINGE_UNCHECKED inline void PaintMark(uint64_t* mark) {
  for (size_t i = 0; i < kMarkWords; ++i) mark[i] = kMarkPaint;
}

// Stores zeros in whole words. `volatile`, as a call of `memset` would be checked.
FRINGE_UNCHECKED inline void StoreZeros(std::byte* start, size_t size_bytes) {
  auto* const words = static_cast<volatile uint64_t*>(static_cast<void*>(start));
  for (size_t i = 0; i < size_bytes / sizeof(uint64_t); ++i) words[i] = 0;
}

#undef FRINGE_UNCHECKED

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_STACK_MARK_H_
