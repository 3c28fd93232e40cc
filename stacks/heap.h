// The heap that `MallocStack` is on: the C library's or jemalloc's, as `//flags:malloc` says. Not
// for users.

#ifndef FRINGE_STACKS_HEAP_H_
#define FRINGE_STACKS_HEAP_H_

#include <cstddef>

#include "stack.h"

// A build defines it to 1 for jemalloc_heap.cc, and the other file is then empty.
#if !defined(FRINGE_MALLOC_IS_JEMALLOC)
#define FRINGE_MALLOC_IS_JEMALLOC 0
#endif

namespace fringe::internal {

// Allocates a block that is aligned to `kStackAlignment`.
//
// Requires: `size_bytes` is a multiple of `kStackAlignment`, and not 0.
// Returns: null where the heap has none; `errno` says why, and `failed_call` names the call.
// Thread safety: any thread.
std::byte* AllocateBlock(size_t size_bytes, const char** failed_call);

// Frees what `AllocateBlock` gave for `size_bytes`, on whichever thread; does nothing where `block`
// is null.
void FreeBlock(std::byte* block, size_t size_bytes);

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_HEAP_H_
