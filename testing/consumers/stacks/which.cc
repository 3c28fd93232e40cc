// Prints the stack of a generator that does not name one, and whether jemalloc is linked.

#include <cstddef>
#include <iostream>
#include <string>
#include <utility>

#include "fringe/generator.h"
#include "stacks/default_stack.h"

extern "C" [[gnu::weak]] int mallctl(const char*, void*, size_t*, void*, size_t);

namespace {

template <typename T>
std::string NameOf() {
  const std::string text = __PRETTY_FUNCTION__;
  const size_t begin = text.find("T = ") + 4;
  return text.substr(begin, text.find_first_of(";]", begin) - begin);
}

}  // namespace

int main() {
  const std::byte* frame = nullptr;
  fringe::Generator<void> gen(
      [&frame](auto&) { frame = static_cast<const std::byte*>(__builtin_frame_address(0)); });
  gen.Resume();
  const fringe::DefaultStack stack = std::move(gen).Unwrap();
  if (frame < stack.limit() || frame >= stack.base()) return 1;
  std::cout << NameOf<fringe::DefaultStack>() << (mallctl != nullptr ? ", jemalloc" : "") << "\n";
}
