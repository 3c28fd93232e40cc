// The control block at the base of a generator's stack, and both sides of a resume. Not for users:
// `Generator` and `Yielder` are the interface.

#ifndef FRINGE_CONTROL_H_
#define FRINGE_CONTROL_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "../arch/arch.h"
#include "../arch/fatal.h"
#include "../arch/shadow_stack.h"
#include "caught_exception.h"
#include "config.h"
#include "exception_state.h"
#include "forced_unwind.h"
#include "sanitizer_hooks.h"

#if __STDC_HOSTED__
#include "../stacks/exiting.h"
#endif
#if FRINGE_EXCEPTIONS
#include <memory>
#include <new>
#endif

namespace fringe::internal {
inline namespace FRINGE_ABI {

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
  // Returns: the address of the `Control` on the stack from `limit` to `base`.
  // Errors: fatal if the stack is not aligned, or too small for it and a body of that size and
  //   alignment.
  static std::byte* Place(std::byte* limit, std::byte* base, size_t body_bytes,
                          size_t body_alignment) {
    const auto base_address = reinterpret_cast<uintptr_t>(base);
    if (base_address % arch::kStackAlignment != 0) [[unlikely]] {
      fringe_fatal("the stack's base must be aligned to kStackAlignment.");
    }
    // Padding is counted at its maximum, so that the same size is large enough at every address.
    const size_t slack_bytes = alignof(Control) + body_alignment + arch::kStackAlignment;
    const auto needed_bytes =
        static_cast<ptrdiff_t>(sizeof(Control) + slack_bytes + arch::kMinimumFrameBytes);
    // Signed, so that one comparison also finds a limit above the base.
    const auto stack_bytes =
        static_cast<ptrdiff_t>(base_address - reinterpret_cast<uintptr_t>(limit));
    if (stack_bytes < needed_bytes ||
        stack_bytes - needed_bytes < static_cast<ptrdiff_t>(body_bytes)) [[unlikely]] {
      fringe_fatal("the stack is too small for the generator's body and its frames.");
    }
    return AlignDown(base, alignof(Control)) - sizeof(Control);
  }

  // Returns: the address of the body, below the `Control` at `place`.
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

  // Lets the first `Resume` call `entry` on the stack below `sp`, which ends at `base`.
  //
  // Errors: fatal if the thread runs with a hardware shadow stack that is not supported.
  void Start(std::byte* sp, arch::Entry entry, std::byte* base) {
    if (MustPrepare()) [[unlikely]] {
      Prepare(base);
    }
    arch::Init(&record_, sp, entry);
    if constexpr (FRINGE_MODE != 0) arch::Close(&record_, OpenValue());
  }

  arch::LinkRecord* record() { return &record_; }

  static Control* Of(arch::LinkRecord* record) {
    static_assert(offsetof(Control, record_) == 0);
    return reinterpret_cast<Control*>(record);
  }

  bool is_suspended() const {
    const uintptr_t closed = arch::Closed(&record_);
    if (closed == OpenValue() || closed == kInHandler || HasShadowStack()) return true;
    CheckMode();
    return false;
  }
  bool is_finished() const {
    if (arch::Closed(&record_) == kFinished) return true;
    CheckMode();
    return false;
  }

  // Fatal if code of another mode has created the generator, unless it is running.
  [[gnu::noinline]] void CheckMode() const {
    const uintptr_t closed = arch::Closed(&record_);
    uintptr_t mode = FRINGE_MODE;
    if (closed == 0) {
      mode = 0;
    } else if (closed == reinterpret_cast<uintptr_t>(&record_)) {
      mode = 1;
    } else if (closed < kReasons * kModes) {
      mode = closed / kReasons;
    }
    if (FRINGE_SHADOW_STACKS && mode == kShadowedMode) return;
    if (mode != FRINGE_MODE) FailInOtherMode();
  }

  // Runs the generator until it suspends or finishes. Called by the resumer.
  //
  // Returns: the word passed to `Suspend`, or a message without a record once it has finished.
  // Errors: rethrows the exception that has left the body, if any.
  [[gnu::always_inline]] arch::Message Resume(uintptr_t word) {
    ExceptionState* const thread_state = ThreadExceptionState();
    if (!CanResumeFast(thread_state->bits())) [[unlikely]] {
      return ResumeSlow(word);
    }
    sanitizer_hooks_.BeforeResume();
    const auto [message, ended_record] = arch::ResumeAndLeaveOpen(word, &record_);
    // `this` is the control block of either record. It is not used again, because keeping it across
    // the switch costs a register or a store, and a load that waits for the stack pointer.
    if (message.record == nullptr) [[unlikely]] {
      Of(ended_record)->sanitizer_hooks_.AfterResume();
      // The generator's handlers have ended too, so the thread's exception state is empty.
      Of(ended_record)->Finished(message.word);
      return message;
    }
    return {Of(message.record)->Suspended(message.word, AfterSwitch(thread_state)), message.record};
  }

  // As `Resume`, for a loop that ends when the generator has finished.
  [[gnu::always_inline]] arch::Message ResumeInLoop(uintptr_t word) {
#if defined(__clang__)
    // Asks for the end last, so that the loop asks once: one to three instructions less than
    // `Resume`.
    ExceptionState* const thread_state = ThreadExceptionState();
    arch::Message message;
    if (!CanResumeFast(thread_state->bits())) [[unlikely]] {
      message = ResumeSlow(word);
    } else {
      sanitizer_hooks_.BeforeResume();
      message = arch::ResumeAndLeaveOpen(word, &record_).message;
      message.word = Suspended(message.word, thread_state);
    }
    if (message.record == nullptr) [[unlikely]] {
      Finished(message.word);
    }
    return message;
#else
    return Resume(word);
#endif
  }

  // Runs the generator once, from its start to its end, with the exception state of the caller. It
  // must not suspend.
  //
  // Returns: the word passed to `Finish`.
  uintptr_t Call(uintptr_t word) {
    word = SwitchBoth(word).word;
    arch::Close(&record_, kFinished);
    if (IsWatched()) [[unlikely]] {
      EndWatch();
    }
    return word;
  }

  // Passes `word` to the resumer and waits for the next resume. Called by the generator.
  //
  // Returns: the word of that resume, or a message without a record if the generator is being
  //   destroyed.
  [[gnu::always_inline]] arch::Message TrySuspend(uintptr_t word) {
    // Not `[[unlikely]]`, which GCC takes for once in ten times. It expects a call that does not
    // return less often, and so more rounds of a loop that suspends.
    if ((FRINGE_MODE > 1 && !SuspendsInThisMode()) || arch::StackBytesBelow(this) > size_bytes_) {
      FailToSuspend();
    }
    sanitizer_hooks_.BeforeSuspend();
    const arch::Message message = arch::Suspend(word, &record_);
    sanitizer_hooks_.AfterSuspend();
    return message;
  }

  // As `TrySuspend`, but unwinds the generator if it is being destroyed.
  //
  // Returns: the word of the next resume.
  [[gnu::always_inline]] uintptr_t Suspend(uintptr_t word) {
    const arch::Message message = TrySuspend(word);
    if (message.record == nullptr) {
      Unwind();
    }
    return message.word;
  }

  // Begins the generator's side: the first call that its entry makes.
  void AtStart() { sanitizer_hooks_.AfterSuspend(); }

  // Ends the generator's side. Its stack is not used after this.
  //
  // `word` is 0, or the return value of `CatchCurrentException`.
  [[noreturn, gnu::always_inline]] void Finish(uintptr_t word) {
    sanitizer_hooks_.BeforeFinish();
    arch::Finish(word, &record_);
  }

  // Ends the life of the generator, which is unwound if it is unfinished. Called by the resumer.
  //
  // Returns: true. False if the generator is running and its body has called `exit`: then the
  //   generator and its stack must be left as they are.
  [[gnu::always_inline]] bool End() {
    return arch::Closed(&record_) == UnwatchedEnd() || EndSlow();
  }

  // Releases what a generator that is abandoned at its current point has, apart from its stack.
  void Abandon() {
    CheckMode();
#if FRINGE_SHADOW_STACKS
    if (HasShadowStack()) {
      fringe_release_shadow_stack(arch::ShadowStackOf(&record_), size_bytes_);
    }
#endif
    if (IsWatched()) [[unlikely]] {
      EndWatch();
    }
  }

#if FRINGE_EXCEPTIONS
  // Keeps the exception that is being handled for the resumer. Called by the generator.
  //
  // Returns: the word to finish with. Only destructors may run before that.
  uintptr_t CatchCurrentException() {
    new (&exception_) CaughtException(CaughtException::Take());
    return 1;
  }

  // Whether the `ForcedUnwind` that is being handled was thrown by `Unwind` here. Its owner's
  // address alone does not tell: an earlier generator on the same stack had the same.
  bool IsUnwound() const { return unwinds_ && IsForcedUnwindOf(this); }
#endif

  // How many bytes `IsRunningAt` reads.
  static constexpr size_t kReadBytes = sizeof(arch::LinkRecord) + 3 * sizeof(uintptr_t);

  // Whether `place` has a `Control` of any mode, `size_bytes` above the limit, whose generator is
  // running. For overflow.cc, which searches memory of any contents for it.
#if defined(__linux__)
  __attribute__((no_sanitize("address", "thread", "undefined"))) static bool IsRunningAt(
      const void* place, size_t size_bytes) {
    static_assert(offsetof(Control, size_bytes_) ==
                  sizeof(arch::LinkRecord) + kWordsBeforeSize * sizeof(uintptr_t));
    const auto* const record = static_cast<const arch::LinkRecord*>(place);
    const auto* const words = reinterpret_cast<const uintptr_t*>(record + 1);
    const bool fits = words[0] != 0        ? words[0] == size_bytes && words[1] <= 1
                      : words[1] >= kModes ? words[1] == size_bytes
                                           : words[1] > 1 && words[2] == size_bytes;
    // As `arch::Closed`, which sanitizers check.
    const auto closed = reinterpret_cast<uintptr_t>(record->resumer.sp);
    return fits && closed >= kReasons * kModes && closed != reinterpret_cast<uintptr_t>(record);
  }
#endif

 private:
  // The record of a generator that is not running is closed with one of `kReasons` numbers of the
  // mode, or with one of the special values of `OpenValue`.
  static constexpr uintptr_t kModes = 16;  // FRINGE_MODE and kShadowedMode are less
  static constexpr uintptr_t kReasons = 4;
  // Between the record and `size_bytes_`, as `IsRunningAt` and tools/generator_memory.py expect.
  static constexpr size_t kWordsBeforeSize = FRINGE_MODE < 2 ? FRINGE_MODE : 2;

  // How many times `Cancel` resumes a generator that suspends again.
  static constexpr int kMaximumUnwinds = 16;

  // The reasons for which the record is closed.
  static constexpr uintptr_t kFinished = 1 + kReasons * FRINGE_MODE;
  // Suspended, with an exception state to be restored.
  static constexpr uintptr_t kInHandler = 2 + kReasons * FRINGE_MODE;
  // Suspended, with a shadow stack, whose words the record keeps. A resume by code that has no
  // support for shadow stacks finds another mode.
  static constexpr uintptr_t kShadowedMode = 8 + FRINGE_MODE;
  static constexpr uintptr_t kShadowed = 3 + kReasons * kShadowedMode;
  static constexpr uintptr_t kShadowedInHandler = 2 + kReasons * kShadowedMode;

  // Returns: the value of `Closed` while the generator is suspended. It differs from mode to mode,
  //   so that a resume by code of another mode leaves the fast path. Both modes without a sanitizer
  //   compare with a value that costs no instruction: 0, and an address that is in a register.
  //   (AArch64 has an instruction for the first comparison only.)
  [[gnu::always_inline]] uintptr_t OpenValue() const {
    if constexpr (FRINGE_MODE == 0) return 0;
    if constexpr (FRINGE_MODE == 1) return reinterpret_cast<uintptr_t>(&record_);
    return 3 + kReasons * FRINGE_MODE;
  }

  // Returns: `kFinished`. If a tool that is found at run time watches the program, or no generator
  //   has asked yet, another number.
  static uintptr_t UnwatchedEnd() {
#if FRINGE_RUNTIME_TOOLS
    return __atomic_load_n(&tool_state.unwatched_end[FRINGE_MODE], __ATOMIC_RELAXED);
#else
    return kFinished;
#endif
  }
  static bool IsWatched() { return UnwatchedEnd() != kFinished; }

  // Whether `Prepare` has anything to do.
  static bool MustPrepare() {
#if FRINGE_SHADOW_STACKS
    return IsWatched();
#else
    return arch::ShadowStackAddressOr(UnwatchedEnd()) != kFinished;
#endif
  }

  // Does what a generator needs on some threads or under some tools only, before it is started.
  [[gnu::noinline]] void Prepare([[maybe_unused]] std::byte* base) {
#if !FRINGE_SHADOW_STACKS
    if (arch::ShadowStackIsOn()) {
      fringe_fatal(
          "generators cannot run with a hardware shadow stack in this build: compile for shadow "
          "stacks, or run the program without one.");
    }
#endif
#if FRINGE_RUNTIME_TOOLS
    std::byte* const limit = reinterpret_cast<std::byte*>(this) - size_bytes_;
    // Concurrent questions have the same answer.
    if (!sanitizer_hooks_.Register(limit, base)) {
      __atomic_store_n(&tool_state.unwatched_end[FRINGE_MODE], kFinished, __ATOMIC_RELAXED);
    }
#endif
  }

  // Requires: `IsWatched()`.
  void EndWatch() {
#if FRINGE_RUNTIME_TOOLS
    sanitizer_hooks_.Deregister();
#endif
  }

  [[noreturn]] static void FailInOtherMode() {
    fringe_fatal(
        "a generator cannot cross to code of another mode: compile both sides with the same flags "
        "for exceptions, sanitizers and shadow stacks.");
  }

  // Whether the words after the record are of this mode.
  bool SuspendsInThisMode() const {
#if FRINGE_MODE == 0
    return size_bytes_ != 0;
#elif FRINGE_MODE == 1
    return zero_ == 0 && size_bytes_ >= kModes;
#else
    return zero_ == 0 && mode_ == FRINGE_MODE;
#endif
  }

  [[noreturn, gnu::noinline]] void FailToSuspend() const {
    const Control* self = this;
    // Keeps GCC from passing the members instead, which loads them before each check.
    asm("" : "+r"(self));
    if (!self->SuspendsInThisMode()) FailInOtherMode();
    fringe_fatal(
        "Suspend must be called from the generator's own body, on its own stack, while it is "
        "running.");
  }

#if !FRINGE_EXCEPTIONS
  // Nothing is ever in it.
  struct ExceptionState {
    static uintptr_t bits() { return 0; }
  };
  static ExceptionState* ThreadExceptionState() { return nullptr; }
  static ExceptionState* AfterSwitch(ExceptionState* thread_state) { return thread_state; }
  static uintptr_t SetAside(uintptr_t word, arch::LinkRecord*, ExceptionState*) { return word; }
#else
  // Returns: `thread_state`, which is `ThreadExceptionState()` from before a switch. Where that is
  //   cheap, it asks again: to keep the address costs a store, and a load that waits for the stack
  //   pointer.
  static ExceptionState* AfterSwitch(ExceptionState* thread_state) {
    return arch::kThreadSlotIsCheap ? ThreadExceptionState() : thread_state;
  }
#endif

  // Whether the generator is suspended and nothing has to be switched except the stack.
  // `exception_bits` are those of the thread's exception state.
  [[gnu::always_inline]] bool CanResumeFast(uintptr_t exception_bits) const {
    return ((arch::Closed(&record_) ^ OpenValue()) | exception_bits) == 0 && !NeedsShadowStack();
  }

  // Notes that the generator has suspended.
  //
  // Returns: the word passed to `Suspend`.
  [[gnu::always_inline]] uintptr_t Suspended(uintptr_t word, ExceptionState* thread_state) {
    sanitizer_hooks_.AfterResume();
    arch::Close(&record_, OpenValue());
    if (thread_state->bits() != 0) [[unlikely]] {
      word = SetAside(word, &record_, thread_state);
    }
    return word;
  }

  // The record is not closed after this, as if the generator were still running.
  [[gnu::always_inline]] arch::Message Switch(uintptr_t word, bool cancels = false) {
    sanitizer_hooks_.BeforeResume();
    const arch::Message message = cancels ? arch::CancelAndLeaveOpen(&record_)
                                          : arch::ResumeAndLeaveOpen(word, &record_).message;
    sanitizer_hooks_.AfterResume();
    return message;
  }

  // Notes that the generator has finished with `word`.
  //
  // Errors: rethrows the exception that has left the body, if any.
  [[gnu::always_inline]] void Finished([[maybe_unused]] uintptr_t word) {
    arch::Close(&record_, kFinished);
#if FRINGE_EXCEPTIONS
    if (word != 0) [[unlikely]] {
      Rethrow();
    }
#endif
  }

  // Whether the generator is suspended, with a shadow stack.
  bool HasShadowStack() const {
    const uintptr_t closed = arch::Closed(&record_);
    return FRINGE_SHADOW_STACKS && (closed == kShadowed || closed == kShadowedInHandler);
  }

  // Whether a resume on this thread must switch the shadow stack too.
  [[gnu::always_inline]] static bool NeedsShadowStack() {
#if FRINGE_SHADOW_STACKS
    return arch::ShadowStackIsOnNow();
#else
    return false;
#endif
  }

  // As `Switch`, with the shadow stack of the thread if it has one. Both of its switches are on the
  // resumer's side. So the generator's side has nothing to do.
  arch::Message SwitchBoth(uintptr_t word, bool cancels = false) {
#if FRINGE_SHADOW_STACKS
    // A generator that is cancelled before its start destroys its body and finishes. That leaves
    // the resumer's shadow stack as it was.
    if (cancels && !arch::HasStarted(&record_)) return Switch(word, cancels);
    if (NeedsShadowStack()) {
      arch::ShadowStack shadow_stack =
          HasShadowStack() ? arch::ShadowStackOf(&record_) : AcquireShadowStack();
      void* const resumer_token = arch::SwitchShadowStack(shadow_stack.token);
      const arch::Message message = Switch(word, cancels);
      shadow_stack.token = arch::SwitchShadowStack(resumer_token);
      if (message.record == nullptr) {
        fringe_release_shadow_stack(shadow_stack, size_bytes_);
      } else {
        arch::KeepShadowStack(&record_, shadow_stack);
        arch::Close(&record_, kShadowed);
      }
      return message;
    }
    if (HasShadowStack()) [[unlikely]] {
      fringe_fatal(
          "a generator that was started with a hardware shadow stack cannot continue without one: "
          "turn it on in every thread.");
    }
#endif
    const arch::Message message = Switch(word, cancels);
    arch::Close(&record_, OpenValue());
    return message;
  }

#if FRINGE_SHADOW_STACKS
  // Returns: a shadow stack for a generator that has none.
  arch::ShadowStack AcquireShadowStack() {
    if (arch::HasStarted(&record_)) {
      fringe_fatal(
          "a generator that was started without a hardware shadow stack cannot continue with one: "
          "turn it on before the first generator is resumed.");
    }
    void* const token = fringe_acquire_shadow_stack(size_bytes_);
    if (token == nullptr) {
      fringe_fatal(
          "map_shadow_stack failed for a generator: destroy other generators, or raise the limits "
          "of memory and vm.max_map_count.");
    }
    return {token, token};
  }
#endif

  // `End` off the fast path. Cold, as `Rethrow` is, because GCC otherwise reaches the fast end by
  // one more jump.
  [[gnu::noinline, gnu::cold]] bool EndSlow() {
    if (!is_finished() && !CancelUnfinished()) return false;
    if (IsWatched()) EndWatch();
    return true;
  }

  bool CancelUnfinished() {
    if (!is_suspended()) {
#if __STDC_HOSTED__
      if (ProcessIsExiting()) return false;
#endif
      fringe_fatal("a generator cannot be destroyed while it is running.");
    }
    for (int i = 0; i < kMaximumUnwinds; ++i) {
      const arch::Message message = ResumeSlow(0, /*cancels=*/true);
      if (message.record == nullptr) return true;
    }
    fringe_fatal(
        "a generator that is being destroyed cannot go on suspending: a catch (...) must rethrow, "
        "and a body must return when TrySuspend says so.");
  }

  // `Resume` off the fast path, and the only way to cancel.
  [[gnu::noinline]] arch::Message ResumeSlow(uintptr_t word, bool cancels = false) {
    if (is_finished()) return {0, nullptr};
    if (!is_suspended()) {
      fringe_fatal(
          "a running generator cannot be resumed, by itself or by a generator it has resumed.");
    }
#if FRINGE_EXCEPTIONS
    ExceptionState* const thread_state = InitThreadExceptionState();
    const ExceptionState resumer_state = *thread_state;
    const uintptr_t closed = arch::Closed(&record_);
    *thread_state = closed == kInHandler || (FRINGE_SHADOW_STACKS && closed == kShadowedInHandler)
                        ? exception_state_
                        : ExceptionState();
    arch::Message message = SwitchBoth(word, cancels);
    if (message.record != nullptr && thread_state->bits() != 0) {
      message.word = SetAside(message.word, message.record, thread_state);
    }
    *thread_state = resumer_state;
#else
    const arch::Message message = SwitchBoth(word, cancels);
#endif
    if (message.record == nullptr) Finished(message.word);
    return message;
  }

  // `Suspend` in a generator that is being destroyed.
  [[noreturn, gnu::noinline]] void Unwind() {
#if FRINGE_EXCEPTIONS
    unwinds_ = 1;
    ThrowForcedUnwind(this);
#else
    fringe_fatal(
        "an unfinished generator cannot be destroyed with -fno-exceptions: run it to its end, "
        "suspend by TrySuspend, or call UnsafeUnwrap.");
#endif
  }

#if FRINGE_EXCEPTIONS
  // Moves the exception state of a generator that has suspended in a handler out of the thread.
  //
  // Returns: `word`, so that the fast path need not keep it across the call.
  [[gnu::noinline]] static uintptr_t SetAside(uintptr_t word, arch::LinkRecord* record,
                                              ExceptionState* thread_state) {
    Of(record)->exception_state_ = std::exchange(*thread_state, {});
    const bool is_shadowed = FRINGE_SHADOW_STACKS && arch::Closed(record) == kShadowed;
    arch::Close(record, is_shadowed ? kShadowedInHandler : kInHandler);
    return word;
  }

  [[noreturn, gnu::noinline, gnu::cold]] void Rethrow() {
    CaughtException exception = std::move(exception_);
    std::destroy_at(&exception_);
    std::move(exception).Rethrow();
  }
#endif

  arch::LinkRecord record_;
  // The modes without a sanitizer find the size in a word that is less than any size in the other
  // mode. So a suspension by code of another mode fails the check of the stack pointer.
#if FRINGE_MODE == 0
  const size_t size_bytes_;  // from limit up to this object
  uintptr_t unwinds_ = 0;    // whether `Unwind` has been called: 0 or 1, where mode 1 has the size
#elif FRINGE_MODE == 1
  const uintptr_t zero_ = 0;  // where mode 0 has the size
  const size_t size_bytes_;
#else
  const uintptr_t zero_ = 0;
  const uintptr_t mode_ = FRINGE_MODE;
  const size_t size_bytes_;
#if FRINGE_EXCEPTIONS
  uintptr_t unwinds_ = 0;
#endif
#endif
#if FRINGE_EXCEPTIONS
  // Initialized lazily: a generator may live for a few nanoseconds only.
  union {
    ExceptionState exception_state_;  // in `kInHandler`
    CaughtException exception_;       // the one that has left the body, until `Rethrow`
  };
#endif
  [[no_unique_address]] SanitizerHooks sanitizer_hooks_;
};

}  // namespace FRINGE_ABI
}  // namespace fringe::internal

#endif  // FRINGE_CONTROL_H_
