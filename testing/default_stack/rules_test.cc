// `fringe_cc_test` passes on the arguments, data and environment of its BUILD target. The
// environment names the stack that this test must run on.

#include <cstdlib>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "testing/default_stack/library.h"
#include "testing/default_stack/where.h"

namespace fringe::testing {
namespace {

std::string first_argument;

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

TEST(DefaultStackRulesTest, TestAndItsLibraryRunOnItsStack) {
  ASSERT_NE(Environment("STACK"), "");
  EXPECT_EQ(Where(), Environment("STACK"));
  EXPECT_EQ(WhereLibrary(), Environment("STACK"));
}

TEST(DefaultStackRulesTest, TestHasItsArgumentsAndItsData) {
  EXPECT_EQ(first_argument, Environment("DATA"));
  EXPECT_TRUE(std::ifstream(first_argument).is_open()) << first_argument;
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1) fringe::testing::first_argument = argv[1];
  return RUN_ALL_TESTS();
}
