// The instruction on which an indirect jump or call must land if the CPU checks it (IBT of x86, BTI
// of AArch64). Few CPUs do, so tests look at the code.

#ifndef FRINGE_TESTING_SUPPORT_LANDING_PAD_H_
#define FRINGE_TESTING_SUPPORT_LANDING_PAD_H_

#include <cstring>

namespace fringe::testing {

#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
inline bool IsLandingPad(const void* code) {
#if defined(__x86_64__)
  const unsigned char pad[] = {0xf3, 0x0f, 0x1e, 0xfa};  // endbr64
#elif defined(__i386__)
  const unsigned char pad[] = {0xf3, 0x0f, 0x1e, 0xfb};  // endbr32
#else
  const unsigned char pad[] = {0x5f, 0x24, 0x03, 0xd5};  // bti c
#endif
  return std::memcmp(code, pad, sizeof pad) == 0;
}
#endif

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_LANDING_PAD_H_
