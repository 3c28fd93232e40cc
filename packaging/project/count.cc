#include "project.h"

fringe::Generator<int> CountTo(int last) {
  return fringe::Generator<int>([last](auto& yielder) {
    for (int i = 1; i <= last; ++i) yielder.Suspend(i);
  });
}
