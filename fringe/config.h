// What the compiler's flags mean for code that is inlined into users.
//
// Every macro is 0 or 1, except those of the mode: exceptions on or off, and AddressSanitizer,
// ThreadSanitizer, MemorySanitizer or none. Each mode has a `Generator` of its own, in a namespace
// of its own, and another if it supports hardware shadow stacks. A function with a `Generator` or
// `Yielder` among its parameters does not link across modes. Other ways across, as a result or a
// member of a class, link; any use of such a generator is then fatal.
//
// Builds in which a generator cannot work are rejected here, as far as the compiler tells. Code
// compiled with -fsplit-stack is fatal at the program's first generator (sanitizer_hooks.h). GCC's
// -fsanitize=shadow-call-stack cannot be detected.

#ifndef FRINGE_CONFIG_H_
#define FRINGE_CONFIG_H_

// Stacks of the compiler's own, which all generators of a thread would share, and stack tags.
#if defined(__has_feature)
#if __has_feature(safe_stack)
#error "fringe cannot be used with -fsanitize=safe-stack: compile without it."
#endif
#if __has_feature(shadow_call_stack)
#error "fringe cannot be used with -fsanitize=shadow-call-stack: compile without it."
#endif
#if __has_feature(hwaddress_sanitizer)
#error "fringe cannot be used with -fsanitize=hwaddress: use -fsanitize=address."
#endif
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(_WIN32)
static_assert(__is_same(void (*)(int), void(__attribute__((sysv_abi)) *)(int)),
              "fringe cannot be used with -mabi=ms: compile without it.");
#endif

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

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define FRINGE_MSAN 1
#endif
#endif
#if !defined(FRINGE_MSAN)
#define FRINGE_MSAN 0
#endif

// Whether Valgrind is told of stacks: `--//flags:valgrind` wants it, and its headers are there.
#if defined(FRINGE_WANTS_VALGRIND) && __STDC_HOSTED__ && __has_include(<valgrind/valgrind.h>)
#define FRINGE_VALGRIND 1
#else
#define FRINGE_VALGRIND 0
#endif

// Whether `Generator` has a default for its stack. It has none in freestanding builds, and where
// the build checks the headers that a library with its own default stack includes (defs.bzl).
#if __STDC_HOSTED__ && !defined(FRINGE_HEADERS_NAME_THEIR_STACKS)
#define FRINGE_DEFAULT_STACK 1
#else
#define FRINGE_DEFAULT_STACK 0
#endif

// Whether generators can run on a thread with a hardware shadow stack (docs/platforms.md). On with
// Linux if the compiler is told that the program has one: on x86_64 by -fcf-protection=return or
// full, on AArch64 as Arm's C Language Extensions define the macro, or by
// `--//flags:shadow_stacks`. A freestanding program must want it, because it provides the memory.
#if defined(__LP64__) &&                                                            \
    (__STDC_HOSTED__ ? defined(__linux__) : defined(FRINGE_WANTS_SHADOW_STACKS)) && \
    ((defined(__x86_64__) && defined(__CET__) && (__CET__ & 2)) ||                  \
     (defined(__aarch64__) &&                                                       \
      (defined(__ARM_FEATURE_GCS_DEFAULT) || defined(FRINGE_WANTS_SHADOW_STACKS))))
#define FRINGE_SHADOW_STACKS 1
#define FRINGE_ABI_OF(mode) mode##_shadow_stacks
#else
#define FRINGE_SHADOW_STACKS 0
#define FRINGE_ABI_OF(mode) mode
#endif

// The mode: its number, and the namespace that is named after it.
#if FRINGE_EXCEPTIONS && !FRINGE_ASAN && !FRINGE_TSAN && !FRINGE_MSAN
#define FRINGE_MODE 0
#define FRINGE_ABI FRINGE_ABI_OF(exceptions)
#elif !FRINGE_ASAN && !FRINGE_TSAN && !FRINGE_MSAN
#define FRINGE_MODE 1
#define FRINGE_ABI FRINGE_ABI_OF(no_exceptions)
#elif FRINGE_EXCEPTIONS && FRINGE_ASAN
#define FRINGE_MODE 2
#define FRINGE_ABI FRINGE_ABI_OF(exceptions_asan)
#elif FRINGE_ASAN
#define FRINGE_MODE 3
#define FRINGE_ABI FRINGE_ABI_OF(no_exceptions_asan)
#elif FRINGE_EXCEPTIONS && FRINGE_TSAN
#define FRINGE_MODE 4
#define FRINGE_ABI FRINGE_ABI_OF(exceptions_tsan)
#elif FRINGE_TSAN
#define FRINGE_MODE 5
#define FRINGE_ABI FRINGE_ABI_OF(no_exceptions_tsan)
#elif FRINGE_EXCEPTIONS
#define FRINGE_MODE 6
#define FRINGE_ABI FRINGE_ABI_OF(exceptions_msan)
#else
#define FRINGE_MODE 7
#define FRINGE_ABI FRINGE_ABI_OF(no_exceptions_msan)
#endif

#endif  // FRINGE_CONFIG_H_
