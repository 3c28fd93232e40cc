// Executes code one instruction at a time and calls a function after each.
//
//   {
//     const SingleStep step([](const ucontext_t& context) { ... });
//     resumed = generator.Resume();
//   }

#ifndef FRINGE_TESTING_SINGLE_STEP_H_
#define FRINGE_TESTING_SINGLE_STEP_H_

#include <signal.h>
#include <ucontext.h>

#include <cstdlib>

namespace fringe::testing {

// Steps from its creation to its destruction. One at a time.
//
// The function runs in a signal handler, on the stack of what was interrupted, and must do without
// whatever that may be in the middle of: allocation, locks, assertions.
class SingleStep {
 public:
  using Visitor = void (*)(const ucontext_t& context);

  [[gnu::always_inline]] explicit SingleStep(Visitor visitor) {
    struct sigaction action = {};
    action.sa_sigaction = &OnTrap;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGTRAP, &action, &old_action_) != 0) std::abort();
    visitor_ = visitor;
    asm volatile("int3" : : : "memory");  // the handler sets the trap flag
  }
  [[gnu::always_inline]] ~SingleStep() {
    visitor_ = nullptr;
    asm volatile("nop" : : : "memory");  // the handler clears the trap flag
    if (sigaction(SIGTRAP, &old_action_, nullptr) != 0) std::abort();
  }
  SingleStep(const SingleStep&) = delete;
  SingleStep& operator=(const SingleStep&) = delete;

 private:
  static void OnTrap(int, siginfo_t*, void* raw_context) {
    constexpr greg_t kTrapFlag = 0x100;
    auto* const context = static_cast<ucontext_t*>(raw_context);
    greg_t& flags = context->uc_mcontext.gregs[REG_EFL];
    if (visitor_ == nullptr) {
      flags &= ~kTrapFlag;
      return;
    }
    flags |= kTrapFlag;
    visitor_(*context);
  }

  static inline Visitor volatile visitor_ = nullptr;
  struct sigaction old_action_;
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SINGLE_STEP_H_
