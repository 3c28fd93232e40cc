// A range of memory that is carved into stacks with guards. Not for users.

#ifndef FRINGE_STACKS_STACK_ARENA_H_
#define FRINGE_STACKS_STACK_ARENA_H_

#include <cstddef>

#include "stack_slot.h"

namespace fringe::internal {

// The sizes of what an arena holds, in whole pages.
struct StackLayout {
  size_t stride_bytes() const { return guard_bytes + room_bytes; }

  size_t guard_bytes;
  size_t room_bytes;  // from a stack's limit to the next guard
};

// From the lowest address:
//
//   guard, stack; guard, stack; ...
//   this object, and the slots
//   guard
//
// So an overflow that jumps over a guard meets another stack or another mapping, but no slots of
// this arena. The last guard keeps the slots away from a stack above that is not this arena's.
struct alignas(StackSlot) StackArena {
  // Maps an arena for `stacks` stacks.
  //
  // Returns: null if the system does not give one; `errno` says why, and `failed_call` names the
  //   call. Nothing stays mapped then.
  static StackArena* Create(const StackLayout& layout, size_t stacks, const char** failed_call);
  // Unmaps `arena`.
  static void Destroy(StackArena* arena);

  std::byte* limit(size_t index) {
    return start + index * layout.stride_bytes() + layout.guard_bytes;
  }
  StackSlot* slot(size_t index) { return slots + index; }
  // How many mappings the arena has beyond those of the guards of its stacks.
  size_t mappings() const { return guard_is_mapped ? 3 : 1; }

  StackLayout layout;
  std::byte* start;
  size_t mapped_bytes;
  StackSlot* slots;
  size_t stacks;         // that there is room for
  bool guard_is_mapped;  // the last one's

  // The pool's state of the arena.
  StackArena* next = nullptr;
  size_t carved = 0;       // the first so many slots are in use
  size_t cold = 0;         // how many of those are unused and keep no memory
  bool unmapping = false;  // is about to be unmapped
};

// Makes the guard of the stack in `slot`, which has none.
//
// Returns: null, or the name of the call that failed with `errno`.
const char* InstallSlotGuard(StackSlot* slot);

}  // namespace fringe::internal

#endif  // FRINGE_STACKS_STACK_ARENA_H_
