#include "count.h"

fringe::Generator<int, void, fringe::OsStack> CountTo(int last) {
  return fringe::MakeGenerator<int>(*fringe::OsStack::Create(1 << 16), [last](auto& yielder) {
    for (int i = 1; i <= last; ++i) yielder.Suspend(i);
  });
}
