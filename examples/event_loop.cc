#include "examples/event_loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "absl/status/statusor.h"

EventLoop::EventLoop(size_t stack_bytes)
    : pool_({.stack_bytes = stack_bytes}), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

EventLoop::~EventLoop() = default;

absl::Status EventLoop::Spawn(Descriptor descriptor, Body body) {
  absl::StatusOr<fringe::PooledStack> stack = pool_.Acquire();
  if (!stack.ok()) return stack.status();
  const int number = descriptor.get();
  tasks_.push_front({.descriptor = std::move(descriptor),
                     .generator = fringe::MakeGenerator<void>(
                         *std::move(stack), [number, body = std::move(body)](
                                                Yielder& yielder) { body(number, yielder); }),
                     .place = {}});
  Task& task = tasks_.front();
  task.place = tasks_.begin();
  // Once for all: a task reads and writes until the kernel says EAGAIN, and only then waits.
  epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &task}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, number, &event) == -1) {
    tasks_.pop_front();
    return absl::ErrnoToStatus(errno, "epoll_ctl");
  }
  Resume(task);
  return absl::OkStatus();
}

absl::Status EventLoop::Run() {
  std::array<epoll_event, 256> events;
  while (!stopped_ && !tasks_.empty()) {
    const int count = epoll_wait(epoll_.get(), events.data(), int{events.size()}, -1);
    if (count == -1 && errno != EINTR) return absl::ErrnoToStatus(errno, "epoll_wait");
    // There is one event for each descriptor, and a task ends only in its own resume: none of these
    // is of a task that has ended.
    for (int i = 0; i < count; ++i) {
      Resume(*static_cast<Task*>(events[static_cast<size_t>(i)].data.ptr));
    }
  }
  return absl::OkStatus();
}

void EventLoop::Resume(Task& task) {
  if (!task.generator.Resume()) tasks_.erase(task.place);
}

ssize_t EventLoop::Read(int descriptor, void* buffer, size_t bytes, Yielder& yielder) {
  for (;;) {
    const ssize_t count = read(descriptor, buffer, bytes);
    if (count != -1 || (errno != EAGAIN && errno != EINTR)) return count;
    if (errno == EAGAIN && !Wait(yielder)) {
      errno = ECANCELED;
      return -1;
    }
  }
}

ssize_t EventLoop::WriteAll(int descriptor, const void* buffer, size_t bytes, Yielder& yielder) {
  const char* const data = static_cast<const char*>(buffer);
  for (size_t written = 0; written < bytes;) {
    const ssize_t count = write(descriptor, data + written, bytes - written);
    if (count >= 0) {
      written += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      if (Wait(yielder)) continue;
      errno = ECANCELED;
      return -1;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return static_cast<ssize_t>(bytes);
}
