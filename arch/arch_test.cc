// The raw switch, below generators.

#include "arch/arch.h"

#include <cfenv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "gtest/gtest.h"
#include "testing/support/landing_pad.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fringe::arch {
namespace {

uintptr_t ResumeWith(uintptr_t word, LinkRecord* record) { return Resume(word, record).word; }
uintptr_t SuspendWith(uintptr_t word, LinkRecord* record) { return Suspend(word, record).word; }

// The entry of a lambda without captures, which its type alone determines.
template <typename Body>
void EntryOf(uintptr_t word, LinkRecord* record, LinkRecord*) {
  Body()(word, record);
  Finish(0, record);
}

constexpr size_t kStackBytes = 64 << 10;

// A stack with the record at its base.
class RawStack {
 public:
  // Lets the first resume call `body` with its word and the record.
  template <typename Body>
  void Start(Body) {
    // `Init` finds whatever the memory held before.
    std::memset(static_cast<void*>(memory_.get()), 0xa5, sizeof(Memory));
    Init(record(), memory_->bytes + sizeof(memory_->bytes), &EntryOf<Body>);
  }

  LinkRecord* record() { return &memory_->record; }

  bool Holds(const void* address) const {
    const auto offset =
        reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(memory_.get());
    return offset < sizeof(Memory);
  }

 private:
  struct Memory {
    alignas(kStackAlignment) std::byte bytes[kStackBytes];
    LinkRecord record;
  };
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
};

TEST(SwitchTest, CarriesWordsBothWays) {
  RawStack stack;
  stack.Start([](uintptr_t word, LinkRecord* record) {
    for (int i = 0; i < 10; ++i) word = SuspendWith(2 * word, record);
  });
  for (uintptr_t word :
       {uintptr_t{1}, uintptr_t{0}, ~uintptr_t{0} / 4 + 0x12345678, uintptr_t{7}}) {
    EXPECT_EQ(ResumeWith(word, stack.record()), 2 * word);
  }
}

TEST(SwitchTest, EntryGetsTheFirstWordAndTheRecord) {
  RawStack stack;
  stack.Start([](uintptr_t word, LinkRecord* record) {
    SuspendWith(word, record);
    SuspendWith(reinterpret_cast<uintptr_t>(record), record);
  });
  EXPECT_EQ(ResumeWith(42, stack.record()), 42u);
  EXPECT_EQ(ResumeWith(0, stack.record()), reinterpret_cast<uintptr_t>(stack.record()));
}

TEST(SwitchTest, NothingRunsBeforeTheFirstResume) {
  static int runs;
  runs = 0;
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord*) { ++runs; });
  EXPECT_EQ(runs, 0);
  ResumeWith(0, stack.record());
  EXPECT_EQ(runs, 1);
}

// A variable whose address nobody takes: GCC knows every function that changes it, and has to be
// told that a switch may run them.
int runs_of_body;

[[gnu::noinline]] void ResumeAlone(LinkRecord* record) { Resume(0, record); }
[[gnu::noinline]] void SuspendAlone(LinkRecord* record) { Suspend(0, record); }

TEST(SwitchTest, MayChangeAVariableOfTheFile) {
  RawStack stack;
  runs_of_body = 0;
  stack.Start([](uintptr_t, LinkRecord* record) {
    for (;;) {
      const int before = ++runs_of_body;
      SuspendAlone(record);
      const int after = runs_of_body;
      if (after != before + 10) break;
    }
  });
  ResumeAlone(stack.record());
  int runs = runs_of_body;
  EXPECT_EQ(runs, 1);
  runs_of_body += 10;
  ResumeAlone(stack.record());
  runs = runs_of_body;
  EXPECT_EQ(runs, 12);
}

TEST(SwitchTest, RunsOnTheGivenStackAndComesBack) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    for (;;) SuspendWith(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)), record);
  });
  const void* const here = __builtin_frame_address(0);
  for (int i = 0; i < 3; ++i) {
    const uintptr_t frame = ResumeWith(0, stack.record());
    EXPECT_TRUE(stack.Holds(reinterpret_cast<const void*>(frame)));
    EXPECT_FALSE(stack.Holds(__builtin_frame_address(0)));
    EXPECT_EQ(here, __builtin_frame_address(0));
  }
}

TEST(SwitchTest, StackBytesBelowIsThatOfTheRunningSide) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) { SuspendWith(StackBytesBelow(record), record); });
  EXPECT_GT(StackBytesBelow(stack.record()), kStackBytes);
  EXPECT_LE(ResumeWith(0, stack.record()), kStackBytes);
  EXPECT_GT(StackBytesBelow(stack.record()), kStackBytes);
}

TEST(SwitchTest, MessagesBringTheRecordUntilTheEnd) {
  RawStack stack;
  stack.Start([](uintptr_t word, LinkRecord* record) {
    const Message message = Suspend(word + 1, record);
    Suspend(message.record == record ? message.word + 1 : 0, record);
  });
  const Message first = Resume(1, stack.record());
  EXPECT_EQ(first.word, 2U);
  EXPECT_EQ(first.record, stack.record());
  EXPECT_EQ(Resume(10, stack.record()).word, 11U);
  EXPECT_EQ(Resume(0, stack.record()).record, nullptr);
}

TEST(SwitchTest, RegistersBringTheRecordAtTheEndToo) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    const LinkRecord* const ended_record = Switch<Side::kGenerator>(0, record).ended_record;
    Suspend(ended_record == record, record);
  });
  Resume(0, stack.record());
  EXPECT_EQ(Cancel(stack.record()).word, 1U);
  const Arrival end = ResumeAndLeaveOpen(0, stack.record());
  EXPECT_EQ(end.message.record, nullptr);
  EXPECT_EQ(end.ended_record, stack.record());
}

TEST(SwitchTest, CancelBringsNoRecord) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    const bool cancelled = Suspend(0, record).record == nullptr;
    Suspend(cancelled ? 7 : 0, record);
  });
  Resume(0, stack.record());
  const Message message = Cancel(stack.record());
  EXPECT_EQ(message.word, 7U);
  EXPECT_EQ(message.record, stack.record());
  EXPECT_EQ(Closed(stack.record()), 0U);
}

TEST(SwitchTest, CancelBeforeTheFirstResumeStillBringsTheRecord) {
  RawStack stack;
  Init(stack.record(), reinterpret_cast<std::byte*>(stack.record()),
       [](uintptr_t, LinkRecord* record, LinkRecord* cancelled_record) {
         Suspend(record == nullptr, cancelled_record);
         Finish(0, cancelled_record);
       });
  const Message message = Cancel(stack.record());
  EXPECT_EQ(message.word, 1U);
  EXPECT_EQ(message.record, stack.record());
}

TEST(SwitchTest, ARecordIsClosedWhileItsGeneratorRuns) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) { Suspend(Closed(record), record); });
  EXPECT_EQ(Closed(stack.record()), 0U);
  EXPECT_NE(Resume(0, stack.record()).word, 0U);
  EXPECT_EQ(Closed(stack.record()), 0U);
  Close(stack.record(), 2);
  EXPECT_EQ(Closed(stack.record()), 2U);
}

TEST(SwitchTest, FinishBringsAWordAndNoRecord) {
  RawStack stack;
  stack.Start([](uintptr_t word, LinkRecord* record) { Finish(word + 1, record); });
  const Message message = Resume(1, stack.record());
  EXPECT_EQ(message.word, 2U);
  EXPECT_EQ(message.record, nullptr);
  EXPECT_EQ(Closed(stack.record()), 0U);
}

// Compilers align a local by the alignment that the ABI guarantees at the beginning of a function.
TEST(SwitchTest, EntryBeginsWithAnAlignedFrame) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    alignas(kStackAlignment) volatile char local = 0;
    SuspendWith(reinterpret_cast<uintptr_t>(&local), record);
  });
  EXPECT_EQ(ResumeWith(0, stack.record()) % kStackAlignment, 0u);
}

#if defined(__SSE2__)
// `movaps` faults on an address that is not a multiple of 16.
[[gnu::noinline]] float SumAligned(float number) {
  alignas(16) float numbers[4] = {number, number + 1, number + 2, number + 3};
  float* address = numbers;
  __m128 vector;
  asm volatile("{movaps (%1), %0|movaps %0, xmmword ptr [%1]}"
               : "=x"(vector)
               : "r"(address)
               : "memory");
  vector = _mm_add_ps(vector, vector);
  asm volatile("{movaps %1, (%0)|movaps xmmword ptr [%0], %1}"
               :
               : "r"(address), "x"(vector)
               : "memory");
  return numbers[0] + numbers[1] + numbers[2] + numbers[3];
}

TEST(SwitchTest, SimdWorksOnAFreshStackAndAfterASwitch) {
  RawStack stack;
  stack.Start([](uintptr_t word, LinkRecord* record) {
    for (;;) {
      word = SuspendWith(static_cast<uintptr_t>(SumAligned(static_cast<float>(word))), record);
    }
  });
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(ResumeWith(i, stack.record()), 8 * i + 12);
    EXPECT_EQ(SumAligned(static_cast<float>(i)), static_cast<float>(8 * i + 12));
  }
}
#endif

// Keeps as many values live across switches as there are registers.
template <typename Step>
[[gnu::always_inline]] inline uintptr_t MixAcross(uintptr_t seed, Step step) {
  volatile uintptr_t local[12];
  uintptr_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13;
  double p = static_cast<double>(seed), q = p / 2, r = p / 4, s = p / 8, t = p * 2, u = p * 4;
  for (unsigned i = 0; i < 12; ++i) local[i] = seed + i;
  for (int i = 0; i < 4; ++i) {
    a += step();
    b ^= a;
    c += b;
    d ^= c;
    e += d;
    f ^= e;
    p += q;
    q += r;
    r += s;
    s += t;
    t += u;
    u += 1;
  }
  uintptr_t sum = a ^ b ^ c ^ d ^ e ^ f;
  sum += static_cast<uintptr_t>(static_cast<uint64_t>(8 * (p + q + r + s + t + u)));
  for (unsigned i = 0; i < 12; ++i) sum = 31 * sum + local[i];
  return sum;
}

// The word of a step before the last.
constexpr uintptr_t kStep = 17;

[[gnu::noinline]] uintptr_t MixAcrossResumes(uintptr_t seed, LinkRecord* record) {
  return MixAcross(seed, [record] { return ResumeWith(kStep, record); });
}

[[gnu::noinline]] uintptr_t MixAcrossNothing(uintptr_t seed) {
  return MixAcross(seed, [] {
    uintptr_t step = kStep;
    asm volatile("" : "+r"(step));
    return step;
  });
}

TEST(SwitchTest, RegistersLiveOnTheResumersSide) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    for (;;) SuspendWith(kStep, record);
  });
  EXPECT_EQ(MixAcrossResumes(1234567, stack.record()), MixAcrossNothing(1234567));
}

TEST(SwitchTest, RegistersLiveOnTheGeneratorsSide) {
  RawStack stack;
  stack.Start([](uintptr_t word, LinkRecord* record) {
    SuspendWith(MixAcross(word, [record] { return SuspendWith(kStep, record); }), record);
  });
  EXPECT_EQ(ResumeWith(7654321, stack.record()), kStep);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ResumeWith(kStep, stack.record()), kStep);
  EXPECT_EQ(ResumeWith(kStep, stack.record()), MixAcrossNothing(7654321));
}

TEST(SwitchTest, RegistersLiveWhereBothSidesUseThemAll) {
  RawStack stack;
  stack.Start([](uintptr_t word, LinkRecord* record) {
    for (;;) {
      word = SuspendWith(MixAcross(word, [record] { return SuspendWith(kStep, record); }), record);
    }
  });
  // Four of its steps for four of these, and then its result.
  EXPECT_EQ(ResumeWith(99, stack.record()), kStep);
  const uintptr_t ours = MixAcross(5, [&stack] {
    const uintptr_t word = ResumeWith(kStep, stack.record());
    return word == MixAcrossNothing(99) ? kStep : word;
  });
  EXPECT_EQ(ours, MixAcrossNothing(5));
}

#if defined(__s390x__)
// Debuggers and profilers follow it in code without unwind tables.
TEST(SwitchTest, TheBackChainEndsAboveTheFirstFrame) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord*) {});
  EXPECT_EQ(*static_cast<void**>(stack.record()->generator.sp), nullptr);
}
#endif

#if !defined(_WIN32) && (defined(__x86_64__) || defined(__aarch64__))
TEST(SwitchTest, ASuspendedRecordKeepsAShadowStack) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    for (;;) SuspendWith(0, record);
  });
  int token = 0, empty_token = 0;
  KeepShadowStack(stack.record(), {&token, &empty_token});
  EXPECT_FALSE(HasStarted(stack.record()));
  EXPECT_EQ(ShadowStackOf(stack.record()).token, &token);
  EXPECT_EQ(ShadowStackOf(stack.record()).empty_token, &empty_token);
  ResumeWith(0, stack.record());
  EXPECT_TRUE(HasStarted(stack.record()));
}
#endif

#if defined(__CET__) && (__CET__ & 1)
using fringe::testing::IsLandingPad;

TEST(SwitchTest, EveryIndirectJumpGoesToALandingPad) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    for (;;) SuspendWith(IsLandingPad(record->resumer.pc), record);
  });
  EXPECT_TRUE(IsLandingPad(stack.record()->generator.pc));
  EXPECT_EQ(ResumeWith(0, stack.record()), 1U);
  EXPECT_TRUE(IsLandingPad(stack.record()->generator.pc));
}
#endif

#if defined(__x86_64__) && !defined(_WIN32) && !defined(__OPTIMIZE_SIZE__)
// As the speed of a switch requires on some CPUs.
TEST(SwitchTest, EveryResumeAddressStartsACacheLine) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    for (;;) SuspendWith(reinterpret_cast<uintptr_t>(record->resumer.pc) % 64, record);
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ResumeWith(0, stack.record()), 0U);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.record()->generator.pc) % 64, 0U);
  }
}
#endif

TEST(SwitchTest, OneSideResumesAnother) {
  static LinkRecord* inner_record;
  RawStack inner;
  inner.Start([](uintptr_t word, LinkRecord* record) {
    for (;;) word = SuspendWith(word + 1, record);
  });
  inner_record = inner.record();
  RawStack outer;
  outer.Start([](uintptr_t word, LinkRecord* record) {
    for (;;) word = SuspendWith(10 * ResumeWith(word, inner_record), record);
  });
  EXPECT_EQ(ResumeWith(1, outer.record()), 20u);
  // Resumes the same inner generator from here in between.
  EXPECT_EQ(ResumeWith(5, inner.record()), 6u);
  EXPECT_EQ(ResumeWith(2, outer.record()), 30u);
}

#if defined(__mips64)
// Without -mabicalls no function computes `$gp`.
TEST(SwitchTest, BeginsWithTheGlobalPointerOfInit) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord*) {});
  void* gp;
  asm volatile("move %0, $28" : "=r"(gp));
  EXPECT_EQ(stack.record()->generator.gp, gp);
  ResumeWith(0, stack.record());
}
#endif

// A switch does not change the floating-point control words.
TEST(SwitchTest, RoundingModeIsSharedByBothSides) {
  RawStack stack;
  stack.Start([](uintptr_t, LinkRecord* record) {
    std::fesetround(FE_UPWARD);
    for (;;) SuspendWith(static_cast<uintptr_t>(std::fegetround()), record);
  });
  EXPECT_EQ(ResumeWith(0, stack.record()), static_cast<uintptr_t>(FE_UPWARD));
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  std::fesetround(FE_TONEAREST);
  EXPECT_EQ(ResumeWith(0, stack.record()), static_cast<uintptr_t>(FE_TONEAREST));
}

}  // namespace
}  // namespace fringe::arch
