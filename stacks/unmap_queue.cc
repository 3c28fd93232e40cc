#include "unmap_queue.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "../arch/fatal.h"
#include "system.h"

namespace fringe::internal {
namespace {

// How many refusals end the attempts that one `Unmap` makes for others.
constexpr size_t kRetries = 4;

int Munmap(uintptr_t start, uintptr_t end) {
  return system_calls.munmap(reinterpret_cast<void*>(start), end - start);
}

[[noreturn]] void EndBecauseOfRefusal(int error) {
  char sentence[160];
  std::snprintf(sentence, sizeof(sentence),
                "munmap of a stack failed (%s): allow munmap in the process's sandbox, or look for "
                "code that has unmapped the stack.",
                std::strerror(error));
  fringe_fatal(sentence);
}

}  // namespace

bool UnmapQueue::Reserve() {
  // Before `waiting_` is loaded: a range is counted there before it stops being counted here.
  const size_t live = live_.fetch_add(1) + 1;
  if (live + waiting_.load() <= capacity_.load()) [[likely]] {
    return true;
  }
  MutexLock lock(&mutex_);
  while (live_.load() + waiting_.load() > capacity_.load()) {
    if (!Grow()) {
      live_.fetch_sub(1);
      return false;
    }
  }
  return true;
}

bool UnmapQueue::Grow() {
  const size_t capacity = capacity_.load();
  if (capacity > kNone / 2) {
    errno = ENOMEM;
    return false;
  }
  void* const memory =
      system_calls.mmap(nullptr, 2 * capacity * sizeof(Node), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  Node* const old = nodes();
  std::memcpy(memory, old, fresh_ * sizeof(Node));
  const bool was_mapped = mapped_nodes_ != nullptr;
  mapped_nodes_ = static_cast<Node*>(memory);
  capacity_.store(2 * capacity);
  if (was_mapped) {
    const auto start = reinterpret_cast<uintptr_t>(old);
    const uintptr_t end = start + RoundUpToPages(capacity * sizeof(Node));
    if (Munmap(start, end) != 0) {
      system_calls.madvise(old, end - start, MADV_DONTNEED);
      Insert(start, end);
    }
  }
  return true;
}

void UnmapQueue::Shrink() {
  if (waiting_.load() != 0) return;
  root_ = kNone;
  free_ = kNone;
  fresh_ = 0;
  if (mapped_nodes_ == nullptr || live_.load() > kFixedNodes / 2) return;
  const size_t capacity = capacity_.load();
  capacity_.store(kFixedNodes);
  // A thread that reserves either sees the new capacity, or is seen here.
  if (live_.load() > kFixedNodes) {
    capacity_.store(capacity);
    return;
  }
  const auto start = reinterpret_cast<uintptr_t>(mapped_nodes_);
  const uintptr_t end = start + RoundUpToPages(capacity * sizeof(Node));
  mapped_nodes_ = nullptr;
  if (Munmap(start, end) != 0) {
    system_calls.madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
    Insert(start, end);
  }
}

void UnmapQueue::Unmap(std::byte* start, size_t length_bytes) {
  const auto address = reinterpret_cast<uintptr_t>(start);
  const uintptr_t end = address + RoundUpToPages(length_bytes);
  if (waiting_.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    UnmapSlow(address, end, /*was_refused=*/false);
  } else if (Munmap(address, end) == 0) [[likely]] {
    live_.fetch_sub(1);
    // The nodes' memory is returned when the need for it is over, which few calls have to find out.
    if (capacity_.load(std::memory_order_relaxed) != kFixedNodes &&
        live_.load(std::memory_order_relaxed) % (kFixedNodes / 4) == 0) [[unlikely]] {
      MutexLock lock(&mutex_);
      Shrink();
    }
  } else if (errno == ENOMEM) {
    UnmapSlow(address, end, /*was_refused=*/true);
  } else {
    EndBecauseOfRefusal(errno);
  }
}

void UnmapQueue::UnmapSlow(uintptr_t start, uintptr_t end, bool was_refused) {
  MutexLock lock(&mutex_);
  uintptr_t first = start;
  uintptr_t last = end;
  const Index before = LastBefore(start);
  if (before != kNone && nodes()[before].end == start) first = nodes()[before].start;
  const Index after = FirstFrom(end);
  if (after != kNone && nodes()[after].start == end) last = nodes()[after].end;
  if (first != start) Erase(first);
  if (last != end) Erase(end);

  // With a neighbour that waits, what was refused may succeed.
  const bool is_larger = first != start || last != end;
  const bool unmapped = (!was_refused || is_larger) && Munmap(first, last) == 0;
  if (!unmapped) {
    if (errno != ENOMEM && (!was_refused || is_larger)) EndBecauseOfRefusal(errno);
    // If this fails too, the pages stay until the range is unmapped.
    system_calls.madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
    Insert(first, last);
  }
  live_.fetch_sub(1);
  Retry(kRetries);
  Shrink();
}

bool UnmapQueue::UnmapWaiting() {
  if (waiting_.load(std::memory_order_relaxed) == 0) return false;
  MutexLock lock(&mutex_);
  const bool any = Retry(waiting_.load());
  Shrink();
  return any;
}

bool UnmapQueue::Retry(size_t maximum_failures) {
  bool any = false;
  size_t failures = 0;
  for (size_t left = waiting_.load(); left > 0 && failures < maximum_failures; --left) {
    Index index = FirstFrom(next_retry_);
    if (index == kNone) index = FirstFrom(0);
    if (index == kNone) break;
    const Node node = nodes()[index];
    next_retry_ = node.end;
    if (Munmap(node.start, node.end) == 0) {
      Erase(node.start);
      any = true;
    } else {
      ++failures;
    }
  }
  return any;
}

void UnmapQueue::Insert(uintptr_t start, uintptr_t end) {
  Index index = free_;
  if (index != kNone) {
    free_ = nodes()[index].left;
  } else {
    index = fresh_++;
  }
  nodes()[index] = {start, end, kNone, kNone};
  waiting_.fetch_add(1);

  Index* link = &root_;
  while (*link != kNone && Priority(nodes()[*link]) > Priority(nodes()[index])) {
    link = start < nodes()[*link].start ? &nodes()[*link].left : &nodes()[*link].right;
  }
  // The subtree is split by address into the new node's children.
  Index rest = *link;
  *link = index;
  Index* lower = &nodes()[index].left;
  Index* upper = &nodes()[index].right;
  while (rest != kNone) {
    if (nodes()[rest].start < start) {
      *lower = rest;
      lower = &nodes()[rest].right;
      rest = *lower;
    } else {
      *upper = rest;
      upper = &nodes()[rest].left;
      rest = *upper;
    }
  }
  *lower = kNone;
  *upper = kNone;
}

void UnmapQueue::Erase(uintptr_t start) {
  Index* link = &root_;
  while (nodes()[*link].start != start) {
    link = start < nodes()[*link].start ? &nodes()[*link].left : &nodes()[*link].right;
  }
  const Index index = *link;
  Index lower = nodes()[index].left;
  Index upper = nodes()[index].right;
  while (lower != kNone && upper != kNone) {
    if (Priority(nodes()[lower]) > Priority(nodes()[upper])) {
      *link = lower;
      link = &nodes()[lower].right;
      lower = *link;
    } else {
      *link = upper;
      link = &nodes()[upper].left;
      upper = *link;
    }
  }
  *link = lower == kNone ? upper : lower;
  nodes()[index].left = free_;
  free_ = index;
  waiting_.fetch_sub(1);
}

UnmapQueue::Index UnmapQueue::FirstFrom(uintptr_t address) const {
  Index found = kNone;
  for (Index index = root_; index != kNone;) {
    if (nodes()[index].start >= address) {
      found = index;
      index = nodes()[index].left;
    } else {
      index = nodes()[index].right;
    }
  }
  return found;
}

UnmapQueue::Index UnmapQueue::LastBefore(uintptr_t address) const {
  Index found = kNone;
  for (Index index = root_; index != kNone;) {
    if (nodes()[index].start < address) {
      found = index;
      index = nodes()[index].right;
    } else {
      index = nodes()[index].left;
    }
  }
  return found;
}

}  // namespace fringe::internal
