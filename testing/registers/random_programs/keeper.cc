#include "testing/registers/random_programs/keeper.h"

namespace fringe::testing {

void FillBlock(unsigned char* block, size_t bytes, unsigned seed) {
  for (size_t i = 0; i < bytes; ++i) block[i] = static_cast<unsigned char>(seed + i * 7);
}

bool IsFilled(const unsigned char* block, size_t bytes, unsigned seed) {
  for (size_t i = 0; i < bytes; ++i) {
    if (block[i] != static_cast<unsigned char>(seed + i * 7)) return false;
  }
  return true;
}

double Mix(uint64_t a, double b, float c) {
  return static_cast<double>(a % 1000) + b / 2 + static_cast<double>(c);
}

}  // namespace fringe::testing
