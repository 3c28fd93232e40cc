// By how much the bases of stacks are staggered. Not for users.
//
// What a generator keeps at its base is touched by every resume. Where all bases lie a power of two
// apart, all of them compete for the same few sets of the cache. So each stack leaves a few cache
// lines unused above its base, not as many as its neighbours do.

#ifndef FRINGE_STACKS_COLOUR_H_
#define FRINGE_STACKS_COLOUR_H_

#include <cstddef>

namespace fringe::internal {

inline constexpr size_t kCacheLineBytes = 64;

// How many colours there are, and how far apart. All of them lie in the upper half of a page, so
// that the base of every stack leaves a generator that needs little the rest of its first page.
inline constexpr size_t kColourCount = 32;
inline constexpr size_t kColourStepBytes = kCacheLineBytes;

// What stacks need to be larger by, in bytes, for all of them to keep their size.
inline constexpr size_t kMaximumColourBytes = (kColourCount - 1) * kColourStepBytes;

// Returns: how many bytes stay unused above the base of the stack that was made as number `index`:
//   a multiple of `kCacheLineBytes`, at most `kMaximumColourBytes`.
constexpr size_t ColourBytes(size_t index) {
  // Neighbours lie several lines apart, as each uses several; 13 and 32 have no common divisor.
  return index * 13 % kColourCount * kColourStepBytes;
}

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_COLOUR_H_
