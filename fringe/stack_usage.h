// How deep stacks are used: for tests, and to choose a size.
//
// To the word, by paint, for a stack that nobody runs on yet:
//
//   fringe::OsStack stack = *fringe::OsStack::Create(64 << 10);
//   fringe::StackUsage usage(stack);
//   auto gen = fringe::MakeGenerator<int>(std::move(stack), body);
//   ...
//   std::cout << usage.used_bytes() << " of " << usage.size_bytes() << " bytes\n";
//
// The same on standard error when the generator is destroyed, as "walk: used 328 of 69632 bytes":
//
//   auto gen = fringe::MakeGenerator<int>(
//       fringe::MeasuredStack(*fringe::OsStack::Create(64 << 10), "walk"), body);
//
// To the page, at any time and without preparation: `ResidentStackBytes`.

#ifndef FRINGE_STACK_USAGE_H_
#define FRINGE_STACK_USAGE_H_

#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>

#include "../stacks/stack.h"

namespace fringe {

class StackUsage;

namespace internal {

// In this order: whether a `StackUsage` can be moved does not depend on whether it is a stack.
template <typename S>
concept StackButNotUsage = !std::same_as<S, StackUsage> && Stack<S>;

}  // namespace internal

// Tells the most that was ever used of a stack. Owns nothing: the stack must outlive it, and may be
// moved, into a generator for example.
//
// A stack is used from its base down to the lowest word that was written. What fringe itself keeps
// at the base counts, and so does what was used and is free again. Memory that a frame has and
// never writes to does not: leave room for it, and for what signal handlers need. The addition of a
// sanitizer to the program changes the result; where AddressSanitizer looks for uses after return,
// it takes locals off the stack.
class StackUsage {
 public:
  // Paints the stack.
  //
  // Requires: nobody runs on the stack, and what is in it is of no use.
  // Cost: writes every word, which makes all of the stack's memory resident.
  template <internal::StackButNotUsage StackT>
  explicit StackUsage(const StackT& stack) : StackUsage(stack.limit(), stack.base()) {}

  // Returns: how many bytes have been used, in whole words, since the stack was painted.
  // Cost: reads what was not used.
  // Thread safety: not while another thread runs on the stack. The function that runs on it may
  //   call this.
  size_t used_bytes() const;

  // Returns: how many bytes the stack has.
  size_t size_bytes() const { return static_cast<size_t>(base_ - limit_); }

 private:
  StackUsage(std::byte* limit, std::byte* base);

  std::byte* limit_;
  std::byte* base_;
};

namespace internal {

std::ostream& StandardError();
void Report(std::ostream& stream, const std::string& name, const StackUsage& usage);

std::optional<size_t> ResidentBytes(std::byte* limit, std::byte* base);

}  // namespace internal

// A stack that says how deep it was used when it is destroyed. It is guarded if `StackT` is.
template <Stack StackT>
class MeasuredStack {
 public:
  // Paints `stack`. Its destruction prints a line to `stream`: "NAME: used USED of SIZE bytes".
  //
  // Requires: `stream` outlives it.
  // Cost: as of `StackUsage`.
  MeasuredStack(StackT stack, std::string name, std::ostream& stream = internal::StandardError())
      : stack_(std::move(stack)), usage_(stack_), name_(std::move(name)), stream_(&stream) {}

  // A stack that was moved from prints nothing: it may be assigned to and destroyed.
  MeasuredStack(MeasuredStack&& other) noexcept
      : stack_(std::move(other.stack_)),
        usage_(other.usage_),
        name_(std::move(other.name_)),
        stream_(std::exchange(other.stream_, nullptr)) {}
  // Destroys the stack that is assigned to, which prints its line.
  MeasuredStack& operator=(MeasuredStack&& other) noexcept {
    MeasuredStack taken(std::move(other));
    std::swap(stack_, taken.stack_);
    std::swap(usage_, taken.usage_);
    std::swap(name_, taken.name_);
    std::swap(stream_, taken.stream_);
    return *this;
  }
  // Prints the line.
  ~MeasuredStack() {
    if (stream_ != nullptr) internal::Report(*stream_, name_, usage_);
  }

  // Its ends, as of every `Stack`.
  std::byte* base() const noexcept { return stack_.base(); }
  std::byte* limit() const noexcept { return stack_.limit(); }

  // Requires: not moved from.
  const StackUsage& usage() const { return usage_; }

 private:
  StackT stack_;
  StackUsage usage_;
  std::string name_;
  std::ostream* stream_;  // null after a move
};

// An overflow faults where that of `StackT` does.
template <typename StackT>
inline constexpr bool enable_guarded_stack<MeasuredStack<StackT>> = enable_guarded_stack<StackT>;

// Finds how much of a stack is resident. It may be called for any number of stacks, also while they
// are in use: it writes nothing and needs no preparation.
//
// Returns: the number of bytes from the base down to the end of the lowest page that was touched;
//   `nullopt` if the system does not report it. It is never less than what was used, except for
//   pages that the system has swapped out. Pages of a new `OsStack` are untouched. Unused stacks of
//   a `StackPool` keep up to `Options::resident_bytes`, and those of a heap may have been touched
//   by earlier owners.
// Cost: a system call for each MiB of the stack that was not touched.
// Thread safety: any thread.
template <Stack StackT>
std::optional<size_t> ResidentStackBytes(const StackT& stack) {
  return internal::ResidentBytes(stack.limit(), stack.base());
}

}  // namespace fringe

#endif  // FRINGE_STACK_USAGE_H_
