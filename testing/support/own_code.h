// The instructions of the test itself, to recognise or to overwrite them.

#ifndef FRINGE_TESTING_SUPPORT_OWN_CODE_H_
#define FRINGE_TESTING_SUPPORT_OWN_CODE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>

// The start and end of the program's code, defined by the linker.
extern "C" {
extern unsigned char __executable_start[];
extern unsigned char etext[];
}

namespace fringe::testing {

// Returns: the program's code, without that of shared libraries.
inline std::span<unsigned char> OwnCode() { return {__executable_start, etext}; }

// Calls `patch` with each place in the code that is a multiple of `step` bytes and is followed by
// `bytes` bytes. It may overwrite those, and returns whether it has.
//
// Returns: how often it has; 0 if the system does not let code be written.
template <typename Patch>
int PatchOwnCode(size_t bytes, size_t step, Patch patch) {
  const auto page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const std::span<unsigned char> code = OwnCode();
  auto* const begin = reinterpret_cast<unsigned char*>(reinterpret_cast<uintptr_t>(code.data()) &
                                                       ~(page_bytes - 1));
  unsigned char* const end = code.data() + code.size();
  if (mprotect(begin, static_cast<size_t>(end - begin), PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
    return 0;
  }
  int count = 0;
  for (unsigned char* place = begin; place + bytes <= end; place += step) {
    if (patch(place)) ++count;
  }
  __builtin___clear_cache(reinterpret_cast<char*>(begin), reinterpret_cast<char*>(end));
  return count;
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_OWN_CODE_H_
