// The interfaces between the parts of this project.

#ifndef PROJECT_PROJECT_H_
#define PROJECT_PROJECT_H_

#include "fringe/generator.h"

// Yields 1 to `last`, on the default stack.
fringe::Generator<int> CountTo(int last);

// Uses each part of the package once, and prints the results.
//
// Returns: the program's exit status.
int Run();

#endif  // PROJECT_PROJECT_H_
