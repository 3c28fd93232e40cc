// Translation units with and without exceptions, and with and without RTTI, in one program.
// docs/exceptions.md lists what is supported.

#include <functional>
#include <string>
#include <vector>

#include "fringe/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/mixed_flags/sides.h"

#if FRINGE_EXCEPTIONS
#include <exception>
#include <stdexcept>
#endif

namespace mixed {
namespace {

using ::testing::HasSubstr;

std::function<int()> CountDown(int from) {
  return [from]() mutable { return --from; };
}

TEST(MixedTest, EachSideHasItsFlags) {
  EXPECT_EQ(WithExceptions().has_exceptions, FRINGE_EXCEPTIONS != 0);
  EXPECT_FALSE(WithoutExceptions().has_exceptions);
  EXPECT_FALSE(WithoutRtti().has_rtti);
  EXPECT_EQ(WithoutRtti().has_exceptions, FRINGE_EXCEPTIONS != 0);
}

TEST(MixedTest, EachUsesItsOwn) {
  for (const Side* side : {&WithExceptions(), &WithoutExceptions(), &WithoutRtti()}) {
    EXPECT_EQ(side->sum(100), 5050);
  }
}

// A generator of each side resumes one of each side, behind a function.
TEST(MixedTest, GeneratorsOfBothSidesResumeOneAnother) {
  for (const Side* outer : {&WithExceptions(), &WithoutExceptions(), &WithoutRtti()}) {
    for (const Side* inner : {&WithExceptions(), &WithoutExceptions(), &WithoutRtti()}) {
      const std::function<int()> resume = outer->make(inner->make(outer->make(CountDown(10))));
      for (int i = 9; i >= 0; --i) EXPECT_EQ(resume(), i);
      EXPECT_EQ(resume(), -1);
    }
  }
}

#if FRINGE_EXCEPTIONS

// Functions that a body without exceptions calls may throw and catch, if the body does not suspend
// in between.
TEST(MixedTest, HandlerBelowABodyWithoutExceptionsThatDoesNotSuspend) {
  for (const Side* side : {&WithExceptions(), &WithoutExceptions(), &WithoutRtti()}) {
    auto next = CountDown(3);
    const std::function<int()> resume = side->make([&next] {
      try {
        throw std::runtime_error("inside");
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "inside");
      }
      return next();
    });
    // Inside a handler, and after it.
    try {
      throw 1;
    } catch (int) {
      EXPECT_EQ(resume(), 2);
      EXPECT_THROW(throw, int);
    }
    EXPECT_EQ(resume(), 1);
    EXPECT_EQ(resume(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
    EXPECT_EQ(resume(), -1);
  }
}

// A body with exceptions that is in a handler may be resumed by a generator without exceptions.
TEST(MixedTest, HandlerInAGeneratorThatOneWithoutExceptionsResumes) {
  const std::function<int()> inner = WithExceptions().make([next = CountDown(3)]() mutable {
    try {
      throw std::runtime_error("inside");
    } catch (const std::runtime_error&) {
      return next();
    }
  });
  const std::function<int()> resume = WithoutExceptions().make(inner);
  for (int i = 2; i >= -1; --i) {
    EXPECT_EQ(resume(), i);
    EXPECT_EQ(std::current_exception(), nullptr);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  }
}

TEST(MixedTest, ExceptionLeavesABodyWithExceptions) {
  for (const Side* side : {&WithExceptions(), &WithoutRtti()}) {
    const std::function<int()> resume =
        side->make([]() -> int { throw std::runtime_error("out of the body"); });
    EXPECT_THROW(resume(), std::runtime_error);
    EXPECT_EQ(resume(), -1);
  }
}

// As with a `noexcept` function: a body without exceptions cannot handle it, and the resumer's
// frames are on another stack.
TEST(MixedDeathTest, ExceptionThatLeavesABodyWithoutExceptionsTerminates) {
  auto run = [] {
    const std::function<int()> resume =
        WithoutExceptions().make([]() -> int { throw std::runtime_error("out of the body"); });
    try {
      resume();
    } catch (...) {
    }
  };
  EXPECT_DEATH(run(), HasSubstr("out of the body"));
}

#endif  // FRINGE_EXCEPTIONS

}  // namespace
}  // namespace mixed
