#include "stacks/stack.h"

int StackAlignment() { return fringe::kStackAlignment; }
