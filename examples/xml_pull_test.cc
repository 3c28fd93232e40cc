#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/scratch_folder.h"

namespace {

using fringe::testing::CommandResult;
using fringe::testing::RunProgram;
using fringe::testing::ScratchFolder;

// A part of the Debian package gdb.
constexpr char kSystemCalls[] = "/usr/share/gdb/syscalls/amd64-linux.xml";

class XmlPullTest : public testing::Test {
 protected:
  // Returns: the path of a file with these contents.
  std::string Document(const std::string& contents) {
    return folder_.Write("document.xml", contents);
  }

  const ScratchFolder folder_;
};

TEST_F(XmlPullTest, ListsElements) {
  const CommandResult result = RunProgram({Document("<a>\n <b/>\n <c>x<d>y</d></c>\n</a>\n")});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_EQ(result.output, "1: a\n2: b\n3: c\n3: d\n");
}

TEST_F(XmlPullTest, PrintsTheTextOfElements) {
  const CommandResult result =
      RunProgram({Document("<a><c>x<d>y</d>z</c>\n<c>&lt;</c></a>"), "--element=c"});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_EQ(result.output, "1: xyz\n2: <\n");
}

TEST_F(XmlPullTest, MalformedInputHasLineAndColumn) {
  const std::string path = Document("<a>\n  <b>\n  </c>\n</a>\n");
  const CommandResult result = RunProgram({path});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_EQ(result.output, "1: a\n2: b\n");
  EXPECT_EQ(result.errors, path + ":3:5: mismatched tag\n");
}

TEST_F(XmlPullTest, StoppingEarlyDoesNotReadTheRest) {
  // Not well-formed after the second element. The first piece of the file has both.
  const std::string path = Document("<a><b/><b/>\n<&>");
  const CommandResult result = RunProgram({path, "--element=b", "--limit=2"});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_EQ(result.output, "1: \n1: \n");
}

TEST_F(XmlPullTest, AFileThatIsTruncatedIsAnError) {
  std::string contents = "<a>";
  for (int i = 0; i < 10'000; ++i) contents += "<b>text</b>\n";
  const std::string path = Document(contents);
  const CommandResult result = RunProgram({path, "--element=b"});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_EQ(result.errors, path + ":10001:1: no element found\n");
}

TEST_F(XmlPullTest, ReadsARealFile) {
  if (!std::filesystem::exists(kSystemCalls))
    GTEST_SKIP() << "no " << kSystemCalls << ": install gdb";
  const CommandResult result = RunProgram({kSystemCalls, "--element=syscall", "--attribute=name"});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_NE(result.output.find(": read\n"), std::string::npos);
  EXPECT_GT(fringe::testing::SplitLines(result.output).size(), 300u);
}

TEST_F(XmlPullTest, AFileThatDoesNotExistIsAnError) {
  const CommandResult result = RunProgram({"/absent"});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_EQ(result.errors, "xml_pull: /absent cannot be opened\n");
}

}  // namespace
