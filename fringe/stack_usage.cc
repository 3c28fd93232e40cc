#include "stack_usage.h"

#include <algorithm>
#include <cstdint>
#include <iostream>

#include "../stacks/system.h"
#include "absl/strings/str_cat.h"
#include "config.h"

#if FRINGE_VALGRIND
#include <valgrind/valgrind.h>
#endif

namespace fringe {
namespace {

// Frames write whatever type they like to the same memory.
using Word [[gnu::may_alias]] = uint64_t;

// As the words of a frame neither zero nor an address. Not what a pool paints its marks with: it
// must see that a painted stack was touched.
constexpr uint64_t kPaint = 0xb4e6'93d1'2c7f'58a5;

// What the calls of a generator have given back may be poisoned to AddressSanitizer, and is out of
// bounds to Memcheck.
class ForeignMemoryAccess {
 public:
#if FRINGE_VALGRIND
  ForeignMemoryAccess() { VALGRIND_DISABLE_ERROR_REPORTING; }
  ForeignMemoryAccess(const ForeignMemoryAccess&) = delete;
  ForeignMemoryAccess& operator=(const ForeignMemoryAccess&) = delete;
  ~ForeignMemoryAccess() { VALGRIND_ENABLE_ERROR_REPORTING; }
#endif
};

// The lowest word that lies above `limit` as a whole.
Word* FirstWord(std::byte* limit) {
  const size_t misaligned_bytes = reinterpret_cast<uintptr_t>(limit) % sizeof(Word);
  void* const first = limit + (misaligned_bytes == 0 ? 0 : sizeof(Word) - misaligned_bytes);
  return static_cast<Word*>(first);
}

__attribute__((noinline, no_sanitize("address", "thread"))) void PaintWords(Word* word,
                                                                            const Word* end) {
  for (; word < end; ++word) *word = kPaint;
}

__attribute__((noinline, no_sanitize("address", "thread"))) const Word* FindUnpainted(
    const Word* word, const Word* end) {
  while (word < end && *word == kPaint) ++word;
  return word;
}

}  // namespace

StackUsage::StackUsage(std::byte* limit, std::byte* base) : limit_(limit), base_(base) {
  [[maybe_unused]] const ForeignMemoryAccess access;
  PaintWords(FirstWord(limit_), static_cast<const Word*>(static_cast<const void*>(base_)));
}

size_t StackUsage::used_bytes() const {
  [[maybe_unused]] const ForeignMemoryAccess access;
  const Word* const lowest =
      FindUnpainted(FirstWord(limit_), static_cast<const Word*>(static_cast<const void*>(base_)));
  return static_cast<size_t>(base_ - reinterpret_cast<const std::byte*>(lowest));
}

namespace internal {

std::ostream& StandardError() { return std::cerr; }

void Report(std::ostream& stream, const std::string& name, const StackUsage& usage) {
  // At once, so that what threads print does not mix.
  stream << absl::StrCat(name, ": used ", usage.used_bytes(), " of ", usage.size_bytes(),
                         " bytes\n");
}

std::optional<size_t> ResidentBytes(std::byte* limit, std::byte* base) {
  const size_t page_bytes = PageBytes();
  std::byte* const first_page = limit - reinterpret_cast<uintptr_t>(limit) % page_bytes;
  std::byte* const end = first_page + RoundUpToPages(static_cast<size_t>(base - first_page));
  std::byte* const lowest = LowestResidentPage(first_page, end);
  if (lowest == nullptr) return std::nullopt;
  if (lowest == end) return 0;
  return static_cast<size_t>(base - std::max(lowest, limit));
}

}  // namespace internal
}  // namespace fringe
