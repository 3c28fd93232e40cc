// Picks the backend of the target. Each defines the same names in `fringe::arch`; arch/README.md
// says what they mean and how to add one.

#ifndef FRINGE_ARCH_ARCH_H_
#define FRINGE_ARCH_ARCH_H_

#if defined(__x86_64__) && defined(__LP64__)
#include "x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__)
#include "aarch64.h"
#elif defined(__arm__) && defined(__ARM_ARCH) && __ARM_ARCH >= 7
#include "arm.h"
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
#include <cstdint>
#include <type_traits>

// What every backend defines. Their headers say what each means, in the same words.
namespace fringe::arch {

template <typename Declared, typename Contract>
inline constexpr bool kIs = std::is_same_v<Declared, Contract>;

static_assert(kIs<decltype(kStackAlignment), const size_t>);
static_assert(kStackAlignment >= alignof(void*) && (kStackAlignment & (kStackAlignment - 1)) == 0);
static_assert(kIs<decltype(kGuardBytes), const size_t>);
static_assert(kGuardBytes >= 4096 && (kGuardBytes & (kGuardBytes - 1)) == 0);

static_assert(kIs<decltype(kMinimumFrameBytes), const size_t>);

// Halves alike: the resumer's first, which begins with a frame record where the ABI has such.
static_assert(kIs<decltype(LinkRecord::resumer), SavedRegisters>);
static_assert(kIs<decltype(LinkRecord::generator), SavedRegisters>);
static_assert(offsetof(LinkRecord, resumer) == 0);
static_assert(offsetof(LinkRecord, generator) == sizeof(SavedRegisters));
static_assert(std::is_trivial_v<LinkRecord> && alignof(LinkRecord) >= kStackAlignment);

// Two registers.
static_assert(kIs<decltype(Message::word), uintptr_t>);
static_assert(kIs<decltype(Message::record), LinkRecord*>);
static_assert(std::is_trivial_v<Message> && sizeof(Message) == 2 * sizeof(uintptr_t));

static_assert(kIs<Entry, void (*)(uintptr_t, LinkRecord*, LinkRecord*)>);
static_assert(kIs<decltype(&Init), void (*)(LinkRecord*, std::byte*, Entry)>);
static_assert(kIs<decltype(&Closed), uintptr_t (*)(const LinkRecord*)>);
static_assert(kIs<decltype(&Close), void (*)(LinkRecord*, uintptr_t)>);
static_assert(kIs<decltype(&StackBytesBelow), size_t (*)(const void*)>);
static_assert(kIs<decltype(&Resume), Message (*)(uintptr_t, LinkRecord*)>);
static_assert(kIs<decltype(&Cancel), Message (*)(LinkRecord*)>);
static_assert(kIs<decltype(&Suspend), Message (*)(uintptr_t, LinkRecord*)>);
static_assert(kIs<decltype(&Finish), void (*)(uintptr_t, LinkRecord*)>);

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_ARCH_H_
