// What all backends share: the link record, and the functions that switch by it.
//
// A backend (x86_64.h and its siblings) includes this header and defines `Init`, `Switch`, `Finish`
// and `StackBytesBelow`. Everyone else includes arch.h.

#ifndef FRINGE_ARCH_LINK_RECORD_H_
#define FRINGE_ARCH_LINK_RECORD_H_

#include <cstddef>
#include <cstdint>

#include "shadow_stack.h"

namespace fringe::arch {

// A stack is memory, and no object of the system (windows_fiber.h).
inline constexpr bool kStacksAreFibers = false;

// The words that a switch saves for the side that it leaves. Every CPU has `pc`, `sp` and `fp`; the
// others are those that a compiler does not let a statement clobber.
//
// `pc` is where the side continues, `sp` its stack pointer, `fp` its frame pointer, and `bp` what
// LLVM calls the base pointer. The order is that of the ABI's frame record, if it has one.
#if defined(__mips64)
struct SavedRegisters {
  void* fp;
  void* pc;
  void* sp;
  void* bp;
  void* gp;  // the module's global offset table
};
#elif defined(__powerpc64__)
struct SavedRegisters {
  void* back_chain;  // the caller's stack pointer; of the resumer alone
  void* sp;
  void* pc;
  void* toc;  // the module's table of contents
  void* fp;
  void* bp;
};
#elif defined(__s390x__)
struct SavedRegisters {
  void* fp;
  void* got;       // the module's global offset table
  void* literals;  // the function's constants
  void* pc;
  void* sp;
};
#else
struct SavedRegisters {
  void* fp;
  void* pc;
  void* sp;
  void* bp;
};
#endif

// The words at the base of a generator's stack, by which control passes between its two sides. They
// share one cache line.
struct alignas((sizeof(SavedRegisters) > 4 * sizeof(void*) ? 16 : 8) * sizeof(void*)) LinkRecord {
  SavedRegisters resumer;    // while the generator runs
  SavedRegisters generator;  // while it is suspended
};

// One of the two sides of a switch.
enum class Side { kResumer, kGenerator };

// Where a side's words are in the record, in bytes.
template <Side kSide>
inline constexpr size_t kOffset =
    kSide == Side::kResumer ? offsetof(LinkRecord, resumer) : offsetof(LinkRecord, generator);
template <Side kSide>
inline constexpr size_t kOffsetOfOther =
    kSide == Side::kResumer ? offsetof(LinkRecord, generator) : offsetof(LinkRecord, resumer);

// What a switch brings to the side that it continues.
struct Message {
  uintptr_t word;      // what the other side sent
  LinkRecord* record;  // null if the other side called `Cancel` or `Finish`
};

// What a switch leaves in registers.
struct Arrival {
  Message message;
  LinkRecord* ended_record;  // if the message has no record: the record of the switch
};

// The first function of a generator. It must not return.
//
// `word` and `record` are the message of the first `Resume`. If the first is a `Cancel`, `record`
// is null and `cancelled_record` is the record.
using Entry = void (*)(uintptr_t word, LinkRecord* record, LinkRecord* cancelled_record);

// Prepares `record` so that the first `Resume` calls `entry` on the stack below `sp`.
//
// Requires: `sp` is a multiple of `kStackAlignment` and at most `record`, on the same stack, with
//   `kMinimumFrameBytes` below it.
inline void Init(LinkRecord* record, std::byte* sp, Entry entry);

// Returns: zero if the generator of `record` is suspended and has not been closed since. While it
//   runs, an address on its resumer's stack; otherwise the reason that it was closed with.
inline uintptr_t Closed(const LinkRecord* record) {
  return reinterpret_cast<uintptr_t>(record->resumer.sp);
}

// Makes `Closed` return `reason` until the next `Resume`.
//
// Requires: the generator is not running; `reason` cannot be a stack pointer. The address of
//   `record` cannot. Zero is no reason: the generator is then suspended and not closed.
inline void Close(LinkRecord* record, uintptr_t reason) {
  record->resumer.sp = reinterpret_cast<void*>(reason);
}

#if defined(__aarch64__) || defined(__x86_64__)
// CPUs with shadow stacks.

// Whether the generator of `record` has been resumed since `Init`.
//
// Requires: the generator is suspended.
inline bool HasStarted(const LinkRecord* record);

// Keeps the shadow stack of a suspended generator, in words that are the resumer's while the
// generator runs.
inline void KeepShadowStack(LinkRecord* record, ShadowStack shadow_stack) {
  record->resumer.pc = shadow_stack.token;
  record->resumer.bp = shadow_stack.empty_token;
}

// Returns: the shadow stack that `KeepShadowStack` was called with.
//
// Requires: the generator has been suspended since.
inline ShadowStack ShadowStackOf(const LinkRecord* record) {
  return {record->resumer.pc, record->resumer.bp};
}
#endif

// Returns: the distance from `address` down to the stack pointer of the calling function, in bytes.
//   It wraps around if the stack pointer is above.
[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address);

// Saves the side `kLeft`, which is the calling function's, and continues the other side of `record`
// with `word` and, unless `kCancels`, `record`.
//
// Returns: the message of the switch back, with either of whose records a caller need not keep
//   `record` across the switch.
template <Side kLeft, bool kCancels = false>
[[gnu::always_inline]] inline Arrival Switch(uintptr_t word, LinkRecord* record);

// Tells GCC that a switch which returned `word` may have run any function. GCC takes "memory" in a
// statement's clobbers as less than that: callers of a function that switches could keep their
// copies of the file's static variables, if the function calls nothing else (-fipa-reference).
//
// The condition is always false. GCC finds that out only after it has analysed the calls between
// functions, and so this is no instruction.
[[gnu::always_inline]] inline void MayHaveRunAnything([[maybe_unused]] uintptr_t word) {
#if !defined(__clang__)
  if (__builtin_constant_p(word)) reinterpret_cast<void (*)()>(word)();
#endif
}

// As `Resume` and `Cancel` below, for callers that call `Close` at once: until then, `Closed` is as
// while the generator runs.
[[gnu::always_inline]] inline Arrival ResumeAndLeaveOpen(uintptr_t word, LinkRecord* record) {
  const Arrival arrival = Switch<Side::kResumer>(word, record);
  MayHaveRunAnything(arrival.message.word);
  return arrival;
}
[[gnu::always_inline]] inline Message CancelAndLeaveOpen(LinkRecord* record) {
  const Message message = Switch<Side::kResumer, /*kCancels=*/true>(0, record).message;
  MayHaveRunAnything(message.word);
  return message;
}

// Runs the generator of `record` until it suspends or finishes. Its message is `word` and `record`.
//
// Requires: the generator is suspended.
// Returns: the message of its `Suspend` or `Finish`.
[[gnu::always_inline]] inline Message Resume(uintptr_t word, LinkRecord* record) {
  const Message message = ResumeAndLeaveOpen(word, record).message;
  record->resumer.sp = nullptr;
  return message;
}

// Like `Resume`, but tells the generator that it is being destroyed: its message has no record.
[[gnu::always_inline]] inline Message Cancel(LinkRecord* record) {
  const Message message = CancelAndLeaveOpen(record);
  record->resumer.sp = nullptr;
  return message;
}

// Returns control to the resumer of `record`. Its message is `word` and `record`.
//
// Requires: the calling function runs on the stack of `record`.
// Returns: the message of the next `Resume` or `Cancel`.
[[gnu::always_inline]] inline Message Suspend(uintptr_t word, LinkRecord* record) {
  const Message message = Switch<Side::kGenerator>(word, record).message;
  MayHaveRunAnything(message.word);
  return message;
}

// Returns control to the resumer of `record` for the last time. Its message is `word` and no
// record.
//
// Requires: as `Suspend`. The generator must not be resumed again.
[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record);

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_LINK_RECORD_H_
