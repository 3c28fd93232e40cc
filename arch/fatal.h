// How misuse ends: with one sentence, in every build mode.

#ifndef FRINGE_ARCH_FATAL_H_
#define FRINGE_ARCH_FATAL_H_

// Ends the program because a rule was broken; `sentence` names the rule and ends in a full stop.
//
// On hosted systems fringe defines it: it writes "fringe: " and the sentence as one line to
// standard error and calls `abort`. Freestanding programs define it themselves. It runs on
// whichever stack broke the rule, which may be small.
extern "C" [[noreturn]] void fringe_fatal(const char* sentence);

#endif  // FRINGE_ARCH_FATAL_H_
