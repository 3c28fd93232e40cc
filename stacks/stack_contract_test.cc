// What stack.h asks of every stack, held against each that fringe has.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "stacks/default_stack.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"
#include "stacks/stack.h"

namespace fringe {
namespace {

// --- The concepts
// ---------------------------------------------------------------------------------

struct Minimal {
  std::byte* base() const noexcept;
  std::byte* limit() const noexcept;
};
static_assert(Stack<Minimal> && !GuardedStack<Minimal>);

struct Promising : Minimal {};

}  // namespace

template <>
inline constexpr bool enable_guarded_stack<Promising> = true;

namespace {

static_assert(GuardedStack<Promising>);

struct NoLimit {
  std::byte* base() const noexcept;
};
struct MayThrow {
  std::byte* base() const;
  std::byte* limit() const;
};
struct OfVoid {
  void* base() const noexcept;
  void* limit() const noexcept;
};
struct NotConst {
  std::byte* base() noexcept;
  std::byte* limit() noexcept;
};
struct NotMovable : Minimal {
  NotMovable(NotMovable&&) = delete;
};
struct NotAssignable : Minimal {
  NotAssignable(NotAssignable&&);
  NotAssignable& operator=(NotAssignable&&) = delete;
};
struct NoStack {};
static_assert(!Stack<NoLimit> && !Stack<MayThrow> && !Stack<OfVoid> && !Stack<NotConst>);
static_assert(!Stack<NotMovable> && !Stack<NotAssignable> && !Stack<int> && !Stack<Minimal&>);

}  // namespace

// The promise alone makes no stack.
template <>
[[maybe_unused]] inline constexpr bool enable_guarded_stack<NoStack> = true;

namespace {

static_assert(!GuardedStack<NoStack>);
static_assert(GuardedStack<OsStack>);
static_assert(GuardedStack<PooledStack>);
static_assert(!GuardedStack<MallocStack>);
static_assert(!GuardedStack<SpanStack>);
// A generator that names no stack has one whose overflow faults, unless the build says otherwise.
static_assert(GuardedStack<DefaultStack> || FRINGE_UNGUARDED_DEFAULT_STACK);

// --- The contract
// ---------------------------------------------------------------------------------

// How each comes into being. `New` gives at least `size_bytes` bytes.
struct OsStackKit {
  using Type = OsStack;
  static constexpr char kName[] = "OsStack";
  Type New(size_t size_bytes) { return *OsStack::Create(size_bytes); }
};

struct MallocStackKit {
  using Type = MallocStack;
  static constexpr char kName[] = "MallocStack";
  Type New(size_t size_bytes) { return *MallocStack::Create(size_bytes); }
};

struct PooledStackKit {
  using Type = PooledStack;
  static constexpr char kName[] = "PooledStack";
  Type New(size_t size_bytes) {
    EXPECT_LE(size_bytes, kPoolBytes);
    return *pool.Acquire();
  }
  static constexpr size_t kPoolBytes = 100001;
  StackPool pool{{.stack_bytes = kPoolBytes}};
};

struct SpanStackKit {
  using Type = SpanStack;
  static constexpr char kName[] = "SpanStack";
  Type New(size_t size_bytes) {
    // From an odd address on, with room for what rounding takes.
    memory.push_back(std::make_unique<std::byte[]>(1 + size_bytes + 2 * kStackAlignment));
    return *SpanStack::Create({memory.back().get() + 1, size_bytes + 2 * kStackAlignment});
  }
  std::vector<std::unique_ptr<std::byte[]>> memory;
};

struct DefaultStackKit {
  using Type = DefaultStack;
  static constexpr char kName[] = "DefaultStack";
  Type New(size_t size_bytes) {
    EXPECT_LE(size_bytes, kDefaultStackBytes);
    return CreateDefaultStack();
  }
};

template <typename Kit>
class StackContractTest : public ::testing::Test {
 protected:
  using StackT = typename Kit::Type;

  StackT New(size_t size_bytes) { return kit_.New(size_bytes); }

  static size_t SizeOf(const StackT& stack) {
    return static_cast<size_t>(stack.base() - stack.limit());
  }

  static void Fill(const StackT& stack, unsigned char value) {
    std::memset(stack.limit(), value, SizeOf(stack));
  }

  static bool IsFilledWith(const StackT& stack, unsigned char value) {
    for (const std::byte* byte = stack.limit(); byte != stack.base(); ++byte) {
      if (*byte != std::byte{value}) return false;
    }
    return true;
  }

  static constexpr std::array<size_t, 7> kSizes = {16, 17, 1000, 1024, 4096, 5000, 60001};

 private:
  Kit kit_;
};

struct KitName {
  template <typename Kit>
  static std::string GetName(int) {
    return Kit::kName;
  }
};

using Kits =
    ::testing::Types<OsStackKit, MallocStackKit, PooledStackKit, SpanStackKit, DefaultStackKit>;
TYPED_TEST_SUITE(StackContractTest, Kits, KitName);

TYPED_TEST(StackContractTest, BaseIsAligned) {
  for (const size_t size_bytes : this->kSizes) {
    const auto stack = this->New(size_bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.base()) % kStackAlignment, 0u) << size_bytes;
  }
}

TYPED_TEST(StackContractTest, HoldsAtLeastWhatWasAskedFor) {
  for (const size_t size_bytes : this->kSizes) {
    const auto stack = this->New(size_bytes);
    EXPECT_LE(reinterpret_cast<uintptr_t>(stack.limit()),
              reinterpret_cast<uintptr_t>(stack.base()));
    EXPECT_GE(this->SizeOf(stack), size_bytes);
  }
}

TYPED_TEST(StackContractTest, EveryByteIsReadAndWritten) {
  for (const size_t size_bytes : this->kSizes) {
    const auto stack = this->New(size_bytes);
    this->Fill(stack, 0xa5);
    EXPECT_TRUE(this->IsFilledWith(stack, 0xa5)) << size_bytes;
  }
}

TYPED_TEST(StackContractTest, StacksShareNoByte) {
  std::vector<typename TestFixture::StackT> stacks;
  for (unsigned char i = 0; i < 8; ++i) {
    stacks.push_back(this->New(5000));
    this->Fill(stacks.back(), i);
  }
  for (unsigned char i = 0; i < 8; ++i) EXPECT_TRUE(this->IsFilledWith(stacks[i], i)) << int{i};
}

TYPED_TEST(StackContractTest, MoveKeepsAddressesAndContents) {
  auto stack = this->New(5000);
  std::byte* const base = stack.base();
  std::byte* const limit = stack.limit();
  this->Fill(stack, 0x3c);
  const auto moved = std::move(stack);
  EXPECT_EQ(moved.base(), base);
  EXPECT_EQ(moved.limit(), limit);
  EXPECT_TRUE(this->IsFilledWith(moved, 0x3c));
}

TYPED_TEST(StackContractTest, MoveAssignmentKeepsAddressesAndContents) {
  auto stack = this->New(5000);
  std::byte* const base = stack.base();
  std::byte* const limit = stack.limit();
  this->Fill(stack, 0x3c);
  auto target = this->New(1000);
  target = std::move(stack);
  EXPECT_EQ(target.base(), base);
  EXPECT_EQ(target.limit(), limit);
  EXPECT_TRUE(this->IsFilledWith(target, 0x3c));
}

TYPED_TEST(StackContractTest, MovedFromOneMayBeAssignedTo) {
  auto stack = this->New(1000);
  { [[maybe_unused]] const auto moved = std::move(stack); }
  stack = this->New(5000);
  this->Fill(stack, 0x3c);
  EXPECT_TRUE(this->IsFilledWith(stack, 0x3c));
}

TYPED_TEST(StackContractTest, MoveAssignmentToItselfChangesNothing) {
  auto stack = this->New(1000);
  std::byte* const base = stack.base();
  this->Fill(stack, 0x3c);
  auto& same = stack;
  stack = std::move(same);
  EXPECT_EQ(stack.base(), base);
  EXPECT_TRUE(this->IsFilledWith(stack, 0x3c));
}

TYPED_TEST(StackContractTest, MovesDoNotThrow) {
  using Type = typename TypeParam::Type;
  static_assert(Stack<Type>);
  static_assert(std::is_nothrow_move_constructible_v<Type>);
  static_assert(std::is_nothrow_move_assignable_v<Type>);
}

}  // namespace
}  // namespace fringe
