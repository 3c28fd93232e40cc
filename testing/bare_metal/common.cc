// What every image has: the functions that compilers call implicitly, the constructors of static
// objects, and the text of numbers.

#include <cstddef>
#include <cstdint>

#include "testing/bare_metal/machine.h"

extern "C" {

// Compilers recognise these functions, and would turn each loop into a call of the function itself.
// The asm statement prevents that.

void* memcpy(void* to, const void* from, size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  for (; bytes != 0; --bytes) {
    *out++ = *in++;
    asm volatile("" : : : "memory");
  }
  return to;
}

void* memset(void* to, int value, size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  for (; bytes != 0; --bytes) {
    *out++ = static_cast<unsigned char>(value);
    asm volatile("" : : : "memory");
  }
  return to;
}

// The linker script defines the list of constructors of static objects.
using Constructor = void (*)();
extern const Constructor fringe_testing_constructors[];
extern const Constructor fringe_testing_constructors_end[];
}

namespace fringe::testing {

void WriteNumber(uintptr_t number) {
  char digits[24];
  char* digit = digits + sizeof digits;
  *--digit = '\0';
  do {
    *--digit = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  Write(digit);
}

}  // namespace fringe::testing

void fringe_testing_run() {
  for (const Constructor* constructor = fringe_testing_constructors;
       constructor != fringe_testing_constructors_end; ++constructor) {
    (*constructor)();
  }
  fringe_testing_main();
  fringe::testing::Write("fringe_testing_main has returned\n");
  fringe::testing::End(fringe::testing::kWrong);
}
