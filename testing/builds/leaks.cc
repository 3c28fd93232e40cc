// What LeakSanitizer must report, and what it must not.
//
//   leaks leaked: a body leaks five blocks
//   leaks owned:  a suspended generator owns a block when the program ends

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "fringe/generator.h"

namespace {

struct Block {
  int numbers[10];
};

[[gnu::noinline]] void Leak() {
  char* volatile block = static_cast<char*>(std::malloc(4321));
  block[0] = 1;
  block = nullptr;
}

void RunLeakingBody() {
  fringe::Generator<int> gen([](auto& yielder) {
    for (int i = 0; i < 5; ++i) {
      Leak();
      yielder.Suspend(i);
    }
  });
  while (gen.Resume()) continue;
}

[[gnu::noinline]] void KeepSuspendedGenerator() {
  static auto& gen =
      *new fringe::Generator<int>([block = std::make_unique<Block>()](auto& yielder) {
        for (;;) yielder.Suspend(block->numbers[0]);
      });
  gen.Resume();
}

// Leaves no pointer behind in dead frames.
[[gnu::noinline]] void ClearFrames() {
  char bytes[4096];
  __builtin_memset(bytes, 0, sizeof(bytes));
  asm volatile("" : : "r"(bytes) : "memory");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: leaks leaked|owned\n");
    return 2;
  }
  if (std::string_view(argv[1]) == "leaked") {
    RunLeakingBody();
  } else {
    KeepSuspendedGenerator();
  }
  ClearFrames();
}
