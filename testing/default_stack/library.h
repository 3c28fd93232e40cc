// A library, compiled once for each value of LIBRARY.

#ifndef FRINGE_TESTING_DEFAULT_STACK_LIBRARY_H_
#define FRINGE_TESTING_DEFAULT_STACK_LIBRARY_H_

#include <string>

namespace fringe::testing {

// Returns: the stack of a generator in the library that does not name one.
std::string WhereLibrary();         // the binary chooses
std::string WhereLibraryOnOwn();    // the library has its own default
std::string WhereLibraryCounted();  // the same

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_DEFAULT_STACK_LIBRARY_H_
