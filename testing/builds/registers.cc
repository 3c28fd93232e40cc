// Values in registers of AVX-512 across a resume. The function that holds them has the extension by
// an attribute, and its file does not. `run` looks into the code, so it also tests this on a CPU
// without the extension: there the program runs no such instruction.

#include <cstdint>
#include <cstdio>
#include <optional>

#include "fringe/generator.h"

namespace {

using Vector = float __attribute__((vector_size(64)));

// clang-format off
#define EACH(F)                                                             \
  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12)       \
  F(13) F(14) F(15) F(16) F(17) F(18)
// clang-format on

}  // namespace

// More vectors than zmm0 to zmm15.
extern "C" [[gnu::noinline, gnu::target("avx512f,avx512bw")]] int HoldVectors(
    fringe::Generator<int>& gen, const Vector* from) {
#define LOAD(I) Vector v##I = from[I];
#define HIDE(I) asm volatile("" : "+v"(v##I));
#define ADD(I) "vaddps %[v" #I "], %[v" #I "], %%zmm0\n\t"
#define INPUT(I) , [v##I] "v"(v##I)
  EACH(LOAD)
  EACH(HIDE)
  const std::optional<int> number = gen.Resume();
  // All at once, so that some must be in registers that only AVX-512 has.
  asm volatile(EACH(ADD) : : "i"(0)EACH(INPUT) : "xmm0");
  return number ? *number : -1;
}

extern "C" [[gnu::noinline, gnu::target("avx512f,avx512bw")]] int HoldMasks(
    fringe::Generator<int>& gen, const uint64_t* from) {
  uint64_t a = from[0], b = from[1], c = from[2], d = from[3];
  asm volatile("" : "+k"(a), "+k"(b), "+k"(c), "+k"(d));
  const std::optional<int> number = gen.Resume();
  asm volatile("kortestq %0, %1\n\tkortestq %2, %3" : : "k"(a), "k"(b), "k"(c), "k"(d) : "cc");
  return number ? *number : -1;
}

int main(int argc, char** /*argv*/) {
  fringe::Generator<int> gen([](auto& yielder) { yielder.Suspend(1); });
  if (argc < 3) {
    std::puts("1 passed, 0 failed");
    return 0;
  }
  return HoldVectors(gen, nullptr) + HoldMasks(gen, nullptr);
}
