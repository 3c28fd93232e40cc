#include "count.h"

int main() {
  int sum = 0;
  for (const int number : CountTo(4)) sum += number;
  return sum == 10 ? 0 : 1;
}
