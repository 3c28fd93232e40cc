// The recipes of docs/recipes.md that need no other library, with exceptions and without.

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/stack.h"

class AnyStack {
 public:
  template <typename S>
    requires(!std::same_as<S, AnyStack> && fringe::GuardedStack<S>)
  explicit AnyStack(S stack)
      : base_(stack.base()),
        limit_(stack.limit()),
        stack_(new S(std::move(stack)), [](void* s) { delete static_cast<S*>(s); }) {}

  std::byte* base() const noexcept { return base_; }
  std::byte* limit() const noexcept { return limit_; }

 private:
  std::byte* base_;
  std::byte* limit_;
  std::unique_ptr<void, void (*)(void*)> stack_;
};

template <>
inline constexpr bool fringe::enable_guarded_stack<AnyStack> = true;

using AnyGenerator = fringe::Generator<int, void, AnyStack>;

namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

fringe::Generator<int> CountTo(int last) {
  return fringe::MakeGenerator<int>([last](auto& yielder) {
    for (int i = 1; i <= last; ++i) {
      if (!yielder.TrySuspend(i)) return;
    }
  });
}

// --- Sequences -----------------------------------------------------------------------------------

// Suspends with each output of `gen`. Returns false if the generator is being destroyed.
template <typename Gen, typename Output>
[[nodiscard]] bool SuspendWithAll(Gen gen, fringe::Yielder<Output>& yielder) {
  for (auto&& output : gen) {
    if (!yielder.TrySuspend(std::forward<decltype(output)>(output))) return false;
  }
  return true;
}

fringe::Generator<int> UpAndUp() {
  return fringe::MakeGenerator<int>([](auto& yielder) {
    if (!SuspendWithAll(CountTo(2), yielder)) return;
    if (!SuspendWithAll(CountTo(3), yielder)) return;
  });
}

TEST(RecipesTest, Delegate) {
  std::vector<int> values;
  std::ranges::copy(UpAndUp(), std::back_inserter(values));
  EXPECT_THAT(values, ElementsAre(1, 2, 1, 2, 3));
  auto left_early = UpAndUp();
  EXPECT_EQ(left_early.Resume(), 1);
}

template <typename Gen>
class Peekable {
 public:
  using Output = typename Gen::output_type;

  explicit Peekable(Gen gen) : gen_(std::move(gen)) {}

  // Returns: the next output, which stays there; null at the end.
  Output* Peek() {
    if (!next_.has_value()) next_ = gen_.Resume();
    return next_.has_value() ? &*next_ : nullptr;
  }

  // Returns: the next output.
  std::optional<Output> Next() {
    Peek();
    return std::exchange(next_, std::nullopt);
  }

 private:
  Gen gen_;
  std::optional<Output> next_;
};

TEST(RecipesTest, Peek) {
  Peekable numbers(CountTo(2));
  ASSERT_NE(numbers.Peek(), nullptr);
  EXPECT_EQ(*numbers.Peek(), 1);
  EXPECT_EQ(numbers.Next(), 1);
  EXPECT_EQ(numbers.Next(), 2);
  EXPECT_EQ(numbers.Peek(), nullptr);
  EXPECT_EQ(numbers.Next(), std::nullopt);
}

template <typename Left, typename Right>
auto Zip(Left left, Right right) {
  using Both = std::pair<typename Left::output_type, typename Right::output_type>;
  return fringe::MakeGenerator<Both>(
      [left = std::move(left), right = std::move(right)](auto& yielder) mutable {
        for (;;) {
          auto l = left.Resume();
          auto r = right.Resume();
          if (!l || !r || !yielder.TrySuspend({*std::move(l), *std::move(r)})) return;
        }
      });
}

fringe::Generator<std::string> Letters() {
  return fringe::MakeGenerator<std::string>([](auto& yielder) {
    for (char c = 'a'; yielder.TrySuspend(std::string(1, c)); ++c) continue;
  });
}

TEST(RecipesTest, Zip) {
  std::vector<std::pair<int, std::string>> pairs;
  for (auto&& both : Zip(CountTo(2), Letters())) pairs.push_back(std::move(both));
  EXPECT_THAT(pairs, ElementsAre(Pair(1, "a"), Pair(2, "b")));
}

TEST(RecipesTest, Collect) {
  std::vector<int> numbers;
  std::ranges::copy(CountTo(3), std::back_inserter(numbers));
  EXPECT_THAT(numbers, ElementsAre(1, 2, 3));
  fringe::Generator<std::string> letters = Letters();
  std::vector<std::string> first;
  while (first.size() < 2) {
    std::optional<std::string> letter = letters.Resume();
    if (!letter.has_value()) break;
    first.push_back(*std::move(letter));
  }
  EXPECT_THAT(first, ElementsAre("a", "b"));
}

TEST(RecipesTest, AnyStack) {
  const auto body = [](auto& yielder) {
    for (int i = 1; yielder.TrySuspend(i); ++i) continue;
  };
  fringe::StackPool pool;
  std::vector<AnyGenerator> generators;
  generators.emplace_back(AnyStack(*fringe::OsStack::Create(64 << 10)), body);
  generators.emplace_back(AnyStack(*pool.Acquire()), body);
  for (AnyGenerator& gen : generators) gen.Resume();
  for (AnyGenerator& gen : generators) EXPECT_EQ(gen.Resume(), 2);
}

// --- Control flow --------------------------------------------------------------------------------

// Decodes netstrings ("5:hello,") from bytes that arrive in any pieces.
fringe::Generator<void, char> Decoder(std::vector<std::string>& messages) {
  return fringe::MakeGenerator<void, char>([&messages](auto& yielder, std::optional<char> byte) {
    for (;;) {
      size_t length = 0;
      for (; byte && *byte != ':'; byte = yielder.TrySuspend()) {
        if (*byte < '0' || *byte > '9' || length > 1000) return;
        length = 10 * length + static_cast<size_t>(*byte - '0');
      }
      std::string message;
      while (message.size() < length && (byte = yielder.TrySuspend())) message += *byte;
      byte = yielder.TrySuspend();  // the comma
      if (!byte || *byte != ',') return;
      messages.push_back(std::move(message));
      byte = yielder.TrySuspend();
      if (!byte) return;
    }
  });
}

TEST(RecipesTest, StateMachine) {
  std::vector<std::string> messages;
  fringe::Generator<void, char> decoder = Decoder(messages);
  for (char byte : std::string_view("5:hello,0:,3:abc,4:un")) {
    if (!decoder.Resume(byte)) break;  // malformed
  }
  EXPECT_THAT(messages, ElementsAre("hello", "", "abc"));
  EXPECT_TRUE(decoder.Resume('d'));
  EXPECT_TRUE(decoder.Resume('o'));
  EXPECT_FALSE(decoder.Resume('!'));
}

enum class Op { kPush, kAdd, kPrint, kCall, kReturn };
struct Instruction {
  Op op;
  int operand = 0;
};

// Runs a function of a program. It calls itself for each call in the program.
[[nodiscard]] bool Interpret(const std::vector<Instruction>& program, size_t pc,
                             std::vector<int>& operands, fringe::Yielder<int>& yielder) {
  for (;; ++pc) {
    const auto& [op, operand] = program[pc];
    switch (op) {
      case Op::kPush:
        operands.push_back(operand);
        break;
      case Op::kAdd: {
        const int right = operands.back();
        operands.pop_back();
        operands.back() += right;
        break;
      }
      case Op::kPrint:
        if (!yielder.TrySuspend(operands.back())) return false;
        break;
      case Op::kCall:
        if (!Interpret(program, static_cast<size_t>(operand), operands, yielder)) return false;
        break;
      case Op::kReturn:
        return true;
    }
  }
}

TEST(RecipesTest, Interpreter) {
  const std::vector<Instruction> program = {
      {Op::kPush, 1},  {Op::kCall, 4}, {Op::kCall, 4}, {Op::kReturn},  // main: add 10 twice
      {Op::kPush, 10}, {Op::kAdd},     {Op::kPrint},   {Op::kReturn},
  };
  std::vector<int> printed;
  std::vector<int> operands;
  fringe::Generator<int> output(
      [&](auto& yielder) { (void)Interpret(program, 0, operands, yielder); });
  for (int value : output) printed.push_back(value);
  EXPECT_THAT(printed, ElementsAre(11, 21));
}

// --- Scheduling ----------------------------------------------------------------------------------

using Clock = std::chrono::steady_clock;
enum class Event { kReady, kTimeout };

// A task suspends with the time until which it waits. It is resumed with what came first.
using WaitingTask = fringe::Generator<Clock::time_point, Event>;

WaitingTask RetryTwice(std::vector<std::string>& log, Clock::time_point start) {
  return fringe::MakeGenerator<Clock::time_point, Event>([&log, start](auto& yielder, Event) {
    for (int attempt = 1; attempt <= 2; ++attempt) {
      log.push_back("attempt " + std::to_string(attempt));
      const std::optional<Event> event =
          yielder.TrySuspend(start + attempt * std::chrono::seconds(1));
      if (!event.has_value()) return;
      if (*event == Event::kReady) {
        log.push_back("ready");
        return;
      }
    }
    log.push_back("timed out");
  });
}

// Runs a task whose event comes at `ready`. `now` is a clock, which a program would wait for.
void RunUntil(WaitingTask task, Clock::time_point ready, Clock::time_point now) {
  std::optional<Clock::time_point> deadline = task.Resume(Event::kReady);
  while (deadline.has_value()) {
    now = std::min(ready, *deadline);  // as from `poll` with a timeout
    deadline = task.Resume(now == ready ? Event::kReady : Event::kTimeout);
  }
}

TEST(RecipesTest, Timeout) {
  const Clock::time_point start;
  std::vector<std::string> log;
  RunUntil(RetryTwice(log, start), start + std::chrono::milliseconds(1500), start);
  EXPECT_THAT(log, ElementsAre("attempt 1", "attempt 2", "ready"));
  log.clear();
  RunUntil(RetryTwice(log, start), start + std::chrono::seconds(9), start);
  EXPECT_THAT(log, ElementsAre("attempt 1", "attempt 2", "timed out"));
}

class TaskQueue {
 public:
  using Task = fringe::Generator<void>;

  void Add(Task task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }

  // Runs tasks until the queue is empty. Each `Suspend` of a task lets another one run.
  void Work() {
    while (std::optional<Task> task = Take()) {
      if (task->Resume()) Add(*std::move(task));
    }
  }

 private:
  std::optional<Task> Take() {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty()) return std::nullopt;
    std::optional<Task> task(std::move(tasks_.front()));
    tasks_.pop_front();
    return task;
  }

  std::mutex mutex_;
  std::deque<Task> tasks_;
};

TEST(RecipesTest, ThreadPool) {
  std::array<int, 10> steps = {};
  TaskQueue queue;
  for (int& step : steps) {
    queue.Add(TaskQueue::Task([&step](auto& yielder) {
      for (; step < 100; ++step) yielder.Suspend();
    }));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back(&TaskQueue::Work, &queue);
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(steps, ::testing::Each(100));
}

// Runs tasks on one thread. A task suspends with the descriptor that it waits for.
class Scheduler {
 public:
  struct Wait {
    int descriptor;
    uint32_t events;
  };
  using Yielder = fringe::Yielder<Wait>;

  ~Scheduler() { close(epoll_); }

  absl::Status Spawn(std::function<void(Yielder&)> body) {
    absl::StatusOr<fringe::PooledStack> stack = pool_.Acquire();
    if (!stack.ok()) return stack.status();
    return Step(Task(*std::move(stack), std::move(body)));
  }

  // Returns when each task has returned.
  absl::Status Run() {
    while (!waiting_.empty()) {
      epoll_event event = {};
      if (epoll_wait(epoll_, &event, 1, -1) == -1) {
        if (errno == EINTR) continue;
        return absl::ErrnoToStatus(errno, "epoll_wait");
      }
      Task task = std::move(waiting_.extract(event.data.fd).mapped());
      epoll_ctl(epoll_, EPOLL_CTL_DEL, event.data.fd, nullptr);
      if (absl::Status status = Step(std::move(task)); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  using Task = fringe::Generator<Wait, void, fringe::PooledStack>;

  absl::Status Step(Task task) {
    const std::optional<Wait> wait = task.Resume();
    if (!wait.has_value()) return absl::OkStatus();
    epoll_event event = {.events = wait->events, .data = {.fd = wait->descriptor}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, wait->descriptor, &event) == -1) {
      return absl::ErrnoToStatus(errno, "epoll_ctl");
    }
    waiting_.emplace(wait->descriptor, std::move(task));
    return absl::OkStatus();
  }

  fringe::StackPool pool_;  // first, so that it is destroyed after the tasks
  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  std::unordered_map<int, Task> waiting_;
};

TEST(RecipesTest, Scheduler) {
  constexpr int kRounds = 100;
  std::array<int, 2> ends = {};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  Scheduler scheduler;
  int received = 0;
  // Waits until a byte arrives, and returns it.
  const auto read_byte = [](int descriptor, Scheduler::Yielder& yielder) {
    char byte = 0;
    while (read(descriptor, &byte, 1) != 1) yielder.Suspend({descriptor, EPOLLIN});
    return byte;
  };
  ASSERT_TRUE(scheduler
                  .Spawn([&](Scheduler::Yielder& yielder) {
                    for (int i = 0; i < kRounds; ++i) {
                      const char byte = read_byte(ends[0], yielder);
                      ASSERT_EQ(write(ends[0], &byte, 1), 1);
                    }
                  })
                  .ok());
  ASSERT_TRUE(scheduler
                  .Spawn([&](Scheduler::Yielder& yielder) {
                    for (int i = 0; i < kRounds; ++i) {
                      const char byte = static_cast<char>(i);
                      ASSERT_EQ(write(ends[1], &byte, 1), 1);
                      ASSERT_EQ(read_byte(ends[1], yielder), byte);
                      ++received;
                    }
                  })
                  .ok());
  EXPECT_TRUE(scheduler.Run().ok());
  EXPECT_EQ(received, kRounds);
  for (const int end : ends) close(end);
}

// --- Thread-locals -------------------------------------------------------------------------------

// The session of the task that runs on this thread.
thread_local std::string* session = nullptr;

// Not inlined, because a body may continue on another thread, where the variable has another
// address.
[[gnu::noinline]] std::string& Session() {
  asm volatile("");
  return *session;
}

// Resumes a generator as part of a session.
template <typename Gen>
auto ResumeIn(std::string& its_session, Gen& gen) {
  std::string* const outer = std::exchange(session, &its_session);
  auto result = gen.Resume();
  session = outer;
  return result;
}

TEST(RecipesTest, TaskLocal) {
  const auto body = [](auto& yielder) {
    while (yielder.TrySuspend(Session())) continue;
  };
  auto left = fringe::MakeGenerator<std::string>(body);
  auto right = fringe::MakeGenerator<std::string>(body);
  std::string one = "one";
  std::string two = "two";
  EXPECT_EQ(ResumeIn(one, left), "one");
  EXPECT_EQ(ResumeIn(two, right), "two");
  std::thread([&] { EXPECT_EQ(ResumeIn(one, left), "one"); }).join();
  EXPECT_EQ(ResumeIn(two, left), "two");
  EXPECT_EQ(session, nullptr);
}

}  // namespace
