#include "fringe/callback_guard.h"

#include <optional>
#include <string>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "testing/support/new_stack.h"

namespace fringe {
namespace {

using testing::NewStack;
using testing::TestStack;

// Like many C functions: calls back until it is told to stop, and then releases what it holds.
//
// Returns: what the callback has returned last.
int ForEach(int count, int (*callback)(void* context, int i), void* context, int* released) {
  int result = 0;
  for (int i = 0; i < count && result == 0; ++i) result = callback(context, i);
  ++*released;
  return result;
}

TEST(CallbackGuardTest, ResultsPassUnchanged) {
  CallbackGuard guard;
  EXPECT_EQ(guard.Call([] { return 7; }, 1), 7);
  int calls = 0;
  guard.Call([&] { ++calls; });
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(guard.has_thrown());
  guard.Rethrow();
}

struct Context {
  Yielder<int>* yielder;
  CallbackGuard guard;
};

int SuspendWith(void* data, int i) {
  auto* const context = static_cast<Context*>(data);
  return context->guard.Call(
      [&] {
        context->yielder->Suspend(i);
        return 0;
      },
      1);
}

Generator<int, void, TestStack> Numbers(int count, int* released, int* result) {
  return MakeGenerator<int>(NewStack(), [=](Yielder<int>& yielder) {
    Context context = {.yielder = &yielder, .guard = {}};
    *result = ForEach(count, SuspendWith, &context, released);
    context.guard.Rethrow();
  });
}

TEST(CallbackGuardTest, CallbackSuspends) {
  int released = 0;
  int result = -1;
  auto numbers = Numbers(3, &released, &result);
  int sum = 0;
  for (int i : numbers) sum += i;
  EXPECT_EQ(sum, 3);
  EXPECT_EQ(released, 1);
  EXPECT_EQ(result, 0);
}

#if FRINGE_EXCEPTIONS

// Like expat: calls back to the end, whatever it is told.
void ForEachToTheEnd(int count, void (*callback)(void* context, int i), void* context) {
  for (int i = 0; i < count; ++i) callback(context, i);
}

TEST(CallbackGuardTest, ExceptionIsRethrownAfterTheFunctionHasReturned) {
  CallbackGuard guard;
  int released = 0;
  const int result = ForEach(
      3,
      [](void* context, int i) {
        return static_cast<CallbackGuard*>(context)->Call(
            [&]() -> int {
              if (i == 1) throw std::string("thrown");
              return 0;
            },
            5);
      },
      &guard, &released);
  EXPECT_EQ(result, 5);
  EXPECT_EQ(released, 1);
  EXPECT_TRUE(guard.has_thrown());
  try {
    guard.Rethrow();
    FAIL();
  } catch (const std::string& thrown) {
    EXPECT_EQ(thrown, "thrown");
  }
  EXPECT_FALSE(guard.has_thrown());
}

TEST(CallbackGuardTest, CallsAfterAnExceptionDoNotRun) {
  struct {
    CallbackGuard guard;
    int calls = 0;
  } context;
  ForEachToTheEnd(
      5,
      [](void* data, int i) {
        auto* const its = static_cast<decltype(context)*>(data);
        its->guard.Call([&] {
          ++its->calls;
          if (i == 1) throw 42;
        });
      },
      &context);
  EXPECT_EQ(context.calls, 2);
  EXPECT_THROW(context.guard.Rethrow(), int);
}

TEST(CallbackGuardTest, DestructionLetsTheFunctionRelease) {
  int released = 0;
  int result = -1;
  {
    auto numbers = Numbers(10, &released, &result);
    EXPECT_EQ(numbers.Resume(), std::optional(0));
    EXPECT_EQ(numbers.Resume(), std::optional(1));
    EXPECT_EQ(released, 0);
  }
  EXPECT_EQ(released, 1);
  EXPECT_EQ(result, 1);
}

#endif

}  // namespace
}  // namespace fringe
