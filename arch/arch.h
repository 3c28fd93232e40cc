// Includes the backend of the target's CPU. link_record.h says what a backend defines, and
// README.md how to add one.

#ifndef FRINGE_ARCH_ARCH_H_
#define FRINGE_ARCH_ARCH_H_

// The first header of every other, so that this is the first error.
#if __cplusplus < 202002L
#error "fringe needs C++20: compile with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif

#if defined(_WIN32) && defined(__x86_64__)
#include "windows_fiber.h"
#elif defined(__x86_64__) && defined(__LP64__)
#include "x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__)
#include "aarch64.h"
#elif defined(__arm__) && defined(__ARM_ARCH) && __ARM_ARCH >= 7
#include "arm.h"
#elif defined(__loongarch_lp64)
#include "loongarch64.h"
#elif defined(__mips64) && _MIPS_SIM == _ABI64
#include "mips64.h"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__) && _CALL_ELF == 2
#include "ppc64le.h"
#elif defined(__riscv) && __riscv_xlen == 64 && defined(__LP64__)
#include "riscv64.h"
#elif defined(__s390x__)
#include "s390x.h"
#elif defined(__i386__)
#include "x86.h"
#else
#error "fringe has no backend for this CPU. arch/README.md says how to add one."
#endif

#include <cstddef>
#include <type_traits>

namespace fringe::arch {

// The alignment of a stack's base, in bytes.
static_assert(std::is_same_v<decltype(kStackAlignment), const size_t>);
static_assert(kStackAlignment >= alignof(void*) && (kStackAlignment & (kStackAlignment - 1)) == 0);

// The smallest guard that no frame can jump over, in bytes, if the code is compiled with
// -fstack-clash-protection: it then touches the stack in steps of at most this size.
static_assert(std::is_same_v<decltype(kGuardBytes), const size_t>);
static_assert(kGuardBytes >= 4096 && (kGuardBytes & (kGuardBytes - 1)) == 0);

// The smallest stack that can run an `Entry`, in bytes below the `sp` of `Init`: a frame that saves
// every register that a switch clobbers, optimised or not, and the frames of its callees.
static_assert(std::is_same_v<decltype(kMinimumFrameBytes), const size_t>);

// Whether every stack must come with a fiber of the system, as the `Fiber` of windows_fiber.h. If
// not, any memory can be a stack.
static_assert(std::is_same_v<decltype(kStacksAreFibers), const bool>);

static_assert(std::is_trivial_v<LinkRecord> && alignof(LinkRecord) >= kStackAlignment);

// A message is returned in two registers.
static_assert(std::is_trivial_v<Message> && sizeof(Message) == 2 * sizeof(void*));

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_ARCH_H_
