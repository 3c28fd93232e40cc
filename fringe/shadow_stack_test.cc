// Tests shadow stacks without a CPU that has them. In a child process, the instruction that queries
// the shadow stack is overwritten by one that returns the other answer.

#include "arch/shadow_stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "testing/support/own_code.h"

namespace fringe {
namespace {

#if defined(__x86_64__)

// rdsspq of any register: f3, 48 or 49, 0f 1e, c8 to cf.
constexpr size_t kBytes = 5;
constexpr size_t kStep = 1;

// (The code contains constants, and data of AddressSanitizer.)
[[gnu::no_sanitize_address]] bool Asks(const unsigned char* code) {
  return code[0] == 0xf3 && (code[1] & 0xfe) == 0x48 && code[2] == 0x0f && code[3] == 0x1e &&
         (code[4] & 0xf8) == 0xc8;
}

// incq of that register, and a two-byte nop.
void Overwrite(unsigned char* code) {
  const unsigned char answer[] = {code[1], 0xff, static_cast<unsigned char>(0xc0 | (code[4] & 7)),
                                  0x66, 0x90};
  static_assert(sizeof answer == kBytes);
  std::memcpy(code, answer, kBytes);
}

#elif defined(__aarch64__)

constexpr size_t kBytes = 4;
constexpr size_t kStep = 4;

bool Asks(const unsigned char* code) {
  constexpr uint32_t kChkfeat = 0xd503251f;
  return std::memcmp(code, &kChkfeat, kBytes) == 0;
}

// mov x16, 0
void Overwrite(unsigned char* code) {
  constexpr uint32_t kMove = 0xd2800010;
  std::memcpy(code, &kMove, kBytes);
}

#else

constexpr size_t kBytes = 1;
constexpr size_t kStep = 1;

bool Asks(const unsigned char*) { return false; }
void Overwrite(unsigned char*) {}

#endif

// Makes every query of the shadow stack find one.
//
// Returns: the number of queries.
int PretendThereIsOne() {
  return testing::PatchOwnCode(kBytes, kStep, [](unsigned char* code) {
    const bool asks = Asks(code);
    if (asks) Overwrite(code);
    return asks;
  });
}

constexpr const char* kSentence =
    "fringe: generators cannot run with a hardware shadow stack in this build: compile for shadow "
    "stacks, or run the program without one\\.";

class ShadowStackDeathTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if FRINGE_SHADOW_STACKS
    GTEST_SKIP() << "this build supports them: other tests run with one";
#endif
#if !defined(__x86_64__) && !defined(__aarch64__)
    GTEST_SKIP() << "this CPU cannot be asked for a shadow stack";
#endif
  }
};

void MakeAGenerator(OsStack stack) {
  const auto generator = MakeGenerator<int>(std::move(stack), [](auto&) {});
  EXPECT_EQ(generator.state(), State::kRunnable);
}

TEST_F(ShadowStackDeathTest, FirstGeneratorIsFatal) {
  OsStack stack = *OsStack::Create(64 << 10);
  EXPECT_DEATH(
      {
        if (PretendThereIsOne() == 0) std::abort();
        MakeAGenerator(std::move(stack));
      },
      kSentence);
}

TEST_F(ShadowStackDeathTest, CallOnAnotherStackIsFatal) {
  const OsStack stack = *OsStack::Create(64 << 10);
  EXPECT_DEATH(
      {
        if (PretendThereIsOne() == 0) std::abort();
        OnStack(stack, [] {});
      },
      kSentence);
}

TEST_F(ShadowStackDeathTest, WithoutOneThereIsNoError) {
  ASSERT_FALSE(arch::ShadowStackIsOn());
  MakeAGenerator(*OsStack::Create(64 << 10));
}

#if FRINGE_SHADOW_STACKS && defined(__x86_64__)
TEST(SupportedShadowStackDeathTest, KernelWithoutThemIsFatal) {
  constexpr long kMapShadowStack = 453;
  constexpr size_t kMappedBytes = 4096;
  if (const long mapped = syscall(kMapShadowStack, 0, kMappedBytes, 0); mapped != -1) {
    munmap(reinterpret_cast<void*>(mapped), kMappedBytes);
    GTEST_SKIP() << "this kernel has them";
  }
  auto generator = MakeGenerator<int>(*OsStack::Create(64 << 10), [](auto&) {});
  EXPECT_DEATH(
      {
        if (PretendThereIsOne() == 0) std::abort();
        generator.Resume();
      },
      "fringe: map_shadow_stack failed for a generator");
}
#endif

}  // namespace
}  // namespace fringe
