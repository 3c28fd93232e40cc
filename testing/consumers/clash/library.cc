#include "library.h"

#include <type_traits>

#include "fringe/generator.h"
#include "fringe/stacks/pooled_stack.h"
#include "stacks/os_stack.h"

static_assert(!fringe::Stack<consumer::OsStack>);

const char* StackOfLibrary() {
  static_assert(std::is_same_v<fringe::DefaultStack, fringe::PooledStack>);
  fringe::Generator<void> gen([](auto&) {});
  gen.Resume();
  return "PooledStack";
}
