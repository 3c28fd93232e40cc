// The C library's heap, or what stands in for it in the binary.

#include "heap.h"

#if !FRINGE_MALLOC_IS_JEMALLOC

#include <cerrno>
#include <cstdlib>

namespace fringe::internal {

std::byte* AllocateBlock(size_t size_bytes, const char** failed_call) {
  *failed_call = "aligned_alloc";
  errno = ENOMEM;  // the C standard asks for no errno
  return static_cast<std::byte*>(std::aligned_alloc(kStackAlignment, size_bytes));
}

void FreeBlock(std::byte* block, size_t /*size_bytes*/) { std::free(block); }

}  // namespace fringe::internal

#endif  // !FRINGE_MALLOC_IS_JEMALLOC
