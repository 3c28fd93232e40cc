// The machine that an image runs on: a console, a timer and an exit. Each machine has its own
// source, which also leads from the reset to `fringe_testing_main`.

#ifndef FRINGE_TESTING_BARE_METAL_MACHINE_H_
#define FRINGE_TESTING_BARE_METAL_MACHINE_H_

#include <cstdint>

namespace fringe::testing {

// The exit status of an image. 0 and 1 are excluded, because emulators use them themselves.
enum Status : uint32_t {
  kWell = 42,
  kWrong = 43,
  kFatal = 44,       // misuse
  kUnexpected = 45,  // an unexpected exception of the CPU
};

// Prints to the console.
void Write(const char* text);
void WriteNumber(uintptr_t number);

// Ends the emulator with the exit status `status`.
[[noreturn]] void End(Status status);

// Interrupts the program once, in `ticks` ticks. A tick is about as long as an instruction if the
// emulator is started as in `bare_metal_test`.
void StartTimer(uint32_t ticks);

// The state at the last timer interrupt. The handler writes both words and does nothing else.
struct Interruption {
  uintptr_t pc;  // of the next instruction
  uintptr_t sp;  // of the handler, on the interrupted stack
};
extern "C" volatile Interruption fringe_testing_interruption;

}  // namespace fringe::testing

// Runs the program of the image, and ends. Called by the code at reset, once there is a stack.
extern "C" [[noreturn]] void fringe_testing_run();

// The program of the image: called once, on a stack of the machine, with interrupts enabled.
extern "C" void fringe_testing_main();

// Called for any other exception.
extern "C" [[noreturn]] void fringe_testing_on_unexpected();

#endif  // FRINGE_TESTING_BARE_METAL_MACHINE_H_
