// What a generator keeps at the base of its own stack, and the two sides of a resume in terms of
// it. Not for users: `Generator` and `Yielder` are the interface.

#ifndef FRINGE_CONTROL_H_
#define FRINGE_CONTROL_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "../arch/arch.h"
#include "../arch/fatal.h"
#include "../arch/shadow_stack.h"
#include "config.h"
#include "exception_state.h"
#include "sanitizer_hooks.h"

#if FRINGE_EXCEPTIONS
#include <exception>
#include <memory>
#include <new>
#endif

namespace fringe::internal {
inline namespace FRINGE_ABI {

class Control;

#if FRINGE_EXCEPTIONS
// What `Suspend` throws in a generator that is being destroyed. `owner` tells it from one that a
// body has kept and thrown again elsewhere.
struct ForcedUnwind {
  const Control* owner;
};
#endif

// The highest bytes of a generator's stack.
//
//   base      ............................................
//             the rest of Control
//   Control   link record                      (arch::LinkRecord)
//             the body                         (placed by Generator)
//             frames of the generator
//   limit     ............................................
class alignas(arch::LinkRecord) Control {
 public:
  // Returns: where a `Control` goes on the stack from `limit` to `base`.
  // Errors: fatal where the stack is not aligned, or too small for it and a body of that size and
  //   alignment.
  static std::byte* Place(std::byte* limit, std::byte* base, size_t body_bytes,
                          size_t body_alignment) {
    const auto base_address = reinterpret_cast<uintptr_t>(base);
    if (base_address % arch::kStackAlignment != 0) [[unlikely]] {
      fringe_fatal("a stack's base is aligned to kStackAlignment.");
    }
    // The bytes that alignment may take, rather than those it does take: whether a stack is large
    // enough does not depend on where it lies.
    const size_t slack_bytes = alignof(Control) + body_alignment + arch::kStackAlignment;
    const size_t needed_bytes = sizeof(Control) + slack_bytes + arch::kMinimumFrameBytes;
    const auto limit_address = reinterpret_cast<uintptr_t>(limit);
    if (limit_address > base_address || base_address - limit_address < needed_bytes ||
        base_address - limit_address - needed_bytes < body_bytes) [[unlikely]] {
      fringe_fatal("a stack is large enough for the generator's body and its frames.");
    }
    return AlignDown(base, alignof(Control)) - sizeof(Control);
  }

  // Returns: where the body goes below the `Control` at `place`.
  static std::byte* BodyPlace(std::byte* place, size_t body_bytes, size_t body_alignment) {
    return AlignDown(place - body_bytes, body_alignment);
  }

  static std::byte* AlignDown(std::byte* address, size_t alignment) {
    return address - reinterpret_cast<uintptr_t>(address) % alignment;
  }

  Control(std::byte* limit, std::byte* base)
      : size_bytes_(static_cast<size_t>(reinterpret_cast<std::byte*>(this) - limit)),
        sanitizer_hooks_(limit, base) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control() {}

  // Lets the first `Resume` call `entry` on the stack below `sp`.
  //
  // Errors: fatal where the CPU keeps a shadow stack.
  void Start(std::byte* sp, arch::Entry entry) {
    if (arch::ShadowStackIsOn()) [[unlikely]] {
      fringe_fatal(
          "generators do not run beside a shadow stack of the CPU, which a switch does not change: "
          "run the program without one.");
    }
    arch::Init(&record_, sp, entry);
  }

  static Control* Of(arch::LinkRecord* record) {
    static_assert(offsetof(Control, record_) == 0);
    return reinterpret_cast<Control*>(record);
  }

  bool is_suspended() const {
    return arch::Closed(&record_) == 0 || arch::Closed(&record_) == kInHandler;
  }
  bool is_finished() const { return arch::Closed(&record_) == kFinished; }

  // Runs the generator until it suspends or finishes. Called on the resumer's side.
  //
  // Returns: what it hands to `Suspend`; a message without a record once it has finished.
  [[gnu::always_inline]] arch::Message Resume(uintptr_t word) {
#if FRINGE_EXCEPTIONS
    ExceptionState* const thread_state = ThreadExceptionState();
    if ((arch::Closed(&record_) | thread_state->any()) != 0) [[unlikely]] {
      return ResumeUnusual(word);
    }
    const arch::Message message = Switch(word);
    if (thread_state->any() != 0) [[unlikely]] {
      return SetAside(message, thread_state);
    }
    return message;
#else
    if (arch::Closed(&record_) != 0) [[unlikely]] {
      return ResumeUnusual(word);
    }
    return Switch(word);
#endif
  }

  // Runs something that does not suspend, once and to its end, with the exception state of its
  // caller.
  void Call(uintptr_t word) { Switch(word); }

  // Hands `word` to the resumer and waits for the next resume. Called on the generator's side.
  //
  // Returns: the word of that resume.
  [[gnu::always_inline]] uintptr_t Suspend(uintptr_t word) {
    if (arch::StackBytesBelow(this) > size_bytes_) [[unlikely]] {
      fringe_fatal("a generator suspends only from its own body, on its own stack, while it runs.");
    }
    sanitizer_hooks_.BeforeSuspend();
    const arch::Message message = arch::Suspend(word, &record_);
    sanitizer_hooks_.AfterSuspend();
    if (message.record == nullptr) [[unlikely]] {
      Unwind();
    }
    return message.word;
  }

  // Begins the generator's side: called once, first, by its entry.
  void AtStart() { sanitizer_hooks_.AfterSuspend(); }

  // Ends the generator's side: nothing on its stack is used any more.
  //
  // `word` is 0, or what `CatchCurrentException` has returned.
  [[noreturn, gnu::always_inline]] void Finish(uintptr_t word) {
    sanitizer_hooks_.BeforeFinish();
    arch::Finish(word, &record_);
  }

  // Unwinds the generator if it is unfinished. Called on the resumer's side.
  void Cancel() {
    if (!is_finished()) CancelUnfinished();
  }

  // Called on the resumer's side when `Resume` has returned `word` and no record: rethrows what has
  // left the body.
  void Finished([[maybe_unused]] uintptr_t word) {
    arch::Close(&record_, kFinished);
#if FRINGE_EXCEPTIONS
    if (word != 0) [[unlikely]] {
      Rethrow();
    }
#endif
  }

#if FRINGE_EXCEPTIONS
  // Keeps the exception that is being handled for the resumer. Called on the generator's side.
  //
  // Returns: the word to finish with, after nothing but destructors.
  uintptr_t CatchCurrentException() {
    new (&exception_) std::exception_ptr(std::current_exception());
    return 1;
  }

  // Whether `unwind` is what `Unwind` has thrown here. The address alone does not tell: it may be
  // that of an earlier generator on the same stack.
  bool IsUnwoundBy(const ForcedUnwind& unwind) const { return unwinds_ && unwind.owner == this; }
#endif

 private:
  // How often `Cancel` throws into a generator that goes on.
  static constexpr int kMaximumUnwinds = 16;

  // What the record is closed with.
  static constexpr uintptr_t kFinished = 1;
  static constexpr uintptr_t kInHandler = 2;  // suspended, with an exception state to be restored

  [[gnu::always_inline]] arch::Message Switch(uintptr_t word, bool cancels = false) {
    sanitizer_hooks_.BeforeResume();
    const arch::Message message = cancels ? arch::Cancel(&record_) : arch::Resume(word, &record_);
    sanitizer_hooks_.AfterResume();
    return message;
  }

  [[gnu::noinline]] void CancelUnfinished() {
    if (!is_suspended()) fringe_fatal("a generator is not destroyed from inside itself.");
    for (int i = 0; i < kMaximumUnwinds; ++i) {
      const arch::Message message = ResumeUnusual(0, /*cancels=*/true);
      if (message.record == nullptr) return Finished(message.word);
    }
    fringe_fatal(
        "a catch (...) in a generator that is being destroyed must rethrow, not suspend again.");
  }

  // `Resume` off the fast path, or with the word of the end.
  [[gnu::noinline]] arch::Message ResumeUnusual(uintptr_t word, bool cancels = false) {
    if (is_finished()) return {0, nullptr};
    if (!is_suspended()) {
      fringe_fatal(
          "a generator is not resumed while it runs, neither by itself nor by what it resumes.");
    }
#if FRINGE_EXCEPTIONS
    ExceptionState* const thread_state = InitThreadExceptionState();
    const ExceptionState resumer_state = *thread_state;
    *thread_state = arch::Closed(&record_) == kInHandler ? exception_state_ : ExceptionState();
    arch::Message message = Switch(word, cancels);
    if (thread_state->any() != 0) message = SetAside(message, thread_state);
    *thread_state = resumer_state;
    return message;
#else
    return Switch(word, cancels);
#endif
  }

  // What `Suspend` does in a generator that is being destroyed.
  [[noreturn, gnu::noinline]] void Unwind() {
#if FRINGE_EXCEPTIONS
    unwinds_ = true;
    throw ForcedUnwind{this};
#else
    fringe_fatal(
        "an unfinished generator is destroyed by an exception in its body, and exceptions are off: "
        "run it to its end, or give it up with UnsafeUnwrap.");
#endif
  }

#if FRINGE_EXCEPTIONS
  // Takes the exception state of a generator that has suspended in a handler out of the thread.
  //
  // Returns: `message`, so that the fast path need not keep it across the call.
  [[gnu::noinline]] arch::Message SetAside(arch::Message message, ExceptionState* thread_state) {
    exception_state_ = std::exchange(*thread_state, {});
    arch::Close(&record_, kInHandler);
    return message;
  }

  [[noreturn, gnu::noinline]] void Rethrow() {
    std::exception_ptr exception = std::move(exception_);
    std::destroy_at(&exception_);
    std::rethrow_exception(std::move(exception));
  }
#endif

  arch::LinkRecord record_;
  const size_t size_bytes_;  // from limit up to this object
#if FRINGE_EXCEPTIONS
  bool unwinds_ = false;  // whether `Unwind` has been called
  // Neither is set before it is needed: a generator may live for some nanoseconds.
  union {
    ExceptionState exception_state_;  // in `kInHandler`
    std::exception_ptr exception_;    // what has left the body, until `Finished`
  };
#endif
  [[no_unique_address]] SanitizerHooks sanitizer_hooks_;
};

}  // namespace FRINGE_ABI
}  // namespace fringe::internal

#endif  // FRINGE_CONTROL_H_
