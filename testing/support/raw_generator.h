// A generator that uses only the backend, for tests of the switch itself. It has no checks, no
// typed values, and no end.

#ifndef FRINGE_TESTING_SUPPORT_RAW_GENERATOR_H_
#define FRINGE_TESTING_SUPPORT_RAW_GENERATOR_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "arch/arch.h"
#include "stacks/stack.h"
#include "stacks/system_stack.h"

#if !__has_include(<sanitizer/asan_interface.h>)
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) (static_cast<void>(address))
#else
#include <sanitizer/asan_interface.h>
#endif

#if !defined(_WIN32) && __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define FRINGE_RAW_GENERATOR_VALGRIND 1
#else
#define FRINGE_RAW_GENERATOR_VALGRIND 0
#endif

namespace fringe::testing {

// Owns a stack with a link record at its base. `arch::Resume(word, generator.record())` resumes it.
// Its destructor abandons the suspended function.
template <Stack StackT = SystemStack>
class RawGenerator {
 public:
  RawGenerator(StackT stack, arch::Entry entry) : stack_(std::move(stack)) {
    const auto base = reinterpret_cast<uintptr_t>(stack_.base());
    std::byte* const place =
        stack_.base() - base % alignof(arch::LinkRecord) - sizeof(arch::LinkRecord);
    internal::MakeRoom(stack_, static_cast<size_t>(stack_.base() - place));
    record_ = new (place) arch::LinkRecord;
    arch::Init(record_, place, entry);
    internal::Attach(stack_, record_);
#if FRINGE_RAW_GENERATOR_VALGRIND
    valgrind_id_ = VALGRIND_STACK_REGISTER(stack_.limit(), stack_.base());
#endif
  }
  ~RawGenerator() {
    // Clears the redzones of abandoned frames before the memory is reused. (A no-op without
    // AddressSanitizer.)
    ASAN_UNPOISON_MEMORY_REGION(stack_.limit(),
                                static_cast<size_t>(stack_.base() - stack_.limit()));
#if FRINGE_RAW_GENERATOR_VALGRIND
    VALGRIND_STACK_DEREGISTER(valgrind_id_);
#endif
  }
  RawGenerator(const RawGenerator&) = delete;
  RawGenerator& operator=(const RawGenerator&) = delete;

  arch::LinkRecord* record() const { return record_; }

 private:
  StackT stack_;
  arch::LinkRecord* record_;
#if FRINGE_RAW_GENERATOR_VALGRIND
  unsigned valgrind_id_;
#endif
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_RAW_GENERATOR_H_
