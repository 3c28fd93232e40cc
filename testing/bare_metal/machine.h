// The machine that an image runs on: a console, a timer and an end. Each machine has a source of
// its own, which also brings it from its reset to `fringe_testing_main`.

#ifndef FRINGE_TESTING_BARE_METAL_MACHINE_H_
#define FRINGE_TESTING_BARE_METAL_MACHINE_H_

#include <cstdint>

namespace fringe::testing {

// What an image ends with. 0 and 1 are not among them: with these an emulator ends of itself.
enum Status : uint32_t {
  kWell = 42,
  kWrong = 43,
  kFatal = 44,       // a rule was broken
  kUnexpected = 45,  // an exception of the CPU that nobody asked for
};

// Prints to the console.
void Write(const char* text);
void WriteNumber(uintptr_t number);

// Ends the emulator, which hands `status` to whoever started it.
[[noreturn]] void End(Status status);

// Interrupts the program once, in `ticks` ticks from now. A tick is about as long as an instruction
// takes, if the emulator is started as in `bare_metal_test`.
void StartTimer(uint32_t ticks);

// Where the timer has interrupted the program. The handler writes both and does nothing else.
struct Interruption {
  uintptr_t pc;  // of the instruction that was to be next
  uintptr_t sp;  // the handler's own, on the stack that was interrupted
};
extern "C" volatile Interruption fringe_testing_interruption;

}  // namespace fringe::testing

// What the image does: called once, on a stack of the machine's, with interrupts enabled.
extern "C" void fringe_testing_main();

// What a machine calls for any other exception.
extern "C" [[noreturn]] void fringe_testing_on_unexpected();

#endif  // FRINGE_TESTING_BARE_METAL_MACHINE_H_
