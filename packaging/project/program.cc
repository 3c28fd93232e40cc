#include <cstddef>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "fringe/stack_usage.h"
#include "project.h"
#include "stacks/default_stack.h"
#include "stacks/malloc_stack.h"
#include "stacks/os_stack.h"
#include "stacks/pooled_stack.h"
#include "stacks/span_stack.h"

static_assert(std::is_same_v<fringe::DefaultStack, fringe::OsStack>);

// A body that throws, with a local whose destructor must run.
struct Note {
  std::string* text;
  ~Note() { *text += "unwound"; }
};

int Run() {
  for (const int number : CountTo(3)) std::cout << number << "\n";

  const auto add = [](auto& yielder, int number) {
    for (int total = 0;;) number = yielder.Suspend(total += number);
  };
  auto pooled = fringe::MakeGenerator<int, int>(*fringe::StackPool::Default().Acquire(), add);
  pooled.Resume(20);
  std::cout << *pooled.Resume(22) << "\n";

  std::string text;
  {
    auto heap = fringe::Generator<int, void, fringe::MallocStack>::Unguarded(
        *fringe::MallocStack::Create(64 << 10), [&text](auto& yielder) {
          const Note note = {&text};
          yielder.Suspend(1);
        });
    heap.Resume();
  }
  std::cout << text << "\n";

  auto thrower = fringe::MakeGenerator<int>(*fringe::OsStack::Create(64 << 10), [](auto&) {
    throw std::runtime_error("thrown through a resume");
  });
  try {
    thrower.Resume();
  } catch (const std::runtime_error& error) {
    std::cout << error.what() << "\n";
  }

  alignas(fringe::kStackAlignment) static std::byte memory[1 << 14];
  std::ostringstream report;
  {
    fringe::MeasuredStack<fringe::SpanStack> stack(*fringe::SpanStack::Create(memory), "span",
                                                   report);
    std::cout << fringe::OnStack(stack, [] { return 43; }) << "\n";
  }
  std::cout << report.str().substr(0, 10) << "\n";

  const auto too_large = fringe::OsStack::Create(~size_t{0});
  std::cout << (too_large.ok() ? "no error" : "an error of Abseil's") << "\n";
  return 0;
}
