// The stacks of live generators, in which LeakSanitizer has to look for pointers. Not for users.

#ifndef FRINGE_LEAK_ROOTS_H_
#define FRINGE_LEAK_ROOTS_H_

#include <cstddef>

namespace fringe::internal {

// Whether the program has a LeakSanitizer, alone or as a part of AddressSanitizer.
bool HasLeakSanitizer();

// Makes LeakSanitizer consider memory reachable if the stack points to it. Requires
// `HasLeakSanitizer()`, and that the stack is not a root yet.
//
// Thread safety: both functions may be called on any thread. Cost: amortized constant time.
void AddLeakRoot(const std::byte* limit, size_t size_bytes);

// Ends that. While there are more than a thousand roots, as many removed ones may remain roots for
// a time, so that leaks to which only their memory points are not reported.
void RemoveLeakRoot(const std::byte* limit);

}  // namespace fringe::internal

#endif  // FRINGE_LEAK_ROOTS_H_
