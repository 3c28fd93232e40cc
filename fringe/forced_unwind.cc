#include "forced_unwind.h"

#if FRINGE_EXCEPTIONS

#if defined(__GLIBCXX__)
#include <cstddef>
#include <exception>
#include <new>
#include <typeinfo>

#if !defined(__cpp_rtti)
// By its mangled name, because -fno-rtti takes `typeid` away.
extern const abi::__class_type_info fringe_forced_unwind_base __asm__(
    "_ZTIN10__cxxabiv115__forced_unwindE");
#endif
#endif

namespace fringe::internal {

namespace {

// Both standard libraries keep the address of the exception, and nothing else.
template <typename T>
const T& Object(const std::exception_ptr& pointer) {
  static_assert(sizeof(pointer) == sizeof(T*));
  const T* object;
  __builtin_memcpy(&object, &pointer, sizeof(object));
  return *object;
}

}  // namespace

#if defined(__GLIBCXX__)

namespace {

// The type that is thrown. `abi::__forced_unwind` cannot be derived from: its destructor is private
// and not exported. But which handlers match is decided by the type's description alone, so this
// one has a description by hand. It says that there is one base, at offset 0. The virtual functions
// are those of the base.
class OwnedForcedUnwind {
 public:
  explicit OwnedForcedUnwind(const void* owner) : owner_(owner) {}
  OwnedForcedUnwind(const OwnedForcedUnwind&) = delete;
  OwnedForcedUnwind& operator=(const OwnedForcedUnwind&) = delete;
  virtual ~OwnedForcedUnwind() = default;
  virtual void Unused() {}

  const void* owner() const { return owner_; }

 private:
  const void* owner_;
};

std::type_info& Description() {
#if defined(__cpp_rtti)
  const auto& base = static_cast<const abi::__class_type_info&>(typeid(abi::__forced_unwind));
#else
  const abi::__class_type_info& base = fringe_forced_unwind_base;
#endif
  // Never destroyed: a generator may be unwound while the program exits.
  alignas(abi::__si_class_type_info) static std::byte storage[sizeof(abi::__si_class_type_info)];
  static std::type_info& description =
      *new (storage) abi::__si_class_type_info("N6fringe12ForcedUnwindE", &base);
  return description;
}

}  // namespace

void ThrowForcedUnwind(const void* owner) {
  void* const unwind = abi::__cxa_allocate_exception(sizeof(OwnedForcedUnwind));
  new (unwind) OwnedForcedUnwind(owner);
  // Its destructor has nothing to do.
  abi::__cxa_throw(unwind, &Description(), nullptr);
}

bool IsForcedUnwindOf(const void* owner) {
  const std::exception_ptr current = std::current_exception();
  // Null for the end of a thread, which has no type.
  if (current == nullptr) return false;
  if (*abi::__cxa_current_exception_type() != Description()) return false;
  return Object<OwnedForcedUnwind>(current).owner() == owner;
}

#else

void ThrowForcedUnwind(const void* owner) { throw ForcedUnwind{owner}; }

bool IsForcedUnwindOf(const void* owner) {
  return Object<ForcedUnwind>(std::current_exception()).owner == owner;
}

#endif

}  // namespace fringe::internal

#endif  // FRINGE_EXCEPTIONS
