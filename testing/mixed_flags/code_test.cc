// Examines the objects of both sides. The object compiled without exceptions must not refer to
// exception functions of the library or of the C++ runtime.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace {

// Returns: the output of `nm` for a side, from the file that an environment variable names.
std::string Symbols(const char* variable) {
  const char* const path = std::getenv(variable);
  std::ifstream file(path == nullptr ? "" : path);
  EXPECT_TRUE(file.is_open()) << variable;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Symbols that only code with exceptions refers to.
const std::vector<std::string> kOfExceptions = {
    "fringe_thread_slot", "ThreadExceptionState", "ForcedUnwind",      "__cxa_allocate_exception",
    "__cxa_throw",        "__cxa_rethrow",        "__cxa_begin_catch", "__cxa_end_catch",
    "__cxa_get_globals",  "CaughtException",      "_Unwind_",          "__gxx_personality",
};

TEST(CodeTest, NothingOfExceptionsWithoutThem) {
  const std::string symbols = Symbols("WITHOUT_EXCEPTIONS");
  // It is the right object: it has a generator in it.
  ASSERT_NE(symbols.find("no_exceptions"), std::string::npos);
  ASSERT_NE(symbols.find("WithoutExceptions"), std::string::npos);
  for (const std::string& name : kOfExceptions) {
    EXPECT_EQ(symbols.find(name), std::string::npos) << name;
  }
}

// The name of a function that takes a generator contains the generator's full type. If it is
// declared on one side and defined on the other, the linker does not find it.
TEST(CodeTest, GeneratorsWithAndWithoutExceptionsAreDifferentTypes) {
  const std::string without = Symbols("WITHOUT_EXCEPTIONS");
  EXPECT_NE(without.find("no_exceptions"), std::string::npos);
  // As mangled: the length of the name first.
  for (const char* name : {"10exceptions", "15exceptions_asan", "15exceptions_tsan"}) {
    EXPECT_EQ(without.find(name), std::string::npos) << name;
  }
}

// Shows that the first test can fail.
TEST(CodeTest, AllOfThatWithThem) {
  const std::string symbols = Symbols("WITH_EXCEPTIONS");
  ASSERT_NE(symbols.find("WithExceptions"), std::string::npos);
  if (symbols.find("no_exceptions") != std::string::npos) {
    GTEST_SKIP() << "compiled with -fno-exceptions as a whole: there is no other side";
  }
  for (const char* name :
       {"fringe_thread_slot", "ThreadExceptionState", "ForcedUnwind", "__cxa_begin_catch",
        "CaughtException", "_Unwind_", "__gxx_personality"}) {
    EXPECT_NE(symbols.find(name), std::string::npos) << name;
  }
}

}  // namespace
