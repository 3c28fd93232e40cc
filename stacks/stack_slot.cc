#include "stack_slot.h"

#include <cstddef>
#include <functional>
#include <utility>

namespace fringe::internal {

SlotChain SlotChain::CutAfter(size_t kept) {
  if (kept == 0) return std::exchange(*this, {});
  if (kept >= count) return {};
  StackSlot* end = first;
  for (size_t i = 1; i < kept; ++i) end = end->next;
  SlotChain rest;
  rest.first = std::exchange(end->next, nullptr);
  rest.last = std::exchange(last, end);
  rest.count = count - kept;
  count = kept;
  return rest;
}

// Merges runs of one, two, four and more slots.
void SlotChain::Sort() {
  const std::less<StackSlot*> is_lower;
  for (size_t run = 1; run < count; run *= 2) {
    SlotChain rest = std::exchange(*this, {});
    StackSlot** link = &first;
    while (!rest.empty()) {
      SlotChain left = std::move(rest);
      SlotChain right = left.CutAfter(run);
      rest = right.CutAfter(run);
      count += left.count + right.count;
      while (!left.empty() || !right.empty()) {
        SlotChain& from =
            right.empty() || (!left.empty() && is_lower(left.first, right.first)) ? left : right;
        last = from.Pop();
        *link = last;
        link = &last->next;
      }
    }
    *link = nullptr;
  }
}

}  // namespace fringe::internal
