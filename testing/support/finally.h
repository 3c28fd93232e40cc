// Calls a function at the end of a scope, also if an exception ends it.
//
//   const Finally count([&] { ++unwound; });

#ifndef FRINGE_TESTING_SUPPORT_FINALLY_H_
#define FRINGE_TESTING_SUPPORT_FINALLY_H_

#include <utility>

namespace fringe::testing {

template <typename F>
class Finally {
 public:
  explicit Finally(F function) : function_(std::move(function)) {}
  Finally(Finally&&) = delete;
  Finally& operator=(Finally&&) = delete;
  ~Finally() { function_(); }

 private:
  F function_;
};

// Like Finally, but the function may throw, unlike most destructors.
template <typename F>
class ThrowingFinally {
 public:
  explicit ThrowingFinally(F function) : function_(std::move(function)) {}
  ThrowingFinally(ThrowingFinally&&) = delete;
  ThrowingFinally& operator=(ThrowingFinally&&) = delete;
  ~ThrowingFinally() noexcept(false) { function_(); }

 private:
  F function_;
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_FINALLY_H_
