// A library, compiled once for each name that LIBRARY gives it.

#ifndef FRINGE_TESTING_DEFAULT_STACK_LIBRARY_H_
#define FRINGE_TESTING_DEFAULT_STACK_LIBRARY_H_

#include <string>

namespace fringe::testing {

// On which stack it runs a generator that names none.
std::string WhereLibrary();         // it leaves that to the binary
std::string WhereLibraryOnOwn();    // it has a default of its own
std::string WhereLibraryCounted();  // the same

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_DEFAULT_STACK_LIBRARY_H_
