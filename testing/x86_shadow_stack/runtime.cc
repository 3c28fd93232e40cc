// The functions of a C library that libsupc++ and libgcc need to throw exceptions, and that
// stacks/shadow_stacks.cc calls. There is one thread.

#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "testing/bare_metal/machine.h"
#include "testing/x86_shadow_stack/machine.h"

namespace {

[[noreturn]] void Fail(const char* what) {
  fringe::testing::Write(what);
  fringe::testing::Write("\n");
  fringe::testing::End(fringe::testing::kWrong);
}

}  // namespace

namespace __gnu_cxx {
// libsupc++'s demangles the type of the exception.
void __verbose_terminate_handler() { Fail("std::terminate was called"); }
}  // namespace __gnu_cxx

extern "C" {

void* __dso_handle = nullptr;

// The asm statement keeps the compiler from turning the loop into a call of the function itself.
size_t strlen(const char* text) {
  size_t length = 0;
  for (; text[length] != '\0'; ++length) asm volatile("" : : : "memory");
  return length;
}

int strcmp(const char* a, const char* b) {
  for (; *a != '\0' && *a == *b; ++a, ++b) {
  }
  return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

// Memory of exceptions, and of libsupc++'s reserve for them. Nothing is used twice, so it is zero.
void* malloc(size_t bytes) {
  alignas(16) static unsigned char heap[256 << 10];
  static size_t used = 0;
  bytes = (bytes + 15) & ~size_t{15};
  if (bytes > sizeof heap - used) Fail("the heap is too small");
  used += bytes;
  return heap + used - bytes;
}
void free(void*) {}
void* calloc(size_t count, size_t bytes) { return malloc(count * bytes); }

void abort() { Fail("abort was called"); }
char* secure_getenv(const char*) { return nullptr; }

// The unwind tables are registered, see program.cc.
int dl_iterate_phdr(int (*)(void*, size_t, void*), void*) { return 0; }
int _dl_find_object(void*, void*) { return -1; }

int pthread_mutex_lock(void*) { return 0; }
int pthread_mutex_unlock(void*) { return 0; }
int pthread_once(int* once, void (*function)()) {
  if (*once == 0) {
    *once = 1;
    function();
  }
  return 0;
}
int pthread_key_create(unsigned*, void (*)(void*)) { return 0; }
void* pthread_getspecific(unsigned) { return nullptr; }
int pthread_setspecific(unsigned, const void*) { return 0; }
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
int __cxa_thread_atexit(void (*)(void*), void*, void*) { return 0; }

// As "Documentation/arch/x86/shstk.rst" of Linux describes `map_shadow_stack`.
long syscall(long number, ...) {
  va_list arguments;
  va_start(arguments, number);
  const int address = va_arg(arguments, int);
  const size_t bytes = va_arg(arguments, size_t);
  const unsigned long flags = va_arg(arguments, unsigned long);
  va_end(arguments);
  constexpr long kMapShadowStack = 453;
  constexpr unsigned long kSetToken = 1;
  if (number != kMapShadowStack || address != 0 || flags != kSetToken) return -1;
  const uintptr_t start = fringe::testing::MapShadowStack(bytes);
  return start == 0 ? -1 : static_cast<long>(start);
}
int munmap(void* start, size_t bytes) {
  return fringe::testing::UnmapShadowStack(reinterpret_cast<uintptr_t>(start), bytes) ? 0 : -1;
}
long sysconf(int) { return fringe::testing::kPageBytes; }
}
