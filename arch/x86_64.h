// The backend for x86_64 on System V systems (Linux, the BSDs, bare metal).
//
// 1. ABI facts
//
// From "System V Application Binary Interface, AMD64 Architecture Processor Supplement":
//   * The stack grows down and `rsp` is a multiple of 16 just before a `call`; a function therefore
//     begins with `rsp + 8` a multiple of 16.
//   * The 128 bytes below `rsp` (the red zone) belong to the running function. The switch writes
//     nothing there: it stores into the link record alone.
//   * `rbp` is the frame pointer where frames have one: `0(rbp)` holds the caller's `rbp` and
//     `8(rbp)` the return address. The first two words of the link record have the same form.
//   * The first three arguments of a function are in `rdi`, `rsi` and `rdx`.
// From the compilers:
//   * GCC rejects `rbp` in a clobber list where frames have a frame pointer, and Clang takes it and
//     crashes. Clang keeps the address of over-aligned locals in `rbx` where a function also calls
//     `alloca`, and then ignores `rbx` in a clobber list. Both are saved by hand.
//
// 2. What the switch does not change
//
// The signal mask; thread-local storage; the floating-point control words (`MXCSR`, the x87 control
// word) and the direction flag, which the ABI wants clear; segment registers; the hardware shadow
// stack.
//
// 3. Stack layout, highest address first
//
//   a. after Init               b. generator suspended        c. generator running
//
//   record + 64  ..........     record + 64  ..........       record + 64  ..........
//   record + 56  unset          record + 56  its rbx          record + 56  stale
//   record + 48  sp - 8         record + 48  its rsp          record + 48  stale
//   record + 40  entry          record + 40  its resume addr  record + 40  stale
//   record + 32  record         record + 32  its rbp          record + 32  stale
//   record + 24  unset          record + 24  stale            record + 24  resumer's rbx
//   record + 16  0              record + 16  0                record + 16  resumer's rsp
//   record +  8  unset          record +  8  stale            record +  8  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's rbp
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp -  8      trampoline     sp -  8      trampoline       sp -  8      trampoline
//                               ... frames ...                ... frames ...
//                               its rsp                       rsp
//
// The word at `sp - 8` is the return address of `entry`, and `rbp` is `record` when it begins. So a
// walker of frame pointers that leaves `entry` finds the record as the next frame record, and from
// there the frame that resumed the generator. Nobody calls the trampoline: were it to call `entry`,
// the processor would predict a return that never comes. The word at `record + 16` is also what
// `Closed` tells; `Close` sets it.
//
// 4. Unwinding
//
// What the compiler says of a frame holds at every instruction of the switch up to the one that
// changes `rsp`. From the last save to the jump the asm has rules of its own: the side that is left
// is described by the link record, whose address is in `rsi` (in `rdx`, where the switch says the
// end). `Finish` leaves nothing behind: from its first instruction on, its frame is as if the
// resumer had called it. `entry` returns, as far as an unwinder can tell, into
// `fringe_x86_64_trampoline`, whose rules say the same with the record's address in `rbp`. In all,
// the CFA is the stack pointer that the compiler believes in at the resume address. An unwinder
// looks up the address before a return address: a `nop` stands in front of each resume address and
// of the trampoline, so that this address belongs to the same function.
//
// 5. Registers
//
//   in and out      rdi (the word), rsi (the record, or null), rdx (the record, where rsi is null)
//   saved by hand   rsp rbp rbx, and rip
//   clobbered       rax rcx r8 r9 r10 r11 r12 r13 r14 r15, r16-r31 under APX,
//                   xmm0-15 (with ymm and zmm), xmm16-31 and k0-7 under AVX-512, tmm0-7 under AMX,
//                   st0-7 and mm0-7, the flags
//   reserved        fs (thread pointer), gs, ds, es, ss, cs

#ifndef FRINGE_ARCH_X86_64_H_
#define FRINGE_ARCH_X86_64_H_

#include <cstddef>
#include <cstdint>

#include "cfi.h"

namespace fringe::arch {

// The alignment of a stack's base, in bytes.
inline constexpr size_t kStackAlignment = 16;

// How large a guard must be, in bytes: no code of the ABI moves the stack pointer further without
// touching what it moved over. GCC's and Clang's -fstack-clash-protection probe in such steps.
inline constexpr size_t kGuardBytes = 4096;

// How many bytes below the `sp` of `Init` are the least that a generator can do with.
inline constexpr size_t kMinimumFrameBytes = 256;

// What one side of a switch leaves behind for the other.
struct SavedRegisters {
  void* rbp;
  void* rip;
  void* rsp;
  void* rbx;
};

// The words at the base of a generator's stack through which the two sides hand over control. One
// cache line, so that a switch touches no other.
struct alignas(64) LinkRecord {
  SavedRegisters resumer;
  SavedRegisters generator;
};

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 32);
static_assert(offsetof(SavedRegisters, rbp) == 0 && offsetof(SavedRegisters, rip) == 8 &&
              offsetof(SavedRegisters, rsp) == 16 && offsetof(SavedRegisters, rbx) == 24);
static_assert(sizeof(LinkRecord) == 64);

// What one side of a switch finds on its return.
struct Message {
  uintptr_t word;      // what the other side handed over
  LinkRecord* record;  // null where the other side called `Cancel` or `Finish`
};

// What a generator runs first, with the word of the first `Resume` and its record. It must not
// return. Where the first is a `Cancel`, `record` is null and `cancelled_record` is not.
using Entry = void (*)(uintptr_t word, LinkRecord* record, LinkRecord* cancelled_record);

}  // namespace fringe::arch

// The return address of every `Entry`. Never called: it gives unwinders a place to stand.
extern "C" void fringe_x86_64_trampoline();

namespace fringe::arch {

// Prepares `record` so that the first `Resume` calls `entry` with the stack below `sp`.
//
// Requires: `sp` is a multiple of `kStackAlignment`, lies below `record` on the same stack, and has
//   a word of room below it.
inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void** return_address = reinterpret_cast<void**>(sp) - 1;
  *return_address = reinterpret_cast<void*>(fringe_x86_64_trampoline);
  record->generator.rbp = record;
  record->generator.rip = reinterpret_cast<void*>(entry);
  record->generator.rsp = return_address;
  record->resumer.rsp = nullptr;
}

// Returns: zero where the generator of `record` may be resumed: it is suspended, and was not closed
//   since. While it runs, an address on its resumer's stack; otherwise what it was closed with.
inline uintptr_t Closed(const LinkRecord* record) {
  return reinterpret_cast<uintptr_t>(record->resumer.rsp);
}

// Makes `Closed` return `reason` until the next `Resume`.
//
// Requires: the generator does not run; `reason` is neither 0 nor an address of any stack.
inline void Close(LinkRecord* record, uintptr_t reason) {
  record->resumer.rsp = reinterpret_cast<void*>(reason);
}

// Returns: how far below `address` the stack pointer of the calling function lies, in bytes; a
//   stack pointer above it wraps around.
[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  auto distance = reinterpret_cast<size_t>(address);
  asm volatile("subq %%rsp, %0" : "+r"(distance) : : "cc");
  return distance;
}

// What a switch clobbers, a class of registers at a time.
// clang-format off
#if defined(__APX_F__) || defined(__APX_EGPR__)
#define FRINGE_X86_64_APX                                                     \
  "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23",                     \
  "r24", "r25", "r26", "r27", "r28", "r29", "r30", "r31",
#else
#define FRINGE_X86_64_APX
#endif
#if defined(__SSE__)
#define FRINGE_X86_64_SSE                                                     \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",             \
  "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
#else
#define FRINGE_X86_64_SSE
#endif
#if defined(__AVX512F__)
#define FRINGE_X86_64_AVX512                                                  \
  "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",     \
  "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31",     \
  "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define FRINGE_X86_64_AVX512
#endif
// GCC has no names for the tiles: it never keeps a value in one across a statement.
#if defined(__AMX_TILE__) && defined(__clang__)
#define FRINGE_X86_64_AMX                                                     \
  "tmm0", "tmm1", "tmm2", "tmm3", "tmm4", "tmm5", "tmm6", "tmm7",
#else
#define FRINGE_X86_64_AMX
#endif
#if defined(__80387__) || defined(__SSE__)
#define FRINGE_X86_64_X87                                                     \
  "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
#else
#define FRINGE_X86_64_X87
#endif
#if defined(__MMX__)
#define FRINGE_X86_64_MMX                                                     \
  "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7",
#else
#define FRINGE_X86_64_MMX
#endif
// Without rbx, rbp, rsp, which are saved by hand, and rdx, rsi, rdi, which the statements name.
#define FRINGE_X86_64_CLOBBERS                                                \
  "rax", "rcx",                                                               \
  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",                       \
  FRINGE_X86_64_APX                                                           \
  FRINGE_X86_64_SSE                                                           \
  FRINGE_X86_64_AVX512                                                        \
  FRINGE_X86_64_AMX                                                           \
  FRINGE_X86_64_X87                                                           \
  FRINGE_X86_64_MMX                                                           \
  "cc", "memory"

// The rules for unwinding where the words at `half` in the record are those to go on from; `breg` is
// the DW_OP_breg of `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of rsp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x10 return address, 0x06 rbp, 0x03 rbx
#if FRINGE_ARCH_CFI
#define FRINGE_X86_64_WINDOW(half)                                            \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" half "] + %c[rsp], 0x06\n\t"           \
  ".cfi_escape 0x10, 0x10, 2, %c[breg], %c[" half "] + %c[rip]\n\t"           \
  ".cfi_escape 0x10, 0x06, 2, %c[breg], %c[" half "] + %c[rbp]\n\t"           \
  ".cfi_escape 0x10, 0x03, 2, %c[breg], %c[" half "] + %c[rbx]\n\t"
#define FRINGE_X86_64_WINDOW_END                                              \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_X86_64_WINDOW(half)
#define FRINGE_X86_64_WINDOW_END
#endif

// Where indirect branches must land on an `endbr64` (-fcf-protection=branch).
#if defined(__CET__) && (__CET__ & 1)
#define FRINGE_X86_64_LANDING_PAD                                             \
  "endbr64\n\t"
#else
#define FRINGE_X86_64_LANDING_PAD
#endif

// Continues the side whose words are at `next` in the record at `base`.
#define FRINGE_X86_64_CONTINUE                                                \
  "movq %c[next] + %c[rbx](%[base]), %%rbx\n\t"                               \
  "movq %c[next] + %c[rbp](%[base]), %%rbp\n\t"                               \
  "movq %c[next] + %c[rsp](%[base]), %%rsp\n\t"                               \
  "jmpq *%c[next] + %c[rip](%[base])\n\t"                                     \
  FRINGE_X86_64_WINDOW_END

// Leaves the side whose words are at `left` in the record at `base`, and continues the other.
// On arrival, at label 0, the registers are those of the other side's statement: rdi is the word, rsi
// the record or null, rsp, rbp and rbx are as that side saved them, and all others are unknown.
#define FRINGE_X86_64_SWITCH                                                  \
  "leaq 0f(%%rip), %%rax\n\t"                                                 \
  "movq %%rbp, %c[left] + %c[rbp](%[base])\n\t"                               \
  "movq %%rax, %c[left] + %c[rip](%[base])\n\t"                               \
  "movq %%rsp, %c[left] + %c[rsp](%[base])\n\t"                               \
  "movq %%rbx, %c[left] + %c[rbx](%[base])\n\t"                               \
  FRINGE_X86_64_WINDOW("left")                                                \
  FRINGE_X86_64_CONTINUE                                                      \
  "nop  # unwinders look up the address before the resume address\n"          \
  "0:\n\t"                                                                    \
  FRINGE_X86_64_LANDING_PAD

#define FRINGE_X86_64_OFFSETS                                                 \
  [rbp] "i"(offsetof(SavedRegisters, rbp)),                                   \
  [rip] "i"(offsetof(SavedRegisters, rip)),                                   \
  [rsp] "i"(offsetof(SavedRegisters, rsp)),                                   \
  [rbx] "i"(offsetof(SavedRegisters, rbx))
#define FRINGE_X86_64_TO_GENERATOR                                            \
  [left] "i"(offsetof(LinkRecord, resumer)),                                  \
  [next] "i"(offsetof(LinkRecord, generator)),                                \
  FRINGE_X86_64_OFFSETS
#define FRINGE_X86_64_TO_RESUMER                                              \
  [left] "i"(offsetof(LinkRecord, generator)),                                \
  [next] "i"(offsetof(LinkRecord, resumer)),                                  \
  FRINGE_X86_64_OFFSETS
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregRdx = 0x71, kDwOpBregRsi = 0x74 };

// Runs the generator of `record` until it suspends or finishes, and hands it `word`.
//
// Requires: the generator is suspended.
[[gnu::always_inline]] inline Message Resume(uintptr_t word, LinkRecord* record) {
  LinkRecord* arrived = record;
  asm volatile(FRINGE_X86_64_SWITCH
               : "+D"(word), [base] "+S"(arrived)
               : [breg] "i"(kDwOpBregRsi), FRINGE_X86_64_TO_GENERATOR
               : "rdx", FRINGE_X86_64_CLOBBERS);
  record->resumer.rsp = nullptr;
  return {word, arrived};
}

// The same to say the end: the generator's `Suspend` returns a message without a record.
[[gnu::always_inline]] inline Message Cancel(LinkRecord* record) {
  uintptr_t word = 0;
  LinkRecord* arrived = nullptr;
  LinkRecord* base = record;
  asm volatile(FRINGE_X86_64_SWITCH
               : "+D"(word), "+S"(arrived), [base] "+d"(base)
               : [breg] "i"(kDwOpBregRdx), FRINGE_X86_64_TO_GENERATOR
               : FRINGE_X86_64_CLOBBERS);
  record->resumer.rsp = nullptr;
  return {word, arrived};
}

// Goes back to whoever resumed the generator of `record`, and hands him `word`.
//
// Requires: the calling function runs on the stack of `record`.
// Returns: what the next `Resume` or `Cancel` brings.
[[gnu::always_inline]] inline Message Suspend(uintptr_t word, LinkRecord* record) {
  asm volatile(FRINGE_X86_64_SWITCH
               : "+D"(word), [base] "+S"(record)
               : [breg] "i"(kDwOpBregRsi), FRINGE_X86_64_TO_RESUMER
               : "rdx", FRINGE_X86_64_CLOBBERS);
  return {word, record};
}

// Goes back for good: the resumer's `Resume` returns `word` in a message without a record.
//
// Requires: as `Suspend`; nobody resumes the generator again.
[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  LinkRecord* const arrived = nullptr;
  // Nothing is clobbered where nothing goes on: to say so would make the compiler save registers.
  asm volatile(FRINGE_X86_64_WINDOW("next") FRINGE_X86_64_CONTINUE
               :
               : "D"(word), "S"(arrived), [base] "d"(record), [breg] "i"(kDwOpBregRdx),
                 FRINGE_X86_64_TO_RESUMER
               : "memory");
  __builtin_unreachable();
}

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_X86_64_H_
