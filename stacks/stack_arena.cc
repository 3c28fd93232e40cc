#include "stack_arena.h"

#include <cerrno>
#include <cstddef>
#include <new>

#include "system.h"

namespace fringe::internal {

StackArena* StackArena::Create(const StackLayout& layout, size_t stacks, const char** failed_call) {
  const size_t stacks_bytes = stacks * layout.stride_bytes();
  const size_t records_bytes = RoundUpToPages(sizeof(StackArena) + stacks * sizeof(StackSlot));
  const size_t mapped_bytes = stacks_bytes + records_bytes + layout.guard_bytes;
  std::byte* const start = MapMemory(mapped_bytes, failed_call);
  if (start == nullptr) return nullptr;
  std::byte* const records = start + stacks_bytes;
  GuardKind kind;
  *failed_call = InstallGuard(records + records_bytes, layout.guard_bytes, &kind);
  if (*failed_call != nullptr) {
    const int error = errno;
    UnmapMemory(start, mapped_bytes);
    errno = error;
    return nullptr;
  }
  void* const slots = records + sizeof(StackArena);
  return new (records) StackArena{.layout = layout,
                                  .start = start,
                                  .mapped_bytes = mapped_bytes,
                                  .slots = static_cast<StackSlot*>(slots),
                                  .stacks = stacks,
                                  .guard_is_mapped = kind == GuardKind::kProtected};
}

void StackArena::Destroy(StackArena* arena) { UnmapMemory(arena->start, arena->mapped_bytes); }

const char* InstallSlotGuard(StackSlot* slot) {
  const size_t guard_bytes = slot->arena->layout.guard_bytes;
  GuardKind kind;
  const char* const failed_call = InstallGuard(slot->limit - guard_bytes, guard_bytes, &kind);
  if (failed_call != nullptr) return failed_call;
  slot->has_guard = true;
  slot->guard_is_mapped = kind == GuardKind::kProtected;
  return nullptr;
}

}  // namespace fringe::internal
