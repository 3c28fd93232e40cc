// A frame-pointer walker inside a generator reaches the resumer's caller and main, because the
// words at the base of the stack are a frame record. Always compiled with frame pointers, or with
// back chains on s390x, where the chain ends with the generator.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gtest/gtest.h"
#include "stacks/span_stack.h"
#include "testing/support/ordered_stacks.h"
#include "testing/unwinding/backtrace.h"

namespace fringe::testing {
namespace {

// main itself runs the walks, because GoogleTest may have no frame pointers.

const void* main_function;
const void* outer_function;
const void* resumer_function;
const void* body_function;
const void* inner_function;

using Functions = std::vector<const void*>;

// Returns: the functions of the caller and its callers, up to `main`.
[[gnu::noinline]] Functions WalkFramePointers() {
  struct FrameRecord {
    const FrameRecord* caller;
#if defined(__powerpc64__)
    const void* condition_register;
#elif defined(__s390x__)
    const void* others[13];
#endif
    const void* return_address;
  };
  // The record that a frame pointer points to: on LoongArch and RISC-V, to its end.
#if defined(__loongarch__) || defined(__riscv)
  constexpr int kRecord = -1;
#else
  constexpr int kRecord = 0;
#endif
  Functions functions;
#if defined(__s390x__)
  const FrameRecord* frame;
  asm volatile("lgr %0, %%r15" : "=r"(frame));
#else
  const auto* frame = static_cast<const FrameRecord*>(__builtin_frame_address(0));
#endif
#if defined(__powerpc64__) || defined(__s390x__)
  frame = frame->caller;  // where this function has saved its return address
#endif
  // Bounded, because a wrong walk may go in circles.
  for (int i = 0; i < 100 && frame != nullptr; ++i) {
    functions.push_back(FunctionOf(frame[kRecord].return_address));
    if (functions.back() == main_function) break;
    frame = frame[kRecord].caller;
  }
  return functions;
}

[[gnu::noinline]] void Inner(Yielder<Functions>& yielder) {
  inner_function = ThisFunction();
  yielder.Suspend(WalkFramePointers());
  KeepFrame();
}

void Body(Yielder<Functions>& yielder) {
  body_function = ThisFunction();
  for (int i = 0; i < 2; ++i) {
    Inner(yielder);
    KeepFrame();
  }
}

[[gnu::noinline]] Functions Resumer(Generator<Functions, void, SpanStack>& generator) {
  resumer_function = ThisFunction();
  Functions functions = generator.Resume().value_or(Functions());
  KeepFrame();
  return functions;
}

[[gnu::noinline]] Functions Outer(Generator<Functions, void, SpanStack>& generator) {
  outer_function = ThisFunction();
  Functions functions = Resumer(generator);
  KeepFrame();
  return functions;
}

// For two resumes. The first one starts the generator.
struct Walks {
  Functions first;
  Functions second;
};

Walks Walk(SpanStack stack) {
  // Unwritten entries read as an invalid address.
  std::memset(stack.limit(), 0xa5, static_cast<size_t>(stack.base() - stack.limit()));
  auto generator = Generator<Functions, void, SpanStack>::Unguarded(std::move(stack), &Body);
  Walks walks;
  walks.first = Outer(generator);
  walks.second = Outer(generator);
  generator.Resume();
  return walks;
}

Walks from_below;
Walks from_above;

// For CPUs whose frames have a frame pointer but no frame record.
#if (defined(__arm__) && !defined(__clang__)) || defined(__mips__)
constexpr bool kHasFrameRecords = false;
#else
constexpr bool kHasFrameRecords = true;
#endif

void ExpectAll(const Functions& functions) {
  if (!kHasFrameRecords) {
#if defined(__mips__)
    GTEST_SKIP() << "frames on MIPS have no frame records";
#else
    GTEST_SKIP() << "GCC lays down no frame records on 32-bit Arm";
#endif
  }
  Functions named;
  for (const void* function : functions) {
    for (const void* name :
         {inner_function, body_function, resumer_function, outer_function, main_function}) {
      if (function == name) named.push_back(function);
    }
  }
#if defined(__s390x__)
  // A chain of stack pointers, which ends with the generator's first frame.
  EXPECT_EQ(named, Functions({inner_function, body_function}));
  EXPECT_LT(functions.size(), 10U);
#else
  EXPECT_EQ(named, Functions({inner_function, body_function, resumer_function, outer_function,
                              main_function}));
#endif
}

TEST(FramePointerTest, ReachesMainFromAStackBelow) {
  ExpectAll(from_below.first);
  ExpectAll(from_below.second);
}

TEST(FramePointerTest, ReachesMainFromAStackAbove) {
  ExpectAll(from_above.first);
  ExpectAll(from_above.second);
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  using namespace fringe::testing;
  main_function = ThisFunction();
  if (kHasFrameRecords) {
    const OrderedStacks stacks;
    fringe::OnStack(stacks.middle, [&] {
      from_below = Walk(stacks.below);
      from_above = Walk(stacks.above);
    });
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
