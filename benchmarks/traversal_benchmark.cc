// Recursive code and callbacks, turned into sequences.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "benchmarks/indirect_call.h"
#include "benchmarks/stackless.h"
#include "fringe/generator.h"
#include "stacks/pooled_stack.h"

namespace {

using fringe::Generator;
using fringe::PooledStack;
using fringe::StackPool;
using fringe::Yielder;

void Use(uint64_t value) { asm volatile("" : : "r"(value)); }

// --- A binary tree -------------------------------------------------------------------------------

struct Node {
  uint64_t value = 0;
  const Node* left = nullptr;
  const Node* right = nullptr;
};

// A balanced tree whose nodes are next to each other in the order of the walk.
class Tree {
 public:
  // A tree of 2^depth - 1 nodes.
  explicit Tree(int64_t depth) : nodes_((size_t{1} << depth) - 1), root_(Build(0, nodes_.size())) {}

  const Node* root() const { return root_; }
  int64_t size() const { return static_cast<int64_t>(nodes_.size()); }

 private:
  const Node* Build(size_t begin, size_t end) {
    if (begin == end) return nullptr;
    const size_t middle = begin + (end - begin) / 2;
    nodes_[middle] = {middle, Build(begin, middle), Build(middle + 1, end)};
    return &nodes_[middle];
  }

  std::vector<Node> nodes_;
  const Node* root_;
};

void Walk(const Node* node, Yielder<uint64_t>* yielder) {
  if (node == nullptr) return;
  Walk(node->left, yielder);
  yielder->Suspend(node->value);
  Walk(node->right, yielder);
}

// One iteration is one element of an in-order walk of a balanced tree of the given depth, by a
// generator on a stack from a pool whose body recurs. It has two switches. The cost of creating and
// destroying the generator is included, once for each walk.
void BM_TreeWalk(benchmark::State& state) {
  const Tree tree(state.range(0));
  static StackPool& pool = *new StackPool;
  while (state.KeepRunningBatch(tree.size())) {
    absl::StatusOr<PooledStack> stack = pool.Acquire();
    if (!stack.ok()) return state.SkipWithError("no stack");
    Generator<uint64_t, void, PooledStack> generator(
        *std::move(stack), [&tree](Yielder<uint64_t>& yielder) { Walk(tree.root(), &yielder); });
    uint64_t sum = 0;
    while (const std::optional<uint64_t> value = generator.Resume()) sum += *value;
    Use(sum);
  }
}
BENCHMARK(BM_TreeWalk)->ArgName("depth")->DenseRange(4, 20, 4);

#if FRINGE_STACKLESS
fringe::benchmarks::Stackless<uint64_t> WalkStackless(const Node* node) {
  if (node == nullptr) co_return;
  for (auto left = WalkStackless(node->left); left.Next();) co_yield left.value();
  co_yield node->value;
  for (auto right = WalkStackless(node->right); right.Next();) co_yield right.value();
}

// One iteration is the same by a C++20 coroutine that passes on each element of the coroutines that
// it calls. It has no switch. The cost of creating and destroying a coroutine for each subtree is
// included.
void BM_TreeWalkNestedCoYield(benchmark::State& state) {
  const Tree tree(state.range(0));
  while (state.KeepRunningBatch(tree.size())) {
    uint64_t sum = 0;
    for (auto walk = WalkStackless(tree.root()); walk.Next();) sum += walk.value();
    Use(sum);
  }
}
BENCHMARK(BM_TreeWalkNestedCoYield)->ArgName("depth")->DenseRange(4, 20, 4);
#endif

// --- A callback ----------------------------------------------------------------------------------

constexpr int64_t kBatch = 10000;

// A function with the interface of C libraries.
[[gnu::noinline]] void ForEach(void (*callback)(uint64_t, void*), void* context) {
  for (int64_t i = 0; i < kBatch; ++i) callback(static_cast<uint64_t>(i), context);
}

// One iteration is one call of a callback, which adds a number. It has no switch.
void BM_CallbackCall(benchmark::State& state) {
  while (state.KeepRunningBatch(kBatch)) {
    uint64_t sum = 0;
    ForEach([](uint64_t number, void* context) { *static_cast<uint64_t*>(context) += number; },
            &sum);
    Use(sum);
  }
}
BENCHMARK(BM_CallbackCall);

// One iteration is one element of a sequence that a generator makes of that function: its callback
// suspends. It has two switches.
void BM_CallbackInverted(benchmark::State& state) {
  static StackPool& pool = *new StackPool;
  while (state.KeepRunningBatch(kBatch)) {
    absl::StatusOr<PooledStack> stack = pool.Acquire();
    if (!stack.ok()) return state.SkipWithError("no stack");
    Generator<uint64_t, void, PooledStack> generator(
        *std::move(stack), [](Yielder<uint64_t>& yielder) {
          ForEach([](uint64_t number,
                     void* context) { static_cast<Yielder<uint64_t>*>(context)->Suspend(number); },
                  &yielder);
        });
    uint64_t sum = 0;
    while (const std::optional<uint64_t> value = generator.Resume()) sum += *value;
    Use(sum);
  }
}
BENCHMARK(BM_CallbackInverted);

}  // namespace
