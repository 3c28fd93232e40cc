// Reports a stack overflow in a generator, which otherwise ends the program with a plain
// "Segmentation fault".
//
//   fringe::InstallOverflowHandler();  // in main, and after other handlers
//
// The report on standard error names the body's function, the size of its stack and the deepest
// frames:
//   fringe: stack overflow in a generator: its stack of 65536 bytes is full. Use a larger stack, or
//   less of it.
//   body: _Z4BodyRN6fringe10exceptions7YielderIivEE (program+0x1a2b)
//   deepest frames:
//     #0 0x55d0c2a3a8f4 _Z4Walki+0x14 (program+0x18f4)
//     ...
//
// `c++filt` demangles the names, and `addr2line -Cfie program 0x18f4` prints the line. The report
// is not limited to generators: it has the same words for a function that `OnStack` has called.

#ifndef FRINGE_OVERFLOW_H_
#define FRINGE_OVERFLOW_H_

namespace fringe {

// Installs a handler of SIGSEGV that reports overflows, and gives the calling thread an alternate
// signal stack, on which the handler runs. Must be called on each thread that resumes generators:
// without an alternate stack, the kernel cannot call a handler after an overflow. The handler is
// installed by the first call in the process, the alternate stack by the first in the thread.
//
// The handler passes every signal, reported or not, to the handler that it has replaced. If there
// was none, the program ends by the signal, with a core file that begins at the overflow. A handler
// that was installed without SA_ONSTACK now runs on the alternate stack too.
//
// A fault is reported only if the stack pointer of the faulting code has reached the guard of the
// generator that it runs in. Faults at null pointers, in the guards of other generators and on
// other stacks are not. A frame that is larger than the guard can skip it, unless the code is
// compiled with -fstack-clash-protection, and is then not reported.
//
// An alternate stack that the thread already has is kept, and must then exist until the thread
// ends. If it is small, the report has no backtrace. The alternate stack of fringe has 64 KiB, and
// is unmapped when the thread ends.
//
// Errors: fatal if the system refuses a mapping or a handler.
// Cost: some system calls. Generators cost the same with and without the handler.
// Thread safety: any thread, but not signal handlers.
void InstallOverflowHandler();

}  // namespace fringe

#endif  // FRINGE_OVERFLOW_H_
