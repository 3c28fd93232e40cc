// Ends a program that misuses fringe, with one sentence, in every build mode.

#ifndef FRINGE_ARCH_FATAL_H_
#define FRINGE_ARCH_FATAL_H_

// Ends the program. `sentence` says what went wrong, then what to do, and ends in a full stop.
//
// On hosted systems fringe defines it: it writes "fringe: " and the sentence as one line to
// standard error and calls `abort`. Freestanding programs must define it. It runs on the stack of
// the misuse, which may be small.
extern "C" [[noreturn]] void fringe_fatal(const char* sentence);

#endif  // FRINGE_ARCH_FATAL_H_
