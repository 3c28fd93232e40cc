// Runs tasks that wait for file descriptors, on one thread. Each is a generator on a pooled stack,
// so its code looks as if it blocked.
//
//   EventLoop loop;
//   absl::Status status = loop.Spawn(std::move(socket), [](int socket, EventLoop::Yielder& yielder)
//   {
//     char byte;
//     while (EventLoop::Read(socket, &byte, 1, yielder) == 1) std::cout << byte;
//   });
//   if (status.ok()) status = loop.Run();

#ifndef FRINGE_EXAMPLES_EVENT_LOOP_H_
#define FRINGE_EXAMPLES_EVENT_LOOP_H_

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <list>
#include <utility>

#include "absl/status/status.h"
#include "fringe/generator.h"
#include "stacks/pooled_stack.h"

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ != -1) close(number_);
  }

  int get() const { return number_; }

 private:
  int number_;  // -1 if there is none
};

// Thread safety: must be used on one thread.
class EventLoop {
 public:
  using Yielder = fringe::Yielder<void>;
  // Runs with the descriptor of its task. It is resumed when something has happened to that.
  using Body = std::function<void(int descriptor, Yielder& yielder)>;

  // `stack_bytes` is the size of each task's stack.
  explicit EventLoop(size_t stack_bytes);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  // Ends the remaining tasks: each returns from `Wait`, which says so.
  ~EventLoop();

  // Starts a task. Its descriptor must not block. It is closed when the body has returned.
  //
  // May be called by a task.
  absl::Status Spawn(Descriptor descriptor, Body body);

  // Runs until each task has returned, or one of them calls `Stop`.
  absl::Status Run();
  void Stop() { stopped_ = true; }

  // Returns: how many tasks there are.
  size_t size() const { return tasks_.size(); }

  // The same as `read` and `write` of all bytes, except that they let other tasks run while they
  // wait. They return -1 with ECANCELED if the task is being ended: it must then return.
  static ssize_t Read(int descriptor, void* buffer, size_t bytes, Yielder& yielder);
  static ssize_t WriteAll(int descriptor, const void* buffer, size_t bytes, Yielder& yielder);

  // Waits until something has happened. Returns false if the task is being ended.
  [[nodiscard]] static bool Wait(Yielder& yielder) { return yielder.TrySuspend(); }

 private:
  struct Task {
    Descriptor descriptor;
    fringe::Generator<void, void, fringe::PooledStack> generator;
    std::list<Task>::iterator place;
  };

  void Resume(Task& task);

  fringe::StackPool pool_;  // before the tasks, which return their stacks to it
  const Descriptor epoll_;
  std::list<Task> tasks_;
  bool stopped_ = false;
};

#endif  // FRINGE_EXAMPLES_EVENT_LOOP_H_
