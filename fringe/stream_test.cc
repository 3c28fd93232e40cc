// Bodies that suspend inside a stream. libstdc++'s streams swallow every exception except
// `abi::__forced_unwind`; a body must not take its own destruction for the end of the input.

#include <exception>
#include <istream>
#include <ostream>
#include <streambuf>
#include <string>
#include <utility>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "testing/support/new_stack.h"

namespace fringe {
namespace {

using testing::NewStack;
using testing::TestStack;

#if FRINGE_EXCEPTIONS && defined(__GLIBCXX__)

// Reads from the resumer: an empty chunk is the end.
class Feed : public std::streambuf {
 public:
  explicit Feed(Yielder<void, std::string>& yielder) : yielder_(yielder) {}

 private:
  int_type underflow() override {
    chunk_ = yielder_.Suspend();
    setg(chunk_.data(), chunk_.data(), chunk_.data() + chunk_.size());
    return chunk_.empty() ? traits_type::eof() : traits_type::to_int_type(chunk_[0]);
  }

  Yielder<void, std::string>& yielder_;
  std::string chunk_;
};

// Writes each character to the resumer.
class Drain : public std::streambuf {
 public:
  explicit Drain(Yielder<char>& yielder) : yielder_(yielder) {}

 private:
  int_type overflow(int_type c) override {
    yielder_.Suspend(traits_type::to_char_type(c));
    return c;
  }

  Yielder<char>& yielder_;
};

struct Outcome {
  int lines = 0;
  bool committed = false;
  int commits_of_scope_guards = 0;
};

// Commits, as a scope guard does, unless it is destroyed by an exception.
class CommitOnSuccess {
 public:
  explicit CommitOnSuccess(int& commits) : commits_(commits) {}
  CommitOnSuccess(const CommitOnSuccess&) = delete;
  CommitOnSuccess& operator=(const CommitOnSuccess&) = delete;
  ~CommitOnSuccess() {
    if (std::uncaught_exceptions() == exceptions_) ++commits_;
  }

 private:
  int& commits_;
  const int exceptions_ = std::uncaught_exceptions();
};

Generator<void, std::string, TestStack> LineCounter(Outcome& outcome) {
  return MakeGenerator<void, std::string>(NewStack(), [&outcome](auto& yielder, std::string) {
    CommitOnSuccess guard(outcome.commits_of_scope_guards);
    Feed feed(yielder);
    std::istream in(&feed);
    for (std::string line; std::getline(in, line);) ++outcome.lines;
    outcome.committed = true;
  });
}

TEST(StreamTest, EndOfInputCommits) {
  Outcome outcome;
  auto counter = LineCounter(outcome);
  counter.Resume("");
  counter.Resume("one\ntwo\n");
  EXPECT_FALSE(counter.Resume(""));
  EXPECT_EQ(outcome.lines, 2);
  EXPECT_TRUE(outcome.committed);
  EXPECT_EQ(outcome.commits_of_scope_guards, 1);
}

TEST(StreamTest, DestructionInsideAStreamIsNotTheEndOfTheInput) {
  Outcome outcome;
  {
    auto counter = LineCounter(outcome);
    counter.Resume("");
    counter.Resume("one\ntwo\n");
  }
  EXPECT_EQ(outcome.lines, 2);
  EXPECT_FALSE(outcome.committed);
  EXPECT_EQ(outcome.commits_of_scope_guards, 0);
}

// Formatted and unformatted input, and what reads by itself.
TEST(StreamTest, DestructionPassesThroughEveryKindOfInput) {
  for (int kind = 0; kind < 6; ++kind) {
    bool went_on = false;
    {
      auto gen = MakeGenerator<void, std::string>(NewStack(),
                                                  [&went_on, kind](auto& yielder, std::string) {
                                                    Feed feed(yielder);
                                                    std::istream in(&feed);
                                                    std::string word;
                                                    int number = 0;
                                                    char bytes[8];
                                                    switch (kind) {
                                                      case 0:
                                                        in >> word;
                                                        break;
                                                      case 1:
                                                        in >> number;
                                                        break;
                                                      case 2:
                                                        in.get();
                                                        break;
                                                      case 3:
                                                        in.read(bytes, sizeof(bytes));
                                                        break;
                                                      case 4:
                                                        in.ignore(100);
                                                        break;
                                                      case 5:
                                                        in >> std::ws;
                                                        break;
                                                    }
                                                    went_on = true;
                                                  });
      gen.Resume("");
    }
    EXPECT_FALSE(went_on) << kind;
  }
}

TEST(StreamTest, DestructionStopsAnEndlessWriter) {
  int destroyed = 0;
  struct Counted {
    ~Counted() { ++count; }
    int& count;
  };
  {
    auto gen = MakeGenerator<char>(NewStack(), [&destroyed](Yielder<char>& yielder) {
      Counted counted{destroyed};
      Drain drain(yielder);
      std::ostream out(&drain);
      for (int i = 0;; ++i) out << "line " << i << '\n' << std::flush;
    });
    EXPECT_EQ(gen.Resume(), 'l');
    EXPECT_EQ(gen.Resume(), 'i');
  }
  EXPECT_EQ(destroyed, 1);
}

// A stream that throws what it catches does so once.
TEST(StreamTest, DestructionPassesThroughAStreamThatThrows) {
  bool went_on = false;
  int seen = 0;
  {
    auto gen = MakeGenerator<void, std::string>(NewStack(), [&](auto& yielder, std::string) {
      Feed feed(yielder);
      std::istream in(&feed);
      in.exceptions(std::ios::badbit | std::ios::failbit);
      try {
        for (std::string line; std::getline(in, line);) continue;
      } catch (...) {
        ++seen;
        throw;
      }
      went_on = true;
    });
    gen.Resume("");
    gen.Resume("one\n");
  }
  EXPECT_EQ(seen, 1);
  EXPECT_FALSE(went_on);
}

#else

TEST(StreamTest, Unsupported) {
  GTEST_SKIP() << "destruction passes only through libstdc++'s streams, and needs exceptions";
}

#endif

}  // namespace
}  // namespace fringe
