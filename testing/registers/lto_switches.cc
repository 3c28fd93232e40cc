#include "testing/registers/lto_switches.h"

#include "arch/arch.h"

namespace fringe::testing {

void ResumeWithoutExtensions(arch::LinkRecord* record) { arch::Resume(0, record); }
void SuspendWithoutExtensions(arch::LinkRecord* record) { arch::Suspend(0, record); }

}  // namespace fringe::testing
