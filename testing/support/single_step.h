// Executes code one instruction at a time and calls a function after each instruction.
//
//   {
//     const SingleStep step([](const ucontext_t& context) { ... });
//     resumed = generator.Resume();
//   }

#ifndef FRINGE_TESTING_SUPPORT_SINGLE_STEP_H_
#define FRINGE_TESTING_SUPPORT_SINGLE_STEP_H_

#include <signal.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdlib>

#if !defined(__x86_64__) && !defined(__i386__)
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#endif

#if defined(__loongarch__) || defined(__powerpc64__)
#include "testing/support/signal_frame.h"
#endif

namespace fringe::testing {

// Returns: the address of the next instruction of the interrupted code.
inline uintptr_t ProgramCounter(const ucontext_t& context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
#elif defined(__i386__)
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_EIP]);
#elif defined(__aarch64__)
  return context.uc_mcontext.pc;
#elif defined(__loongarch__)
  return context.uc_mcontext.__pc;
#elif defined(__mips64)
  return context.uc_mcontext.pc;
#elif defined(__powerpc64__)
  return context.uc_mcontext.gp_regs[32];  // PT_NIP
#elif defined(__riscv)
  return context.uc_mcontext.__gregs[REG_PC];
#elif defined(__s390x__)
  return context.uc_mcontext.psw.addr - 2;  // the address is after the breakpoint
#endif
}

// Whether the instruction at `pc` is a call.
inline bool IsCall(uintptr_t pc) {
#if defined(__x86_64__)
  const auto* const code = reinterpret_cast<const uint8_t*>(pc);
  // Also through a register that needs a prefix.
  const uint8_t* const opcode = (*code & 0xf0) == 0x40 ? code + 1 : code;
  const bool is_direct_call = opcode[0] == 0xe8;
  const bool is_indirect_call = opcode[0] == 0xff && (opcode[1] >> 3 & 7) == 2;
  return is_direct_call || is_indirect_call;
#elif defined(__i386__)
  const auto* const code = reinterpret_cast<const uint8_t*>(pc);
  // A call to the next instruction calls nothing: code uses it to read its own address.
  const bool is_direct_call = code[0] == 0xe8 && (code[1] | code[2] | code[3] | code[4]) != 0;
  const bool is_indirect_call = code[0] == 0xff && (code[1] >> 3 & 7) == 2;
  return is_direct_call || is_indirect_call;
#elif defined(__aarch64__)
  const uint32_t code = *reinterpret_cast<const uint32_t*>(pc);
  const bool is_bl = (code & 0xfc000000) == 0x94000000;
  const bool is_blr = (code & 0xfffffc1f) == 0xd63f0000;
  return is_bl || is_blr;
#elif defined(__loongarch__)
  const uint32_t code = *reinterpret_cast<const uint32_t*>(pc);
  const bool is_bl = (code & 0xfc000000) == 0x54000000;
  const bool is_jirl = (code & 0xfc00001f) == 0x4c000001;  // jirl ra
  return is_bl || is_jirl;
#elif defined(__mips64)
  const uint32_t code = *reinterpret_cast<const uint32_t*>(pc);
  const bool is_jal = code >> 26 == 3;
  const bool is_jalr = (code & 0xfc1fffff) == 0x0000f809;
  const bool is_bal = (code & 0xffff0000) == 0x04110000;
  return is_jal || is_jalr || is_bal;
#elif defined(__powerpc64__)
  // A branch that sets lr, except the form that reads the program counter.
  const uint32_t code = *reinterpret_cast<const uint32_t*>(pc);
  const uint32_t opcode = code >> 26;
  const bool is_branch = opcode == 16 || opcode == 18 ||
                         (opcode == 19 && ((code & 0x7fe) == 0x020 || (code & 0x7fe) == 0x420));
  return is_branch && (code & 1) != 0 && code != 0x429f0005;
#elif defined(__riscv)
  uint32_t code;  // may span two words
  __builtin_memcpy(&code, reinterpret_cast<const void*>(pc), sizeof code);
  const bool is_jal = (code & 0xfff) == 0x0ef;                              // jal ra
  const bool is_jalr = (code & 0x7fff) == 0x00e7;                           // jalr ra
  const bool is_c_jalr = (code & 0xf07f) == 0x9002 && (code & 0xf80) != 0;  // c.jalr
  return is_jal || is_jalr || is_c_jalr;
#elif defined(__s390x__)
  const auto* const code = reinterpret_cast<const uint8_t*>(pc);
  const bool is_basr = code[0] == 0x0d && (code[1] & 0xf) != 0;
  const bool is_bras = code[0] == 0xa7 && (code[1] & 0xf) == 0x5;
  const bool is_brasl = code[0] == 0xc0 && (code[1] & 0xf) == 0x5;
  return is_basr || is_bras || is_brasl;
#endif
}

#if defined(__x86_64__) || defined(__i386__)

// Uses the trap flag: the CPU stops after each instruction.
class Trap {
 public:
  // The signal that is handled.
  static constexpr int kSignal = SIGTRAP;

  // Starts at the next instruction, in a handler of that signal.
  [[gnu::always_inline]] static void Begin() { asm volatile("int3" : : : "memory"); }

  // Called first in the handler: nothing to undo.
  static void Clear() {}

  // Called last in the handler: resumes the interrupted code, for one instruction if `steps`.
  static void Continue(ucontext_t& context, bool steps) {
    constexpr greg_t kTrapFlag = 0x100;
    greg_t& flags = context.uc_mcontext.gregs[REG_EFL];
    flags = steps ? flags | kTrapFlag : flags & ~kTrapFlag;
  }
};

#else

// Sets a breakpoint at each possible next instruction. This works on any system and in any emulator
// that lets a program write to its own code. It does not work between an exclusive load and store,
// because a signal in between breaks them up.
class Trap {
 public:
#if !defined(__s390x__)
  static constexpr int kSignal = SIGTRAP;
#endif

#if defined(__aarch64__)
  using Code = uint32_t;

  [[gnu::always_inline]] static void Begin() { asm volatile("brk 0xf51" : : : "memory"); }
#elif defined(__loongarch__)
  using Code = uint32_t;

  [[gnu::always_inline]] static void Begin() { asm volatile("break 0" : : : "memory"); }
#elif defined(__mips64)
  using Code = uint32_t;

  [[gnu::always_inline]] static void Begin() { asm volatile("break 0x151" : : : "memory"); }
#elif defined(__powerpc64__)
  using Code = uint32_t;

  [[gnu::always_inline]] static void Begin() { asm volatile("twi 31, 0, 0xf51" : : : "memory"); }
#elif defined(__riscv)
  using Code = uint16_t;  // instructions have two or four bytes

  [[gnu::always_inline]] static void Begin() { asm volatile("c.ebreak" : : : "memory"); }
#elif defined(__s390x__)
  using Code = uint16_t;  // instructions have two, four or six bytes

  // An invalid instruction. The emulator does not support the one that Linux uses for breakpoints.
  static constexpr int kSignal = SIGILL;
  [[gnu::always_inline]] static void Begin() { asm volatile(".short 0" : : : "memory"); }
#endif

  static void Clear() {
    for (Breakpoint& breakpoint : breakpoints_) {
      if (breakpoint.place != 0) Write(breakpoint.place, breakpoint.code);
      breakpoint.place = 0;
    }
  }

  static void Continue(ucontext_t& context, bool steps) {
    uintptr_t pc = ProgramCounter(context);
    if (Read(pc) == kBreakpoint) pc += sizeof(Code);  // the breakpoint of `Begin`
    SetProgramCounter(context, pc);
    if (!steps) return;
    const Next next = After(context, pc);
    Set(breakpoints_[0], next.usual);
    if (next.other != 0 && next.other != next.usual) Set(breakpoints_[1], next.other);
  }

 private:
  struct Breakpoint {
    uintptr_t place;
    Code code;  // the instruction that it replaces
  };

  // Returns: the possible addresses of the next instruction: one, or two if it depends on a
  //   condition.
  struct Next {
    uintptr_t usual;
    uintptr_t other = 0;
  };

#if defined(__aarch64__)
  static constexpr Code kBreakpoint = 0xd4200000 | 0xf51 << 5;  // brk 0xf51

  static void SetProgramCounter(ucontext_t& context, uintptr_t pc) { context.uc_mcontext.pc = pc; }

  // Returns: the signed number in the `bits` bits from bit `first` of `code`, as an offset.
  static uintptr_t Offset(Code code, unsigned first, unsigned bits) {
    const auto shifted = static_cast<int32_t>(code << (32 - first - bits));
    return static_cast<uintptr_t>(static_cast<intptr_t>(shifted >> (32 - bits)) * 4);
  }

  static Next After(const ucontext_t& context, uintptr_t pc) {
    const Code code = Read(pc);
    if ((code & 0x7c000000) == 0x14000000) return {pc + Offset(code, 0, 26)};  // b, bl
    if ((code & 0xfe000000) == 0xd6000000) {                                   // br, blr, ret
      // Without the signature of a `retaa`.
      constexpr uintptr_t kAddressBits = (uintptr_t{1} << 48) - 1;
      return {context.uc_mcontext.regs[code >> 5 & 31] & kAddressBits};
    }
    if ((code & 0xff000000) == 0x54000000 || (code & 0x7e000000) == 0x34000000) {
      return {pc + 4, pc + Offset(code, 5, 19)};  // b.cond, cbz, cbnz
    }
    if ((code & 0x7e000000) == 0x36000000) return {pc + 4, pc + Offset(code, 5, 14)};  // tbz, tbnz
    return {pc + 4};
  }
#elif defined(__loongarch__)
  static constexpr Code kBreakpoint = 0x002a0000;  // break 0

  static void SetProgramCounter(ucontext_t& context, uintptr_t pc) {
    context.uc_mcontext.__pc = pc;
  }

  // Returns: the signed offset whose low 16 bits are at bit 10 of `code`, and whose next
  //   `high_bits` are at bit 0.
  static uintptr_t Offset(Code code, unsigned high_bits) {
    const Code high = code & ((Code{1} << high_bits) - 1);
    const Code words = (high << 16) | (code >> 10 & 0xffff);
    const auto shifted = static_cast<int32_t>(words << (16 - high_bits));
    return static_cast<uintptr_t>(static_cast<intptr_t>(shifted >> (16 - high_bits)) * 4);
  }

  static Next After(const ucontext_t& context, uintptr_t pc) {
    const Code code = Read(pc);
    const uintptr_t next = pc + 4;
    switch (code >> 26) {
      case 0x10:  // beqz
      case 0x11:  // bnez
      case 0x12:  // bceqz, bcnez
        return {next, pc + Offset(code, 5)};
      case 0x13:  // jirl
        return {context.uc_mcontext.__gregs[code >> 5 & 31] + Offset(code, 0)};
      case 0x14:  // b
      case 0x15:  // bl
        return {pc + Offset(code, 10)};
      case 0x16:  // beq
      case 0x17:  // bne
      case 0x18:  // blt
      case 0x19:  // bge
      case 0x1a:  // bltu
      case 0x1b:  // bgeu
        return {next, pc + Offset(code, 0)};
      default:
        return {next};
    }
  }
#elif defined(__mips64)
  static constexpr Code kBreakpoint = 0x0151000d;  // break 0x151

  static void SetProgramCounter(ucontext_t& context, uintptr_t pc) { context.uc_mcontext.pc = pc; }

  // A branch and the instruction in its delay slot are one step: no signal arrives between them.
  static Next After(const ucontext_t& context, uintptr_t pc) {
    const auto& registers = context.uc_mcontext.gregs;
    const Code code = Read(pc);
    const uintptr_t next = pc + 8;
    const auto offset = static_cast<uintptr_t>(static_cast<intptr_t>(static_cast<int16_t>(code)));
    const uintptr_t target = pc + 4 + offset * 4;
    switch (code >> 26) {
      case 0:  // jr, jalr
        if ((code & 0x3e) == 8) return {registers[code >> 21 & 31]};
        return {pc + 4};
      case 1:  // bltz, bgez and their variants
        if ((code >> 16 & 0xc) == 0) return {next, target};
        return {pc + 4};
      case 2:  // j
      case 3:  // jal
        return {((pc + 4) & ~uintptr_t{0xfffffff}) | (code & 0x3ffffff) << 2};
      case 4:   // beq
      case 5:   // bne
      case 6:   // blez
      case 7:   // bgtz
      case 20:  // beql
      case 21:  // bnel
      case 22:  // blezl
      case 23:  // bgtzl
        return {next, target};
      case 17:  // bc1f, bc1t
        if ((code >> 21 & 31) == 8) return {next, target};
        return {pc + 4};
      default:
        return {pc + 4};
    }
  }
#elif defined(__powerpc64__)
  static constexpr Code kBreakpoint = 0x0fe00f51;  // twi 31, 0, 0xf51

  static void SetProgramCounter(ucontext_t& context, uintptr_t pc) {
    context.uc_mcontext.gp_regs[32] = pc;
  }

  // Returns: the signed offset in the lowest `bits` bits of `code`, without the last two bits.
  static uintptr_t Offset(Code code, unsigned bits) {
    const auto shifted = static_cast<int32_t>(code << (32 - bits));
    return static_cast<uintptr_t>(static_cast<intptr_t>(shifted >> (32 - bits))) & ~uintptr_t{3};
  }

  static Next After(const ucontext_t& context, uintptr_t pc) {
    const auto& registers = context.uc_mcontext.gp_regs;
    const Code code = Read(pc);
    const uintptr_t next = pc + 4;
    switch (code >> 26) {
      case 16:  // bc
        return {next, pc + Offset(code, 16)};
      case 18:  // b, bl
        return {pc + Offset(code, 26)};
      case 19: {
        // Whether it depends on a bit of the condition register or on ctr.
        const bool depends = (code & 0x02800000) != 0x02800000;
        // bclr, through PT_LNK
        if ((code & 0x7fe) == 0x020) return {registers[36], depends ? next : 0};
        // bcctr, through PT_CTR
        if ((code & 0x7fe) == 0x420) return {registers[35], depends ? next : 0};
        return {next};
      }
      default:
        return {next};
    }
  }
#elif defined(__riscv)
  static constexpr Code kBreakpoint = 0x9002;  // c.ebreak

  static void SetProgramCounter(ucontext_t& context, uintptr_t pc) {
    context.uc_mcontext.__gregs[REG_PC] = pc;
  }

  // Returns: bit `from` of `code`, moved to bit `to`.
  static uintptr_t Bit(uint32_t code, unsigned from, unsigned to) {
    return uintptr_t{code >> from & 1} << to;
  }

  // Returns: `value`, sign-extended from bit `sign`.
  static uintptr_t Extend(uintptr_t value, unsigned sign) {
    const uintptr_t bit = uintptr_t{1} << sign;
    return (value ^ bit) - bit;
  }

  static Next After(const ucontext_t& context, uintptr_t pc) {
    const auto& registers = context.uc_mcontext.__gregs;
    const uint32_t code = Read(pc);
    if ((code & 3) != 3) {
      const uintptr_t next = pc + 2;
      if ((code & 0xe003) == 0xa001) {  // c.j
        const uintptr_t offset = Bit(code, 12, 11) | Bit(code, 11, 4) | Bit(code, 10, 9) |
                                 Bit(code, 9, 8) | Bit(code, 8, 10) | Bit(code, 7, 6) |
                                 Bit(code, 6, 7) | Bit(code, 5, 3) | Bit(code, 4, 2) |
                                 Bit(code, 3, 1) | Bit(code, 2, 5);
        return {pc + Extend(offset, 11)};
      }
      if ((code & 0xc003) == 0xc001) {  // c.beqz, c.bnez
        const uintptr_t offset = Bit(code, 12, 8) | Bit(code, 11, 4) | Bit(code, 10, 3) |
                                 Bit(code, 6, 7) | Bit(code, 5, 6) | Bit(code, 4, 2) |
                                 Bit(code, 3, 1) | Bit(code, 2, 5);
        return {next, pc + Extend(offset, 8)};
      }
      const uint32_t place = code >> 7 & 31;
      if ((code & 0xe07f) == 0x8002 && place != 0) return {registers[place]};  // c.jr, c.jalr
      return {next};
    }
    const uint32_t whole = code | uint32_t{Read(pc + 2)} << 16;
    const uintptr_t next = pc + 4;
    const auto high = static_cast<uintptr_t>(static_cast<intptr_t>(static_cast<int32_t>(whole)));
    switch (whole & 0x7f) {
      case 0x6f:  // jal
        return {pc + (Extend(Bit(whole, 31, 20), 20) | (whole & 0xff000) | Bit(whole, 20, 11) |
                      (whole >> 20 & 0x7fe))};
      case 0x67: {  // jalr
        const uint32_t place = whole >> 15 & 31;
        const auto offset = static_cast<uintptr_t>(static_cast<intptr_t>(high) >> 20);
        return {((place == 0 ? 0 : registers[place]) + offset) & ~uintptr_t{1}};
      }
      case 0x63:  // a branch
        return {next, pc + (Extend(Bit(whole, 31, 12), 12) | Bit(whole, 7, 11) |
                            (whole >> 20 & 0x7e0) | (whole >> 7 & 0x1e))};
      default:
        return {next};
    }
  }
#elif defined(__s390x__)
  static constexpr Code kBreakpoint = 0;

  static void SetProgramCounter(ucontext_t& context, uintptr_t pc) {
    context.uc_mcontext.psw.addr = pc;
  }

  // Returns: the byte offset of a signed number of halfwords.
  template <typename Signed>
  static uintptr_t Offset(Signed halfwords) {
    return static_cast<uintptr_t>(static_cast<intptr_t>(halfwords)) * 2;
  }

  static Next After(const ucontext_t& context, uintptr_t pc) {
    const auto& registers = context.uc_mcontext.gregs;
    const Code code = Read(pc);
    const Code second = Read(pc + 2);
    const unsigned opcode = code >> 8;
    const unsigned last_operand = code & 15;
    // A branch that is never taken, to itself: the remains of a call that the linker has removed.
    const bool never = (opcode == 0xa7 || opcode == 0xc0) && (code & 0xff) == 0x04;
    const uintptr_t next = pc + (opcode < 0x40 ? 2 : opcode < 0xc0 ? 4 : 6);
    const uintptr_t near = pc + Offset(static_cast<int16_t>(second));
    // The sum of a base, an index and a displacement.
    const auto storage = [&](unsigned index, Code operand) {
      const unsigned base = operand >> 12;
      return (base == 0 ? 0 : registers[base]) + (index == 0 ? 0 : registers[index]) +
             (operand & 0xfffU);
    };
    switch (opcode) {
      case 0x06:  // bctr
      case 0x07:  // bcr
      case 0x0d:  // basr
        return {next, last_operand == 0 ? 0 : registers[last_operand]};
      case 0x46:  // bct
      case 0x47:  // bc
      case 0x4d:  // bas
        return {next, storage(last_operand, second)};
      case 0x84:  // brxh
      case 0x85:  // brxle
        return {next, near};
      case 0x86:  // bxh
      case 0x87:  // bxle
        return {next, storage(0, second)};
      case 0xa7:  // brc, bras, brct, brctg
        return {next, !never && last_operand >= 4 && last_operand <= 7 ? near : 0};
      case 0xb9:  // bctgr
        return {next, (code & 0xff) == 0x46 && (second & 15) != 0 ? registers[second & 15] : 0};
      case 0xc0: {  // brcl, brasl
        const auto far = static_cast<int32_t>(uint32_t{second} << 16 | Read(pc + 4));
        return {next, !never && (last_operand == 4 || last_operand == 5) ? pc + Offset(far) : 0};
      }
      case 0xcc: {  // brcth
        const auto far = static_cast<int32_t>(uint32_t{second} << 16 | Read(pc + 4));
        return {next, last_operand == 6 ? pc + Offset(far) : 0};
      }
      case 0xe3:  // bctg
        return {next, (Read(pc + 4) & 0xff) == 0x46 ? storage(last_operand, second) : 0};
      case 0xec:
        switch (Read(pc + 4) & 0xff) {
          case 0x44:  // brxhg
          case 0x45:  // brxlg
          case 0x64:  // cgrj
          case 0x65:  // clgrj
          case 0x76:  // crj
          case 0x77:  // clrj
          case 0x7c:  // cgij
          case 0x7d:  // clgij
          case 0x7e:  // cij
          case 0x7f:  // clij
            return {next, near};
          case 0xe4:  // cgrb
          case 0xe5:  // clgrb
          case 0xf6:  // crb
          case 0xf7:  // clrb
            return {next, storage(0, second)};
          case 0xfc:  // cgib
          case 0xfd:  // clgib
          case 0xfe:  // cib
          case 0xff:  // clib
            return {next, storage(0, second)};
          default:
            return {next};
        }
      default:
        return {next};
    }
  }
#endif

  static Code Read(uintptr_t place) {
    Code code;
    std::memcpy(&code, reinterpret_cast<const void*>(place), sizeof code);
    return code;
  }

  static void Write(uintptr_t place, Code code) {
    std::memcpy(reinterpret_cast<void*>(place), &code, sizeof code);
    auto* const start = reinterpret_cast<char*>(place);
    __builtin___clear_cache(start, start + sizeof code);
  }

  static void Set(Breakpoint& breakpoint, uintptr_t place) {
    // It may span two pages.
    static const auto page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t first_page = place & ~(page_bytes - 1);
    const uintptr_t end = (place + sizeof(Code) + page_bytes - 1) & ~(page_bytes - 1);
    if (mprotect(reinterpret_cast<void*>(first_page), end - first_page,
                 PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
      std::abort();
    }
    breakpoint = {place, Read(place)};
    Write(place, kBreakpoint);
  }

  static inline Breakpoint breakpoints_[2] = {};
};

#endif

// Steps from its construction to its destruction. Only one may exist at a time.
//
// The function runs in a signal handler, on the interrupted stack. It must not use anything that
// the interrupted code may be in the middle of: allocation, locks, assertions.
class SingleStep {
 public:
  using Visitor = void (*)(const ucontext_t& context);

  [[gnu::always_inline]] explicit SingleStep(Visitor visitor) {
    struct sigaction action = {};
    action.sa_sigaction = &OnTrap;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(Trap::kSignal, &action, &old_action_) != 0) std::abort();
    visitor_ = visitor;
    Trap::Begin();
  }
  [[gnu::always_inline]] ~SingleStep() {
    visitor_ = nullptr;
    asm volatile("nop" : : : "memory");  // the handler stops here
    if (sigaction(Trap::kSignal, &old_action_, nullptr) != 0) std::abort();
  }
  SingleStep(const SingleStep&) = delete;
  SingleStep& operator=(const SingleStep&) = delete;

 private:
  static void OnTrap(int, siginfo_t*, void* raw_context) {
    auto* const context = static_cast<ucontext_t*>(raw_context);
    Trap::Clear();
#if defined(__loongarch__) || defined(__powerpc64__)
    DescribeSignalFrame(__builtin_return_address(0), *context);
#endif
    const Visitor visitor = visitor_;
    if (visitor != nullptr) visitor(*context);
    Trap::Continue(*context, visitor != nullptr);
  }

  static inline Visitor volatile visitor_ = nullptr;
  struct sigaction old_action_;
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_SUPPORT_SINGLE_STEP_H_
