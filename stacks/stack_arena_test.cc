#include "stacks/stack_arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

#include "gtest/gtest.h"
#include "stacks/failing_calls.h"
#include "stacks/system.h"

namespace fringe::internal {
namespace {

using ::testing::KilledBySignal;

constexpr size_t kStacks = 5;

StackLayout Layout() { return {.guard_bytes = 2 * PageBytes(), .room_bytes = 4 * PageBytes()}; }

bool IsMapped(std::byte* page) {
  unsigned char resident;
  return mincore(page, 1, &resident) == 0;
}

void WriteAt(std::byte* byte) {
  std::signal(SIGSEGV, SIG_DFL);
  *static_cast<volatile std::byte*>(byte) = std::byte{1};
}

class StackArenaDeathTest : public ::testing::TestWithParam<GuardKind> {
 protected:
  void SetUp() override {
    if (GetParam() == GuardKind::kLight && usual_ != GuardKind::kLight) {
      GTEST_SKIP() << "this kernel or build has no light guards";
    }
    ForceGuardKind(GetParam());
  }
  void TearDown() override { ForceGuardKind(usual_); }

 private:
  const GuardKind usual_ = SystemGuardKind();
};

INSTANTIATE_TEST_SUITE_P(, StackArenaDeathTest,
                         ::testing::Values(GuardKind::kLight, GuardKind::kProtected),
                         [](const auto& test) {
                           return test.param == GuardKind::kLight ? "Light" : "Protected";
                         });

// The pool's records must be where no overflow of one of its stacks can reach them, even one that
// jumps over a guard.
TEST_P(StackArenaDeathTest, RecordsAreAboveAllStacksAndBelowAGuard) {
  const char* failed_call = nullptr;
  StackArena* const arena = StackArena::Create(Layout(), kStacks, &failed_call);
  ASSERT_NE(arena, nullptr) << failed_call;
  std::byte* const last_end = arena->limit(kStacks - 1) + Layout().room_bytes;
  EXPECT_EQ(arena->limit(0), arena->start + Layout().guard_bytes);
  EXPECT_GE(reinterpret_cast<std::byte*>(arena->slot(0)), last_end);
  EXPECT_GE(reinterpret_cast<std::byte*>(arena), last_end);
  std::byte* const end = arena->start + arena->mapped_bytes;
  EXPECT_LE(reinterpret_cast<std::byte*>(arena->slot(kStacks)), end - Layout().guard_bytes);
  EXPECT_EXIT(WriteAt(end - 1), KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(WriteAt(end - Layout().guard_bytes), KilledBySignal(SIGSEGV), "");
  StackArena::Destroy(arena);
}

TEST_P(StackArenaDeathTest, GuardIsInstalledBelowTheStack) {
  const char* failed_call = nullptr;
  StackArena* const arena = StackArena::Create(Layout(), kStacks, &failed_call);
  ASSERT_NE(arena, nullptr) << failed_call;
  for (size_t i = 0; i < kStacks; ++i) {
    auto* const slot = new (arena->slot(i))
        StackSlot{{.base = arena->limit(i) + Layout().room_bytes, .limit = arena->limit(i)},
                  nullptr,
                  arena,
                  nullptr,
                  nullptr};
    ASSERT_EQ(InstallSlotGuard(slot), nullptr);
    EXPECT_TRUE(slot->has_guard);
    EXPECT_EQ(slot->guard_is_mapped, GetParam() == GuardKind::kProtected);
  }
  for (size_t i = 0; i < kStacks; ++i) {
    *arena->limit(i) = std::byte{1};
    arena->limit(i)[Layout().room_bytes - 1] = std::byte{1};
    EXPECT_EXIT(WriteAt(arena->limit(i) - 1), KilledBySignal(SIGSEGV), "");
    EXPECT_EXIT(WriteAt(arena->limit(i) - Layout().guard_bytes), KilledBySignal(SIGSEGV), "");
  }
  std::byte* const start = arena->start;
  StackArena::Destroy(arena);
  EXPECT_FALSE(IsMapped(start + Layout().guard_bytes));
}

TEST_P(StackArenaDeathTest, FailureLeavesNothingMapped) {
  const char* failed_call = nullptr;
  {
    const FailingCalls failing(Call::kMmap, ENOMEM);
    EXPECT_EQ(StackArena::Create(Layout(), kStacks, &failed_call), nullptr);
    EXPECT_STREQ(failed_call, "mmap");
    EXPECT_EQ(errno, ENOMEM);
  }
  const FailingCalls failing(GetParam() == GuardKind::kLight ? Call::kMadvise : Call::kMprotect,
                             ENOMEM, GetParam() == GuardKind::kLight ? 1 : 0);
  EXPECT_EQ(StackArena::Create(Layout(), kStacks, &failed_call), nullptr);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_STREQ(failed_call, GetParam() == GuardKind::kLight ? "madvise(MADV_GUARD_INSTALL)"
                                                            : "mprotect of the guard");
}

}  // namespace
}  // namespace fringe::internal
