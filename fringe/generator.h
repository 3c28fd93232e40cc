// Stackful generators: functions that run on their own stack and suspend from any depth of calls.
// Each time they suspend they pass a value to the resumer.
//
//   auto gen = fringe::MakeGenerator<int>([](auto& yielder) {
//     for (int i = 1; i < 4; ++i) yielder.Suspend(i);
//   });
//   while (std::optional<int> i = gen.Resume()) std::cout << *i << "\n";   // 1 2 3

#ifndef FRINGE_GENERATOR_H_
#define FRINGE_GENERATOR_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include "../arch/arch.h"
#include "../arch/fatal.h"
#include "../stacks/stack.h"
#include "config.h"
#include "control.h"

#if FRINGE_DEFAULT_STACK
#include "../stacks/default_stack.h"
#elif !__STDC_HOSTED__
namespace fringe {
class DefaultStack;
}
#endif

namespace fringe {

// Whether a generator can be resumed.
enum class State {
  kRunnable,     // can be resumed
  kUnavailable,  // has returned, has thrown, is running, or was moved from
};

namespace internal {
inline namespace FRINGE_ABI {

struct Nothing {};

// `T` as the type of a parameter, which cannot be void.
template <typename T>
using Parameter = std::conditional_t<std::is_void_v<T>, Nothing, T>;

// The result of `Resume`: `optional<T>`, `bool` for void, a pointer for references.
template <typename T>
struct ResultOf {
  using type = std::optional<T>;
};
template <typename T>
  requires std::is_reference_v<T>
struct ResultOf<T> {
  using type = std::remove_reference_t<T>*;
};
template <typename T>
  requires std::is_void_v<T>
struct ResultOf<T> {
  using type = bool;
};
template <typename T>
using Result = typename ResultOf<T>::type;

// A type that a generator can produce or consume.
template <typename T>
concept Passable = std::is_void_v<T> || std::is_reference_v<T> ||
                   (std::is_object_v<T> && !std::is_array_v<T> && std::is_move_constructible_v<T>);

// Whether a `T` crosses a switch in a register. Other values cross as their address: they stay in
// the frame of the sender, and the receiver moves them out before it does anything else.
template <typename T>
inline constexpr bool kInRegister = false;
template <typename T>
  requires(std::is_object_v<T> && std::is_trivially_copyable_v<T>)
inline constexpr bool kInRegister<T> = sizeof(T) <= sizeof(uintptr_t);

template <typename T>
struct BytesOf {
  std::byte bytes[sizeof(T)];
};

template <typename T>
uintptr_t ToWord(std::remove_reference_t<T>& value) {
  if constexpr (kInRegister<T>) {
    uintptr_t word = 0;
    __builtin_memcpy(&word, std::addressof(value), sizeof(value));
    return word;
  } else {
    return reinterpret_cast<uintptr_t>(std::addressof(value));
  }
}

// Returns: a `T` that is moved from the value that `word` stands for, or a reference to it.
template <typename T>
T FromWord([[maybe_unused]] uintptr_t word) {
  if constexpr (kInRegister<T>) {
    BytesOf<T> bytes;
    __builtin_memcpy(&bytes, &word, sizeof(bytes));
    return std::bit_cast<T>(bytes);
  } else if constexpr (!std::is_void_v<T>) {
    return static_cast<T&&>(*reinterpret_cast<std::remove_reference_t<T>*>(word));
  }
}

// GCC 12 takes `*gen.Resume()` for a use of the value that an empty `optional` does not have.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
// Returns: the value that `message` brings, or nothing if it has no record.
template <typename T>
[[gnu::always_inline]] inline Result<T> ToResult(arch::Message message) {
  if constexpr (std::is_void_v<T>) {
    return message.record != nullptr;
  } else if constexpr (std::is_reference_v<T>) {
    return message.record == nullptr ? nullptr
                                     : reinterpret_cast<std::remove_reference_t<T>*>(message.word);
  } else if (message.record == nullptr) [[unlikely]] {
    return std::nullopt;
  } else if constexpr (kInRegister<T>) {
    return std::optional<T>(std::in_place, FromWord<T>(message.word));
  } else {
    return std::optional<T>(std::in_place, FromWord<T&&>(message.word));
  }
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace FRINGE_ABI
}  // namespace internal

inline namespace FRINGE_ABI {

#if FRINGE_DEFAULT_STACK || !__STDC_HOSTED__
template <typename Output, typename Input, Stack StackT>
class Generator;
#else
// The name is for the compiler's error.
template <typename Output, typename Input, Stack ThisHeaderMustNameTheStack>
class Generator;
#endif

// The handle by which a generator's body suspends. It lives as long as the generator, and must not
// be used outside the body.
template <typename Output, typename Input = void>
class Yielder : private internal::Control {
 public:
  // Passes `output` to the resumer and suspends until the next resume. It may be called from any
  // depth of calls below the body, but not from inside `OnStack`, which runs on another stack.
  //
  // Returns: the argument of the next `Resume`.
  // Errors: fatal unless this generator is the one that is running. If the generator is being
  //   destroyed, throws an exception that only `catch (...)` can catch, and must rethrow. (With
  //   libstdc++, `catch (abi::__forced_unwind&)` catches it too.)
  // Cost: one switch, a comparison, and a move of `output` by the resumer.
  [[gnu::always_inline]] Input Suspend(internal::Parameter<Output> output)
    requires(!std::is_void_v<Output>)
  {
    return internal::FromWord<Input>(Control::Suspend(internal::ToWord<Output>(output)));
  }

  // The same for an `Output` of void.
  [[gnu::always_inline]] Input Suspend()
    requires std::is_void_v<Output>
  {
    return internal::FromWord<Input>(Control::Suspend(0));
  }

  // As `Suspend`, but throws nothing if the generator is being destroyed: the body must then return
  // without suspending again. For code without exceptions, callbacks from C, `noexcept` functions
  // and destructors.
  //
  // Returns: the argument of the next `Resume` (a pointer to it if `Input` is a reference, `true`
  //   if `Input` is void). If the generator is being destroyed: `nullopt`, null or `false`.
  // Errors: fatal unless this generator is the one that is running.
  // Cost: as `Suspend`.
  [[nodiscard]] [[gnu::always_inline]] internal::Result<Input> TrySuspend(
      internal::Parameter<Output> output)
    requires(!std::is_void_v<Output>)
  {
    return internal::ToResult<Input>(Control::TrySuspend(internal::ToWord<Output>(output)));
  }

  // The same for an `Output` of void.
  [[nodiscard]] [[gnu::always_inline]] internal::Result<Input> TrySuspend()
    requires std::is_void_v<Output>
  {
    return internal::ToResult<Input>(Control::TrySuspend(0));
  }

 private:
  template <typename, typename, Stack>
  friend class Generator;

  using Control::Control;
};

// A function that can be the body of a `Generator<Output, Input>`: the call in the line of its
// `Input` must be valid.
template <typename F, typename Output, typename Input = void>
concept GeneratorBody =
    (std::is_void_v<Input> &&
     requires(F& body, Yielder<Output, Input>& yielder) { body(yielder); }) ||
    (!std::is_void_v<Input> &&
     requires(F& body, Yielder<Output, Input>& yielder, internal::Parameter<Input> (*input)()) {
       body(yielder, input());
     });

}  // namespace FRINGE_ABI

namespace internal {
inline namespace FRINGE_ABI {

// Calls that are mistakes have a deleted overload for each, whose line the compiler shows. These
// are its constraints. They leave out what another overload, or the copy of a generator, explains.
template <typename F, typename Output, typename Input>
concept NotABody = std::is_void_v<Input> && !GeneratorBody<F, Output, Input>;
template <typename F, typename Output, typename Input>
concept NotABodyWithInput = !std::is_void_v<Input> && !GeneratorBody<F, Output, Input>;

}  // namespace FRINGE_ABI
}  // namespace internal

inline namespace FRINGE_ABI {

// A function on its own stack that produces `Output`s and consumes `Input`s.
//
// `Output` and `Input` may be any type that can be moved, references, or void. The first `Resume`
// calls the body, as `body(yielder, input)`, or as `body(yielder)` if `Input` is void, where
// `yielder` is a `Yielder<Output, Input>&`. An exception that leaves the body leaves `Resume`.
//
// It may be moved while suspended. A generator that is destroyed before its end is unwound: every
// destructor in its frames runs. With -fno-exceptions this is fatal, unless the body suspends by
// `TrySuspend`.
//
// Thread safety: may be resumed on any thread, by one at a time.
#if FRINGE_DEFAULT_STACK || !__STDC_HOSTED__
template <typename Output, typename Input = void, Stack StackT = DefaultStack>
#else
template <typename Output, typename Input, Stack StackT>
#endif
class Generator {
 public:
  // The template arguments, and the handle that the body is called with.
  using output_type = Output;
  using input_type = Input;
  using stack_type = StackT;
  using yielder_type = Yielder<Output, Input>;

  // Prepares `body` to run on `stack`. It does not run before the first `Resume`.
  //
  // Errors: fatal if `stack` is too small for `body`, if its base is not aligned to
  //   `kStackAlignment`, and if the thread runs with a hardware shadow stack that the build does
  //   not support (docs/platforms.md).
  // Cost: moves of `body`, and a few stores at the base of the stack.
  template <GeneratorBody<Output, Input> F>
    requires GuardedStack<StackT>
  Generator(StackT stack, F body) : Generator(Unchecked(), std::move(stack), std::move(body)) {}

  // The same on a stack whose overflow may corrupt memory instead of faulting. The caller must
  // ensure that the stack is large enough; throwing an exception takes a few KiB.
  template <GeneratorBody<Output, Input> F>
  static Generator Unguarded(StackT stack, F body) {
    return Generator(Unchecked(), std::move(stack), std::move(body));
  }

#if FRINGE_DEFAULT_STACK
  // Prepares `body` to run on a new `DefaultStack` of `kDefaultStackBytes`.
  //
  // Errors: fatal if the stack cannot be created; to handle the error, create the stack yourself.
  template <GeneratorBody<Output, Input> F, typename Choice = internal::DefaultStackChoice>
    requires std::same_as<StackT, typename Choice::Type> &&
             (!std::same_as<std::remove_cvref_t<F>, Generator>)
  explicit Generator(F body)
      : Generator(Unchecked(), CreateDefaultStack<Choice>(), std::move(body)) {}
#endif

  // Mistakes.
  template <internal::MaybeAStack S, typename F>
  Generator(S stack, F body) = delete;  // not a stack: check the StatusOr, then pass its stack
  template <typename F>
    requires(!GuardedStack<StackT>)
  Generator(StackT stack, F body) = delete;  // a stack without a guard: use Generator::Unguarded
  template <internal::NotABody<Output, Input> F>
    requires GuardedStack<StackT>
  Generator(StackT stack, F body) = delete;  // no GeneratorBody: body(yielder) is invalid
  template <internal::NotABodyWithInput<Output, Input> F>
    requires GuardedStack<StackT>
  Generator(StackT stack, F body) = delete;  // no GeneratorBody: body(yielder, input) is invalid
  template <internal::NotABody<Output, Input> F>
    requires(!std::same_as<F, Generator>)
  explicit Generator(F body) = delete;  // no GeneratorBody: body(yielder) is invalid
  template <internal::NotABodyWithInput<Output, Input> F>
    requires(!std::same_as<F, Generator>)
  explicit Generator(F body) = delete;  // no GeneratorBody: body(yielder, input) is invalid
  template <internal::MaybeAStack S, typename F>
  static void Unguarded(S stack, F body) = delete;  // check the StatusOr, then pass its stack
  template <internal::NotABody<Output, Input> F>
  static void Unguarded(StackT, F body) = delete;  // no GeneratorBody: body(yielder) is invalid
  template <internal::NotABodyWithInput<Output, Input> F>
  static void Unguarded(StackT, F body) = delete;  // no GeneratorBody: body(yielder, input) fails

  // A moved-from generator is unavailable.
  Generator(Generator&& other) noexcept
      : stack_(std::move(other.stack_)), control_(std::exchange(other.control_, nullptr)) {}
  // Unwinds the body of the generator that is assigned to, as its destructor does.
  Generator& operator=(Generator&& other) noexcept {
    if (this != &other) {
      if (control_ != nullptr) Destroy();
      stack_ = std::move(other.stack_);
      control_ = std::exchange(other.control_, nullptr);
    }
    return *this;
  }

  // Unwinds an unfinished body, on its own stack. A body that was never resumed is destroyed
  // without running.
  //
  // Errors: fatal if the body keeps suspending, and if this generator is running. (If its body has
  //   called `exit`, it is left as it is instead.) With
  //   -fno-exceptions, fatal if the body waits in `Suspend`. Another exception that leaves the body
  //   ends in `std::terminate`, as from any destructor.
  //
  // Cost: two comparisons if the body has ended. It is inlined because a call would make the
  //   shortest life of a generator 8% longer (Clang 14, 4.1 GHz Xeon, 2026-11;
  //   `BM_GeneratorCreateRunDestroy`).
  [[gnu::always_inline]] ~Generator() {
    if (control_ != nullptr) Destroy();
  }

  // Runs the body until it suspends or ends.
  //
  // Returns: the body's output. Once the body has ended: `nullopt` (`false` if `Output` is void,
  //   null if it is a reference), in this call and all later ones.
  // Errors: an exception that leaves the body is thrown, and the generator is then unavailable.
  //   Fatal if the generator is running, and if it was moved from. With a hardware shadow stack,
  //   fatal if none can be mapped, and if only one of this thread and the thread that started the
  //   generator has one.
  // Cost: one switch, two comparisons, and a move of the value.
  [[gnu::always_inline]] internal::Result<Output> Resume(internal::Parameter<Input> input)
    requires(!std::is_void_v<Input>)
  {
    return internal::ToResult<Output>(control()->Resume(internal::ToWord<Input>(input)));
  }

  // The same for an `Input` of void.
  [[gnu::always_inline]] internal::Result<Output> Resume()
    requires std::is_void_v<Input>
  {
    return internal::ToResult<Output>(control()->Resume(0));
  }

  // Returns: whether it can be resumed.
  State state() const {
    return control_ != nullptr && control_->is_suspended() ? State::kRunnable : State::kUnavailable;
  }

  // Returns: the stack that the body runs on.
  const StackT& stack() const { return stack_; }

  // Returns: the stack of a generator that has returned or thrown.
  // Errors: fatal in any other state.
  [[nodiscard]] StackT Unwrap() && {
    if (control_ == nullptr || !control_->is_finished()) {
      fringe_fatal("a generator must have returned or thrown before Unwrap.");
    }
    return std::move(*this).UnsafeUnwrap();
  }

  // Abandons the body at its current point: none of its destructors runs, and what they would
  // release is leaked.
  //
  // Requires: not moved from, and not running.
  // Returns: the stack, for any use.
  [[nodiscard]] StackT UnsafeUnwrap() && {
    control_->Abandon();
    std::destroy_at(std::exchange(control_, nullptr));
    return std::move(stack_);
  }

  // An input iterator over the body's outputs. Its element is an object of the suspended body. It
  // is valid until the iterator is incremented or the generator resumed, and may be moved from.
  // Small trivial values are returned by value instead.
  class iterator {
   public:
    // As `std::input_iterator` requires.
    using iterator_concept = std::input_iterator_tag;
    using value_type = std::remove_cvref_t<Output>;
    using difference_type = std::ptrdiff_t;
    using reference = std::conditional_t<internal::kInRegister<Output>, Output, Output&&>;

    // An iterator at the end.
    iterator() = default;

    // Returns: the latest output.
    //
    // Requires: not at the end.
    reference operator*() const { return internal::FromWord<reference>(message_.word); }
    // Resumes the body.
    //
    // Requires: not at the end.
    // Errors: as `Resume`.
    iterator& operator++() {
      message_ = control_->ResumeInLoop(0);
      return *this;
    }
    // Resumes the body.
    void operator++(int) { ++*this; }
    // Whether the body has ended.
    friend bool operator==(const iterator& i, std::default_sentinel_t) {
      return i.message_.record == nullptr;
    }

   private:
    friend Generator;
    explicit iterator(internal::Control* control)
        : control_(control), message_(control->ResumeInLoop(0)) {}

    internal::Control* control_ = nullptr;
    arch::Message message_ = {};
  };

  // Resumes the body and iterates over its outputs from there on.
  iterator begin()
    requires(std::is_void_v<Input> && !std::is_void_v<Output>)
  {
    return iterator(control());
  }

  // Returns: the sentinel that an iterator is equal to when the body has ended.
  std::default_sentinel_t end() const
    requires(std::is_void_v<Input> && !std::is_void_v<Output>)
  {
    return {};
  }

 private:
  struct Unchecked {};

  template <typename F>
  Generator(Unchecked, StackT stack, F body) : stack_(std::move(stack)) {
    static_assert(internal::Passable<Output>,
                  "an output must be void, a reference, or a type that can be moved.");
    static_assert(internal::Passable<Input>,
                  "an input must be void, a reference, or a type that can be moved.");
    std::byte* const place =
        internal::Control::Place(stack_.limit(), stack_.base(), sizeof(F), alignof(F));
    std::byte* const body_place = internal::Control::BodyPlace(place, sizeof(F), alignof(F));
    internal::MakeRoom(stack_, static_cast<size_t>(stack_.base() - body_place));
    new (body_place) F(std::move(body));
    control_ = new (static_cast<void*>(place)) yielder_type(stack_.limit(), stack_.base());
    control_->Start(internal::Control::AlignDown(body_place, kStackAlignment), &Entry<F>,
                    stack_.base());
    internal::Attach(stack_, control_->record());
  }

  // The first function on the stack.
  template <typename F>
  [[noreturn]] static void Entry(uintptr_t word, arch::LinkRecord* record,
                                 arch::LinkRecord* cancelled_record) noexcept {
    // A branch that is predicted. The end of the shortest life would wait for a conditional move.
    const bool is_resumed = __builtin_expect_with_probability(record != nullptr, 1, 0.9999);
    auto* const yielder =
        static_cast<yielder_type*>(internal::Control::Of(is_resumed ? record : cancelled_record));
    yielder->AtStart();
    void* const body_place =
        internal::Control::BodyPlace(reinterpret_cast<std::byte*>(yielder), sizeof(F), alignof(F));
    F* const body = std::launder(static_cast<F*>(body_place));
    word = is_resumed ? Run(*body, *yielder, word) : 0;
    std::destroy_at(body);
    yielder->Finish(word);
  }

  // Returns: the word to finish with.
  template <typename F>
  static uintptr_t Run(F& body, yielder_type& yielder, [[maybe_unused]] uintptr_t word) {
#if FRINGE_EXCEPTIONS
    try {
#endif
      if constexpr (std::is_void_v<Input>) {
        body(yielder);
      } else {
        // A value of its own: the resumer's may be gone by the next resume.
        body(yielder, internal::FromWord<Input>(word));
      }
#if FRINGE_EXCEPTIONS
    } catch (const internal::ForcedUnwind&) {
      if (!yielder.IsUnwound()) return yielder.CatchCurrentException();
    } catch (...) {
      return yielder.CatchCurrentException();
    }
#endif
    return 0;
  }

  internal::Control* control() const {
    if (control_ == nullptr) {
      fringe_fatal("a moved-from generator cannot be resumed.");
    }
    return control_;
  }

  // Inlined, and `LeaveRunning` is static: if a function had the address of a local generator, GCC
  // would keep it in memory, and load its members again after each switch.
  [[gnu::always_inline]] void Destroy() {
    if (!control_->End()) [[unlikely]] {
      // A stack that only borrows its memory leaves it as it is.
      if constexpr (!std::is_trivially_destructible_v<StackT>) LeaveRunning(std::move(stack_));
      return;
    }
    std::destroy_at(control_);
  }

  // Keeps the stack of a body that has called `exit`, because the destructors of static objects run
  // on it.
  [[gnu::noinline]] static void LeaveRunning([[maybe_unused]] StackT stack) {
#if __STDC_HOSTED__
    struct Kept {
      StackT stack;
      Kept* next;
    };
    static Kept* all = nullptr;  // so that LeakSanitizer sees them
    all = new Kept{std::move(stack), all};
#endif
  }

  StackT stack_;
  internal::Control* control_;  // at the base of the stack; null after a move
};

// Deduces the stack's type. An unguarded stack needs `Generator::Unguarded`.
template <typename Output, typename Input = void, GuardedStack StackT,
          GeneratorBody<Output, Input> F>
Generator<Output, Input, StackT> MakeGenerator(StackT stack, F body) {
  return Generator<Output, Input, StackT>(std::move(stack), std::move(body));
}

#if FRINGE_DEFAULT_STACK
// On a new `DefaultStack`: a function that returns a generator names its types once.
//
//   fringe::Generator<int> CountTo(int last) {
//     return fringe::MakeGenerator<int>([last](auto& yielder) {
//       for (int i = 1; i <= last; ++i) yielder.Suspend(i);
//     });
//   }
//
// `body` outlives the function that creates it: it must capture by value, not by reference.
//
// Errors: fatal if the stack cannot be created.
template <typename Output, typename Input = void, GeneratorBody<Output, Input> F,
          typename Choice = internal::DefaultStackChoice>
Generator<Output, Input, typename Choice::Type> MakeGenerator(F body) {
  return Generator<Output, Input, typename Choice::Type>(std::move(body));
}
#endif

// Mistakes.
template <typename Output, typename Input = void, typename S, typename F>
  requires(!Stack<S> && !internal::MaybeAStack<S>)
void MakeGenerator(S stack, F body) = delete;  // the first argument must be a fringe::Stack
template <typename Output, typename Input = void, internal::MaybeAStack S, typename F>
void MakeGenerator(S stack, F body) = delete;  // check the StatusOr, then pass its stack
template <typename Output, typename Input = void, Stack S, typename F>
  requires(!GuardedStack<S>)
void MakeGenerator(S stack, F body) = delete;  // no guard: use Generator<...>::Unguarded
template <typename Output, typename Input = void, GuardedStack S,
          internal::NotABody<Output, Input> F>
void MakeGenerator(S stack, F body) = delete;  // no GeneratorBody: body(yielder) is invalid
template <typename Output, typename Input = void, GuardedStack S,
          internal::NotABodyWithInput<Output, Input> F>
void MakeGenerator(S stack, F body) = delete;  // no GeneratorBody: body(yielder, input) is invalid
template <typename Output, typename Input = void, internal::NotABody<Output, Input> F>
void MakeGenerator(F body) = delete;  // no GeneratorBody: body(yielder) is invalid
template <typename Output, typename Input = void, internal::NotABodyWithInput<Output, Input> F>
void MakeGenerator(F body) = delete;  // no GeneratorBody: body(yielder, input) is invalid

}  // namespace FRINGE_ABI
}  // namespace fringe

#endif  // FRINGE_GENERATOR_H_
