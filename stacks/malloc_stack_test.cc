#include "stacks/malloc_stack.h"

#include <malloc.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/stack.h"

// A sanitizer's heap ends the program where there is no such block, unless asked not to.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

#if FRINGE_JEMALLOC
#define JEMALLOC_NO_DEMANGLE
#include <jemalloc/jemalloc.h>
#endif

namespace fringe {
namespace {

using ::testing::HasSubstr;

constexpr const char* kCall = FRINGE_JEMALLOC ? "mallocx" : "aligned_alloc";

static_assert(Stack<MallocStack>);
static_assert(!GuardedStack<MallocStack>);

size_t SizeOf(const MallocStack& stack) {
  return static_cast<size_t>(stack.base() - stack.limit());
}

TEST(MallocStackTest, SizeIsRoundedUpToTheAlignment) {
  EXPECT_EQ(SizeOf(*MallocStack::Create(1)), kStackAlignment);
  EXPECT_EQ(SizeOf(*MallocStack::Create(kStackAlignment)), kStackAlignment);
  EXPECT_EQ(SizeOf(*MallocStack::Create(kStackAlignment + 1)), 2 * kStackAlignment);
  EXPECT_EQ(SizeOf(*MallocStack::Create(1001)), 1008u);
  EXPECT_EQ(SizeOf(*MallocStack::Create(64 << 10)), 64u << 10);
}

TEST(MallocStackTest, ZeroBytesIsOneUnit) {
  const absl::StatusOr<MallocStack> stack = MallocStack::Create(0);
  ASSERT_TRUE(stack.ok());
  EXPECT_EQ(SizeOf(*stack), kStackAlignment);
}

TEST(MallocStackTest, SizeThatDoesNotFitIsInvalid) {
  constexpr size_t kMax = std::numeric_limits<size_t>::max();
  for (const size_t size_bytes : {kMax, kMax - 1, kMax - kStackAlignment + 1}) {
    const absl::Status status = MallocStack::Create(size_bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << size_bytes;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(size_bytes)));
  }
}

TEST(MallocStackTest, SizeThatTheHeapDoesNotHaveIsExhausted) {
#if UINTPTR_MAX > UINT32_MAX
  constexpr size_t kSizes[] = {size_t{1} << 62, size_t{1} << 47};
#else
  constexpr size_t kSizes[] = {size_t{3} << 30, size_t{15} << 28};
#endif
  for (const size_t size_bytes : kSizes) {
    const absl::Status status = MallocStack::Create(size_bytes).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << size_bytes;
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr(kCall));
    EXPECT_THAT(message, HasSubstr(std::to_string(size_bytes) + " bytes"));
    EXPECT_THAT(message, HasSubstr(std::strerror(ENOMEM)));
  }
}

// How many bytes of the heap are in use, or nothing where the heap does not say.
std::optional<size_t> HeapBytes() {
#if FRINGE_JEMALLOC
  uint64_t epoch = 1;
  size_t bytes = 0;
  size_t length_bytes = sizeof(bytes);
  EXPECT_EQ(je_mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch)), 0);
  if (je_mallctl("stats.allocated", &bytes, &length_bytes, nullptr, 0) != 0) return std::nullopt;
  return bytes;
#elif FRINGE_ASAN || FRINGE_TSAN || !defined(__GLIBC__)
  return std::nullopt;
#else
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

TEST(MallocStackTest, DestructionAndAssignmentFreeTheBlock) {
  const std::optional<size_t> before = HeapBytes();
  if (!before) GTEST_SKIP() << "this heap does not tell what is in use";
  constexpr size_t kBytes = 1 << 20;
  {
    absl::StatusOr<MallocStack> stack = MallocStack::Create(kBytes);
    ASSERT_TRUE(stack.ok());
    EXPECT_GE(*HeapBytes(), *before + kBytes);
    for (int i = 0; i < 20; ++i) *stack = *MallocStack::Create(kBytes);
    const MallocStack moved = *std::move(stack);
    EXPECT_LT(*HeapBytes(), *before + 2 * kBytes);
  }
  EXPECT_LT(*HeapBytes(), *before + kBytes);
}

}  // namespace
}  // namespace fringe
