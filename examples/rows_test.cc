#include <string>

#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace {

using fringe::testing::CommandResult;
using fringe::testing::RunProgram;

constexpr char kEndless[] =
    "with recursive n(i) as (select 1 union all select i + 1 from n) select i, i * i from n";

TEST(RowsTest, PrintsEachRow) {
  const CommandResult result =
      RunProgram({":memory:", "select 1, 'a' union all select 2, null", "--stats"});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(result.output, "1\ta\n2\t\n");
  EXPECT_EQ(result.errors, "rows: computed 2, open statements 0\n");
}

TEST(RowsTest, StoppingEarlyFreesTheStatement) {
  const CommandResult result = RunProgram({":memory:", kEndless, "--limit=3", "--stats"});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(result.output, "1\t1\n2\t4\n3\t9\n");
  EXPECT_EQ(result.errors, "rows: computed 3, open statements 0\n");
}

TEST(RowsTest, ErrorsOfTheQueryAreReported) {
  const CommandResult result = RunProgram({":memory:", "select * from absent"});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_EQ(result.errors, "rows: no such table: absent\n");
}

TEST(RowsTest, AFileThatDoesNotExistIsAnError) {
  const CommandResult result = RunProgram({"/absent/file", "select 1"});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_EQ(result.errors, "rows: /absent/file: unable to open database file\n");
}

TEST(RowsTest, WrongArgumentsShowTheUsage) {
  const CommandResult result = RunProgram({":memory:"});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_NE(result.errors.find("rows DATABASE QUERY"), std::string::npos) << result.errors;
}

}  // namespace
