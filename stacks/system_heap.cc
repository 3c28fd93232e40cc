// The C library's heap, or what stands in for it in the binary.

#include <cerrno>
#include <cstdlib>

#include "heap.h"

namespace fringe::internal {

std::byte* AllocateBlock(size_t size_bytes, const char** failed_call) {
  *failed_call = "aligned_alloc";
  errno = ENOMEM;  // the C standard asks for no errno
  return static_cast<std::byte*>(std::aligned_alloc(kStackAlignment, size_bytes));
}

void FreeBlock(std::byte* block, size_t /*size_bytes*/) { std::free(block); }

}  // namespace fringe::internal
