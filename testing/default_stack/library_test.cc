// Libraries with their own default stacks, in one program.

#include "testing/default_stack/library.h"

#include "gtest/gtest.h"
#include "testing/default_stack/counted_stack.h"
#include "testing/default_stack/where.h"

namespace fringe::testing {
namespace {

TEST(DefaultStackLibraryTest, EachRunsOnItsOwnAndTheOthersOnTheProgramsStack) {
  EXPECT_EQ(Where(), "fringe::PooledStack");
  EXPECT_EQ(WhereLibrary(), "fringe::PooledStack");
  EXPECT_EQ(WhereLibraryOnOwn(), "own::OwnStack");
  EXPECT_EQ(WhereLibraryCounted(), "fringe::OsStack");
}

// Two libraries create one stack type in two ways. Linking must keep both.
TEST(DefaultStackLibraryTest, StackOfTheSameTypeIsCreatedAsTheLibrarySays) {
  const int before = own::stacks_created;
  EXPECT_EQ(WhereLibraryCounted(), "fringe::OsStack");
  EXPECT_EQ(own::stacks_created, before + 1);
  EXPECT_EQ(WhereLibraryOnOwn(), "own::OwnStack");
  EXPECT_EQ(own::stacks_created, before + 1);
}

}  // namespace
}  // namespace fringe::testing
