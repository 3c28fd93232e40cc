#include "fringe/stack_usage.h"

#include <alloca.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/failing_calls.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"
#include "stacks/stack.h"
#include "stacks/system.h"
#include "testing/support/emulator.h"

namespace fringe {
namespace {

using internal::Call;
using internal::FailingCalls;

constexpr size_t kBytes = size_t{64} << 10;

// What a generator needs in addition to its body: some hundred bytes, and more without optimisation
// or with a sanitizer.
constexpr size_t kOverheadBytes = 4096;

size_t SizeOf(const auto& stack) { return static_cast<size_t>(stack.base() - stack.limit()); }

// Writes to `size_bytes` of its stack, all in its own frame. AddressSanitizer leaves this
// allocation on the stack and poisons the memory around it.
[[gnu::noinline]] void UseBytes(size_t size_bytes) {
  void* const memory = alloca(size_bytes);
  asm volatile("" : : "r"(memory) : "memory");
  std::memset(memory, 0, size_bytes);
  asm volatile("" : : "r"(memory) : "memory");
}

// The same, but suspends while it holds the memory.
[[gnu::noinline]] void UseBytesAndSuspend(size_t size_bytes, Yielder<int>& yielder) {
  void* const memory = alloca(size_bytes);
  asm volatile("" : : "r"(memory) : "memory");
  std::memset(memory, 0, size_bytes);
  yielder.Suspend(0);
  asm volatile("" : : "r"(memory) : "memory");
}

// --- StackUsage ----------------------------------------------------------------------------------

template <typename StackT>
void ExpectEachByteCounts(const StackT& stack) {
  const size_t size_bytes = SizeOf(stack);
  for (const size_t depth_bytes : {size_t{1}, size_t{8}, size_t{9}, size_t{16}, size_t{1000},
                                   size_bytes - 8, size_bytes - 7, size_bytes}) {
    const StackUsage usage(stack);
    EXPECT_EQ(usage.size_bytes(), size_bytes);
    EXPECT_EQ(usage.used_bytes(), 0u);
    *(stack.base() - depth_bytes) = std::byte{0};
    EXPECT_EQ(usage.used_bytes(), (depth_bytes + 7) / 8 * 8);
    // Memory above does not matter.
    *(stack.base() - 1) = std::byte{0};
    EXPECT_EQ(usage.used_bytes(), (depth_bytes + 7) / 8 * 8);
  }
}

TEST(StackUsageTest, UseIsCountedFromTheBaseToTheLowestWord) {
  ExpectEachByteCounts(*OsStack::Create(kBytes));
  ExpectEachByteCounts(*MallocStack::Create(kBytes));
  ExpectEachByteCounts(*StackPool::Default().Acquire());
  alignas(kStackAlignment) std::array<std::byte, 4096> memory;
  ExpectEachByteCounts(*SpanStack::Create(memory));
}

// The contract requires alignment only of the base.
struct Misaligned {
  std::byte* base() const noexcept { return end; }
  std::byte* limit() const noexcept { return begin; }
  std::byte* begin;
  std::byte* end;
};

TEST(StackUsageTest, NothingOutsideTheStackIsWritten) {
  alignas(kStackAlignment) std::array<std::byte, 64> memory;
  for (size_t begin = 8; begin < 32; ++begin) {
    for (size_t end = 32; end <= 48; end += kStackAlignment) {
      memory.fill(std::byte{0x5a});
      const StackUsage usage(Misaligned{memory.data() + begin, memory.data() + end});
      EXPECT_EQ(usage.used_bytes(), 0u);
      for (size_t i = 0; i < memory.size(); ++i) {
        const bool is_painted = i >= (begin + 7) / 8 * 8 && i < end;
        EXPECT_EQ(memory[i] != std::byte{0x5a}, is_painted) << begin << " " << end << " " << i;
      }
    }
  }
}

TEST(StackUsageTest, WhatABodyUsesCountsAndStays) {
  OsStack stack = *OsStack::Create(kBytes);
  const StackUsage usage(stack);
  auto gen = MakeGenerator<int>(std::move(stack), [](auto& yielder) {
    yielder.Suspend(0);
    UseBytes(10000);
    yielder.Suspend(0);
    UseBytesAndSuspend(30000, yielder);
    UseBytes(5);
    yielder.Suspend(0);
  });
  const size_t at_first = usage.used_bytes();
  EXPECT_GT(at_first, 0u);  // its base
  EXPECT_LT(at_first, kOverheadBytes);
  gen.Resume();
  const size_t before = usage.used_bytes();
  EXPECT_GT(before, at_first);
  EXPECT_LT(before, kOverheadBytes);
  gen.Resume();
  EXPECT_GE(usage.used_bytes(), 10000u);
  EXPECT_LT(usage.used_bytes(), 10000 + kOverheadBytes);
  gen.Resume();
  const size_t most = usage.used_bytes();
  EXPECT_GE(most, 30000u);
  EXPECT_LT(most, 30000 + kOverheadBytes);
  // Less deep, then at the end.
  gen.Resume();
  EXPECT_EQ(usage.used_bytes(), most);
  EXPECT_EQ(gen.Resume(), std::nullopt);
  EXPECT_EQ(usage.used_bytes(), most);
}

TEST(StackUsageTest, BodyMayAskOfItsOwnStack) {
  OsStack stack = *OsStack::Create(kBytes);
  const StackUsage usage(stack);
  auto gen = MakeGenerator<size_t>(std::move(stack), [&usage](auto& yielder) {
    UseBytes(20000);
    yielder.Suspend(usage.used_bytes());
  });
  const std::optional<size_t> used = gen.Resume();
  EXPECT_GE(*used, 20000u);
  EXPECT_LT(*used, 20000 + kOverheadBytes);
  gen.Resume();
}

TEST(StackUsageTest, StackMayBePaintedAnew) {
  OsStack stack = *OsStack::Create(kBytes);
  for (const size_t size_bytes : {size_t{20000}, size_t{10000}}) {
    const StackUsage usage(stack);
    EXPECT_EQ(usage.used_bytes(), 0u);
    auto gen = MakeGenerator<int>(
        std::move(stack), [size_bytes](auto& yielder) { UseBytesAndSuspend(size_bytes, yielder); });
    gen.Resume();
    stack = std::move(gen).UnsafeUnwrap();
    EXPECT_GE(usage.used_bytes(), size_bytes);
    EXPECT_LT(usage.used_bytes(), size_bytes + kOverheadBytes);
  }
}

// --- MeasuredStack -------------------------------------------------------------------------------

static_assert(GuardedStack<MeasuredStack<OsStack>>);
static_assert(Stack<MeasuredStack<MallocStack>> && !GuardedStack<MeasuredStack<MallocStack>>);
static_assert(std::is_nothrow_move_constructible_v<MeasuredStack<OsStack>>);
static_assert(std::is_nothrow_move_assignable_v<MeasuredStack<OsStack>>);

std::string Line(const std::string& name, const StackUsage& usage) {
  return name + ": used " + std::to_string(usage.used_bytes()) + " of " +
         std::to_string(usage.size_bytes()) + " bytes\n";
}

TEST(MeasuredStackTest, LineIsPrintedWhenTheGeneratorIsDestroyed) {
  std::ostringstream printed;
  std::string line;
  {
    MeasuredStack stack(*OsStack::Create(kBytes), "walk", printed);
    const StackUsage usage = stack.usage();
    auto gen = MakeGenerator<int>(std::move(stack), [](auto&) { UseBytes(10000); });
    auto moved = std::move(gen);
    moved.Resume();
    EXPECT_EQ(printed.str(), "");
    EXPECT_GE(usage.used_bytes(), 10000u);
    line = Line("walk", usage);
  }
  EXPECT_EQ(printed.str(), line);
}

TEST(MeasuredStackTest, UnguardedOnesAreMeasuredToo) {
  std::ostringstream printed;
  {
    auto gen = Generator<int, void, MeasuredStack<MallocStack>>::Unguarded(
        MeasuredStack(*MallocStack::Create(kBytes), "heap", printed),
        [](auto&) { UseBytes(10000); });
    gen.Resume();
  }
  EXPECT_EQ(printed.str().find("heap: used 1"), 0u) << printed.str();
  EXPECT_NE(printed.str().find(" of 65536 bytes\n"), std::string::npos) << printed.str();
}

TEST(MeasuredStackTest, AssignmentPrintsOfTheStackAssignedTo) {
  std::ostringstream printed;
  MeasuredStack stack(*OsStack::Create(kBytes), "first", printed);
  const std::string first = Line("first", stack.usage());
  MeasuredStack second(*OsStack::Create(kBytes), "second", printed);
  std::byte* const base = second.base();
  const std::string line = Line("second", second.usage());
  stack = std::move(second);
  EXPECT_EQ(printed.str(), first);
  EXPECT_EQ(stack.base(), base);
  auto& same = stack;
  stack = std::move(same);
  EXPECT_EQ(printed.str(), first);
  EXPECT_EQ(stack.base(), base);
  { [[maybe_unused]] const auto moved = std::move(stack); }
  EXPECT_EQ(printed.str(), first + line);
}

TEST(MeasuredStackTest, GeneratorGivesItBack) {
  std::ostringstream printed;
  auto gen = MakeGenerator<int>(MeasuredStack(*OsStack::Create(kBytes), "walk", printed),
                                [](auto&) { UseBytes(10000); });
  gen.Resume();
  const auto stack = std::move(gen).Unwrap();
  EXPECT_EQ(printed.str(), "");
  EXPECT_GE(stack.usage().used_bytes(), 10000u);
}

TEST(MeasuredStackTest, LineGoesToStandardErrorByDefault) {
  ::testing::internal::CaptureStderr();
  std::string line;
  {
    const MeasuredStack stack(*OsStack::Create(kBytes), "walk");
    line = Line("walk", stack.usage());
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), line);
}

// The pool does not mistake the paint for its own marks. It sees that the stack was touched, and
// returns the memory.
TEST(MeasuredStackTest, PoolTakesTheMemoryBack) {
  if (testing::Emulator() != nullptr) {
    GTEST_SKIP() << testing::Emulator() << " does not tell which pages are resident";
  }
  StackPool pool({.stack_bytes = 1 << 20, .resident_bytes = 16 << 10});
  std::ostringstream printed;
  for (int i = 0; i < 3; ++i) {
    MeasuredStack stack(*pool.Acquire(), "pooled", printed);
    EXPECT_GE(pool.Stats().resident_bytes, size_t{1} << 20);
    { [[maybe_unused]] const auto gone = std::move(stack); }
    // And the pool's own record of its stacks.
    EXPECT_LE(pool.Stats().resident_bytes, size_t{32} << 10);
  }
}

// --- ResidentStackBytes --------------------------------------------------------------------------

TEST(ResidentStackBytesTest, CountsFromTheBaseToTheLowestPageThatWasTouched) {
  const OsStack stack = *OsStack::Create(kBytes);
  EXPECT_EQ(ResidentStackBytes(stack), 0u);
  const size_t page_bytes = internal::PageBytes();
  for (const size_t depth_bytes : {size_t{1}, page_bytes + 100, 5 * page_bytes, kBytes}) {
    std::byte* const touched = stack.base() - depth_bytes;
    *touched = std::byte{1};
    const std::optional<size_t> resident_bytes = ResidentStackBytes(stack);
    ASSERT_TRUE(resident_bytes.has_value());
    std::byte* const page = touched - reinterpret_cast<uintptr_t>(touched) % page_bytes;
    EXPECT_EQ(*resident_bytes, static_cast<size_t>(stack.base() - page)) << depth_bytes;
  }
}

TEST(ResidentStackBytesTest, LargeStacksAreLookedThrough) {
  const OsStack stack = *OsStack::Create(size_t{8} << 20);
  for (const size_t depth_bytes : {size_t{1} << 20, size_t{4} << 20, size_t{8} << 20}) {
    *(stack.base() - depth_bytes) = std::byte{1};
    const size_t resident_bytes = ResidentStackBytes(stack).value();
    EXPECT_GE(resident_bytes, depth_bytes);
    EXPECT_LT(resident_bytes, depth_bytes + internal::PageBytes());
  }
}

TEST(ResidentStackBytesTest, NeverLessThanWhatABodyUses) {
  auto stack = *OsStack::Create(kBytes);
  const Misaligned place = {stack.limit(), stack.base()};
  auto gen = MakeGenerator<int>(std::move(stack), [](auto&) { UseBytes(30000); });
  gen.Resume();
  EXPECT_GE(ResidentStackBytes(place).value(), 30000u);
  EXPECT_LT(ResidentStackBytes(place).value(), 30000 + kOverheadBytes + internal::PageBytes());
}

TEST(ResidentStackBytesTest, StackWithinAPageIsAsLargeAsItIs) {
  const OsStack stack = *OsStack::Create(kBytes);
  const Misaligned part = {stack.limit() + 48, stack.limit() + 1024};
  EXPECT_EQ(ResidentStackBytes(part), 0u);
  *part.begin = std::byte{1};
  EXPECT_EQ(ResidentStackBytes(part), 976u);
}

TEST(ResidentStackBytesTest, NothingWhereTheSystemDoesNotSay) {
  const OsStack stack = *OsStack::Create(kBytes);
  const FailingCalls failing(Call::kMincore, ENOMEM);
  EXPECT_EQ(ResidentStackBytes(stack), std::nullopt);
}

}  // namespace
}  // namespace fringe
