// A function that GCC must reject on 32-bit x86: it has registers that its file has not.

#include "arch/arch.h"

#if defined(__SSE__)
[[gnu::target("avx512f")]]
#else
[[gnu::target("sse2")]]
#endif
void ResumeWithVectors(fringe::arch::LinkRecord* record) {
  fringe::arch::Resume(0, record);
}
