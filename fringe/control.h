// What a generator keeps at the base of its own stack, and the two sides of a resume in terms of it.
// Not for users: `Generator` and `Yielder` are the interface.

#ifndef FRINGE_CONTROL_H_
#define FRINGE_CONTROL_H_

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"
#include "fringe/config.h"
#include "fringe/exception_state.h"
#include "fringe/fatal.h"
#include "fringe/watch.h"

#if FRINGE_EXCEPTIONS
#include <exception>
#endif

namespace fringe::internal {
inline namespace FRINGE_ABI {

class Control;

#if FRINGE_EXCEPTIONS
// What `Suspend` throws in a generator that is being destroyed. `owner` tells it from one that a body
// has kept and thrown again elsewhere.
struct ForcedUnwind {
  const Control* owner;
};
#endif

// The highest bytes of a generator's stack. A word handed over in either direction is null only to
// say the end: to the generator, that it is being destroyed; to the resumer, that it has finished.
//
//   base      ............................................
//             link record                      (arch::LinkRecord)
//             the rest of Control
//             the body                         (placed by Generator)
//             frames of the generator
//   limit     ............................................
class alignas(arch::LinkRecord) Control {
 public:
  enum class State : uint32_t {
    kSuspended,           // outside every handler: the only state in which the fast path resumes
    kSuspendedInHandler,  // with an exception state to be restored
    kRunning,             // or waiting for a generator that it has resumed
    kFinished,
  };

  // How many bytes are left at least for the generator's frames.
  static constexpr size_t kMinimumFrameBytes = 256;

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
    const size_t needed_bytes = sizeof(Control) + slack_bytes + kMinimumFrameBytes;
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
        watch_(limit, base) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control() = default;

  // Lets the first `Resume` call `entry` on the stack below `sp`.
  void Start(std::byte* sp, arch::Entry entry) { arch::Init(&record_, sp, entry); }

  static Control* Of(arch::LinkRecord* record) {
    static_assert(offsetof(Control, record_) + sizeof(arch::LinkRecord) == sizeof(Control));
    return reinterpret_cast<Control*>(reinterpret_cast<std::byte*>(record + 1) - sizeof(Control));
  }

  bool is_suspended() const {
    return state_ == State::kSuspended || state_ == State::kSuspendedInHandler;
  }
  bool is_finished() const { return state_ == State::kFinished; }

  // Runs the generator until it suspends or finishes. Called on the resumer's side.
  //
  // Returns: the word of its `Suspend`; null once it has finished.
  [[gnu::always_inline]] void* Resume(void* word) {
#if FRINGE_EXCEPTIONS
    ExceptionState* const thread_state = ThreadExceptionState();
    if (state_ != State::kSuspended || !thread_state->empty()) [[unlikely]] {
      return ResumeUnusual(word);
    }
    word = Switch(word);
    if (!thread_state->empty()) [[unlikely]] {
      SetAside(thread_state);
    }
    return word;
#else
    if (state_ != State::kSuspended) [[unlikely]] {
      return ResumeUnusual(word);
    }
    return Switch(word);
#endif
  }

  // Runs something that does not suspend, once and to its end, with the exception state of its caller.
  void Call(void* word) {
    Switch(word);
    state_ = State::kFinished;
  }

  // Goes back to the resumer until the next resume. Called on the generator's side.
  //
  // Returns: the word of that resume.
  [[gnu::always_inline]] void* Suspend(void* word) {
    // Unsigned: an address above this object wraps around and is too far away as well.
    if (static_cast<size_t>(reinterpret_cast<std::byte*>(this) - arch::StackPointer()) >
        size_bytes_) [[unlikely]] {
      fringe_fatal("a generator suspends only from its own body, on its own stack, while it runs.");
    }
    watch_.BeforeSuspend();
    word = arch::Suspend(word, &record_);
    watch_.AfterSuspend();
    if (word == nullptr) [[unlikely]] {
      Unwind();
    }
    return word;
  }

  // Begins the generator's side: called once, first, by its entry.
  void AtStart() { watch_.AfterSuspend(); }

  // Ends the generator's side: nothing on its stack is used any more.
  [[noreturn]] void Finish() {
    watch_.BeforeFinish();
    arch::Suspend(nullptr, &record_);
    __builtin_unreachable();
  }

  // Unwinds the generator if it is unfinished. Called on the resumer's side.
  void Cancel() {
    if (state_ == State::kFinished) return;
    if (state_ == State::kRunning) {
      fringe_fatal("a generator is not destroyed from inside itself.");
    }
    for (int i = 0; i < kMaximumUnwinds; ++i) {
      if (Resume(nullptr) == nullptr) {
        Finished();
        return;
      }
    }
    fringe_fatal(
        "a catch (...) in a generator that is being destroyed must rethrow, not suspend again.");
  }

  // Called on the resumer's side when `Resume` has returned null: rethrows what has left the body.
  void Finished() {
    state_ = State::kFinished;
#if FRINGE_EXCEPTIONS
    if (exception_ != nullptr) [[unlikely]] {
      std::exception_ptr exception = std::move(exception_);
      exception_ = nullptr;
      std::rethrow_exception(std::move(exception));
    }
#endif
  }

#if FRINGE_EXCEPTIONS
  // Keeps the exception that is being handled for the resumer. Called on the generator's side.
  void CatchCurrentException() { exception_ = std::current_exception(); }
#endif

 private:
  // How often `Cancel` throws into a generator that goes on.
  static constexpr int kMaximumUnwinds = 16;

  [[gnu::always_inline]] void* Switch(void* word) {
    state_ = State::kRunning;
    watch_.BeforeResume();
    word = arch::Resume(word, &record_);
    watch_.AfterResume();
    state_ = State::kSuspended;
    return word;
  }

  // `Resume` off the fast path.
  [[gnu::noinline, gnu::cold]] void* ResumeUnusual(void* word) {
    if (state_ == State::kFinished) return nullptr;
    if (state_ == State::kRunning) {
      fringe_fatal("a generator is not resumed while it runs, neither by itself nor by what it resumes.");
    }
#if FRINGE_EXCEPTIONS
    ExceptionState* const thread_state = InitThreadExceptionState();
    const ExceptionState resumer_state = *thread_state;
    *thread_state = exception_state_;
    exception_state_ = {};
    word = Switch(word);
    if (!thread_state->empty()) SetAside(thread_state);
    *thread_state = resumer_state;
#endif
    return word;
  }

  // What `Suspend` does in a generator that is being destroyed.
  [[noreturn, gnu::noinline, gnu::cold]] void Unwind() {
#if FRINGE_EXCEPTIONS
    throw ForcedUnwind{this};
#else
    fringe_fatal(
        "an unfinished generator is destroyed by an exception in its body, and exceptions are off: "
        "run it to its end, or give it up with UnsafeUnwrap.");
#endif
  }

#if FRINGE_EXCEPTIONS
  // Takes the exception state of a generator that has suspended in a handler out of the thread.
  [[gnu::noinline, gnu::cold]] void SetAside(ExceptionState* thread_state) {
    exception_state_ = *thread_state;
    *thread_state = {};
    state_ = State::kSuspendedInHandler;
  }

  ExceptionState exception_state_;  // while suspended in a handler
  std::exception_ptr exception_;    // what has left the body, until `Finished`
#endif
  State state_ = State::kSuspended;
  const size_t size_bytes_;  // from limit up to this object
  [[no_unique_address]] Watch watch_;
  arch::LinkRecord record_;
};

}  // namespace FRINGE_ABI
}  // namespace fringe::internal

#endif  // FRINGE_CONTROL_H_
