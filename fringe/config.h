// What the compiler's flags mean for code that is inlined into users.
//
// Every macro is 0 or 1. Translation units whose flags differ here see different `Generator`s, in
// namespaces of their own: handing one from such a unit to another fails at link time rather than
// corrupting a stack.

#ifndef FRINGE_CONFIG_H_
#define FRINGE_CONFIG_H_

#if defined(__cpp_exceptions)
#define FRINGE_EXCEPTIONS 1
#else
#define FRINGE_EXCEPTIONS 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FRINGE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FRINGE_ASAN 1
#endif
#endif
#if !defined(FRINGE_ASAN)
#define FRINGE_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define FRINGE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FRINGE_TSAN 1
#endif
#endif
#if !defined(FRINGE_TSAN)
#define FRINGE_TSAN 0
#endif

// Whether Valgrind is told of stacks: `--//flags:valgrind` wants it, and its headers are there.
#if defined(FRINGE_WANTS_VALGRIND) && __STDC_HOSTED__ && __has_include(<valgrind/valgrind.h>)
#define FRINGE_VALGRIND 1
#else
#define FRINGE_VALGRIND 0
#endif

#if FRINGE_EXCEPTIONS
#if FRINGE_ASAN
#define FRINGE_ABI exceptions_asan
#elif FRINGE_TSAN
#define FRINGE_ABI exceptions_tsan
#else
#define FRINGE_ABI exceptions
#endif
#else
#if FRINGE_ASAN
#define FRINGE_ABI no_exceptions_asan
#elif FRINGE_TSAN
#define FRINGE_ABI no_exceptions_tsan
#else
#define FRINGE_ABI no_exceptions
#endif
#endif

#endif  // FRINGE_CONFIG_H_
