// What support for shadow stacks costs a program that runs without one: in each resume, a question
// to the CPU and one branch.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gtest/gtest.h"

// The sections of cost.cc, defined by the linker.
extern "C" {
extern const uint32_t __start_resume_with[], __stop_resume_with[];
extern const uint32_t __start_resume_without[], __stop_resume_without[];
extern const uint32_t __start_suspend_with[], __stop_suspend_with[];
extern const uint32_t __start_suspend_without[], __stop_suspend_without[];
}

namespace fringe {
namespace {

using Code = std::span<const uint32_t>;

const Code resume_with(__start_resume_with, __stop_resume_with);
const Code resume_without(__start_resume_without, __stop_resume_without);
const Code suspend_with(__start_suspend_with, __stop_suspend_with);
const Code suspend_without(__start_suspend_without, __stop_suspend_without);

// From the "Arm Architecture Reference Manual for A-profile", "A64 instruction set encoding".
bool IsConditionalBranch(uint32_t instruction) {
  const bool is_on_flags = instruction >> 24 == 0x54;                     // b.cond
  const bool is_on_register = (instruction >> 24 & 0b0111'1100) == 0x34;  // cbz, cbnz, tbz, tbnz
  return is_on_flags || is_on_register;
}

bool IsQuestion(uint32_t instruction) { return instruction == 0xd503251f; }  // chkfeat x16

TEST(CostTest, ResumeAsksOnce) {
  EXPECT_EQ(std::ranges::count_if(resume_without, IsQuestion), 0);
  EXPECT_EQ(std::ranges::count_if(resume_with, IsQuestion), 1);
}

TEST(CostTest, ResumeHasOneBranchMore) {
  const auto branches = std::ranges::count_if(resume_without, IsConditionalBranch);
  EXPECT_GT(branches, 0);
  EXPECT_EQ(std::ranges::count_if(resume_with, IsConditionalBranch), branches + 1);
}

TEST(CostTest, ResumeHasThreeInstructionsMore) {
  EXPECT_GT(resume_without.size(), 10U);
  EXPECT_EQ(resume_with.size(), resume_without.size() + 3);
}

TEST(CostTest, SuspendIsTheSame) {
  EXPECT_GT(suspend_without.size(), 10U);
  EXPECT_EQ(suspend_with.size(), suspend_without.size());
}

}  // namespace
}  // namespace fringe
