// The machine, and the way from the reset to the program. Compiled without vector registers,
// because handlers do not save any, and without CET, because ring 0 has no shadow stack.

#include "testing/x86_shadow_stack/machine.h"

#include <cstddef>
#include <cstdint>

#include "arch/fatal.h"
#include "testing/bare_metal/machine.h"

extern "C" {
// boot.S.
extern const char fringe_testing_handlers[];
extern const char fringe_testing_attempt_failed[];
extern uint64_t fringe_testing_descriptors[];
extern uintptr_t fringe_testing_attempt_sp;
extern uintptr_t fringe_testing_attempt_ssp;
void fringe_testing_attempt(void (*function)());
[[noreturn]] void fringe_testing_enter_ring_3(void (*function)());

// image.ld.
extern char fringe_testing_supervisor_stack[];
extern const char fringe_testing_tdata[];
extern const char fringe_testing_tdata_end[];
extern const char fringe_testing_tbss_end[];

// Called by boot.S.
struct Frame {
  uint64_t vector;
  uint64_t error;
  uint64_t pc;
  uint64_t cs;
  uint64_t flags;
  uint64_t sp;
  uint64_t ss;
};
void fringe_testing_handle(Frame* frame);
[[noreturn]] void fringe_testing_start();
}

namespace fringe::testing {

namespace {

constexpr uint32_t kRing3 = 3;
constexpr uint64_t kTrapFlag = 0x100;

// Model-specific registers. The control register's bits are those that Linux sets, and with
// -fcf-protection=branch those that enforce landing pads: libgcc jumps to some without (`notrack`).
constexpr uint32_t kUserControl = 0x6a0;
constexpr uint32_t kUserShadowStackPointer = 0x6a7;
constexpr uint32_t kThreadPointer = 0xc0000100;
constexpr uint64_t kShadowStackEnable = 1;
constexpr uint64_t kLandingPads = 4 | 16;

// The shadow stacks, in slots from 4 GiB on. The first page of a slot is absent. The same memory is
// writable below, because ring 3 cannot write a token.
constexpr size_t kSlots = 64;
constexpr size_t kSlotPages = 16;
constexpr size_t kTablePages = 512;
constexpr size_t kTables = kSlots * kSlotPages / kTablePages;
constexpr uintptr_t kShadowStacks = uintptr_t{4} << 30;
constexpr uintptr_t kWritable = uintptr_t{4} << 20;
size_t slot_bytes[kSlots] = {};  // of the mapping there

bool has_shadow_stack = false;
bool is_taken_away = false;
uint64_t user_control = kShadowStackEnable;
const char* sentence_of_misuse = "";
uint64_t steps = 0;
Fault last_fault;

void Out8(uint16_t port, uint8_t value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

void WriteMsr(uint32_t number, uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(number), "a"(static_cast<uint32_t>(value)),
                 "d"(static_cast<uint32_t>(value >> 32))
               : "memory");
}

volatile uint64_t& WritableWord(uintptr_t address) {
  return *reinterpret_cast<volatile uint64_t*>(kWritable + (address - kShadowStacks));
}

void WriteHex(uint64_t number) {
  char digits[17] = {};
  for (int i = 15; i >= 0; --i, number >>= 4) digits[i] = "0123456789abcdef"[number & 15];
  Write("0x");
  Write(digits);
}

[[noreturn]] void Fail(const Frame& frame) {
  uint64_t address;
  asm volatile("movq %%cr2, %0" : "=r"(address));
  const struct {
    const char* name;
    uint64_t value;
  } values[] = {{"exception ", frame.vector},
                {", error code ", frame.error},
                {", at ", frame.pc},
                {", stack pointer ", frame.sp},
                {", address ", address}};
  Write("unexpected ");
  for (const auto& [name, value] : values) {
    Write(name);
    WriteHex(value);
  }
  Write("\n");
  End(kUnexpected);
}

// --- Start ---------------------------------------------------------------------------------------

// Descriptors of gates and of the task are in volume 3, "Interrupt and exception handling" and
// "Task management".
struct Gate {
  uint16_t address_0;
  uint16_t segment;
  uint16_t kind;
  uint16_t address_16;
  uint32_t address_32;
  uint32_t reserved;
};

void StartExceptions() {
  static Gate gates[kToggleVector + 1];
  for (size_t i = 0; i <= kToggleVector; ++i) {
    const auto address = reinterpret_cast<uintptr_t>(fringe_testing_handlers) + 32 * i;
    // Ring 3 can call the last one.
    const uint16_t kind = i == kToggleVector ? 0xee00 : 0x8e00;
    gates[i] = {static_cast<uint16_t>(address),       8, kind, static_cast<uint16_t>(address >> 16),
                static_cast<uint32_t>(address >> 32), 0};
  }
  struct [[gnu::packed]] {
    uint16_t last_byte;
    const void* first;
  } const pointer = {sizeof gates - 1, gates};
  asm volatile("lidt %0" : : "m"(pointer));

  // The task holds the stack of handlers, which the CPU changes to.
  static struct [[gnu::packed]] {
    uint32_t reserved;
    const void* stack;
    uint32_t others[23];
  } task = {};
  task.stack = fringe_testing_supervisor_stack;
  const auto address = reinterpret_cast<uintptr_t>(&task);
  constexpr uint64_t kAvailableTask = uint64_t{0x89} << 40;
  fringe_testing_descriptors[6] = (sizeof task - 1) | (address & 0xffffff) << 16 | kAvailableTask |
                                  (address >> 24 & 0xff) << 56;
  fringe_testing_descriptors[7] = address >> 32;
  asm volatile("ltr %w0" : : "r"(0x30) : "memory");

  // Masks all interrupts of the two legacy interrupt controllers.
  Out8(0x21, 0xff);
  Out8(0xa1, 0xff);
}

bool CpuHasShadowStacks() {
  uint32_t highest = 0;
  uint32_t features = 0;
  asm volatile("cpuid" : "+a"(highest) : : "rbx", "rcx", "rdx");
  if (highest < 7) return false;
  uint32_t leaf = 7;
  asm volatile("cpuid" : "+a"(leaf), "+c"(features) : : "rbx", "rdx");
  return (features >> 7 & 1) != 0;
}

// A page of a shadow stack is present, for every ring, accessed, dirty, and not writable. The
// levels above it are writable.
void StartShadowStacks() {
  alignas(kPageBytes) static uint64_t directory[512];
  alignas(kPageBytes) static uint64_t tables[kTables][kTablePages];
  for (size_t i = 0; i < kTables * kTablePages; ++i) {
    if (i % kSlotPages == 0) continue;
    tables[i / kTablePages][i % kTablePages] = (kWritable + kPageBytes * i) | 0x65;
  }
  for (size_t i = 0; i < kTables; ++i) directory[i] = reinterpret_cast<uintptr_t>(tables[i]) | 7;
  auto* const directory_pointers = reinterpret_cast<volatile uint64_t*>(0x2000);
  directory_pointers[kShadowStacks >> 30] = reinterpret_cast<uintptr_t>(directory) | 7;
  uint64_t control;
  asm volatile("movq %%cr4, %0" : "=r"(control));
  asm volatile("movq %0, %%cr4" : : "r"(control | uint64_t{1} << 23) : "memory");  // CET
  // The thread's own: without its token, because it is in use.
  WriteMsr(kUserShadowStackPointer, MapShadowStack(kPageBytes) + kPageBytes);
  if (kHasLandingPads) user_control |= kLandingPads;
  WriteMsr(kUserControl, user_control);
  has_shadow_stack = true;
}

// The thread pointer, with the address of itself there and the thread's variables below.
void StartThread() {
  constexpr size_t kWords = 128;
  alignas(64) static uint64_t memory[kWords + 1];
  memory[kWords] = reinterpret_cast<uintptr_t>(&memory[kWords]);
  // The linker aligns the whole as the strictest variable, which is 8 here.
  const size_t bytes =
      static_cast<size_t>(fringe_testing_tbss_end - fringe_testing_tdata + 7) & ~size_t{7};
  auto* out = reinterpret_cast<char*>(&memory[kWords]) - bytes;
  for (const char* in = fringe_testing_tdata; in != fringe_testing_tdata_end; ++in) *out++ = *in;
  WriteMsr(kThreadPointer, memory[kWords]);
}

}  // namespace

// --- Interface -----------------------------------------------------------------------------------

void Write(const char* text) {
  for (; *text != '\0'; ++text) Out8(0xe9, static_cast<uint8_t>(*text));
}

// Bochs always exits with the same status: the last line of the console has the image's.
void End(Status status) {
  Write("status ");
  WriteNumber(status);
  Write("\n");
  for (const char* letter = "Shutdown"; *letter != '\0'; ++letter) {
    Out8(0x8900, static_cast<uint8_t>(*letter));
  }
  for (;;) {
  }
}

bool HasShadowStack() { return has_shadow_stack; }

Fault Attempt(void (*function)()) {
  last_fault = Fault{kNone, 0, 0, 0};
  fringe_testing_attempt(function);
  return last_fault;
}

const char* Misuse(void (*function)()) {
  sentence_of_misuse = "";
  fringe_testing_attempt(function);
  return sentence_of_misuse;
}

uint64_t InSingleSteps(void (*function)()) {
  const uint64_t before = steps;
  asm volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq" : : "i"(kTrapFlag) : "memory", "cc");
  function();
  asm volatile("pushfq\n\tandq %0, (%%rsp)\n\tpopfq" : : "i"(~kTrapFlag) : "memory", "cc");
  return steps - before;
}

uintptr_t MapShadowStack(size_t bytes) {
  if (bytes == 0 || bytes % kPageBytes != 0 || bytes > (kSlotPages - 1) * kPageBytes) return 0;
  for (size_t i = 0; i < kSlots; ++i) {
    if (slot_bytes[i] != 0) continue;
    slot_bytes[i] = bytes;
    const uintptr_t start = kShadowStacks + (i * kSlotPages + 1) * kPageBytes;
    WritableWord(start + bytes - 8) = (start + bytes) | 1;
    return start;
  }
  return 0;
}

bool UnmapShadowStack(uintptr_t start, size_t bytes) {
  const size_t page = (start - kShadowStacks) / kPageBytes;
  if (start % kPageBytes != 0 || page >= kSlots * kSlotPages || page % kSlotPages != 1)
    return false;
  size_t& mapped_bytes = slot_bytes[page / kSlotPages];
  if (mapped_bytes != bytes) return false;
  mapped_bytes = 0;
  for (uintptr_t at = start; at != start + bytes; at += 8) WritableWord(at) = 0;
  return true;
}

size_t ShadowStackMappings() {
  size_t count = 0;
  for (const size_t bytes : slot_bytes) count += bytes != 0 ? 1 : 0;
  return count;
}

uint64_t ReadShadowStack(uintptr_t address) { return WritableWord(address); }

// Called on misuse of a generator.
extern "C" void fringe_fatal(const char* sentence) {
  sentence_of_misuse = sentence;
  if (fringe_testing_attempt_sp != 0) asm volatile("ud2");
  Write("fringe: ");
  Write(sentence);
  Write("\n");
  End(kFatal);
}

}  // namespace fringe::testing

void fringe_testing_handle(Frame* frame) {
  using namespace fringe::testing;
  if (frame->vector == 1) {
    ++steps;
  } else if (frame->vector == kToggleVector) {
    if (!has_shadow_stack) return;
    // The CPU has saved the pointer of the shadow stack, and `iretq` loads it.
    is_taken_away = !is_taken_away;
    WriteMsr(kUserControl, user_control & ~(is_taken_away ? kShadowStackEnable : 0));
  } else if (fringe_testing_attempt_sp == 0 || (frame->cs & kRing3) != kRing3) {
    Fail(*frame);
  } else {
    last_fault = Fault{frame->vector, frame->error, frame->pc, frame->sp};
    frame->pc = reinterpret_cast<uintptr_t>(fringe_testing_attempt_failed);
    frame->sp = fringe_testing_attempt_sp;
    frame->flags &= ~kTrapFlag;
    // `iretq` loads it from there.
    if (fringe_testing_attempt_ssp != 0) {
      WriteMsr(kUserShadowStackPointer, fringe_testing_attempt_ssp);
    }
  }
}

void fringe_testing_start() {
  using namespace fringe::testing;
  StartExceptions();
  StartThread();
  if (CpuHasShadowStacks()) StartShadowStacks();
  fringe_testing_enter_ring_3(&fringe_testing_run);
}
