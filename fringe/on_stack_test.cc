#include "fringe/on_stack.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/stack.h"
#include "testing/support/any_stack.h"
#include "testing/support/new_stack.h"

#if FRINGE_MEMORY_STACKS
#include "stacks/malloc_stack.h"
#include "stacks/span_stack.h"
#endif

#if FRINGE_EXCEPTIONS
#include <exception>
#include <stdexcept>
#endif

namespace fringe {
namespace {

using testing::AnyStack;
using ::testing::HasSubstr;
using testing::NewStack;
using ::testing::Optional;
using ::testing::Pointee;
using testing::TestStack;

// Returns: the frame of its caller.
#define FRINGE_TEST_FRAME() static_cast<const std::byte*>(__builtin_frame_address(0))

template <typename StackT>
bool Holds(const StackT& stack, const std::byte* address) {
  return reinterpret_cast<uintptr_t>(address) >= reinterpret_cast<uintptr_t>(stack.limit()) &&
         reinterpret_cast<uintptr_t>(address) < reinterpret_cast<uintptr_t>(stack.base());
}

TEST(OnStackTest, RunsOnThatStack) {
  const TestStack stack = NewStack();
  const std::byte* inside = nullptr;
  OnStack(stack, [&inside] { inside = FRINGE_TEST_FRAME(); });
  EXPECT_TRUE(Holds(stack, inside));
  EXPECT_FALSE(Holds(stack, FRINGE_TEST_FRAME()));
}

TEST(OnStackTest, GivesTheValueBack) {
  const TestStack stack = NewStack();
  EXPECT_EQ(OnStack(stack, [] { return 42; }), 42);
  const std::string text = "a string that is too long to lie in its own object";
  EXPECT_EQ(OnStack(stack, [&text] { return text + "!"; }), text + "!");
}

TEST(OnStackTest, GivesVoidBack) {
  const TestStack stack = NewStack();
  int calls = 0;
  static_assert(std::is_void_v<decltype(OnStack(stack, [&calls] { ++calls; }))>);
  OnStack(stack, [&calls] { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(OnStackTest, GivesTheReferencedObjectBack) {
  const TestStack stack = NewStack();
  int number = 1;
  static_assert(std::is_same_v<decltype(OnStack(stack, [&]() -> int& { return number; })), int&>);
  EXPECT_EQ(&OnStack(stack, [&]() -> int& { return number; }), &number);
  const int& constant = OnStack(stack, [&]() -> const int& { return number; });
  EXPECT_EQ(&constant, &number);
}

TEST(OnStackTest, GivesAnRvalueReferenceBack) {
  const TestStack stack = NewStack();
  auto box = std::make_unique<int>(3);
  std::unique_ptr<int>&& result =
      OnStack(stack, [&box]() -> std::unique_ptr<int>&& { return std::move(box); });
  EXPECT_EQ(&result, &box);
  EXPECT_THAT(box, Pointee(3));
}

TEST(OnStackTest, GivesMoveOnlyBack) {
  const TestStack stack = NewStack();
  EXPECT_THAT(OnStack(stack, [] { return std::make_unique<int>(5); }), Pointee(5));
}

TEST(OnStackTest, GivesNonDefaultConstructibleBack) {
  struct Rigid {
    explicit Rigid(int n) : number(n) {}
    Rigid(Rigid&&) = default;
    Rigid& operator=(Rigid&&) = delete;
    const int number;
  };
  const TestStack stack = NewStack();
  EXPECT_EQ(OnStack(stack, [] { return Rigid(8); }).number, 8);
}

TEST(OnStackTest, GivesOverAlignedBack) {
  struct alignas(128) Aligned {
    int number;
  };
  const TestStack stack = NewStack();
  const Aligned result = OnStack(stack, [] {
    Aligned aligned{6};
    auto address = reinterpret_cast<uintptr_t>(&aligned);
    asm volatile("" : "+r"(address));
    EXPECT_EQ(address % 128, 0u);
    return aligned;
  });
  EXPECT_EQ(result.number, 6);
}

TEST(OnStackTest, CallsAnRvalueAsAnRvalue) {
  struct Once {
    int operator()() && { return *std::move(number); }
    std::unique_ptr<int> number;
  };
  const TestStack stack = NewStack();
  EXPECT_EQ(OnStack(stack, Once{std::make_unique<int>(9)}), 9);
}

int Seven() { return 7; }

TEST(OnStackTest, CallsAFunctionPointer) {
  const TestStack stack = NewStack();
  EXPECT_EQ(OnStack(stack, &Seven), 7);
  EXPECT_EQ(OnStack(stack, Seven), 7);
}

TEST(OnStackTest, StackIsFreeAgainAfterwards) {
  const TestStack stack = NewStack();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(OnStack(stack,
                      [i] {
                        std::array<volatile char, 32 << 10> large;
                        large[0] = static_cast<char>(i);
                        return static_cast<int>(large[0]);
                      }),
              i);
  }
}

TEST(OnStackTest, TakesATemporaryStack) {
  EXPECT_EQ(OnStack(NewStack(), [] { return 3; }), 3);
}

#if FRINGE_MEMORY_STACKS

TEST(OnStackTest, TakesUnguardedStacks) {
  alignas(kStackAlignment) static std::array<std::byte, 64 << 10> memory;
  EXPECT_EQ(OnStack(*SpanStack::Create(memory), [] { return 1; }), 1);
  EXPECT_EQ(OnStack(*MallocStack::Create(64 << 10), [] { return 2; }), 2);
}

#else

FRINGE_SKIP_WITHOUT_MEMORY_STACKS(OnStackTest, TakesUnguardedStacks)

#endif  // FRINGE_MEMORY_STACKS

TEST(OnStackTest, Nests) {
  const TestStack outer = NewStack();
  const TestStack inner = NewStack();
  const std::byte* outer_frame = nullptr;
  const std::byte* inner_frame = nullptr;
  const int result = OnStack(outer, [&] {
    const int from_inner = OnStack(inner, [&] {
      inner_frame = FRINGE_TEST_FRAME();
      return 20;
    });
    outer_frame = FRINGE_TEST_FRAME();
    return from_inner + 1;
  });
  EXPECT_EQ(result, 21);
  EXPECT_TRUE(Holds(outer, outer_frame));
  EXPECT_TRUE(Holds(inner, inner_frame));
}

TEST(OnStackTest, RunsInsideAGenerator) {
  const TestStack stack = NewStack();
  auto gen = MakeGenerator<int>(NewStack(), [&stack](Yielder<int>& yielder) {
    for (int i = 1; i <= 3; ++i) yielder.Suspend(OnStack(stack, [i] { return i * i; }));
  });
  EXPECT_THAT(gen.Resume(), Optional(1));
  EXPECT_THAT(gen.Resume(), Optional(4));
  EXPECT_THAT(gen.Resume(), Optional(9));
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(OnStackTest, ResumesAGenerator) {
  const TestStack stack = NewStack();
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    yielder.Suspend(1);
    yielder.Suspend(2);
  });
  EXPECT_THAT(OnStack(stack, [&gen] { return gen.Resume(); }), Optional(1));
  EXPECT_THAT(gen.Resume(), Optional(2));
  EXPECT_EQ(OnStack(stack, [&gen] { return gen.Resume(); }), std::nullopt);
}

TEST(OnStackDeathTest, SuspendingFromInsideIsFatal) {
  const TestStack stack = NewStack();
  auto gen = MakeGenerator<int>(NewStack(), [&stack](Yielder<int>& yielder) {
    OnStack(stack, [&yielder] { yielder.Suspend(1); });
  });
  EXPECT_DEATH(gen.Resume(), HasSubstr("fringe: Suspend must be called from the generator's own "
                                       "body, on its own stack, while it is running.\n"));
}

TEST(OnStackDeathTest, TooSmallAStackIsFatal) {
  const TestStack stack = NewStack();
  // Every size that is too small, down to zero.
  for (const ptrdiff_t size_bytes : {0, 16, 64, 128, 256}) {
    const AnyStack small(stack.base() - size_bytes, stack.base());
    EXPECT_DEATH(
        OnStack(small, [] {}),
        HasSubstr("fringe: the stack is too small for the generator's body and its frames.\n"))
        << size_bytes;
  }
}

TEST(OnStackDeathTest, MisalignedBaseIsFatal) {
  const TestStack stack = NewStack();
  const AnyStack misaligned(stack.limit(), stack.base() - kStackAlignment / 2);
  EXPECT_DEATH(OnStack(misaligned, [] {}),
               HasSubstr("fringe: the stack's base must be aligned to kStackAlignment.\n"));
}

#if FRINGE_EXCEPTIONS

TEST(OnStackExceptionTest, ExceptionLeavesTheCallAsTheSameObject) {
  const TestStack stack = NewStack();
  const void* thrown = nullptr;
  try {
    OnStack(stack, [&thrown] {
      try {
        throw std::runtime_error("from another stack");
      } catch (const std::runtime_error& error) {
        thrown = &error;
        throw;
      }
    });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(&error, thrown);
    EXPECT_STREQ(error.what(), "from another stack");
  }
  EXPECT_EQ(std::current_exception(), nullptr);
  EXPECT_EQ(OnStack(stack, [] { return 1; }), 1);
}

TEST(OnStackExceptionTest, DestructorsRunBeforeItLeavesTheCall) {
  const TestStack stack = NewStack();
  auto shared = std::make_shared<int>(1);
  try {
    OnStack(stack, [&shared] {
      const std::shared_ptr<int> copy = shared;
      throw 1;
    });
    ADD_FAILURE() << "nothing was thrown";
  } catch (int) {
    EXPECT_EQ(shared.use_count(), 1);
  }
}

TEST(OnStackExceptionTest, CallersHandlerIsVisibleInside) {
  const TestStack stack = NewStack();
  try {
    throw std::runtime_error("handled outside");
  } catch (const std::runtime_error& error) {
    OnStack(stack, [&error] {
      ASSERT_NE(std::current_exception(), nullptr);
      try {
        throw;
      } catch (const std::runtime_error& inside) {
        EXPECT_EQ(&inside, &error);
      }
    });
    EXPECT_THROW(OnStack(stack, [] { throw; }), std::runtime_error);
    EXPECT_THROW(throw, std::runtime_error);
  }
  EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(OnStackExceptionTest, RunsInADestructorDuringUnwinding) {
  const TestStack stack = NewStack();
  struct Calls {
    ~Calls() {
      *uncaught = OnStack(*stack, [] { return std::uncaught_exceptions(); });
    }
    const TestStack* stack;
    int* uncaught;
  };
  int uncaught = 0;
  try {
    const Calls calls{&stack, &uncaught};
    throw 1;
  } catch (int) {
  }
  EXPECT_EQ(uncaught, 1);
}

TEST(OnStackExceptionTest, ExceptionFromInsideAGeneratorLeavesItsResume) {
  const TestStack stack = NewStack();
  auto gen = MakeGenerator<int>(NewStack(), [&stack](auto&) { OnStack(stack, [] { throw 3; }); });
  EXPECT_THROW(gen.Resume(), int);
}

#else

TEST(OnStackExceptionTest, ExceptionsAreOff) {
  GTEST_SKIP() << "compiled with -fno-exceptions: there is nothing to throw";
}

#endif  // FRINGE_EXCEPTIONS

}  // namespace
}  // namespace fringe
