// A generator written as a C++20 coroutine, the way textbooks do: the reference for what a
// stackless generator costs. FRINGE_STACKLESS is 0 if the compiler cannot compile it.

#ifndef FRINGE_BENCHMARKS_STACKLESS_H_
#define FRINGE_BENCHMARKS_STACKLESS_H_

// Clang compiles the coroutines of libstdc++ from version 16 on.
#if defined(__cpp_impl_coroutine) && (!defined(__clang_major__) || __clang_major__ >= 16)
#define FRINGE_STACKLESS 1
#else
#define FRINGE_STACKLESS 0
#endif

#if FRINGE_STACKLESS

#include <coroutine>
#include <exception>
#include <utility>

namespace fringe::benchmarks {

template <typename T>
class Stackless {
 public:
  // The names that the language requires.
  class promise_type {
   public:
    Stackless get_return_object() {
      return Stackless(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(T value) noexcept {
      value_ = std::move(value);
      return {};
    }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }

   private:
    friend Stackless;
    T value_;
  };

  Stackless(Stackless&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Stackless& operator=(Stackless&&) = delete;
  ~Stackless() {
    if (handle_) handle_.destroy();
  }

  // Runs the body until it suspends. Returns false at its end.
  bool Next() {
    handle_.resume();
    return !handle_.done();
  }
  T& value() { return handle_.promise().value_; }

 private:
  explicit Stackless(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

}  // namespace fringe::benchmarks

#endif  // FRINGE_STACKLESS

#endif  // FRINGE_BENCHMARKS_STACKLESS_H_
