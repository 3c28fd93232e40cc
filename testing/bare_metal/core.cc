// Uses everything in the core, so that the test sees all of its requirements.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "arch/arch.h"
#include "arch/fatal.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"
#include "stacks/stack.h"

namespace fringe {

template <typename T>
concept Complete = requires { sizeof(T); };

static_assert(!Complete<DefaultStack>, "a freestanding build has no default stack");

// Values that cross in a register, and others.
struct Large {
  int values[30];
};

}  // namespace fringe

extern "C" {
extern std::byte memory[4096];
void Use();
}

namespace {

template <typename Output, typename Input, typename... Inputs>
void UseGenerator(Inputs... inputs) {
  using Generator = fringe::Generator<Output, Input, fringe::SpanStack>;
  Generator generator =
      Generator::Unguarded(*fringe::SpanStack::Create(memory), [](auto& yielder, Inputs...) {
        for (;;) {
          if constexpr (std::is_void_v<Output>) {
            yielder.Suspend();
          } else {
            std::remove_reference_t<Output> value = {};
            yielder.Suspend(static_cast<Output>(value));
          }
        }
      });
  (void)generator.Resume(inputs...);
  Generator moved = std::move(generator);
  generator = std::move(moved);
  if (generator.state() == fringe::State::kUnavailable) (void)std::move(generator).Unwrap();
  (void)std::move(generator).UnsafeUnwrap();
}

}  // namespace

void Use() {
  UseGenerator<int, int>(1);
  UseGenerator<void, fringe::Large>(fringe::Large());
  UseGenerator<fringe::Large, double>(1.0);
  UseGenerator<fringe::Large&&, void>();
  UseGenerator<void, void>();
  int sum = 0;
  for (const int i : fringe::Generator<int, void, fringe::SpanStack>::Unguarded(
           *fringe::SpanStack::Create(memory), [](auto& yielder) { yielder.Suspend(1); })) {
    sum += i;
  }
  for (const fringe::Large& large :
       fringe::Generator<fringe::Large, void, fringe::SpanStack>::Unguarded(
           *fringe::SpanStack::Create(memory), [](auto& yielder) { yielder.Suspend({}); })) {
    sum += large.values[0];
  }
  fringe::OnStack(*fringe::SpanStack::Create(memory), [&] { ++sum; });
  (void)fringe::OnStack(*fringe::SpanStack::Create(memory), [&] { return fringe::Large(); });
  (void)fringe::OnStack(*fringe::SpanStack::Create(memory), [&]() -> int& { return sum; });
}
