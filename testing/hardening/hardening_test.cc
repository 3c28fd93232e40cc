// Checks that the object files and the linked program have the properties that the config
// `hardened` requests. The arguments are the archives of the object files.

#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <regex>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/hardening/hardened_generator.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

std::string program;
std::vector<std::string> archives;

// Whether indirect branches must land on marked instructions.
#if defined(__CET__) || defined(__ARM_FEATURE_BTI_DEFAULT)
constexpr bool kMarksBranches = true;
#else
constexpr bool kMarksBranches = false;
#endif

// The property for that, as readelf prints it. Then the instructions of a switch, as objdump prints
// them: the jump, the landing pad, and the target of the jump.
#if defined(__x86_64__)
constexpr const char* kProperty = "IBT, SHSTK";
constexpr const char* kJump = "jmp +\\*0x[0-9a-f]+\\(%r(si|dx)\\)";
constexpr const char* kLandingPad = "endbr64";
#elif defined(__aarch64__)
constexpr const char* kProperty = "BTI, PAC";
constexpr const char* kJump = "br\tx16";
constexpr const char* kLandingPad = "bti\tj";
#else
constexpr const char* kProperty = "";
constexpr const char* kJump = "";
constexpr const char* kLandingPad = "";
#endif

// Returns: the output of a tool, line by line. The tool must succeed.
std::vector<std::string> RunTool(const std::vector<std::string>& words) {
  const CommandResult result = RunCommand(words);
  EXPECT_EQ(result.exit_status, 0) << words[0] << ": " << result.output;
  return SplitLines(result.output);
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class HardeningTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("FRINGE_HARDENED") == nullptr) {
      GTEST_SKIP() << "not a hardened build: --config=hardened or aarch64-hardened";
    }
    ASSERT_FALSE(archives.empty()) << "the arguments are the archives";
  }
};

TEST_F(HardeningTest, StackIsNotExecutable) {
  // "  GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW  0x10"
  size_t count = 0;
  for (const std::string& line : RunTool({"readelf", "--program-headers", "--wide", program})) {
    if (!Contains(line, "GNU_STACK")) continue;
    ++count;
    EXPECT_TRUE(Contains(line, " RW ")) << line;
  }
  EXPECT_EQ(count, 1U);
}

// Each object must say so. Otherwise the linker makes the stack executable.
TEST_F(HardeningTest, NoObjectWantsAnExecutableStack) {
  for (const std::string& archive : archives) {
    size_t objects = 0;
    size_t notes = 0;
    for (const std::string& line : RunTool({"readelf", "--sections", "--wide", archive})) {
      if (line.starts_with("File: ")) ++objects;
      if (!Contains(line, ".note.GNU-stack")) continue;
      ++notes;
      EXPECT_FALSE(Contains(line, " X ")) << archive << ": " << line;
    }
    EXPECT_GT(objects, 0U) << archive;
    EXPECT_EQ(notes, objects) << archive;
  }
}

TEST_F(HardeningTest, EverySymbolIsBoundAtTheStart) {
  bool is_static = false;
  bool binds_now = false;
  for (const std::string& line : RunTool({"readelf", "--dynamic", "--wide", program})) {
    is_static = is_static || Contains(line, "There is no dynamic section");
    binds_now = binds_now || std::regex_search(line, std::regex("\\(FLAGS(_1)?\\).*\\bNOW\\b"));
  }
  if (is_static) GTEST_SKIP() << "a program that is linked statically has nothing to bind";
  EXPECT_TRUE(binds_now);
}

// One unmarked object would disable enforcement for the whole program. Each object is checked,
// because Debian's start files are not marked, so the linked program has no enforcement.
TEST_F(HardeningTest, EveryObjectIsMarked) {
  if (!kMarksBranches) GTEST_SKIP() << "nothing is marked on this CPU";
  for (const std::string& archive : archives) {
    std::string object;
    size_t objects = 0;
    size_t marked = 0;
    for (const std::string& line : RunTool({"readelf", "--notes", "--wide", archive})) {
      if (line.starts_with("File: ")) ++objects;
      if (Contains(line, kProperty)) ++marked;
    }
    EXPECT_GT(objects, 0U) << archive;
    EXPECT_EQ(marked, objects) << archive;
  }
}

TEST_F(HardeningTest, EveryResumeAddressIsALandingPad) {
  if (!kMarksBranches) GTEST_SKIP() << "there are no landing pads on this CPU";
  const std::regex jump(kJump);
  const std::regex nop("\\bnop|xchg +%ax,%ax");
  // The native objdump supports only native instructions.
  const std::string objdump = Emulator() == nullptr ? "objdump" : "aarch64-linux-gnu-objdump";
  size_t resume_addresses = 0;
  for (const std::string& archive : archives) {
    const std::vector<std::string> lines =
        RunTool({objdump, "--disassemble", "--no-show-raw-insn", archive});
    for (size_t i = 0; i + 2 < lines.size(); ++i) {
      // There is no resume address after the jump of a `Finish`.
      if (!std::regex_search(lines[i], jump) || !Contains(lines[i + 1], "nop")) continue;
      ++resume_addresses;
      // Further `nop`s align the resume address.
      size_t resume_address = i + 2;
      while (resume_address + 1 < lines.size() && std::regex_search(lines[resume_address], nop)) {
        ++resume_address;
      }
      EXPECT_TRUE(Contains(lines[resume_address], kLandingPad))
          << archive << ": " << lines[resume_address];
    }
  }
  // At least a resume, a resume off the fast path, a cancel and a suspend.
  EXPECT_GE(resume_addresses, 4U);
}

TEST_F(HardeningTest, StackProtectorAndFortificationAreOn) {
#if defined(__SSP_STRONG__) || defined(__SSP_ALL__)
  SUCCEED();
#else
  ADD_FAILURE() << "-fstack-protector-strong is not on";
#endif
#if defined(_FORTIFY_SOURCE)
  EXPECT_EQ(_FORTIFY_SOURCE, 3);
#else
  ADD_FAILURE() << "_FORTIFY_SOURCE is not defined";
#endif
}

// The code must also work.
TEST_F(HardeningTest, GeneratorsRun) { EXPECT_EQ(SumOfGenerated(100), 4950); }

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  fringe::testing::program = argv[0];
  fringe::testing::archives.assign(argv + 1, argv + argc);
  return RUN_ALL_TESTS();
}
