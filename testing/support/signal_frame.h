// Lets libgcc's unwinder cross the frame of a signal handler under qemu-ppc64le and
// qemu-loongarch64, as it does on Linux.
//
// A handler returns to a few instructions of the kernel, whose CFI is in the kernel's shared
// library. qemu-ppc64le has neither that library nor the instructions that libgcc looks for if
// there is no CFI. The library of qemu-loongarch64 11.1 finds the frame relative to `tp` instead of
// `sp`, and gives the return address another number than libgcc.

#ifndef FRINGE_TESTING_SUPPORT_SIGNAL_FRAME_H_
#define FRINGE_TESTING_SUPPORT_SIGNAL_FRAME_H_

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" void __register_frame(void* table);

namespace fringe::testing {

// Where the registers of the interrupted code are in a signal's context, in words of 8 bytes.
#if defined(__powerpc64__)
inline const void* SignalFrameWords(const ucontext_t& context) {
  return context.uc_mcontext.gp_regs;
}
inline constexpr unsigned kFirstRegisterWord = 0;
inline constexpr unsigned kPcWord = 32;  // PT_NIP
inline constexpr unsigned kStackPointer = 1;
inline constexpr unsigned kPcColumn = 67;  // Linux's number for it
#else
inline const void* SignalFrameWords(const ucontext_t& context) { return &context.uc_mcontext.__pc; }
inline constexpr unsigned kFirstRegisterWord = 1;
inline constexpr unsigned kPcWord = 0;
inline constexpr unsigned kStackPointer = 3;
inline constexpr unsigned kPcColumn = 72;  // libgcc's number for it
#endif

// The words that the rules below refer to.
inline const void* volatile signal_frame_words;

// Writes a table of call frame information, in the format of the section .eh_frame ("Linux Standard
// Base Core Specification", section 10.6).
class FrameTableWriter {
 public:
  explicit FrameTableWriter(std::byte* out) : out_(out) {}

  std::byte* place() const { return out_; }

  template <typename... Bytes>
  void Put(Bytes... bytes) {
    (Byte(static_cast<unsigned>(bytes)), ...);
  }
  template <typename T>
  void PutWord(T word) {
    std::memcpy(out_, &word, sizeof word);
    out_ += sizeof word;
  }
  // The rule of a register: it is in the given word of `signal_frame_words`.
  void PutRule(unsigned number, unsigned word) {
    Put(0x10, number, 13);  // DW_CFA_expression, of that length
    PutAddress(word);
  }
  // The operations that push the address of that word.
  void PutAddress(unsigned word) {
    Put(0x03);  // DW_OP_addr
    PutWord(&signal_frame_words);
    const unsigned offset = 8 * word;
    Put(0x06, 0x23, (offset & 0x7f) | 0x80, offset >> 7);  // DW_OP_deref, DW_OP_plus_uconst
  }
  // Ends the entry that begins after the length at `length`.
  void End(std::byte* length) {
    while ((out_ - length) % 8 != 4) Put(0);
    const auto bytes = static_cast<uint32_t>(out_ - length - 4);
    std::memcpy(length, &bytes, sizeof bytes);
  }

 private:
  void Byte(unsigned byte) { *out_++ = static_cast<std::byte>(byte); }

  std::byte* out_;
};

// Describes the frame around a signal handler. This overrides what the system says. The handler
// calls it with the address that it returns to and its arguments.
inline void DescribeSignalFrame(void* return_address, const ucontext_t& context) {
  signal_frame_words = SignalFrameWords(context);
  static const void* described = nullptr;
  if (return_address == described) return;
  described = return_address;
  static std::byte table[1024];
  FrameTableWriter writer(table);

  std::byte* const common = writer.place();
  writer.PutWord(uint32_t{0});
  writer.PutWord(uint32_t{0});
  writer.Put(1, 'z', 'R', 'S', 0);  // a signal frame, with absolute addresses
  // Alignments 1 and -8; the return address; DW_EH_PE_absptr.
  writer.Put(1, 0x78, kPcColumn, 1, 0x00);
  writer.End(common);

  std::byte* const frame = writer.place();
  writer.PutWord(uint32_t{0});
  writer.PutWord(static_cast<uint32_t>(writer.place() - common));
  // From the address that an unwinder looks up for a return address.
  writer.PutWord(reinterpret_cast<uintptr_t>(return_address) - 4);
  writer.PutWord(uintptr_t{12});
  writer.Put(0);
  writer.Put(0x0f, 14);  // DW_CFA_def_cfa_expression: the value of the stack pointer
  writer.PutAddress(kFirstRegisterWord + kStackPointer);
  writer.Put(0x06);
  for (unsigned i = 0; i < 32; ++i) {
    if (i != kStackPointer) writer.PutRule(i, kFirstRegisterWord + i);
  }
  writer.PutRule(kPcColumn, kPcWord);
#if defined(__powerpc64__)
  writer.PutRule(65, 36);  // lr: PT_LNK
#endif
  writer.End(frame);
  writer.PutWord(uint32_t{0});
  __register_frame(table);
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_SIGNAL_FRAME_H_
