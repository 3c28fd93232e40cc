#ifndef CROSSING_MEMBER_H_
#define CROSSING_MEMBER_H_

#include "fringe/generator.h"

struct Holder {
  fringe::Generator<int> gen;
  int count;
};

#endif  // CROSSING_MEMBER_H_
