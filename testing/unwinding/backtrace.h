// Backtraces as lists of functions, for tests that compare them.
//
//   const void* outer;                      // set by `Outer`: outer = ThisFunction();
//   const Backtrace backtrace;
//   EXPECT_TRUE(backtrace.Contains(outer));

#ifndef FRINGE_TESTING_UNWINDING_BACKTRACE_H_
#define FRINGE_TESTING_UNWINDING_BACKTRACE_H_

#include <unwind.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "testing/registers/opaque.h"

#if defined(__arm__)
extern "C" uintptr_t __gnu_Unwind_Find_exidx(uintptr_t pc, int* count);  // from the C library
#endif

namespace fringe::testing {

// Returns: the start of the function that contains the instruction before `pc`; null if there is no
//   unwind information.
#if defined(__arm__)
// Each entry of the table has the address of a function, relative to the entry, and another word.
// The addresses increase.
inline const void* FunctionOf(const void* pc) {
  struct Entry {
    int32_t function;
    uint32_t how;

    uintptr_t Function() const {
      const auto offset = static_cast<intptr_t>(static_cast<uint32_t>(function) << 1) >> 1;
      return reinterpret_cast<uintptr_t>(this) + static_cast<uintptr_t>(offset);
    }
  };
  int count = 0;
  const auto address = reinterpret_cast<uintptr_t>(pc) - 2;
  const auto* const entries =
      reinterpret_cast<const Entry*>(__gnu_Unwind_Find_exidx(address, &count));
  const void* function = nullptr;
  for (int i = 0; i < count && entries[i].Function() <= address; ++i) {
    function = reinterpret_cast<const void*>(entries[i].Function());
  }
  return function;
}
#else
inline const void* FunctionOf(const void* pc) {
  return _Unwind_FindEnclosingFunction(const_cast<void*>(pc));
}
#endif

// Returns: the start of the function that it is inlined into. A symbol would not work: with
//   link-time optimisation, a copy of the function may be running. The address of `main` must not
//   be taken.
[[gnu::always_inline]] inline const void* ThisFunction() { return FunctionOf(NextInstruction()); }

// Placed at the end of a function whose frame must exist during a call. Otherwise the compiler
// could turn a final call into a jump.
[[gnu::always_inline]] inline void KeepFrame() { asm volatile("" : : : "memory"); }

// The active functions, the innermost first, as an unwinder finds them with CFI.
class Backtrace {
 public:
  [[gnu::noinline]] Backtrace() {
    _Unwind_Backtrace(
        [](_Unwind_Context* context, void* backtrace) {
          return static_cast<Backtrace*>(backtrace)->Visit(
              reinterpret_cast<const void*>(_Unwind_GetRegionStart(context)));
        },
        this);
  }

  std::span<const void* const> functions() const { return {functions_, count_}; }

  bool Contains(const void* function) const { return InOrder({&function, 1}); }

  // Whether the given functions appear in this order, with any others in between.
  bool InOrder(std::span<const void* const> named) const {
    for (const void* function : functions()) {
      if (!named.empty() && function == named.front()) named = named.subspan(1);
    }
    return named.empty();
  }

 private:
  static constexpr size_t kMaximum = 1024;

  _Unwind_Reason_Code Visit(const void* function) {
    if (count_ == kMaximum) return _URC_END_OF_STACK;
    functions_[count_++] = function;
    return _URC_NO_REASON;
  }

  const void* functions_[kMaximum];
  size_t count_ = 0;
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_UNWINDING_BACKTRACE_H_
