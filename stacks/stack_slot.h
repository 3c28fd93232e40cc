// The pool's record of one stack, and linked chains of such records. Not for users.

#ifndef FRINGE_STACKS_STACK_SLOT_H_
#define FRINGE_STACKS_STACK_SLOT_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "stack_bounds.h"

namespace fringe::internal {

class PoolCore;
struct StackArena;

// Each has a cache line of its own, above all stacks of its arena.
struct alignas(64) StackSlot : StackBounds {
  // The `next` of a slot that is in no chain, because its stack is in use.
  static StackSlot* Acquired() { return reinterpret_cast<StackSlot*>(uintptr_t{1}); }

  bool acquired() const { return next == Acquired(); }

  PoolCore* core;
  StackArena* arena;
  StackSlot* next;       // in a chain; null at its end
  const uint64_t* mark;  // the line whose contents tell whether the stack was used deeper
  uint8_t flushes = 0;   // into the depot, modulo a small number
  bool has_guard = false;
  bool guard_is_mapped = false;  // made with mprotect
};

static_assert(sizeof(StackSlot) == 64);

// A list by `StackSlot::next`, the latest first. Moving slots never allocates.
struct SlotChain {
  bool empty() const { return first == nullptr; }

  void Push(StackSlot* slot) {
    slot->next = first;
    first = slot;
    if (last == nullptr) last = slot;
    ++count;
  }
  // Returns: null if the chain is empty.
  StackSlot* Pop() {
    StackSlot* const slot = first;
    if (slot != nullptr) {
      first = slot->next;
      if (first == nullptr) last = nullptr;
      --count;
    }
    return slot;
  }
  // Puts all of `other` in front.
  void Prepend(SlotChain&& other) {
    if (other.empty()) return;
    other.last->next = first;
    first = other.first;
    if (last == nullptr) last = other.last;
    count += other.count;
    other = {};
  }
  // Takes everything after the first `kept`, which are at most `count`.
  SlotChain CutAfter(size_t kept);

  // Sorts by address, the lowest first.
  void Sort();

  StackSlot* first = nullptr;
  StackSlot* last = nullptr;
  size_t count = 0;
};

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_STACK_SLOT_H_
