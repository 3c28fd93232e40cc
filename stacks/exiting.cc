#include "exiting.h"

#include <unwind.h>

#include <cstdint>
#include <cstdlib>

namespace fringe::internal {
namespace {

// Through memory that the compiler does not know, so that the program's own stub for `exit` is not
// taken for the function.
void (*volatile exit_function)(int) = &std::exit;

struct Search {
  uintptr_t exit_address;
  bool found;
};

_Unwind_Reason_Code Look(_Unwind_Context* context, void* argument) {
  auto* const search = static_cast<Search*>(argument);
  if (_Unwind_GetRegionStart(context) != search->exit_address) return _URC_NO_REASON;
  search->found = true;
  return _URC_END_OF_STACK;
}

}  // namespace

bool ProcessIsExiting() {
  Search search = {reinterpret_cast<uintptr_t>(exit_function), false};
  _Unwind_Backtrace(&Look, &search);
  return search.found;
}

}  // namespace fringe::internal
