// Exceptions of other languages leave `Resume` and `OnStack` unchanged, exactly once.

#include <dlfcn.h>
#include <pthread.h>
#include <unwind.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "arch/shadow_stack.h"
#include "fringe/config.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/support/new_stack.h"

namespace fringe {
namespace {

using ::testing::HasSubstr;
using testing::NewStack;
using testing::TestStack;

#if FRINGE_EXCEPTIONS

int raised = 0;
int cleaned_up = 0;

// Raises an exception of the language "LANGUAGE".
[[noreturn]] void RaiseForeign() {
  auto* const exception = new (std::align_val_t(alignof(_Unwind_Exception))) _Unwind_Exception();
  std::memcpy(&exception->exception_class, "LANGUAGE", 8);
  exception->exception_cleanup = [](_Unwind_Reason_Code, _Unwind_Exception* mine) {
    ++cleaned_up;
    ::operator delete(mine, std::align_val_t(alignof(_Unwind_Exception)));
  };
  ++raised;
  _Unwind_RaiseException(exception);
  std::abort();
}

class ForeignExceptionTest : public ::testing::Test {
 protected:
  void SetUp() override { raised = cleaned_up = 0; }
  void TearDown() override {
    // Neither lost nor deleted twice, and nothing is left of it in the thread's exception state.
    EXPECT_EQ(cleaned_up, raised);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
  }
};

class Counted {
 public:
  explicit Counted(int& destroyed) : destroyed_(destroyed) {}
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { ++destroyed_; }

 private:
  int& destroyed_;
};

// Whether `run` lets an exception through that is not one of C++.
template <typename F>
bool Raises(F run) {
  try {
    run();
  } catch (...) {
    EXPECT_EQ(std::current_exception(), nullptr);
    return true;
  }
  return false;
}

TEST_F(ForeignExceptionTest, LeavesResume) {
  int destroyed = 0;
  auto gen = MakeGenerator<int>(NewStack(), [&destroyed](Yielder<int>& yielder) {
    Counted counted(destroyed);
    yielder.Suspend(1);
    RaiseForeign();
  });
  EXPECT_EQ(gen.Resume(), 1);
  EXPECT_TRUE(Raises([&] { (void)gen.Resume(); }));
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(gen.state(), State::kUnavailable);
  EXPECT_EQ(gen.Resume(), std::nullopt);
  (void)std::move(gen).Unwrap();
}

TEST_F(ForeignExceptionTest, LeavesTheFirstResume) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>&) { RaiseForeign(); });
  EXPECT_TRUE(Raises([&] { (void)gen.Resume(); }));
}

TEST_F(ForeignExceptionTest, LeavesAnIterator) {
  auto gen = MakeGenerator<std::string>(NewStack(), [](auto& yielder) {
    yielder.Suspend("a");
    RaiseForeign();
  });
  std::string seen;
  EXPECT_TRUE(Raises([&] {
    for (const std::string& s : gen) seen += s;
  }));
  EXPECT_EQ(seen, "a");
}

TEST_F(ForeignExceptionTest, LeavesNestedGenerators) {
  int destroyed = 0;
  auto inner = MakeGenerator<int>(NewStack(), [&](Yielder<int>&) {
    Counted counted(destroyed);
    RaiseForeign();
  });
  auto outer = MakeGenerator<int>(NewStack(), [&](Yielder<int>&) {
    Counted counted(destroyed);
    (void)inner.Resume();
  });
  EXPECT_TRUE(Raises([&] { (void)outer.Resume(); }));
  EXPECT_EQ(destroyed, 2);
}

TEST_F(ForeignExceptionTest, LeavesOnStack) {
  TestStack stack = NewStack();
  int destroyed = 0;
  EXPECT_TRUE(Raises([&] {
    OnStack(stack, [&] {
      Counted counted(destroyed);
      RaiseForeign();
    });
  }));
  EXPECT_TRUE(Raises([&] { (void)OnStack(stack, []() -> int { RaiseForeign(); }); }));
  EXPECT_TRUE(Raises([&] { (void)OnStack(stack, []() -> int& { RaiseForeign(); }); }));
  EXPECT_TRUE(Raises([&] { (void)OnStack(stack, []() -> std::string { RaiseForeign(); }); }));
  EXPECT_EQ(destroyed, 1);
}

// The runtime cannot catch it while it handles another, but nothing need catch it there.
TEST_F(ForeignExceptionTest, LeavesOnStackAndResumeOutOfAHandler) {
  TestStack stack = NewStack();
  int destroyed = 0;
  auto run = [&](auto raise) {
    // On a stack whose state of handlers is empty, to catch it there.
    auto gen = MakeGenerator<int>(NewStack(), [&](Yielder<int>&) {
      try {
        throw std::runtime_error("handled");
      } catch (const std::runtime_error& error) {
        Counted counted(destroyed);
        EXPECT_STREQ(error.what(), "handled");
        raise();
      }
    });
    EXPECT_TRUE(Raises([&] { (void)gen.Resume(); }));
  };
  run([&] { OnStack(stack, [] { RaiseForeign(); }); });
  run([&] { (void)MakeGenerator<int>(NewStack(), [](auto&) { RaiseForeign(); }).Resume(); });
  EXPECT_EQ(destroyed, 2);
}

TEST_F(ForeignExceptionTest, CallersHandlerIsThereAfterOnStackHasThrown) {
  TestStack stack = NewStack();
  try {
    throw std::runtime_error("handled");
  } catch (const std::runtime_error&) {
    EXPECT_THROW(OnStack(stack, [] { throw 1; }), int);
    try {
      std::rethrow_exception(std::current_exception());
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "handled");
    }
    EXPECT_THROW(throw, std::runtime_error);
  }
}

TEST_F(ForeignExceptionTest, IsRaisedInAHandlerOfTheBody) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      throw 1;
    } catch (int) {
      yielder.Suspend(1);
      RaiseForeign();
    }
  });
  EXPECT_EQ(gen.Resume(), 1);
  EXPECT_TRUE(Raises([&] { (void)gen.Resume(); }));
}

TEST_F(ForeignExceptionTest, CrossesToTheThreadThatResumes) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    yielder.Suspend(1);
    RaiseForeign();
  });
  EXPECT_EQ(gen.Resume(), 1);
  std::thread([&] { EXPECT_TRUE(Raises([&] { (void)gen.Resume(); })); }).join();
}

TEST_F(ForeignExceptionTest, CaughtInsideTheBodyStaysThere) {
  auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>& yielder) {
    try {
      RaiseForeign();
    } catch (...) {
    }
    yielder.Suspend(cleaned_up);
  });
  EXPECT_EQ(gen.Resume(), 1);
  EXPECT_EQ(gen.Resume(), std::nullopt);
}

TEST(ForeignExceptionDeathTest, IsCleanedUpIfNothingCatchesIt) {
  auto run = [] {
    std::set_terminate([] {
      std::fprintf(stderr, "terminated, %d of %d cleaned up\n", cleaned_up, raised);
      std::_Exit(1);
    });
    raised = cleaned_up = 0;
    auto gen = MakeGenerator<int>(NewStack(), [](Yielder<int>&) { RaiseForeign(); });
    // Nothing on a thread of its own catches it.
    std::thread([&] { (void)gen.Resume(); }).join();
  };
  EXPECT_DEATH(run(), HasSubstr("terminated, 1 of 1 cleaned up"));
}

// --- LuaJIT
// ---------------------------------------------------------------------------------------

// The functions of LuaJIT that are used here, from its shared library.
struct Lua {
  struct State;
  using Function = int (*)(State*);

  State* (*new_state)();
  void (*close)(State*);
  void (*push_closure)(State*, Function, int);
  int (*pcall)(State*, int arguments, int results, int handler);
  int (*error)(State*, const char* format, ...);
  const char* (*to_string)(State*, int index, size_t* length);

  // Returns: null if it is not installed.
  static const Lua* Find() {
    static const std::unique_ptr<const Lua> found = [] {
      void* const library = dlopen("libluajit-5.1.so.2", RTLD_NOW);
      if (library == nullptr) return std::unique_ptr<const Lua>();
      auto lua = std::make_unique<Lua>();
      auto load = [library](const char* name, auto& function) {
        function =
            reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
        ASSERT_NE(function, nullptr) << name;
      };
      load("luaL_newstate", lua->new_state);
      load("lua_close", lua->close);
      load("lua_pushcclosure", lua->push_closure);
      load("lua_pcall", lua->pcall);
      load("luaL_error", lua->error);
      load("lua_tolstring", lua->to_string);
      return std::unique_ptr<const Lua>(std::move(lua));
    }();
    return found.get();
  }
};

class LuaJitTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__aarch64__)
    // `dlopen` calls it when it fails.
    if (arch::ShadowStackIsOn())
      GTEST_SKIP() << "longjmp of this C library dies with shadow stacks";
#endif
    lua_ = Lua::Find();
    if (lua_ == nullptr) GTEST_SKIP() << "LuaJIT (libluajit-5.1.so.2) is not installed";
    state_ = lua_->new_state();
    ASSERT_NE(state_, nullptr);
  }
  void TearDown() override {
    if (state_ != nullptr) lua_->close(state_);
  }

  // Returns: the error that `lua_pcall` returns from `function`.
  std::string ErrorOf(Lua::Function function) {
    destroyed_ = 0;
    lua_->push_closure(state_, function, 0);
    constexpr int kRuntimeError = 2;
    EXPECT_EQ(lua_->pcall(state_, 0, 0, 0), kRuntimeError);
    const char* const text = lua_->to_string(state_, -1, nullptr);
    return text == nullptr ? "" : text;
  }

  static void Fail(Lua::State* state) {
    Counted counted(destroyed_);
    lua_->error(state, "error number %d", 7);
  }

  static inline const Lua* lua_ = nullptr;
  static inline int destroyed_ = 0;
  Lua::State* state_ = nullptr;
};

TEST_F(LuaJitTest, PcallAroundResumeReturnsTheError) {
  EXPECT_EQ(ErrorOf([](Lua::State* state) {
              Counted counted(destroyed_);
              auto gen = MakeGenerator<int>(NewStack(), [state](Yielder<int>& yielder) {
                Counted inner(destroyed_);
                yielder.Suspend(1);
                Fail(state);
              });
              EXPECT_EQ(gen.Resume(), 1);
              (void)gen.Resume();
              ADD_FAILURE() << "the error was lost";
              return 0;
            }),
            "error number 7");
  EXPECT_EQ(destroyed_, 3);
}

TEST_F(LuaJitTest, PcallAroundOnStackReturnsTheError) {
  EXPECT_EQ(ErrorOf([](Lua::State* state) {
              Counted counted(destroyed_);
              TestStack stack = NewStack();
              OnStack(stack, [state] { Fail(state); });
              ADD_FAILURE() << "the error was lost";
              return 0;
            }),
            "error number 7");
  EXPECT_EQ(destroyed_, 2);
}

TEST_F(LuaJitTest, PcallInsideABodyReturnsTheError) {
  auto gen = MakeGenerator<std::string>(NewStack(), [this](auto& yielder) {
    yielder.Suspend(ErrorOf([](Lua::State* state) {
      Fail(state);
      return 0;
    }));
  });
  EXPECT_EQ(gen.Resume(), "error number 7");
  EXPECT_EQ(destroyed_, 1);
}

#else

TEST(ForeignExceptionTest, Unsupported) {
  GTEST_SKIP() << "with -fno-exceptions, an exception that reaches the base of a stack terminates";
}

#endif  // FRINGE_EXCEPTIONS

}  // namespace
}  // namespace fringe
