// Functions with each kind of switch, whose unwind information testing/macos/run compares.

#include "arch/arch.h"

using fringe::arch::LinkRecord;
using fringe::arch::Side;

extern "C" {

[[gnu::noinline]] uintptr_t resume(uintptr_t word, LinkRecord* record) {
  return fringe::arch::Switch<Side::kResumer, false>(word, record).message.word;
}

[[gnu::noinline]] uintptr_t cancel(uintptr_t word, LinkRecord* record) {
  return fringe::arch::Switch<Side::kResumer, true>(word, record).message.word;
}

[[gnu::noinline]] uintptr_t suspend(uintptr_t word, LinkRecord* record) {
  return fringe::arch::Switch<Side::kGenerator, false>(word, record).message.word;
}

[[gnu::noinline]] void finish(uintptr_t word, LinkRecord* record) {
  fringe::arch::Finish(word, record);
}

}  // extern "C"
