// Random programs with many generators on two threads, compared with a model of what each side must
// see.
//
// Commands drive a generator: each resume passes the command that its body executes before it
// suspends again. The model of a generator is the list of handlers and destructors that it is in.
// For any order of commands, on any thread, model and generator must agree. They are compared on
// the returned value, the exception being handled, the number in flight, and the destroyed objects.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "fringe/config.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "testing/support/new_stack.h"

#if FRINGE_MEMORY_STACKS
#include "stacks/malloc_stack.h"
#endif

#if FRINGE_EXCEPTIONS
#include <exception>
#endif

namespace fringe {
namespace {

// From the heap, so that a generator costs no system call.
#if FRINGE_MEMORY_STACKS
using ModelStack = MallocStack;
#else
using ModelStack = testing::TestStack;
#endif

// Large enough for the depths below with AddressSanitizer's frames.
constexpr size_t kStackBytes = 64 << 10;
constexpr int kGenerators = 64;
constexpr int kOperations = 100'000;
constexpr size_t kMaximumDepth = 5;

// What a body does before the next suspend.
enum class Command : uint8_t {
  kNothing,
  kCall,    // calls one level deeper
  kReturn,  // leaves the innermost call, handler or destructor at its end
#if FRINGE_EXCEPTIONS
  kHandle,   // throws and catches, and continues in the handler
  kUnwind,   // throws, and continues in a destructor during unwinding
  kRethrow,  // `throw;` in a handler, caught by the enclosing handler
  kThrow,    // throws out of the body, unless a destructor is in the way
#endif
};

// How many objects are alive.
std::atomic<int> locals_alive = 0;
std::atomic<int> exceptions_alive = 0;

struct Local {
  explicit Local(int v) : value(std::make_unique<int>(v)) { ++locals_alive; }
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() { --locals_alive; }
  std::unique_ptr<int> value;
};

// What the body saw when it suspended.
struct Seen {
  int id;
  int step;      // number of the resume
  size_t depth;  // number of calls, handlers and destructors that it is in
  int handled;   // number of the exception that is being handled, or -1
  int uncaught;  // how many are in flight
};

struct Exception {
  Exception(int i, int n) : id(i), number(std::make_unique<int>(n)) { ++exceptions_alive; }
  Exception(const Exception& other) : Exception(other.id, *other.number) {}
  Exception& operator=(const Exception&) = delete;
  ~Exception() { --exceptions_alive; }
  int id;
  std::unique_ptr<int> number;
};

#if FRINGE_EXCEPTIONS
// Thrown only by `kThrow`.
struct Leaves : Exception {
  using Exception::Exception;
};
#endif

// Returns: the number of the exception that is being handled, or -1.
int Handled() {
#if FRINGE_EXCEPTIONS
  if (std::current_exception() != nullptr) {
    try {
      throw;
    } catch (const Exception& exception) {
      return *exception.number;
    } catch (...) {
      return -2;
    }
  }
#endif
  return -1;
}

int Uncaught() {
#if FRINGE_EXCEPTIONS
  return std::uncaught_exceptions();
#else
  return 0;
#endif
}

using ModelGenerator = Generator<Seen, Command, ModelStack>;
using ModelYielder = Yielder<Seen, Command>;

// A body that executes commands.
class Body {
 public:
  explicit Body(int id) : id_(id), captured_(std::make_shared<Local>(id)) {}

  void operator()(ModelYielder& yielder, Command command) {
    command_ = command;
    while (Level(yielder, 0)) {
    }
  }

 private:
#if FRINGE_EXCEPTIONS
  // Calls one level deeper when it is destroyed.
  struct Descends {
    Descends(Body* b, ModelYielder* y, size_t d) : body(b), yielder(y), depth(d) {}
    Descends(const Descends&) = delete;
    Descends& operator=(const Descends&) = delete;
    ~Descends() { body->Level(*yielder, depth); }
    Body* body;
    ModelYielder* yielder;
    size_t depth;
  };
#endif

  // Runs commands at one level until it returns.
  //
  // Returns: false if the body must end.
  bool Level(ModelYielder& yielder, size_t depth) {
    const Local local(last_);
    const int expected = last_;
    for (;;) {
      switch (command_) {
        case Command::kNothing:
          break;
        case Command::kReturn:
          command_ = Command::kNothing;
          EXPECT_EQ(*local.value, expected);
          return false;
        case Command::kCall:
          command_ = Command::kNothing;
          Level(yielder, depth + 1);
          continue;
#if FRINGE_EXCEPTIONS
        case Command::kHandle:
          command_ = Command::kNothing;
          try {
            throw Exception(id_, ++last_);
          } catch (const Exception& exception) {
            const int mine = *exception.number;
            InHandler(yielder, depth + 1);
            EXPECT_EQ(*exception.number, mine);
            EXPECT_EQ(exception.id, id_);
          }
          continue;
        case Command::kUnwind:
          command_ = Command::kNothing;
          try {
            const Descends descends(this, &yielder, depth + 1);
            throw Exception(id_, ++last_);
          } catch (const Exception& exception) {
            EXPECT_EQ(exception.id, id_);
          }
          continue;
        case Command::kRethrow:
          command_ = Command::kNothing;
          throw;
        case Command::kThrow:
          command_ = Command::kNothing;
          throw Leaves(id_, ++last_);
#endif
      }
      command_ = yielder.Suspend({id_, ++step_, depth, Handled(), Uncaught()});
      EXPECT_EQ(*local.value, expected);
    }
  }

#if FRINGE_EXCEPTIONS
  // A level whose rethrow is caught at once and ends the level.
  void InHandler(ModelYielder& yielder, size_t depth) {
    const int mine = Handled();
    try {
      Level(yielder, depth);
    } catch (const Leaves&) {
      throw;
    } catch (const Exception& exception) {
      EXPECT_EQ(*exception.number, mine);
    }
    EXPECT_EQ(Handled(), mine);
  }
#endif

  int id_;
  int last_ = 0;
  int step_ = 0;
  Command command_ = Command::kNothing;
  std::shared_ptr<Local> captured_;
};

// The model of a generator.
class Model {
 public:
  explicit Model(int id) : id_(id) {}

  int id() const { return id_; }
  bool started() const { return started_; }
  bool finished() const { return finished_; }
  bool in_destructor() const {
    return std::any_of(levels_.begin(), levels_.end(),
                       [](const auto& level) { return level.kind == Kind::kDestructor; });
  }

  // Whether the body can execute this command now.
  bool Can(Command command) const {
    switch (command) {
      case Command::kNothing:
        return true;
      case Command::kReturn:
        return started_;
      case Command::kCall:
        return levels_.size() < kMaximumDepth;
#if FRINGE_EXCEPTIONS
      case Command::kHandle:
      case Command::kUnwind:
        return levels_.size() < kMaximumDepth;
      case Command::kRethrow:
        return !levels_.empty() && levels_.back().kind == Kind::kHandler;
      case Command::kThrow:
        return !in_destructor();
#endif
    }
    return false;
  }

  enum class Outcome { kSuspends, kReturns, kThrows };

  // The result that a resume with this command must have.
  Outcome Step(Command command) {
    started_ = true;
    switch (command) {
      case Command::kNothing:
        break;
      case Command::kReturn:
        if (levels_.empty()) {
          finished_ = true;
          return Outcome::kReturns;
        }
        levels_.pop_back();
        break;
      case Command::kCall:
        levels_.push_back({Kind::kCall, -1});
        break;
#if FRINGE_EXCEPTIONS
      case Command::kHandle:
        levels_.push_back({Kind::kHandler, ++last_});
        break;
      case Command::kUnwind:
        levels_.push_back({Kind::kDestructor, ++last_});
        break;
      case Command::kRethrow:
        levels_.pop_back();
        break;
      case Command::kThrow:
        ++last_;
        levels_.clear();
        finished_ = true;
        return Outcome::kThrows;
#endif
    }
    ++step_;
    return Outcome::kSuspends;
  }

  Seen Expected() const {
    Seen seen = {id_, step_, levels_.size(), -1, 0};
    for (const Level& level : levels_) {
      if (level.kind == Kind::kHandler) seen.handled = level.number;
      if (level.kind == Kind::kDestructor) ++seen.uncaught;
    }
    return seen;
  }

  int last() const { return last_; }

  // The number of its live locals and exceptions.
  int Locals() const {
    return finished_ ? 0 : 1 + (started_ ? 1 + static_cast<int>(levels_.size()) : 0);
  }
  int Exceptions() const {
    if (finished_) return 0;
    return static_cast<int>(std::count_if(levels_.begin(), levels_.end(), [](const auto& level) {
      return level.kind != Kind::kCall;
    }));
  }

 private:
  enum class Kind { kCall, kHandler, kDestructor };
  struct Level {
    Kind kind;
    int number;
  };

  int id_;
  int last_ = 0;
  int step_ = 0;
  bool started_ = false;
  bool finished_ = false;
  std::vector<Level> levels_;
};

struct Pair {
  Model model;
  ModelGenerator generator;
};

// The generators, and a random program for them.
class World {
 public:
  explicit World(unsigned seed) : random_(seed) {}

  // Performs one operation, in a handler or not. Requires exclusive access.
  void Operate() {
#if FRINGE_EXCEPTIONS
    if (Random(4) == 0) {
      const int number = -10 - static_cast<int>(Random(100));
      try {
        throw Exception(-1, number);
      } catch (const Exception&) {
        OperateHere();
        ASSERT_EQ(Handled(), number);
      }
      return;
    }
    if (Random(8) == 0) {
      try {
        const InDestructor in_destructor(this);
        throw Exception(-1, -5);
      } catch (const Exception& exception) {
        ASSERT_EQ(*exception.number, -5);
      }
      return;
    }
#endif
    OperateHere();
  }

  void CheckCounts(int exceptions_outside = 0) const {
    int locals = 0;
    int exceptions = exceptions_outside;
    for (const auto& pair : pairs_) {
      locals += pair->model.Locals();
      exceptions += pair->model.Exceptions();
    }
    ASSERT_EQ(locals_alive.load(), locals);
    ASSERT_EQ(exceptions_alive.load(), exceptions);
  }

  // Ends every generator in a way that its model allows.
  void Clear() {
    while (!pairs_.empty()) Remove(0);
  }

  int operations() const { return operations_; }
  size_t generators() const { return pairs_.size(); }
  // The number of resumes that ran a body.
  int runs() const { return resumes_ - resumes_of_finished_; }

 private:
#if FRINGE_EXCEPTIONS
  struct InDestructor {
    explicit InDestructor(World* w) : world(w) {}
    InDestructor(const InDestructor&) = delete;
    InDestructor& operator=(const InDestructor&) = delete;
    ~InDestructor() {
      world->OperateHere();
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
    World* world;
  };
#endif

  size_t Random(size_t below) { return random_() % below; }

  void OperateHere() {
    ++operations_;
    const size_t what = Random(100);
    if (pairs_.size() < 2 || (what < 4 && pairs_.size() < kGenerators)) {
      Create();
    } else if (what < 7) {
      Remove(PickToRemove());
    } else if (what < 10) {
      Move(Random(pairs_.size()), Random(pairs_.size()));
    } else {
      Resume(*pairs_[Random(pairs_.size())]);
    }
  }

  // Usually a finished one: most of the others have more commands to run.
  size_t PickToRemove() {
    const auto finished = std::find_if(pairs_.begin(), pairs_.end(),
                                       [](const auto& pair) { return pair->model.finished(); });
    if (finished == pairs_.end() || Random(4) == 0) return Random(pairs_.size());
    return static_cast<size_t>(finished - pairs_.begin());
  }

  ModelStack TakeStack() {
    if (!stacks_.empty()) {
      ModelStack stack = std::move(stacks_.back());
      stacks_.pop_back();
      return stack;
    }
    return *ModelStack::Create(kStackBytes);
  }

  void Create() {
    const int id = ++last_id_;
    pairs_.push_back(
        std::make_unique<Pair>(Pair{Model(id), ModelGenerator::Unguarded(TakeStack(), Body(id))}));
  }

  void Move(size_t from, size_t to) {
    if (from == to) return;
    Pair& a = *pairs_[from];
    Pair& b = *pairs_[to];
    std::swap(a.model, b.model);
    ModelGenerator generator = std::move(a.generator);
    ASSERT_EQ(a.generator.state(), State::kUnavailable);
    a.generator = std::move(b.generator);
    b.generator = std::move(generator);
    CheckState(a);
    CheckState(b);
  }

  static void CheckState(const Pair& pair) {
    ASSERT_EQ(pair.generator.state(),
              pair.model.finished() ? State::kUnavailable : State::kRunnable);
  }

  // Destroys or unwraps a generator. Another generator may use its stack.
  void Remove(size_t i) {
    Pair& pair = *pairs_[i];
    // No exception may leave a destructor, so the body first leaves all destructors.
    while (!pair.model.finished() && pair.model.in_destructor()) {
      Resume(pair, Command::kReturn);
      if (::testing::Test::HasFatalFailure()) return;
    }
#if !FRINGE_EXCEPTIONS
    while (!pair.model.finished() && pair.model.started()) {
      Resume(pair, Command::kReturn);
      if (::testing::Test::HasFatalFailure()) return;
    }
#endif
    if (pair.model.finished() && Random(2) == 0) {
      stacks_.push_back(std::move(pair.generator).Unwrap());
    }
    std::swap(pairs_[i], pairs_.back());
    pairs_.pop_back();
  }

  void Resume(Pair& pair) {
    constexpr std::array kCommands = {
      Command::kNothing,
      Command::kCall,
      Command::kReturn,
#if FRINGE_EXCEPTIONS
      Command::kHandle,
      Command::kUnwind,
      Command::kRethrow,
#endif
    };
    Command command = kCommands[Random(kCommands.size())];
#if FRINGE_EXCEPTIONS
    if (Random(60) == 0) command = Command::kThrow;
#endif
    if (!pair.model.Can(command)) command = Command::kNothing;
    Resume(pair, command);
  }

  void Resume(Pair& pair, Command command) {
    const int uncaught = Uncaught();
    const int handled = Handled();
    std::optional<Seen> seen;
    ++resumes_;
    if (pair.model.finished()) {
      ++resumes_of_finished_;
      ASSERT_FALSE(pair.generator.Resume(command).has_value());
      return;
    }
    switch (pair.model.Step(command)) {
      case Model::Outcome::kSuspends: {
        seen = pair.generator.Resume(command);
        ASSERT_TRUE(seen.has_value());
        const Seen expected = pair.model.Expected();
        ASSERT_EQ(seen->id, expected.id);
        ASSERT_EQ(seen->step, expected.step);
        ASSERT_EQ(seen->depth, expected.depth);
        ASSERT_EQ(seen->handled, expected.handled);
        ASSERT_EQ(seen->uncaught, expected.uncaught);
        break;
      }
      case Model::Outcome::kReturns:
        ASSERT_FALSE(pair.generator.Resume(command).has_value());
        break;
      case Model::Outcome::kThrows:
#if FRINGE_EXCEPTIONS
        try {
          pair.generator.Resume(command);
          FAIL() << "nothing was thrown";
        } catch (const Leaves& exception) {
          ASSERT_EQ(exception.id, pair.model.id());
          ASSERT_EQ(*exception.number, pair.model.last());
        }
#endif
        break;
    }
    CheckState(pair);
    ASSERT_EQ(Uncaught(), uncaught);
    ASSERT_EQ(Handled(), handled);
  }

  std::minstd_rand random_;
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::vector<ModelStack> stacks_;
  int last_id_ = 0;
  int operations_ = 0;
  int resumes_ = 0;
  int resumes_of_finished_ = 0;
};

class ModelTest : public ::testing::TestWithParam<unsigned> {};

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Values(1u, 20261123u, 0xf417u));

TEST_P(ModelTest, OnTwoThreads) {
  SCOPED_TRACE(::testing::Message() << "seed " << GetParam());
  World world(GetParam());
  // The threads take turns of random lengths, which the seed determines too.
  std::minstd_rand turns(GetParam() + 1);
  std::atomic<int> turn = 0;
  std::atomic<bool> stop = false;
  auto work = [&](int mine) {
    while (!stop) {
      if (turn.load(std::memory_order_acquire) != mine) {
#if defined(_WIN32)
        std::this_thread::yield();  // std::atomic::wait of GCC 12 misses notifications there
#else
        turn.wait(1 - mine, std::memory_order_acquire);
#endif
        continue;
      }
      const auto length = static_cast<int>(1 + turns() % 100);
      for (int i = 0; i < length && !stop; ++i) {
        world.Operate();
        if (::testing::Test::HasFailure() || world.operations() >= kOperations) stop = true;
      }
      world.CheckCounts();
      if (::testing::Test::HasFailure()) stop = true;
      turn.store(1 - mine, std::memory_order_release);
      turn.notify_all();
    }
  };
  std::thread other([&] { work(1); });
  work(0);
  other.join();
  ASSERT_FALSE(HasFailure()) << "with seed " << GetParam() << " after operation "
                             << world.operations();
  EXPECT_GE(world.operations(), kOperations);
  // The program did enough to be a test.
  EXPECT_GE(world.runs(), kOperations / 2);
  EXPECT_GE(world.generators(), size_t{kGenerators / 4});
  world.Clear();
  world.CheckCounts();
  EXPECT_EQ(locals_alive.load(), 0);
  EXPECT_EQ(exceptions_alive.load(), 0);
}

}  // namespace
}  // namespace fringe
