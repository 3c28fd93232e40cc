#ifndef CROSSING_BODY_H_
#define CROSSING_BODY_H_

#include "fringe/generator.h"

inline int First() {
  fringe::Generator<int> gen([](auto& yielder) { yielder.Suspend(1); });
  return *gen.Resume();
}

#endif  // CROSSING_BODY_H_
