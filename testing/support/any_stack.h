// A stack for tests of misuse.

#ifndef FRINGE_TESTING_SUPPORT_ANY_STACK_H_
#define FRINGE_TESTING_SUPPORT_ANY_STACK_H_

#include <cstddef>

#include "arch/arch.h"
#include "stacks/stack.h"
#include "testing/support/new_stack.h"

namespace fringe::testing {

// A stack of any address range, even one that violates the contract.
class AnyStack {
 public:
  AnyStack(std::byte* limit, std::byte* base) : limit_(limit), base_(base) {}
  std::byte* base() const noexcept { return base_; }
  std::byte* limit() const noexcept { return limit_; }
#if !FRINGE_MEMORY_STACKS
  // Not used: such a stack is rejected before. Volatile, so that GCC does not warn of the null.
  arch::Fiber* fiber() const noexcept {
    static arch::Fiber* volatile none = nullptr;
    return none;
  }
#endif

 private:
  std::byte* limit_;
  std::byte* base_;
};

}  // namespace fringe::testing

template <>
inline constexpr bool fringe::enable_guarded_stack<fringe::testing::AnyStack> = true;

#endif  // FRINGE_TESTING_SUPPORT_ANY_STACK_H_
