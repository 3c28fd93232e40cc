// Prints the stacks of its own generators and of a library's.

#include <iostream>

#include "testing/default_stack/library.h"
#include "testing/default_stack/where.h"

int main() {
  std::cout << "program: " << fringe::testing::Where() << "\n"
            << "library: " << fringe::testing::WhereLibrary() << "\n";
}
