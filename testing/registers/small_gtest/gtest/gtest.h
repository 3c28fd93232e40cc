// As much of GoogleTest as the tests need that break_backend compiles for each breakage, in a
// fraction of the time. A failure is counted, not described.

#ifndef FRINGE_TESTING_REGISTERS_SMALL_GTEST_GTEST_GTEST_H_
#define FRINGE_TESTING_REGISTERS_SMALL_GTEST_GTEST_GTEST_H_

#include <cstdio>
#include <functional>
#include <string>
#include <utility>

namespace testing {

inline int failures = 0;
inline bool is_skipped = false;

// Takes the text of an assertion.
struct Sink {
  template <typename T>
  Sink& operator<<(const T&) {
    return *this;
  }
};

// What an assertion that fails becomes. The assignment is void, so that ASSERT_... can return it.
struct Failure {
  Failure(const char* file, int line) {
    ++failures;
    std::printf("%s:%d: failure\n", file, line);
  }
  void operator=(const Sink&) const {}
};
struct Skip {
  Skip() { is_skipped = true; }
  void operator=(const Sink&) const {}
};

class Test {
 public:
  virtual ~Test() = default;
  virtual void SetUp() {}
  virtual void TearDown() {}
  virtual void TestBody() = 0;
  static bool IsSkipped() { return is_skipped; }
  static bool HasFailure() { return failures != 0; }
  template <typename T>
  static void RecordProperty(const char*, const T&) {}
};

// A test in the list of all.
struct Entry {
  std::string name;
  std::function<Test*()> create;
  Entry* next;
  static inline Entry* first = nullptr;

  Entry(const std::string& its_name, std::function<Test*()> its_create)
      : name(its_name), create(std::move(its_create)), next(first) {
    first = this;
  }
};

template <typename T>
Test* Create() {
  return new T;
}

template <typename Factory>
void RegisterTest(const char* suite, const char* name, const char*, const char*, const char*, int,
                  Factory create) {
  new Entry(std::string(suite) + "." + name, create);
}

inline void InitGoogleTest(int*, char**) {}

inline int RunAllTests() {
  for (Entry* entry = Entry::first; entry != nullptr; entry = entry->next) {
    is_skipped = false;
    Test* const test = entry->create();
    test->SetUp();
    if (!is_skipped) test->TestBody();
    test->TearDown();
    delete test;
    if (failures != 0) {
      std::printf("%s failed\n", entry->name.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace testing

#define RUN_ALL_TESTS() ::testing::RunAllTests()

#define TEST(SUITE, NAME) FRINGE_SMALL_TEST(SUITE, NAME, ::testing::Test)
#define TEST_F(SUITE, NAME) FRINGE_SMALL_TEST(SUITE, NAME, SUITE)
#define FRINGE_SMALL_TEST(SUITE, NAME, BASE)                                                 \
  class SUITE##_##NAME##_Test : public BASE {                                                \
   public:                                                                                   \
    void TestBody() override;                                                                \
  };                                                                                         \
  static ::testing::Entry SUITE##_##NAME##_entry(#SUITE "." #NAME,                           \
                                                 &::testing::Create<SUITE##_##NAME##_Test>); \
  void SUITE##_##NAME##_Test::TestBody()

#define GTEST_SKIP() return ::testing::Skip() = ::testing::Sink()
#define ADD_FAILURE() ::testing::Failure(__FILE__, __LINE__) = ::testing::Sink()
#define FRINGE_SMALL_EXPECT(CONDITION) \
  if (CONDITION) {                     \
  } else                               \
    ADD_FAILURE()
#define FRINGE_SMALL_ASSERT(CONDITION) \
  if (CONDITION) {                     \
  } else                               \
    return ADD_FAILURE()

#define EXPECT_TRUE(A) FRINGE_SMALL_EXPECT(A)
#define EXPECT_FALSE(A) FRINGE_SMALL_EXPECT(!(A))
#define EXPECT_EQ(A, B) FRINGE_SMALL_EXPECT((A) == (B))
#define EXPECT_NE(A, B) FRINGE_SMALL_EXPECT((A) != (B))
#define EXPECT_LT(A, B) FRINGE_SMALL_EXPECT((A) < (B))
#define EXPECT_LE(A, B) FRINGE_SMALL_EXPECT((A) <= (B))
#define EXPECT_GT(A, B) FRINGE_SMALL_EXPECT((A) > (B))
#define EXPECT_GE(A, B) FRINGE_SMALL_EXPECT((A) >= (B))
#define ASSERT_TRUE(A) FRINGE_SMALL_ASSERT(A)
#define ASSERT_FALSE(A) FRINGE_SMALL_ASSERT(!(A))
#define ASSERT_EQ(A, B) FRINGE_SMALL_ASSERT((A) == (B))
#define ASSERT_NE(A, B) FRINGE_SMALL_ASSERT((A) != (B))
#define ASSERT_LT(A, B) FRINGE_SMALL_ASSERT((A) < (B))
#define ASSERT_LE(A, B) FRINGE_SMALL_ASSERT((A) <= (B))
#define ASSERT_GT(A, B) FRINGE_SMALL_ASSERT((A) > (B))
#define ASSERT_GE(A, B) FRINGE_SMALL_ASSERT((A) >= (B))

#endif  // FRINGE_TESTING_REGISTERS_SMALL_GTEST_GTEST_GTEST_H_
