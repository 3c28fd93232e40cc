// The backend for i386 and its successors in 32-bit mode on System V systems (Linux, the BSDs, bare
// metal), position-independent or not.
//
// 1. ABI facts
//
// From "System V Application Binary Interface, Intel386 Architecture Processor Supplement":
//   * The stack grows down and `esp` is a multiple of 16 just before a `call`; a function therefore
//     begins with `esp + 4` a multiple of 16.
//   * There is no red zone: what lies below `esp` belongs to nobody.
//   * `ebp` is the frame pointer where frames have one: `0(ebp)` holds the caller's `ebp` and
//     `4(ebp)` the return address. The first two words of the link record have the same form.
//   * Arguments of a function are on the stack, the first at `4(esp)` when it begins.
//   * No instruction has an operand relative to itself. Position-independent code finds out its own
//     address by a `call` to the next instruction, which pushes that.
// From the compilers:
//   * GCC rejects `ebp` in a clobber list where frames have a frame pointer, and Clang takes it and
//     goes wrong. Clang keeps the address of over-aligned locals in `esi` where a function also
//     calls `alloca`, and then ignores `esi` in a clobber list. Both are saved by hand.
//   * `ebx` holds the address of the global offset table around calls in position-independent code.
//     It is like any other register over an asm statement.
// From "Intel 64 and IA-32 Architectures Software Developer's Manual", on `CALL`:
//   * A `call` to the next instruction leaves the hardware's shadow stack as it is.
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
//   record + 32  ..........     record + 32  ..........       record + 32  ..........
//   record + 28  entry          record + 28  its esi          record + 28  stale
//   record + 24  sp - 20        record + 24  its esp          record + 24  stale
//   record + 20  start          record + 20  its resume addr  record + 20  stale
//   record + 16  record         record + 16  its ebp          record + 16  stale
//   record + 12  unset          record + 12  stale            record + 12  resumer's esi
//   record +  8  0              record +  8  0                record +  8  resumer's esp
//   record +  4  unset          record +  4  stale            record +  4  resumer's resume addr
//   record +  0  unset          record +  0  stale            record +  0  resumer's ebp
//   ..... owner's data .....    ..... owner's data .....      ..... owner's data .....
//   sp -  4      unset          sp -  4      unset            sp -  4      unset
//   sp -  8      unset          sp -  8      3rd argument     sp -  8      3rd argument
//   sp - 12      unset          sp - 12      2nd argument     sp - 12      2nd argument
//   sp - 16      unset          sp - 16      1st argument     sp - 16      1st argument
//   sp - 20      trampoline     sp - 20      trampoline       sp - 20      trampoline
//                               ... frames ...                ... frames ...
//                               its esp                       esp
//
// `start` stands for `fringe_x86_start`, which the first resume jumps to: it stores the arguments
// of `entry` and jumps to it, finding it in `esi`. The word at `sp - 20` is the return address of
// `entry`, and `ebp` is `record` when it begins. So a walker of frame pointers that leaves `entry`
// finds the record as the next frame record, and from there the frame that resumed the generator.
// Nobody calls the trampoline: were it to call `entry`, the processor would predict a return that
// never comes. The word at `record + 8` is also what `Closed` tells; `Close` sets it.
//
// 4. Unwinding
//
// What the compiler says of a frame holds at every instruction of the switch up to the one that
// changes `esp`, but for the one after the `call` by which position-independent code finds out
// where it is: there, the rules are those of a function that begins. From the last save to the jump
// the asm has rules of its own: the side that is left is described by the link record, whose
// address is in `edx` (in `ecx`, where the switch says the end). `Finish` leaves nothing behind:
// from its first instruction on, its frame is as if the resumer had called it. `entry` returns, as
// far as an unwinder can tell, into `fringe_x86_trampoline`, whose rules say the same with the
// record's address in `ebp`; they hold in `fringe_x86_start` too. In all, the CFA is the stack
// pointer that the compiler believes in at the resume address. An unwinder looks up the address
// before a return address: an instruction stands in front of each resume address and of the
// trampoline, so that this address belongs to the same function.
//
// 5. Registers
//
//   in and out      eax (the word), edx (the record, or null), ecx (the record, where edx is null)
//   saved by hand   esp ebp esi, and eip
//   clobbered       ebx edi,
//                   xmm0-7 (with ymm and zmm) under SSE, k0-7 under AVX-512,
//                   st0-7 and mm0-7, the flags
//   reserved        gs (thread pointer), fs, ds, es, ss, cs

#ifndef FRINGE_ARCH_X86_H_
#define FRINGE_ARCH_X86_H_

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
  void* ebp;
  void* eip;
  void* esp;
  void* esi;
};

// The words at the base of a generator's stack through which the two sides hand over control. One
// cache line, so that a switch touches no other.
struct alignas(32) LinkRecord {
  SavedRegisters resumer;
  SavedRegisters generator;
};

static_assert(offsetof(LinkRecord, resumer) == 0 && offsetof(LinkRecord, generator) == 16);
static_assert(offsetof(SavedRegisters, ebp) == 0 && offsetof(SavedRegisters, eip) == 4 &&
              offsetof(SavedRegisters, esp) == 8 && offsetof(SavedRegisters, esi) == 12);
static_assert(sizeof(LinkRecord) == 32);

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
extern "C" void fringe_x86_trampoline();

// Where the first resume of a generator lands: calls the `Entry` in `esi`, so to speak. Never
// called.
extern "C" void fringe_x86_start();

namespace fringe::arch {

// Prepares `record` so that the first `Resume` calls `entry` with the stack below `sp`.
//
// Requires: `sp` is a multiple of `kStackAlignment`, lies below `record` on the same stack, and has
//   five words of room below it.
inline void Init(LinkRecord* record, std::byte* sp, Entry entry) {
  void** return_address = reinterpret_cast<void**>(sp) - 5;  // its arguments lie above
  *return_address = reinterpret_cast<void*>(fringe_x86_trampoline);
  record->generator.ebp = record;
  record->generator.eip = reinterpret_cast<void*>(fringe_x86_start);
  record->generator.esp = return_address;
  record->generator.esi = reinterpret_cast<void*>(entry);
  record->resumer.esp = nullptr;
}

// Returns: zero where the generator of `record` may be resumed: it is suspended, and was not closed
//   since. While it runs, an address on its resumer's stack; otherwise what it was closed with.
inline uintptr_t Closed(const LinkRecord* record) {
  return reinterpret_cast<uintptr_t>(record->resumer.esp);
}

// Makes `Closed` return `reason` until the next `Resume`.
//
// Requires: the generator does not run; `reason` is neither 0 nor an address of any stack.
inline void Close(LinkRecord* record, uintptr_t reason) {
  record->resumer.esp = reinterpret_cast<void*>(reason);
}

// Returns: how far below `address` the stack pointer of the calling function lies, in bytes; a
//   stack pointer above it wraps around.
[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  auto distance = reinterpret_cast<size_t>(address);
  asm volatile("subl %%esp, %0" : "+r"(distance) : : "cc");
  return distance;
}

// What a switch clobbers, a class of registers at a time.
// clang-format off
#if defined(__SSE__)
#define FRINGE_X86_SSE                                                        \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
#else
#define FRINGE_X86_SSE
#endif
#if defined(__AVX512F__)
#define FRINGE_X86_AVX512                                                     \
  "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define FRINGE_X86_AVX512
#endif
// There is no macro for the unit, but one of GCC's for its absence.
#if !defined(_SOFT_FLOAT)
#define FRINGE_X86_X87                                                        \
  "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
#else
#define FRINGE_X86_X87
#endif
#if defined(__MMX__)
#define FRINGE_X86_MMX                                                        \
  "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7",
#else
#define FRINGE_X86_MMX
#endif
// Without ebp, esi, esp, which are saved by hand, and eax, ecx, edx, which the statements name.
#define FRINGE_X86_CLOBBERS                                                   \
  "ebx", "edi",                                                               \
  FRINGE_X86_SSE                                                              \
  FRINGE_X86_AVX512                                                           \
  FRINGE_X86_X87                                                              \
  FRINGE_X86_MMX                                                              \
  "cc", "memory"

// The rules for unwinding where the words at `half` in the record are those to go on from; `breg` is
// the DW_OP_breg of `base`.
//   0x0f DW_CFA_def_cfa_expression, length 3: breg, offset of esp, 0x06 DW_OP_deref
//   0x10 DW_CFA_expression, register, length 2: breg, offset
//        registers: 0x08 return address, 0x05 ebp, 0x06 esi
// And those where a `call` has pushed the address of the next instruction: as where a function
// begins. (What a directive, not an escape, says of the CFA, Clang 14 believes beyond the
// `.cfi_restore_state`.)
//   0x0c DW_CFA_def_cfa: 0x04 esp, plus 4
#if FRINGE_ARCH_CFI
#define FRINGE_X86_WINDOW(half)                                               \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0f, 3, %c[breg], %c[" half "] + %c[esp], 0x06\n\t"           \
  ".cfi_escape 0x10, 0x08, 2, %c[breg], %c[" half "] + %c[eip]\n\t"           \
  ".cfi_escape 0x10, 0x05, 2, %c[breg], %c[" half "] + %c[ebp]\n\t"           \
  ".cfi_escape 0x10, 0x06, 2, %c[breg], %c[" half "] + %c[esi]\n\t"
#define FRINGE_X86_CALLED                                                     \
  ".cfi_remember_state\n\t"                                                   \
  ".cfi_escape 0x0c, 0x04, 4\n\t"                                             \
  ".cfi_offset 8, -4\n\t"                                                     \
  ".cfi_same_value 3\n\t"                                                     \
  ".cfi_same_value 5\n\t"                                                     \
  ".cfi_same_value 6\n\t"                                                     \
  ".cfi_same_value 7\n\t"
#define FRINGE_X86_WINDOW_END                                                 \
  ".cfi_restore_state\n\t"
#else
#define FRINGE_X86_WINDOW(half)
#define FRINGE_X86_CALLED
#define FRINGE_X86_WINDOW_END
#endif

// Where indirect branches must land on an `endbr32` (-fcf-protection=branch).
#if defined(__CET__) && (__CET__ & 1)
#define FRINGE_X86_LANDING_PAD                                                \
  "endbr32\n\t"
#else
#define FRINGE_X86_LANDING_PAD
#endif

// Loads the address of label 1, which it defines, into a register.
#define FRINGE_X86_LOAD_PC(reg)                                               \
  "call 1f\n\t"                                                               \
  FRINGE_X86_CALLED                                                           \
  "1: popl " reg "\n\t"                                                       \
  FRINGE_X86_WINDOW_END

// Loads the address of label 0 into `edi`.
#if defined(__PIC__)
#define FRINGE_X86_LOAD_RESUME_ADDRESS                                        \
  FRINGE_X86_LOAD_PC("%%edi")                                                 \
  "addl $0f - 1b, %%edi\n\t"
#else
#define FRINGE_X86_LOAD_RESUME_ADDRESS                                        \
  "movl $0f, %%edi\n\t"
#endif

// Continues the side whose words are at `next` in the record at `base`.
#define FRINGE_X86_CONTINUE                                                   \
  "movl %c[next] + %c[esi](%[base]), %%esi\n\t"                               \
  "movl %c[next] + %c[ebp](%[base]), %%ebp\n\t"                               \
  "movl %c[next] + %c[esp](%[base]), %%esp\n\t"                               \
  "jmp *%c[next] + %c[eip](%[base])\n\t"                                      \
  FRINGE_X86_WINDOW_END

// Leaves the side whose words are at `left` in the record at `base`, and continues the other.
// On arrival, at label 0, the registers are those of the other side's statement: eax is the word, edx
// the record or null, esp, ebp and esi are as that side saved them, and all others are unknown.
#define FRINGE_X86_SWITCH                                                     \
  FRINGE_X86_LOAD_RESUME_ADDRESS                                              \
  "movl %%ebp, %c[left] + %c[ebp](%[base])\n\t"                               \
  "movl %%edi, %c[left] + %c[eip](%[base])\n\t"                               \
  "movl %%esp, %c[left] + %c[esp](%[base])\n\t"                               \
  "movl %%esi, %c[left] + %c[esi](%[base])\n\t"                               \
  FRINGE_X86_WINDOW("left")                                                   \
  FRINGE_X86_CONTINUE                                                         \
  "nop  # unwinders look up the address before the resume address\n"          \
  "0:\n\t"                                                                    \
  FRINGE_X86_LANDING_PAD

#define FRINGE_X86_OFFSETS                                                    \
  [ebp] "i"(offsetof(SavedRegisters, ebp)),                                   \
  [eip] "i"(offsetof(SavedRegisters, eip)),                                   \
  [esp] "i"(offsetof(SavedRegisters, esp)),                                   \
  [esi] "i"(offsetof(SavedRegisters, esi))
#define FRINGE_X86_TO_GENERATOR                                               \
  [left] "i"(offsetof(LinkRecord, resumer)),                                  \
  [next] "i"(offsetof(LinkRecord, generator)),                                \
  FRINGE_X86_OFFSETS
#define FRINGE_X86_TO_RESUMER                                                 \
  [left] "i"(offsetof(LinkRecord, generator)),                                \
  [next] "i"(offsetof(LinkRecord, resumer)),                                  \
  FRINGE_X86_OFFSETS
// clang-format on

// The DWARF operations that push a register plus an offset.
enum : unsigned { kDwOpBregEcx = 0x71, kDwOpBregEdx = 0x72 };

// Runs the generator of `record` until it suspends or finishes, and hands it `word`.
//
// Requires: the generator is suspended.
[[gnu::always_inline]] inline Message Resume(uintptr_t word, LinkRecord* record) {
  LinkRecord* arrived = record;
  asm volatile(FRINGE_X86_SWITCH
               : "+a"(word), [base] "+d"(arrived)
               : [breg] "i"(kDwOpBregEdx), FRINGE_X86_TO_GENERATOR
               : "ecx", FRINGE_X86_CLOBBERS);
  record->resumer.esp = nullptr;
  return {word, arrived};
}

// The same to say the end: the generator's `Suspend` returns a message without a record.
[[gnu::always_inline]] inline Message Cancel(LinkRecord* record) {
  uintptr_t word = 0;
  LinkRecord* arrived = nullptr;
  LinkRecord* base = record;
  asm volatile(FRINGE_X86_SWITCH
               : "+a"(word), "+d"(arrived), [base] "+c"(base)
               : [breg] "i"(kDwOpBregEcx), FRINGE_X86_TO_GENERATOR
               : FRINGE_X86_CLOBBERS);
  record->resumer.esp = nullptr;
  return {word, arrived};
}

// Goes back to whoever resumed the generator of `record`, and hands him `word`.
//
// Requires: the calling function runs on the stack of `record`.
// Returns: what the next `Resume` or `Cancel` brings.
[[gnu::always_inline]] inline Message Suspend(uintptr_t word, LinkRecord* record) {
  asm volatile(FRINGE_X86_SWITCH
               : "+a"(word), [base] "+d"(record)
               : [breg] "i"(kDwOpBregEdx), FRINGE_X86_TO_RESUMER
               : "ecx", FRINGE_X86_CLOBBERS);
  return {word, record};
}

// Goes back for good: the resumer's `Resume` returns `word` in a message without a record.
//
// Requires: as `Suspend`; nobody resumes the generator again.
[[noreturn, gnu::always_inline]] inline void Finish(uintptr_t word, LinkRecord* record) {
  LinkRecord* const arrived = nullptr;
  // Nothing is clobbered where nothing goes on: to say so would make the compiler save registers.
  asm volatile(FRINGE_X86_WINDOW("next") FRINGE_X86_CONTINUE
               :
               : "a"(word), "d"(arrived), [base] "c"(record), [breg] "i"(kDwOpBregEcx),
                 FRINGE_X86_TO_RESUMER
               : "memory");
  __builtin_unreachable();
}

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_X86_H_
