#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"

#ifndef OWN_ABSEIL
#error "this is not the project's Abseil"
#endif
#ifndef OWN_GOOGLETEST
#error "this is not the project's GoogleTest"
#endif

TEST(StacksTest, ErrorsAreOfThisProjectsAbseil) {
  const absl::StatusOr<fringe::OsStack> stack = fringe::OsStack::Create(size_t{1} << 60);
  ASSERT_FALSE(stack.ok());
  EXPECT_NE(std::string(stack.status().message()).find("1152921504606846976 bytes"),
            std::string::npos)
      << stack.status().message();
}

TEST(StacksTest, EachStackIsMade) {
  EXPECT_TRUE(fringe::OsStack::Create(1 << 14).ok());
  EXPECT_TRUE(fringe::MallocStack::Create(1 << 14).ok());
  EXPECT_TRUE(fringe::StackPool::Default().Acquire().ok());
}

TEST(StacksTest, GeneratorRuns) {
  int sum = 0;
  for (const int number : fringe::Generator<int>([](auto& yielder) {
         for (int i = 1; i <= 4; ++i) yielder.Suspend(i);
       })) {
    sum += number;
  }
  EXPECT_EQ(sum, 10);
}
