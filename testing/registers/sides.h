// The sides of a switch on which a test keeps values.
//
// A trap is a type with a function `Run(side)`. It keeps values across several calls of `side`, and
// returns the number of wrong ones afterwards. `side` switches to the other side, which overwrites
// every register with `scramble` before it switches back.
//
// A switch that does nothing keeps every value, so the sides count the times that they ran.

#ifndef FRINGE_TESTING_REGISTERS_SIDES_H_
#define FRINGE_TESTING_REGISTERS_SIDES_H_

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "stacks/os_stack.h"
#include "testing/support/raw_generator.h"

namespace fringe::testing {

inline constexpr size_t kSideStackBytes = 256 << 10;

// Each is called where a switch is needed, and is inlined there.

struct RawResume {
  arch::LinkRecord* record;
  [[gnu::always_inline]] void operator()() const { arch::Resume(0, record); }
};

struct RawSuspend {
  arch::LinkRecord* record;
  [[gnu::always_inline]] void operator()() const { arch::Suspend(0, record); }
};

struct GeneratorResume {
  Generator<void, void, OsStack>* generator;
  [[gnu::always_inline]] void operator()() const { generator->Resume(); }
};

struct GeneratorSuspend {
  Yielder<void>* yielder;
  [[gnu::always_inline]] void operator()() const { yielder->Suspend(); }
};

// The entries of raw generators.

// Suspends with the number of times that it was resumed.
template <typename Scramble>
void ScrambleForever(uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
  for (uintptr_t times = 1;; ++times) {
    Scramble()();
    arch::Suspend(times, record);
  }
}

struct Progress {
  bool finished = false;
  unsigned wrong = 0;
};

template <typename Trap>
void RunOnce(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  auto* const progress = reinterpret_cast<Progress*>(word);
  progress->wrong = Trap::Run(RawSuspend{record});
  progress->finished = true;
  for (;;) arch::Suspend(0, record);
}

// Each returns what `Run` returns on one side, plus this if it did not switch to the other side.
inline constexpr unsigned kNoSwitch = 1000000;

template <typename Trap, typename Scramble>
unsigned WrongAfterRawResume() {
  const RawGenerator<> generator(*OsStack::Create(kSideStackBytes), &ScrambleForever<Scramble>);
  const unsigned wrong = Trap::Run(RawResume{generator.record()});
  const uintptr_t times = arch::Resume(0, generator.record()).word;
  return wrong + (times < 2 ? kNoSwitch : 0);
}

template <typename Trap, typename Scramble>
unsigned WrongAfterRawSuspend() {
  const RawGenerator<> generator(*OsStack::Create(kSideStackBytes), &RunOnce<Trap>);
  Progress progress;
  unsigned times = 0;
  for (; !progress.finished; ++times) {
    Scramble()();
    arch::Resume(reinterpret_cast<uintptr_t>(&progress), generator.record());
  }
  return progress.wrong + (times < 2 ? kNoSwitch : 0);
}

template <typename Trap, typename Scramble>
unsigned WrongAfterResume() {
  bool finish = false;
  unsigned times = 0;
  auto generator =
      MakeGenerator<void>(*OsStack::Create(kSideStackBytes), [&](Yielder<void>& yielder) {
        while (!finish) {
          ++times;
          Scramble()();
          yielder.Suspend();
        }
      });
  const unsigned wrong = Trap::Run(GeneratorResume{&generator});
  finish = true;
  generator.Resume();
  return wrong + (times < 1 ? kNoSwitch : 0);
}

template <typename Trap, typename Scramble>
unsigned WrongAfterSuspend() {
  unsigned wrong = 0, times = 0;
  auto generator = MakeGenerator<void>(
      *OsStack::Create(kSideStackBytes),
      [&](Yielder<void>& yielder) { wrong = Trap::Run(GeneratorSuspend{&yielder}); });
  for (bool resumed = true; resumed; ++times) {
    Scramble()();
    resumed = generator.Resume();
  }
  return wrong + (times < 2 ? kNoSwitch : 0);
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_SIDES_H_
