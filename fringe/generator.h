// Stackful generators: functions that run on a stack of their own, suspend from any depth of calls
// with a value for whoever resumed them, and go on later.
//
//   auto gen = fringe::MakeGenerator<int>(*fringe::OsStack::Create(1 << 16), [](auto& yielder) {
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

#if __STDC_HOSTED__
#include "../stacks/default_stack.h"
#else
namespace fringe {
class DefaultStack;  // freestanding builds have none
}
#endif

namespace fringe {

// Whether a generator may be resumed.
enum class State {
  kRunnable,     // may be resumed
  kUnavailable,  // has returned, has thrown, is running, or was moved from
};

namespace internal {
inline namespace FRINGE_ABI {

struct Nothing {};

// `T` as the type of a parameter, also where it is void.
template <typename T>
using Parameter = std::conditional_t<std::is_void_v<T>, Nothing, T>;

// What `Resume` gives: `optional<T>`, `bool` for void, a pointer for references.
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

// Whether a `T` crosses a switch in a register. Other values cross as their address: they stay in
// the frame of the side that hands them over, and the other side moves them out before anything
// else happens.
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
    const auto bytes = std::bit_cast<BytesOf<T>>(value);
    uintptr_t word = 0;
    __builtin_memcpy(&word, &bytes, sizeof(bytes));
    return word;
  } else {
    return reinterpret_cast<uintptr_t>(std::addressof(value));
  }
}

// Returns: a `T` that is moved from what `word` stands for, or a reference to it.
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

}  // namespace FRINGE_ABI
}  // namespace internal

inline namespace FRINGE_ABI {

template <typename Output, typename Input, Stack StackT>
class Generator;

// A generator's body suspends through it. It lives as long as the generator, at the base of its
// stack, and is of no use outside the body.
template <typename Output, typename Input = void>
class Yielder : private internal::Control {
 public:
  // Hands `output` to the resumer and suspends until the next resume. To be called from any depth
  // of calls below the body, but not from inside `OnStack`, which is another stack.
  //
  // Returns: the argument of that `Resume`.
  // Errors: fatal where the generator is not the one that runs. In a generator that is being
  //   destroyed it throws what only `catch (...)` can catch, and that must rethrow.
  // Cost: one switch, a comparison and the move of `output` by the resumer.
  [[gnu::always_inline]] Input Suspend(internal::Parameter<Output> output)
    requires(!std::is_void_v<Output>)
  {
    return internal::FromWord<Input>(Control::Suspend(internal::ToWord<Output>(output)));
  }

  // The same where there is nothing to hand over.
  [[gnu::always_inline]] Input Suspend()
    requires std::is_void_v<Output>
  {
    return internal::FromWord<Input>(Control::Suspend(0));
  }

 private:
  template <typename, typename, Stack>
  friend class Generator;

  using Control::Control;
};

// A function on a stack of its own that gives `Output`s and takes `Input`s.
//
// `Output` and `Input` may be any type that can be moved, references, or void. The body is called
// `body(yielder, input)`, or `body(yielder)` where `Input` is void, with `yielder` a
// `Yielder<Output, Input>&`, at the first `Resume`. An exception that leaves the body leaves
// `Resume`.
//
// May be moved while suspended. A generator that is destroyed before its end is unwound: every
// destructor in its frames runs. Where exceptions are off this cannot be, and is fatal.
//
// Thread safety: may be resumed on any thread, by one at a time.
template <typename Output, typename Input = void, Stack StackT = DefaultStack>
class Generator {
 public:
  // Whether `F` can be the body of this generator.
  template <typename F>
  static constexpr bool kIsBody = [] {
    if constexpr (std::is_void_v<Input>) {
      return std::invocable<F&, Yielder<Output, Input>&>;
    } else {
      return std::invocable<F&, Yielder<Output, Input>&, Input>;
    }
  }();

  // Prepares `body` to run on `stack`. It does not run before the first `Resume`.
  //
  // Errors: fatal where `stack` is too small to hold `body`, where its base is not aligned to
  //   `kStackAlignment`, and where the CPU keeps a shadow stack.
  // Cost: moves of `body`, and a few stores at the base of the stack.
  template <typename F>
    requires GuardedStack<StackT> && kIsBody<F>
  Generator(StackT stack, F body) : Generator(Unchecked(), std::move(stack), std::move(body)) {}

  // The same on a stack whose overflow is not certain to fault. Whoever calls it answers for the
  // stack's being large enough: an overflow corrupts memory, and an exception takes some KiB.
  template <typename F>
    requires kIsBody<F>
  static Generator Unguarded(StackT stack, F body) {
    return Generator(Unchecked(), std::move(stack), std::move(body));
  }

#if __STDC_HOSTED__
  // Prepares `body` to run on a new `DefaultStack` of `kDefaultStackBytes`.
  //
  // Errors: fatal where there is no such stack; whoever must go on takes the first form.
  template <typename F, typename Choice = internal::DefaultStackChoice>
    requires std::same_as<StackT, typename Choice::Type> && kIsBody<F> &&
             (!std::same_as<std::remove_cvref_t<F>, Generator>)
  explicit Generator(F body)
      : Generator(Unchecked(), CreateDefaultStack<Choice>(), std::move(body)) {}
#endif

  // A generator that was moved from is unavailable.
  Generator(Generator&& other) noexcept
      : stack_(std::move(other.stack_)), yielder_(std::exchange(other.yielder_, nullptr)) {}
  // Unwinds the body of the generator that is assigned to, as its destructor does.
  Generator& operator=(Generator&& other) noexcept {
    if (this != &other) {
      if (yielder_ != nullptr) Destroy();
      stack_ = std::move(other.stack_);
      yielder_ = std::exchange(other.yielder_, nullptr);
    }
    return *this;
  }

  // Unwinds an unfinished body, on its own stack; one that was never resumed is destroyed without
  // running.
  //
  // Errors: fatal where the body goes on suspending, where this is the generator that runs, and
  //   where exceptions are off and the body has begun. Another exception that leaves the body ends
  //   in `std::terminate`, as from any destructor.
  //
  // Cost: two comparisons, where the body has ended. It is inlined since a call would make the
  //   shortest life of a generator 8% longer (Clang 14, 4.1 GHz Xeon, 2026-11;
  //   `BM_GeneratorCreateRunDestroy`).
  [[gnu::always_inline]] ~Generator() {
    if (yielder_ != nullptr) Destroy();
  }

  // Runs the body until it suspends or ends.
  //
  // Returns: what the body suspended with. Once it has ended: `nullopt` (`false` where `Output` is
  //   void, null where it is a reference), then and ever after.
  // Errors: what leaves the body is thrown, and the generator is then unavailable. Fatal while the
  //   generator is running, and where it was moved from.
  // Cost: one switch, two comparisons, and a move of the value.
  [[gnu::always_inline]] internal::Result<Output> Resume(internal::Parameter<Input> input)
    requires(!std::is_void_v<Input>)
  {
    return ToResult(ResumeWith(internal::ToWord<Input>(input), yielder()));
  }

  // The same where there is nothing to hand over.
  [[gnu::always_inline]] internal::Result<Output> Resume()
    requires std::is_void_v<Input>
  {
    return ToResult(ResumeWith(0, yielder()));
  }

  // Returns: whether it may be resumed.
  State state() const {
    return yielder_ != nullptr && yielder_->is_suspended() ? State::kRunnable : State::kUnavailable;
  }

  // Returns: the stack of a generator that has returned or thrown.
  // Errors: fatal in any other state.
  StackT Unwrap() && {
    if (yielder_ == nullptr || !yielder_->is_finished()) {
      fringe_fatal("a generator is unwrapped only when its body has returned or thrown.");
    }
    return std::move(*this).UnsafeUnwrap();
  }

  // Gives the body up wherever it is: none of its destructors runs, and what they would release is
  // leaked.
  //
  // Requires: not moved from, and not running.
  // Returns: the stack, for any use.
  StackT UnsafeUnwrap() && {
    std::destroy_at(std::exchange(yielder_, nullptr));
    return std::move(stack_);
  }

  // An input iterator over what the body suspends with. Its element lies in the suspended body: it
  // is there until the iterator is incremented or the generator resumed, and may be moved from.
  // Small trivial values are given by value instead.
  class iterator {
   public:
    // As `std::input_iterator` asks.
    using iterator_concept = std::input_iterator_tag;
    using value_type = std::remove_cvref_t<Output>;
    using difference_type = std::ptrdiff_t;
    using reference = std::conditional_t<internal::kInRegister<Output>, Output, Output&&>;

    // Returns: what the body suspended with last.
    //
    // Requires: not at the end.
    reference operator*() const { return internal::FromWord<reference>(message_.word); }
    // Resumes the body.
    //
    // Requires: not at the end.
    // Errors: as of `Resume`.
    iterator& operator++() {
      message_ = ResumeWith(0, yielder_);
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
    explicit iterator(Yielder<Output, Input>* yielder)
        : yielder_(yielder), message_(ResumeWith(0, yielder)) {}

    Yielder<Output, Input>* yielder_;
    arch::Message message_;
  };

  // Resumes the body and iterates over what it suspends with from there on.
  iterator begin()
    requires(std::is_void_v<Input> && !std::is_void_v<Output>)
  {
    return iterator(yielder());
  }

  // Returns: what an iterator is equal to when the body has ended.
  std::default_sentinel_t end() const
    requires(std::is_void_v<Input> && !std::is_void_v<Output>)
  {
    return {};
  }

#if defined(__cpp_lib_ranges)
  // A generator that has a name takes part in a pipeline by reference: after
  // `gen | std::views::take(3)` it is still there to be resumed. One that has none moves into the
  // pipeline.
  template <typename Adaptor>
    requires(std::is_void_v<Input> && !std::is_void_v<Output>)
  friend auto operator|(Generator& generator, Adaptor&& adaptor) {
    return std::ranges::ref_view<Generator>(generator) | std::forward<Adaptor>(adaptor);
  }
#endif

 private:
  struct Unchecked {};

  template <typename F>
  Generator(Unchecked, StackT stack, F body) : stack_(std::move(stack)) {
    std::byte* const place =
        internal::Control::Place(stack_.limit(), stack_.base(), sizeof(F), alignof(F));
    auto* const yielder = static_cast<Yielder<Output, Input>*>(static_cast<void*>(place));
    std::byte* const body_place = internal::Control::BodyPlace(place, sizeof(F), alignof(F));
    new (body_place) F(std::move(body));
    yielder_ = new (yielder) Yielder<Output, Input>(stack_.limit(), stack_.base());
    yielder_->Start(internal::Control::AlignDown(body_place, kStackAlignment), &Entry<F>);
  }

  // What runs first on the stack.
  template <typename F>
  [[noreturn]] static void Entry(uintptr_t word, arch::LinkRecord* record,
                                 arch::LinkRecord* cancelled_record) noexcept {
    auto* const yielder = static_cast<Yielder<Output, Input>*>(
        internal::Control::Of(record != nullptr ? record : cancelled_record));
    yielder->AtStart();
    void* const body_place =
        internal::Control::BodyPlace(reinterpret_cast<std::byte*>(yielder), sizeof(F), alignof(F));
    F* const body = std::launder(static_cast<F*>(body_place));
    word = record != nullptr ? Run(*body, *yielder, word) : 0;
    std::destroy_at(body);
    yielder->Finish(word);
  }

  // Returns: what to finish with.
  template <typename F>
  static uintptr_t Run(F& body, Yielder<Output, Input>& yielder, [[maybe_unused]] uintptr_t word) {
#if FRINGE_EXCEPTIONS
    try {
#endif
      if constexpr (std::is_void_v<Input>) {
        body(yielder);
      } else {
        // A value of its own: the resumer's is gone by the time of the next resume.
        body(yielder, internal::FromWord<Input>(word));
      }
#if FRINGE_EXCEPTIONS
    } catch (const internal::ForcedUnwind& unwind) {
      if (!yielder.IsUnwoundBy(unwind)) return yielder.CatchCurrentException();
    } catch (...) {
      return yielder.CatchCurrentException();
    }
#endif
    return 0;
  }

  [[gnu::always_inline]] static arch::Message ResumeWith(uintptr_t word,
                                                         Yielder<Output, Input>* yielder) {
    const arch::Message message = yielder->Control::Resume(word);
    if (message.record == nullptr) [[unlikely]] {
      yielder->Finished(message.word);
    }
    return message;
  }

  [[gnu::always_inline]] static internal::Result<Output> ToResult(arch::Message message) {
    if constexpr (std::is_void_v<Output>) {
      return message.record != nullptr;
    } else if constexpr (std::is_reference_v<Output>) {
      return message.record == nullptr
                 ? nullptr
                 : reinterpret_cast<std::remove_reference_t<Output>*>(message.word);
    } else if (message.record == nullptr) [[unlikely]] {
      return std::nullopt;
    } else if constexpr (internal::kInRegister<Output>) {
      return std::optional<Output>(std::in_place, internal::FromWord<Output>(message.word));
    } else {
      return std::optional<Output>(std::in_place, internal::FromWord<Output&&>(message.word));
    }
  }

  Yielder<Output, Input>* yielder() const {
    if (yielder_ == nullptr) [[unlikely]] {
      fringe_fatal("a generator that was moved from is not resumed.");
    }
    return yielder_;
  }

  void Destroy() {
    yielder_->Cancel();
    std::destroy_at(yielder_);
  }

  StackT stack_;
  // At the base of the stack; null after a move.
  Yielder<Output, Input>* yielder_;
};

// Deduces the stack's type. An unguarded stack needs `Generator::Unguarded`.
template <typename Output, typename Input = void, GuardedStack StackT, typename F>
Generator<Output, Input, StackT> MakeGenerator(StackT stack, F body) {
  return Generator<Output, Input, StackT>(std::move(stack), std::move(body));
}

}  // namespace FRINGE_ABI
}  // namespace fringe

// libc++ has views from version 15 on.
#if defined(__cpp_lib_ranges)
template <typename Output, typename StackT>
inline constexpr bool std::ranges::enable_view<fringe::Generator<Output, void, StackT>> =
    !std::is_void_v<Output>;
#endif

#endif  // FRINGE_GENERATOR_H_
