// The loops that counts_test counts: `loops NAME ITERATIONS` runs one of them, and `loops` lists
// their names. `loops NAME ITERATIONS steps` runs one instruction by instruction, and prints how
// many there were and how many branches its own code took. All are compiled at -O2 without frame
// pointers, in every build.

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"
#include "testing/support/own_code.h"
#include "testing/support/raw_generator.h"
#include "testing/support/single_step.h"

namespace fringe::testing {
namespace {

constexpr size_t kStackBytes = 64 << 10;
alignas(64) std::byte memory[kStackBytes];

template <typename T>
[[gnu::always_inline]] inline void Use(T value) {
  asm volatile("" : : "r"(value));
}

// What a loop resumes is abandoned at its end: without exceptions it could not be destroyed.
template <typename GeneratorT>
void Abandon(GeneratorT& generator) {
  static_cast<void>(std::move(generator).UnsafeUnwrap());
}

// --- The bare switch -----------------------------------------------------------------------------

void SuspendForever(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  for (;;) word = arch::Suspend(word, record).word;
}

[[gnu::noinline]] void Resume(arch::LinkRecord* record, size_t count) {
  for (size_t i = 0; i < count; ++i) arch::Resume(0, record);
}

void Switch(size_t count) {
  const RawGenerator<> generator(*OsStack::Create(kStackBytes), &SuspendForever);
  Resume(generator.record(), count);
}

// --- Steps ---------------------------------------------------------------------------------------

// A generator behind a reference, as in a function that is passed one.
template <typename GeneratorT>
[[gnu::noinline]] uint64_t ResumeWithNumbers(GeneratorT& generator, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += *generator.Resume(i);
  return sum;
}

template <typename GeneratorT>
[[gnu::noinline]] void ResumeAll(GeneratorT& generator, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto value = generator.Resume();
    Use(&value);
  }
}

void Echo(size_t count) {
  auto generator = MakeGenerator<uint64_t, uint64_t>(
      *OsStack::Create(kStackBytes), [](Yielder<uint64_t, uint64_t>& yielder, uint64_t number) {
        for (;;) number = yielder.Suspend(number);
      });
  Use(ResumeWithNumbers(generator, count));
  Abandon(generator);
}

void Nothing(size_t count) {
  auto generator = MakeGenerator<void>(*OsStack::Create(kStackBytes), [](Yielder<void>& yielder) {
    for (;;) yielder.Suspend();
  });
  ResumeAll(generator, count);
  Abandon(generator);
}

auto Numbers() {
  return MakeGenerator<uint64_t>(*OsStack::Create(kStackBytes), [](Yielder<uint64_t>& yielder) {
    for (uint64_t number = 0;; ++number) yielder.Suspend(number);
  });
}

void CounterByReference(size_t count) {
  auto generator = Numbers();
  ResumeAll(generator, count);
  Abandon(generator);
}

void LocalCounter(size_t count) {
  auto generator = Numbers();
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += *generator.Resume();
  Use(sum);
  Abandon(generator);
}

void RangeFor(size_t count) {
  auto generator = Numbers();
  uint64_t sum = 0;
  size_t left = count;
  for (const uint64_t number : generator) {
    sum += number;
    if (--left == 0) break;
  }
  Use(sum);
  Abandon(generator);
}

// Short strings, which own no memory.
void Strings(size_t count) {
  auto generator =
      MakeGenerator<std::string>(*OsStack::Create(kStackBytes), [](Yielder<std::string>& yielder) {
        for (;;) yielder.Suspend(std::string("word"));
      });
  ResumeAll(generator, count);
  Abandon(generator);
}

// --- Lifetimes -----------------------------------------------------------------------------------

void LifetimeOnAGivenStack(size_t count) {
  const SpanStack stack = *SpanStack::Create(memory);
  for (size_t i = 0; i < count; ++i) {
    auto generator = Generator<uint64_t, void, SpanStack>::Unguarded(stack, [](auto&) {});
    Use(generator.Resume().has_value());
  }
}

void LifetimeFromAPool(size_t count) {
  StackPool pool;
  for (size_t i = 0; i < count; ++i) {
    auto generator = MakeGenerator<uint64_t>(*pool.Acquire(), [](Yielder<uint64_t>&) {});
    Use(generator.Resume().has_value());
  }
}

struct Loop {
  const char* name;
  void (*run)(size_t count);
};
constexpr Loop kLoops[] = {
    {"switch", &Switch},
    {"nothing", &Nothing},
    {"echo", &Echo},
    {"counter by reference", &CounterByReference},
    {"local counter", &LocalCounter},
    {"range-for", &RangeFor},
    {"string", &Strings},
    {"lifetime on a given stack", &LifetimeOnAGivenStack},
    {"lifetime from a pool", &LifetimeFromAPool},
};

// --- Steps by instruction ------------------------------------------------------------------------

// Written by the handler.
size_t instructions;
size_t library_instructions;  // of those, in shared libraries
size_t taken_branches;        // in the program itself
uintptr_t previous_pc;

// Whether the step from the instruction at `pc` to the one at `next_pc` has taken a branch. One
// that is always taken may lead to the next instruction.
bool IsTakenBranch(uintptr_t pc, uintptr_t next_pc) {
  const auto* code = reinterpret_cast<const uint8_t*>(pc);
  const bool is_near_jcc = code[0] == 0x0f && (code[1] & 0xf0) == 0x80;
  const bool is_short_jcc = (code[0] & 0xf0) == 0x70 || (code[0] & 0xfc) == 0xe0;
  if (is_near_jcc || is_short_jcc) return next_pc != pc + (is_near_jcc ? 6 : 2);
  // Prefixes: of a segment or `notrack`, of a repetition or `bnd`, of a register.
  while (*code == 0x3e || *code == 0xf2 || *code == 0xf3 || (*code & 0xf0) == 0x40) ++code;
  const bool is_call_or_jmp = code[0] == 0xe8 || code[0] == 0xe9 || code[0] == 0xeb;
  const bool is_indirect = code[0] == 0xff && ((code[1] >> 3 & 7) == 2 || (code[1] >> 3 & 7) == 4);
  const bool is_ret = code[0] == 0xc2 || code[0] == 0xc3;
  return is_call_or_jmp || is_indirect || is_ret;
}

// The C library chooses its `memcpy` by CPU, so its branches are not counted.
bool IsOwnCode(uintptr_t pc) {
  const std::span<unsigned char> code = OwnCode();
  return pc - reinterpret_cast<uintptr_t>(code.data()) < code.size();
}

void CountStep(const ucontext_t& context) {
  const uintptr_t pc = ProgramCounter(context);
  ++instructions;
  if (!IsOwnCode(pc)) ++library_instructions;
  if (IsOwnCode(previous_pc) && IsTakenBranch(previous_pc, pc)) ++taken_branches;
  previous_pc = pc;
}

void RunBySteps(const Loop& loop, size_t count) {
  {
    const SingleStep step(&CountStep);
    loop.run(count);
  }
  std::printf("%zu instructions, %zu of libraries, %zu taken branches\n", instructions,
              library_instructions, taken_branches);
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    for (const auto& loop : fringe::testing::kLoops) std::printf("%s\n", loop.name);
    return argc == 1 ? 0 : 2;
  }
  for (const auto& loop : fringe::testing::kLoops) {
    if (std::strcmp(loop.name, argv[1]) != 0) continue;
    const size_t count = std::strtoul(argv[2], nullptr, 10);
    if (argc == 3) {
      loop.run(count);
    } else {
      fringe::testing::RunBySteps(loop, count);
    }
    return 0;
  }
  std::fprintf(stderr, "loops: there is no loop %s\n", argv[1]);
  return 2;
}
