#include "benchmarks/rows.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/numbers.h"

namespace fringe::benchmarks {
namespace {

using enum RowKind;

// The loops, with the bars of each on Zen 4: with exceptions, and without.
struct Loop {
  const char* label;
  const char* benchmark;
  double with_exceptions;
  double without_exceptions;
};
constexpr Loop kLoops[] = {
    {"echo", "BM_LoopEcho", 2.0, 2.0},
    {"counter by reference", "BM_LoopCounterByReference", 2.2, 2.2},
    {"local counter", "BM_LoopLocalCounter", 1.65, 1.4},
    {"range-for", "BM_LoopRangeFor", 1.65, 1.4},
};

Section LoopSection() {
  Section section = {"Loops", "one step of a generator, in four loops, compiled in four ways", {}};
  for (const bool exceptions : {true, false}) {
    for (const bool frame_pointers : {false, true}) {
      const std::string how = std::string(exceptions ? "" : ", `-fno-exceptions`") +
                              (frame_pointers ? ", frame pointers" : "");
      const std::string variant = std::string(exceptions ? "/exceptions" : "/no_exceptions") +
                                  (frame_pointers ? "/frame_pointers" : "/no_frame_pointers");
      for (const Loop& loop : kLoops) {
        section.rows.push_back({kFringe, loop.label + how, loop.benchmark + variant});
      }
    }
  }
  return section;
}

Section TreeSection() {
  Section section = {"Recursion", "one element of an in-order walk of a balanced binary tree", {}};
  for (const int depth : {4, 8, 12, 16, 20}) {
    const std::string at = "depth " + std::to_string(depth);
    const std::string argument = "/depth:" + std::to_string(depth);
    section.rows.push_back({kFringe, "fringe, " + at, "BM_TreeWalk" + argument, at});
    section.rows.push_back(
        {kPeer, "nested `co_yield`, " + at, "BM_TreeWalkNestedCoYield" + argument, at});
  }
  return section;
}

Section LifetimeSection() {
  Section section = {"Lifetime", "create, run to the end without suspending, and destroy", {}};
  const std::string given = "given stack";
  section.rows = {
      {kReference, "C++20 coroutine", "BM_StacklessLifetime", given},
      {kFringe, "fringe, given stack", "BM_GeneratorCreateRunDestroy", given},
      {kPeer, "Boost.Context `fiber`, given stack", "BM_BoostContextLifetime/given", given},
      {kPeer, "Boost.Coroutine2, given stack", "BM_BoostCoroutine2Lifetime/given", given},
  };
  for (const int threads : {1, 2}) {
    const std::string suffix = "/threads:" + std::to_string(threads);
    const std::string with = threads == 1 ? "" : ", two threads";
    const auto add = [&](RowKind kind, const std::string& label, const std::string& benchmark,
                         const std::string& group) {
      section.rows.push_back({kind, label + with, benchmark + suffix, group + suffix});
    };
    add(kFringe, "fringe, pool", "BM_PooledGeneratorCreateRunDestroy", "pool");
    add(kPeer, "Boost.Context `fiber`, pool", "BM_BoostContextLifetime/pooled", "pool");
    add(kPeer, "Boost.Coroutine2, pool", "BM_BoostCoroutine2Lifetime/pooled", "pool");
    add(kFringe, "fringe, heap", "BM_MallocStackGeneratorCreateRunDestroy", "heap");
    add(kPeer, "Boost.Context `fiber`, heap", "BM_BoostContextLifetime/heap", "heap");
    add(kFringe, "fringe, system", "BM_OsStackGeneratorCreateRunDestroy", "system");
    add(kPeer, "Boost.Context `fiber`, system", "BM_BoostContextLifetime/system", "system");
  }
  return section;
}

Section RoundRobinSection() {
  Section section = {"Round-robin", "one step of the next of many generators in turn", {}};
  for (const size_t count :
       {1u, 4u, 8u, 16u, 64u, 256u, 1024u, 4096u, 16384u, 65536u, 262144u, 1000000u}) {
    const std::string of = ", " + WithCommas(std::to_string(count));
    const std::string argument = "/n:" + std::to_string(count);
    // A page of each stack, its part of the page tables, and the generator.
    const size_t bytes = count > 65536 ? count * 5500 : 0;
    section.rows.push_back({kFringe, "fringe" + of,
                            "BM_GeneratorRoundRobin" + argument + "/colours:1", argument, bytes});
    if (count > 65536) continue;
    section.rows.push_back({kFringe, "fringe, tops not staggered" + of,
                            "BM_GeneratorRoundRobin" + argument + "/colours:0", argument});
    section.rows.push_back(
        {kPeer, "Boost.Context `fiber`" + of, "BM_BoostContextRoundRobin" + argument, argument});
  }
  section.rows.push_back({kFringe, "fringe, 65,536 in random order", "BM_GeneratorResumeCold"});
  return section;
}

Section ExperimentSection() {
  Section section = {"Experiments", "one step of the next of many generators in turn", {}};
  for (const size_t count : {1024u, 4096u, 16384u, 65536u}) {
    const std::string of = ", " + WithCommas(std::to_string(count));
    const std::string argument = "/n:" + std::to_string(count);
    section.rows.push_back({kFringe, "fourth from then prefetched" + of,
                            "BM_GeneratorRoundRobinPrefetched" + argument});
    if (count > 16384) continue;
    for (const bool huge : {false, true}) {
      const std::string pages = huge ? "8 KiB stacks, huge pages" : "8 KiB stacks, small pages";
      const std::string benchmark = "BM_GeneratorRoundRobinOnPages" + argument;
      section.rows.push_back({kFringe, pages + of, benchmark + (huge ? "/huge:1" : "/huge:0")});
    }
  }
  return section;
}

}  // namespace

std::vector<Section> Sections() {
  return {
      {"Switch",
       "one round trip: to another stack and back, without values of any type",
       {
           {kReference, "indirect call", kCall},
           {kFringe, "fringe, the bare switch", "BM_SwitchRoundTrip"},
           {kFringe, "fringe, suspends in a row", "BM_SwitchRoundTripInLine"},
           {kPeer, "Boost.Context `jump_fcontext`", "BM_BoostJumpFcontextSwitch"},
           {kPeer, "Boost.Context `fiber`", "BM_BoostContextSwitch"},
           {kPeer, "Boost.Fiber `yield`", "BM_BoostFiberYield"},
           {kPeer, "`swapcontext`", "BM_UcontextSwitch"},
       }},
      {"Step",
       "one `uint64_t` from a generator",
       {
           {kReference, "callback", "BM_CallbackStep"},
           {kReference, "C++20 coroutine", "BM_StacklessStep"},
           {kReference, "`std::generator`", "BM_StdGeneratorStep"},
           {kFringe, "fringe", "BM_GeneratorResume"},
           {kPeer, "Boost.Coroutine2", "BM_BoostCoroutine2Step"},
           {kPeer, "thread, condition variable", "BM_ThreadStep/real_time"},
       }},
      LoopSection(),
      {"Types",
       "one step that moves a value to the generator and back",
       {
           {kFringe, "`void`", "BM_GeneratorStepVoid"},
           {kFringe, "`uint64_t`", "BM_GeneratorResume"},
           {kFringe, "`uint64_t`, on each of two threads", "BM_GeneratorResume/threads:2"},
           {kFringe, "`std::string`, short", "BM_GeneratorStep<std::string>"},
           {kFringe, "256 bytes", "BM_GeneratorStep<Bytes256>"},
           {kFringe, "`std::unique_ptr`", "BM_GeneratorStep<UniquePtr>"},
       }},
      {"Depth",
       "one step of a generator that suspends below nested calls",
       {
           {kFringe, "1 call deep", "BM_GeneratorResumeDeep/frames:1"},
           {kFringe, "10 calls deep", "BM_GeneratorResumeDeep/frames:10"},
           {kFringe, "100 calls deep", "BM_GeneratorResumeDeep/frames:100"},
       }},
      TreeSection(),
      {"Callback",
       "one number from a function that takes a callback",
       {
           {kReference, "the callback adds it", "BM_CallbackCall"},
           {kFringe, "a generator turns it into a sequence", "BM_CallbackInverted"},
       }},
      LifetimeSection(),
      RoundRobinSection(),
      ExperimentSection(),
      {"Exceptions",
       "one exception, thrown and caught",
       {
           {kReference, "through a call", "BM_ExceptionThroughCall"},
           {kFringe, "fringe, through `Resume`", "BM_ExceptionThroughResume"},
           {kPeer, "Boost.Coroutine2", "BM_BoostCoroutine2Exception"},
           {kFringe, "fringe, destroyed unfinished", "BM_GeneratorDestroyUnfinished", "destroyed"},
       }},
  };
}

std::vector<Bar> Bars() {
  std::vector<Bar> bars = {
      {"switch : call", "BM_SwitchRoundTrip", kCall, 1.25, 1.5},
      {"step : call", "BM_GeneratorResume", kCall, 2.0, 2.0},
      {"step, `-fno-exceptions` : call", "BM_LoopEcho/no_exceptions/no_frame_pointers", kCall, 1.6,
       1.8},
  };
  for (const Loop& loop : kLoops) {
    bars.push_back({std::string(loop.label) + " : call",
                    loop.benchmark + std::string("/exceptions/no_frame_pointers"), kCall,
                    std::nullopt, loop.with_exceptions});
  }
  for (const Loop& loop : kLoops) {
    bars.push_back({std::string(loop.label) + ", `-fno-exceptions` : call",
                    loop.benchmark + std::string("/no_exceptions/no_frame_pointers"), kCall,
                    std::nullopt, loop.without_exceptions});
  }
  const std::string pool = "BM_PooledGeneratorCreateRunDestroy/threads:";
  const std::string round_robin = "BM_GeneratorRoundRobin/n:";
  bars.insert(bars.end(),
              {
                  {"step : step of Boost.Coroutine2", "BM_GeneratorResume",
                   "BM_BoostCoroutine2Step", 0.25, 0.25},
                  {"walk of depth 4 : by nested `co_yield`", "BM_TreeWalk/depth:4",
                   "BM_TreeWalkNestedCoYield/depth:4", 1.0, 1.0},
                  {"lifetime, given stack : call", "BM_GeneratorCreateRunDestroy", kCall, 2.5, 2.5},
                  {"lifetime, pool : call", pool + "1", kCall, 8.0, 8.0},
                  {"that on two threads : on one", pool + "2", pool + "1", 1.1, 1.1},
                  {"round-robin over 1,024 : over 4", round_robin + "1024/colours:1",
                   round_robin + "4/colours:1", 2.5, 2.5},
              });
  return bars;
}

}  // namespace fringe::benchmarks
