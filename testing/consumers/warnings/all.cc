// Instantiates each template, because some warnings appear only then.

#include <cstddef>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fringe/callback_guard.h"
#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "fringe/overflow.h"
#include "fringe/stack_usage.h"
#include "fringe/stacks/default_stack.h"
#include "fringe/stacks/malloc_stack.h"
#include "fringe/stacks/os_stack.h"
#include "fringe/stacks/pooled_stack.h"
#include "fringe/stacks/span_stack.h"
#include "fringe/stacks/stack.h"
#include "fringe/stacks/system_stack.h"
#include "stacks/default_stack.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"
#include "stacks/stack.h"
#include "stacks/system_stack.h"

static_assert(fringe::GuardedStack<fringe::DefaultStack>);

int main() {
  auto words = fringe::Generator<std::string, int, fringe::MallocStack>::Unguarded(
      *fringe::MallocStack::Create(1 << 16), [](auto& yielder, int number) {
        while (number > 0) number = yielder.Suspend(std::to_string(number));
      });
  while (std::optional<std::string> word =
             words.Resume(words.state() == fringe::State::kRunnable ? 0 : 1)) {
    std::cout << *word << "\n";
  }
  fringe::StackPool pool({.stack_bytes = 1 << 16});
  {
    auto pointers = fringe::MakeGenerator<std::unique_ptr<int>>(*pool.Acquire(), [](auto& yielder) {
      yielder.Suspend(std::make_unique<int>(1));
      yielder.Suspend(std::make_unique<int>(2));
    });
    for (std::unique_ptr<int>&& pointer : pointers) std::cout << *pointer << "\n";
  }
  // Without a look at whether there is a value.
  auto numbers = fringe::MakeGenerator<int>(*fringe::OsStack::Create(1 << 16),
                                            [](auto& yielder) { yielder.Suspend(1); });
  std::cout << *numbers.Resume() << "\n";
  std::cout << numbers.Resume().value_or(2) << "\n";
  auto lines = fringe::MakeGenerator<std::string>(
      [](auto& yielder) { yielder.Suspend("a line that is not stored inside of the string"); });
  std::cout << *lines.Resume() << "\n";
  auto halves = fringe::MakeGenerator<double, double>([](auto& yielder, double number) {
    while (auto next = yielder.TrySuspend(number / 2)) number = *next;
  });
  std::cout << *halves.Resume(1.0) + *halves.Resume(2.0) << "\n";
  fringe::Generator<int&, char> references([](auto& yielder, char character) {
    int value = character;
    yielder.Suspend(value);
  });
  *references.Resume('a') = 1;
  fringe::Generator<void> nothing([](auto& yielder) { yielder.Suspend(); });
  nothing.Resume();
  static std::byte memory[1 << 14];
  auto stack = *fringe::SpanStack::Create(memory);
  auto os_stack = *fringe::OsStack::Create(1 << 16);
  const fringe::StackUsage usage(stack);
  fringe::MakeGenerator<int>(fringe::MeasuredStack(*fringe::OsStack::Create(1 << 16), "measured"),
                             [](auto& yielder) { yielder.Suspend(1); });
  std::cout << fringe::OnStack(stack, [] { return 3; })
            << fringe::OnStack(os_stack, [] { return 4; }) << usage.used_bytes()
            << fringe::ResidentStackBytes(os_stack).has_value() << "\n";
}
