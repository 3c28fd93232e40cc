#ifndef CROSSING_RESULT_H_
#define CROSSING_RESULT_H_

#include "fringe/generator.h"

fringe::Generator<int> Make();

#endif  // CROSSING_RESULT_H_
