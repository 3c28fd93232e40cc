// A program without unwind information for functions that cannot throw
// (-fno-asynchronous-unwind-tables). Its switches have no CFI. It must assemble, and its switches
// must work.

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "arch/arch.h"

namespace {

using fringe::arch::LinkRecord;
using fringe::arch::Message;

void AddUp(uintptr_t word, LinkRecord* record, LinkRecord*) noexcept {
  uintptr_t sum = 0;
  for (Message message = {word, record}; message.record != nullptr;) {
    sum += message.word;
    message = fringe::arch::Suspend(sum, record);
  }
  fringe::arch::Finish(sum, record);
}

uintptr_t SumUpTo(uintptr_t last, LinkRecord* record) noexcept {
  for (uintptr_t i = 1; i <= last; ++i) fringe::arch::Resume(i, record);
  return fringe::arch::Cancel(record).word;
}

}  // namespace

int main() {
  struct alignas(LinkRecord) Memory {
    std::byte stack[64 << 10];
    LinkRecord record;
  };
  static Memory memory;
  fringe::arch::Init(&memory.record, memory.stack + sizeof(memory.stack), &AddUp);
  const uintptr_t sum = SumUpTo(100, &memory.record);
  if (sum == 5050) return 0;
  std::fprintf(stderr, "the sum is %ju\n", static_cast<uintmax_t>(sum));
  return 1;
}
