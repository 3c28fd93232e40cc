#include "benchmarks/peers.h"

#include <ucontext.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>
#include <version>

#include "benchmark/benchmark.h"
#include "benchmarks/stackless.h"

// GCC warns of what it inlines from Boost.Coroutine2.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

// The build defines each of these if the library is installed.
#if !defined(FRINGE_HAS_BOOST_CONTEXT)
#define FRINGE_HAS_BOOST_CONTEXT 0
#endif
#if !defined(FRINGE_HAS_BOOST_COROUTINE2)
#define FRINGE_HAS_BOOST_COROUTINE2 0
#endif
#if !defined(FRINGE_HAS_BOOST_FIBER)
#define FRINGE_HAS_BOOST_FIBER 0
#endif

#if FRINGE_HAS_BOOST_CONTEXT
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <boost/context/stack_context.hpp>
#endif
#if FRINGE_HAS_BOOST_COROUTINE2
#include <boost/coroutine2/coroutine.hpp>
#endif
#if FRINGE_HAS_BOOST_FIBER
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>
#endif

// FRINGE_ALL_PEERS is 0 in a test of a machine that has none.
#if FRINGE_ALL_PEERS && defined(__cpp_lib_generator)
#define FRINGE_STD_GENERATOR 1
#include <generator>
#else
#define FRINGE_STD_GENERATOR 0
#endif

namespace fringe::benchmarks {
namespace {

constexpr size_t kStackBytes = 65536;
alignas(64) std::byte memory[kStackBytes];

void Use(uint64_t value) { asm volatile("" : : "r"(value)); }

// --- Boost.Context -------------------------------------------------------------------------------

#if FRINGE_HAS_BOOST_CONTEXT
namespace context = boost::context;

// Gives out `memory`.
class GivenStack {
 public:
  explicit GivenStack(size_t = 0) {}

  context::stack_context allocate() {
    context::stack_context stack;
    stack.size = sizeof(memory);
    stack.sp = memory + sizeof(memory);
    return stack;
  }
  void deallocate(context::stack_context&) noexcept {}
};

// One iteration is a jump to another stack, and the one back. It has two switches.
void JumpFcontext(benchmark::State& state) {
  context::detail::fcontext_t other = context::detail::make_fcontext(
      memory + sizeof(memory), sizeof(memory), [](context::detail::transfer_t transfer) {
        while (true) transfer = context::detail::jump_fcontext(transfer.fctx, transfer.data);
      });
  for (auto _ : state) other = context::detail::jump_fcontext(other, nullptr).fctx;
}

// One iteration is a `resume` of a fiber, and the one back. It has two switches.
void ContextFiber(benchmark::State& state) {
  bool ends = false;
  context::fiber other(std::allocator_arg, GivenStack(), [&ends](context::fiber&& resumer) {
    while (!ends) resumer = std::move(resumer).resume();
    return std::move(resumer);
  });
  for (auto _ : state) other = std::move(other).resume();
  ends = true;
  other = std::move(other).resume();
}

// One iteration is the lifetime of a fiber whose function returns at once. It has two switches.
template <typename Allocator>
void ContextFiberLifetime(benchmark::State& state) {
  Allocator allocator(kStackBytes);
  for (auto _ : state) {
    context::fiber other(std::allocator_arg, allocator,
                         [](context::fiber&& resumer) { return std::move(resumer); });
    other = std::move(other).resume();
  }
}

// One iteration is a `resume` of the next of N fibers in turn, and the one back. They are on stacks
// of 64 KiB from the heap, which is how the library allocates them. It has two switches.
void ContextFiberRoundRobin(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  // Never destroyed, because creating them takes long.
  static std::vector<context::fiber>& fibers = *new std::vector<context::fiber>;
  while (fibers.size() < count) {
    fibers.emplace_back(std::allocator_arg, context::fixedsize_stack(kStackBytes),
                        [](context::fiber&& resumer) {
                          while (true) resumer = std::move(resumer).resume();
                          return std::move(resumer);
                        });
    fibers.back() = std::move(fibers.back()).resume();
  }
  size_t next = 0;
  for (auto _ : state) {
    fibers[next] = std::move(fibers[next]).resume();
    if (++next == count) next = 0;
  }
}
#endif  // FRINGE_HAS_BOOST_CONTEXT

// --- Boost.Coroutine2 ----------------------------------------------------------------------------

#if FRINGE_HAS_BOOST_COROUTINE2
using Coroutine = boost::coroutines2::coroutine<uint64_t>;

// One iteration is one number from a coroutine that counts. It has two switches.
void Coroutine2Step(benchmark::State& state) {
  bool ends = false;
  Coroutine::pull_type source(GivenStack(), [&ends](Coroutine::push_type& sink) {
    uint64_t number = 0;
    while (!ends) sink(number++);
  });
  for (auto _ : state) {
    source();
    Use(source.get());
  }
  ends = true;
  source();
}

// One iteration is the lifetime of a coroutine whose function returns at once. It has two switches.
template <typename Allocator>
void Coroutine2Lifetime(benchmark::State& state) {
  Allocator allocator(kStackBytes);
  for (auto _ : state) {
    Coroutine::pull_type source(allocator, [](Coroutine::push_type&) {});
    Use(static_cast<bool>(source) ? 1 : 0);
  }
}

[[gnu::noinline]] void Throw(uint64_t number) { throw number; }

// One iteration is the lifetime of a coroutine whose function throws an exception that the resumer
// catches. It has two switches.
void Coroutine2Exception(benchmark::State& state) {
  for (auto _ : state) {
    try {
      Coroutine::pull_type source(GivenStack(), [](Coroutine::push_type&) { Throw(1); });
    } catch (uint64_t number) {
      Use(number);
    }
  }
}
#endif  // FRINGE_HAS_BOOST_COROUTINE2

// --- Boost.Fiber ---------------------------------------------------------------------------------

#if FRINGE_HAS_BOOST_FIBER
// One iteration is a `yield` of the main fiber to the only other one, and the one back, through the
// scheduler. It has two switches.
void FiberYield(benchmark::State& state) {
  bool ends = false;
  boost::fibers::fiber other([&ends] {
    while (!ends) boost::this_fiber::yield();
  });
  for (auto _ : state) boost::this_fiber::yield();
  ends = true;
  other.join();
}
#endif  // FRINGE_HAS_BOOST_FIBER

// --- The C++ language ----------------------------------------------------------------------------

// One iteration is one number that a function passes to a callback, an opaque function pointer. It
// has no switch.
[[gnu::noinline]] void ForEach(void (*callback)(uint64_t), int64_t count) {
  for (int64_t i = 0; i < count; ++i) callback(static_cast<uint64_t>(i));
}

void Callback(benchmark::State& state) {
  constexpr int64_t kBatch = 10000;
  void (*callback)(uint64_t) = [](uint64_t number) { Use(number); };
  asm volatile("" : "+r"(callback));
  while (state.KeepRunningBatch(kBatch)) ForEach(callback, kBatch);
}

#if FRINGE_STACKLESS
Stackless<uint64_t> Count() {
  for (uint64_t number = 0;; ++number) co_yield number;
}

// One iteration is one number from a coroutine that counts and suspends in its own body only. The
// compiler does not know which coroutine it is. It has no switch.
void StacklessStep(benchmark::State& state) {
  Stackless<uint64_t> source = Count();
  benchmark::DoNotOptimize(source);
  for (auto _ : state) {
    source.Next();
    Use(source.value());
  }
}

[[gnu::noinline]] Stackless<uint64_t> Nothing() { co_return; }

// One iteration is the lifetime of a coroutine that returns at once. Its frame is on the heap.
void StacklessLifetime(benchmark::State& state) {
  for (auto _ : state) {
    Stackless<uint64_t> source = Nothing();
    Use(source.Next() ? 1 : 0);
  }
}
#endif  // FRINGE_STACKLESS

#if FRINGE_STD_GENERATOR
std::generator<uint64_t> StdCount() {
  for (uint64_t number = 0;; ++number) co_yield number;
}

// One iteration is one number from a `std::generator` that counts. It has no switch.
void StdGeneratorStep(benchmark::State& state) {
  std::generator<uint64_t> source = StdCount();
  auto next = source.begin();
  benchmark::DoNotOptimize(next);
  for (auto _ : state) {
    ++next;
    Use(*next);
  }
}
#endif  // FRINGE_STD_GENERATOR

// --- The system ----------------------------------------------------------------------------------

ucontext_t resumer_context;
ucontext_t other_context;

// One iteration is a `swapcontext` to another stack, and the one back. It has two switches.
void Ucontext(benchmark::State& state) {
  if (getcontext(&other_context) != 0) return state.SkipWithError("getcontext failed");
  other_context.uc_stack.ss_sp = memory;
  other_context.uc_stack.ss_size = sizeof(memory);
  makecontext(
      &other_context,
      +[] {
        while (true) swapcontext(&other_context, &resumer_context);
      },
      0);
  for (auto _ : state) swapcontext(&resumer_context, &other_context);
}

// Two threads that take turns.
class Turns {
 public:
  // Waits until it is the turn of the side `mine`, then gives it to the other side.
  bool Pass(bool mine) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return turn_ == mine || ends_; });
    turn_ = !mine;
    changed_.notify_one();
    return !ends_;
  }
  void End() {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool turn_ = false;
  bool ends_ = false;
};

// One iteration passes the turn to another thread by a condition variable, and back.
void ThreadStep(benchmark::State& state) {
  Turns turns;
  std::thread other([&turns] {
    while (turns.Pass(true)) continue;
  });
  for (auto _ : state) turns.Pass(false);
  turns.End();
  other.join();
}

}  // namespace

std::map<std::string, std::string> RegisterPeers() {
  std::map<std::string, std::string> missing;
  using benchmark::RegisterBenchmark;

#if FRINGE_HAS_BOOST_CONTEXT
  RegisterBenchmark("BM_BoostJumpFcontextSwitch", &JumpFcontext);
  RegisterBenchmark("BM_BoostContextSwitch", &ContextFiber);
  RegisterBenchmark("BM_BoostContextLifetime/given", &ContextFiberLifetime<GivenStack>);
  RegisterBenchmark("BM_BoostContextLifetime/pooled",
                    &ContextFiberLifetime<context::pooled_fixedsize_stack>)
      ->Threads(1)
      ->Threads(2);
  RegisterBenchmark("BM_BoostContextLifetime/heap", &ContextFiberLifetime<context::fixedsize_stack>)
      ->Threads(1)
      ->Threads(2);
  RegisterBenchmark("BM_BoostContextLifetime/system",
                    &ContextFiberLifetime<context::protected_fixedsize_stack>)
      ->Threads(1)
      ->Threads(2);
  RegisterBenchmark("BM_BoostContextRoundRobin", &ContextFiberRoundRobin)
      ->ArgName("n")
      ->ArgsProduct({{1, 4, 8, 16, 64, 256, 1024, 4096, 16384, 65536}});
#else
  for (const char* const prefix : {"BM_BoostJumpFcontext", "BM_BoostContext"}) {
    missing[prefix] = "install the Debian package libboost-context-dev";
  }
#endif

#if FRINGE_HAS_BOOST_COROUTINE2
  RegisterBenchmark("BM_BoostCoroutine2Step", &Coroutine2Step);
  RegisterBenchmark("BM_BoostCoroutine2Lifetime/given", &Coroutine2Lifetime<GivenStack>);
  RegisterBenchmark("BM_BoostCoroutine2Lifetime/pooled",
                    &Coroutine2Lifetime<context::pooled_fixedsize_stack>)
      ->Threads(1)
      ->Threads(2);
  RegisterBenchmark("BM_BoostCoroutine2Exception", &Coroutine2Exception);
#else
  missing["BM_BoostCoroutine2"] = "install the Debian package libboost-context-dev";
#endif

#if FRINGE_HAS_BOOST_FIBER
  RegisterBenchmark("BM_BoostFiberYield", &FiberYield);
#else
  missing["BM_BoostFiber"] = "install the Debian package libboost-fiber-dev";
#endif

  RegisterBenchmark("BM_CallbackStep", &Callback);
#if FRINGE_STACKLESS
  RegisterBenchmark("BM_StacklessStep", &StacklessStep);
  RegisterBenchmark("BM_StacklessLifetime", &StacklessLifetime);
#else
  for (const char* const prefix : {"BM_Stackless", "BM_TreeWalkNestedCoYield"}) {
    missing[prefix] = "compile with GCC, or with Clang 16 or newer";
  }
#endif
#if FRINGE_STD_GENERATOR
  RegisterBenchmark("BM_StdGeneratorStep", &StdGeneratorStep);
#else
  missing["BM_StdGenerator"] = "compile with a standard library that has <generator>, as of GCC 14";
#endif

  RegisterBenchmark("BM_UcontextSwitch", &Ucontext);
  RegisterBenchmark("BM_ThreadStep", &ThreadStep)->UseRealTime();
  return missing;
}

}  // namespace fringe::benchmarks
