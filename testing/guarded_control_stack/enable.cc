// Turns on the guarded control stack before `main`, in programs that are linked with
// -Wl,--wrap=main.

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

extern "C" {
int __real_main(int argc, char** argv, char** environment);
int __wrap_main(int argc, char** argv, char** environment);
}

int __wrap_main(int argc, char** argv, char** environment) {
  // PR_SET_SHADOW_STACK_STATUS, PR_SHADOW_STACK_ENABLE. Not by a function of the C library, whose
  // return address would not be on the shadow stack.
  register long x8 asm("x8") = SYS_prctl;
  register long x0 asm("x0") = 75;
  register long x1 asm("x1") = 1;
  register long x2 asm("x2") = 0;
  register long x3 asm("x3") = 0;
  register long x4 asm("x4") = 0;
  asm volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x8) : "memory");
  if (x0 != 0) _exit(99);
  // This function's own return address is not there either.
  std::exit(__real_main(argc, argv, environment));
}
