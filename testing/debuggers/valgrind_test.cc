// Runs a program under Valgrind's memcheck, which must report nothing: see valgrind.bzl.
//
//   valgrind_test PROGRAM TESTS_TO_LEAVE_OUT [TESTS_ON_THREADS]
//   valgrind_test PROGRAM --expect_warning
//   valgrind_test PROGRAM ANYTHING --gtest_filter=*OtherTools*
//
// The second form is for a program that does not register its stacks with Valgrind. Valgrind must
// warn. Otherwise its silence about the other programs would mean nothing. The last form is for
// other tools than memcheck.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/support/command.h"
#include "testing/support/emulator.h"

namespace fringe::testing {
namespace {

// Whether glibc guards thread stacks with MADV_GUARD_INSTALL, as it does since 2.42. Such a stack
// can share a mapping with a neighbour, such as a generator's stack. Valgrind warns of switches
// there.
#if defined(__GLIBC__)
constexpr bool kThreadsHaveLightGuards = __GLIBC_PREREQ(2, 42);
#else
constexpr bool kThreadsHaveLightGuards = false;
#endif

std::vector<std::string> arguments;

class ValgrindTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Emulator() != nullptr) GTEST_SKIP() << "Valgrind cannot run what " << Emulator() << " runs";
    if (!IsInstalled("valgrind")) GTEST_SKIP() << "Valgrind is not installed";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FRINGE_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FRINGE_IS_SANITIZED 1
#endif
#endif
#if defined(FRINGE_IS_SANITIZED)
    GTEST_SKIP() << "Valgrind does not run what a sanitizer watches";
#elif defined(__AVX512F__)
    GTEST_SKIP() << "Valgrind does not know AVX-512";
#elif defined(__i386__)
    GTEST_SKIP() << "the config links statically, and Valgrind replaces functions of the C library "
                    "in a shared one only: it finds errors before main";
#endif
    ASSERT_GE(arguments.size(), 2U);
  }

  // Valgrind's warning about a stack pointer outside all known stacks.
  static constexpr const char* kWarning = "client switching stacks?";
};

TEST_F(ValgrindTest, OtherToolsReachTheEnd) {
  for (const char* const tool : {"drd", "helgrind", "callgrind"}) {
    std::vector<std::string> words = {"valgrind", std::string("--tool=") + tool};
    words.push_back(std::string(tool) == "callgrind" ? "--callgrind-out-file=/dev/null"
                                                     : "--error-exitcode=99");
    words.push_back(arguments[0]);
    const CommandResult result = RunCommand(words);
    EXPECT_EQ(result.exit_status, 0) << tool << " said:\n" << result.output;
  }
}

TEST_F(ValgrindTest, MemcheckFindsNothing) {
  const bool expects_warning = arguments[1] == "--expect_warning";
  std::string left_out = expects_warning ? "" : arguments[1];
  const bool leaves_out_threads = arguments.size() > 2 && kThreadsHaveLightGuards;
  if (leaves_out_threads) left_out += ":" + arguments[2];
  const CommandResult result = RunCommand({"valgrind", "--error-exitcode=99", "--leak-check=full",
                                           "--errors-for-leak-kinds=definite", arguments[0],
                                           "--gtest_filter=-" + left_out, "--gtest_brief=1"});
  if (result.output.find("unhandled dwarf2") != std::string::npos) {
    GTEST_SKIP() << "this Valgrind cannot read this compiler's debug information";
  }
  EXPECT_EQ(result.output.find(kWarning) != std::string::npos, expects_warning);
  // The result of a switch that Valgrind does not recognise depends on the positions of the stacks.
  if (!expects_warning) {
    EXPECT_EQ(result.exit_status, 0);
  }
  if (HasFailure()) {
    ADD_FAILURE() << "Valgrind said:\n" << result.output;
  } else if (leaves_out_threads) {
    GTEST_SKIP() << "all passed but " << arguments[2]
                 << ", left out: Valgrind does not follow switches on threads of this glibc";
  }
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  fringe::testing::arguments.assign(argv + 1, argv + argc);
  return RUN_ALL_TESTS();
}
