#include "testing/default_stack/library.h"

#include <string>

#include "testing/default_stack/where.h"

namespace fringe::testing {

std::string LIBRARY() { return Where(); }

}  // namespace fringe::testing
