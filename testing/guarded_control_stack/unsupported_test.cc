// Code without support for shadow stacks, in a program that has one.

#include <utility>

#include "arch/shadow_stack.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"

namespace fringe {
namespace {

constexpr const char* kSentence =
    "fringe: generators cannot run with a hardware shadow stack in this build: compile for shadow "
    "stacks, or run the program without one\\.";

TEST(UnsupportedDeathTest, AnyGeneratorIsFatal) {
  ASSERT_TRUE(arch::ShadowStackIsOn());
  OsStack stack = *OsStack::Create(64 << 10);
  EXPECT_DEATH(MakeGenerator<int>(std::move(stack), [](auto&) {}), kSentence);
}

TEST(UnsupportedDeathTest, CallOnAnotherStackIsFatal) {
  const OsStack stack = *OsStack::Create(64 << 10);
  EXPECT_DEATH(OnStack(stack, [] {}), kSentence);
}

}  // namespace
}  // namespace fringe
