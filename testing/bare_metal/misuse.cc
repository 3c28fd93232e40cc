// Ways to misuse generators. An image calls one of them (case.cc). Fatal misuse must end the image
// in `fringe_fatal`, with its sentence on the console.

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "fringe/generator.h"
#include "fringe/on_stack.h"
#include "stacks/span_stack.h"

namespace fringe::testing {
namespace {

using OnSpan = Generator<int, void, SpanStack>;

alignas(kStackAlignment) constinit std::byte memory[2][4096] = {};

OnSpan Make() {
  return OnSpan::Unguarded(*SpanStack::Create(memory[0]), [](auto& yielder) {
    for (int i = 0;; ++i) yielder.Suspend(i);
  });
}

}  // namespace

void ResumesItself() {
  OnSpan* itself = nullptr;
  auto generator =
      OnSpan::Unguarded(*SpanStack::Create(memory[0]), [&](auto&) { (void)itself->Resume(); });
  itself = &generator;
  (void)generator.Resume();
}

void SuspendsOnAnotherStack() {
  auto generator = OnSpan::Unguarded(*SpanStack::Create(memory[0]), [](auto& yielder) {
    OnStack(*SpanStack::Create(memory[1]), [&] { yielder.Suspend(1); });
  });
  (void)generator.Resume();
}

void UnwrapsUnfinished() {
  OnSpan generator = Make();
  (void)generator.Resume();
  (void)std::move(generator).Unwrap();
}

void DestroysUnfinished() {
  OnSpan generator = Make();
  (void)generator.Resume();
}

void HasTooSmallAStack() {
  (void)OnSpan::Unguarded(*SpanStack::Create(std::span(memory[0], 128)), [](auto&) {});
}

}  // namespace fringe::testing
