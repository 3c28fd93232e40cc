// One program whose files have different flags. It is compiled as the first side, which creates the
// generators; as the second, which uses them; and as the program itself, which calls both:
//
//   program USE RESUMES
//
// After `RESUMES` resumes by the first side, the second uses a generator in the way `USE`.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "fringe/generator.h"

using IntGenerator = fringe::Generator<int>;

// Neither a member nor a result shows in the name of a function.
struct Holder {
  std::optional<IntGenerator> member;
  std::unique_ptr<IntGenerator> pointer;
  fringe::Yielder<int>* yielder = nullptr;
};

IntGenerator Make();
void Fill(Holder& holder);
void Resume(Holder& holder);
void ResumePointer(Holder& holder);
void Use(Holder& holder, int use);

#if MIXED_SIDE == 1

IntGenerator Make() {
  return IntGenerator([](auto& yielder) {
    for (int i = 0; i < 3; ++i) yielder.Suspend(i);
#if FRINGE_EXCEPTIONS
    throw 1;
#endif
  });
}

void Fill(Holder& holder) {
  holder.member.emplace(Make());
  holder.pointer = std::make_unique<IntGenerator>([&holder](auto& yielder) {
    holder.yielder = &yielder;
    Use(holder, 8);
  });
}

void Resume(Holder& holder) { holder.member->Resume(); }
void ResumePointer(Holder& holder) { holder.pointer->Resume(); }

#elif MIXED_SIDE == 2

void Use(Holder& holder, int use) {
  switch (use) {
    case 0:
      holder.member->Resume();
      break;
    case 1:
      Make().Resume();
      break;
    case 2:
      holder.member.reset();
      break;
    case 3:
      std::printf("%d\n", holder.member->state() == fringe::State::kRunnable);
      break;
    case 4:
      static_cast<void>(std::move(*holder.member).Unwrap());
      break;
    case 5:
      static_cast<void>(std::move(*holder.member).UnsafeUnwrap());
      break;
    case 6:
      for (const int number : *holder.member) {
        std::printf("%d\n", number);
        if (number == 2) break;
      }
      break;
    case 7:
      holder.pointer->Resume();
      break;
    case 8:
      holder.yielder->Suspend(1);
      break;
    default:
      std::abort();
  }
}

#else

int main(int /*argc*/, char** argv) {
  Holder holder;
  Fill(holder);
  const int use = std::atoi(argv[1]);
  for (int i = std::atoi(argv[2]); i > 0; --i) Resume(holder);
  if (use == 8) {
    // The first side's body calls it.
    ResumePointer(holder);
  } else {
    Use(holder, use);
  }
  std::puts("used");
  std::fflush(stdout);
  std::_Exit(0);
}

#endif
