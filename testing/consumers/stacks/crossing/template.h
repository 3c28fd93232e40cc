#ifndef CROSSING_TEMPLATE_H_
#define CROSSING_TEMPLATE_H_

#include "fringe/generator.h"

template <typename T>
struct Walk {
  fringe::Generator<T> gen;
};

#endif  // CROSSING_TEMPLATE_H_
