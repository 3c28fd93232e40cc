// The sides of a switch on which a test keeps values.
//
// A trap is a type with a function `Run(side)`. It keeps values across several calls of `side`, and
// returns the number of wrong ones afterwards. `side` switches to the other side, which overwrites
// every register with `scramble` before it switches back.

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

template <typename Scramble>
void ScrambleForever(uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
  for (;;) {
    Scramble()();
    arch::Suspend(0, record);
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

// Each returns what `Run` returns on one side.

template <typename Trap, typename Scramble>
unsigned WrongAfterRawResume() {
  const RawGenerator<> generator(*OsStack::Create(kSideStackBytes), &ScrambleForever<Scramble>);
  return Trap::Run(RawResume{generator.record()});
}

template <typename Trap, typename Scramble>
unsigned WrongAfterRawSuspend() {
  const RawGenerator<> generator(*OsStack::Create(kSideStackBytes), &RunOnce<Trap>);
  Progress progress;
  while (!progress.finished) {
    Scramble()();
    arch::Resume(reinterpret_cast<uintptr_t>(&progress), generator.record());
  }
  return progress.wrong;
}

template <typename Trap, typename Scramble>
unsigned WrongAfterResume() {
  bool finish = false;
  auto generator =
      MakeGenerator<void>(*OsStack::Create(kSideStackBytes), [&](Yielder<void>& yielder) {
        while (!finish) {
          Scramble()();
          yielder.Suspend();
        }
      });
  const unsigned wrong = Trap::Run(GeneratorResume{&generator});
  finish = true;
  generator.Resume();
  return wrong;
}

template <typename Trap, typename Scramble>
unsigned WrongAfterSuspend() {
  unsigned wrong = 0;
  auto generator = MakeGenerator<void>(
      *OsStack::Create(kSideStackBytes),
      [&](Yielder<void>& yielder) { wrong = Trap::Run(GeneratorSuspend{&yielder}); });
  for (bool resumed = true; resumed;) {
    Scramble()();
    resumed = generator.Resume();
  }
  return wrong;
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_SIDES_H_
