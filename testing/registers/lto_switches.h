// Functions of a file without extensions, for callers in a file that has them. Link-time
// optimisation inlines them, and the switch, into the callers.

#ifndef FRINGE_TESTING_REGISTERS_LTO_SWITCHES_H_
#define FRINGE_TESTING_REGISTERS_LTO_SWITCHES_H_

#include <cstdint>

namespace fringe::arch {
struct LinkRecord;
}  // namespace fringe::arch

namespace fringe::testing {

// In the file without extensions.
void ResumeWithoutExtensions(arch::LinkRecord* record);
void SuspendWithoutExtensions(arch::LinkRecord* record);

// In the file with AVX-512. Each keeps vectors and masks across a switch of the functions above.
//
// Returns: the number of wrong ones afterwards.
unsigned WrongOverResume(arch::LinkRecord* record);
unsigned WrongOverSuspend(arch::LinkRecord* record);

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_LTO_SWITCHES_H_
