// Picks the backend of the target. Each defines the same names in `fringe::arch`; arch/README.md
// says what they mean and how to add one.

#ifndef FRINGE_ARCH_ARCH_H_
#define FRINGE_ARCH_ARCH_H_

#if defined(__x86_64__) && defined(__LP64__)
#include "arch/x86_64.h"
#else
#error "fringe has no backend for this CPU. arch/README.md says how to add one."
#endif

#endif  // FRINGE_ARCH_ARCH_H_
