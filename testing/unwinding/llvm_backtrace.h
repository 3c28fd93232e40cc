// Backtraces of an interrupted program with LLVM's unwinder.
//
//   void OnTrap(const ucontext_t& context) {
//     const LlvmBacktrace backtrace(context);
//     found = backtrace.InOrder(functions);
//   }

#ifndef FRINGE_TESTING_UNWINDING_LLVM_BACKTRACE_H_
#define FRINGE_TESTING_UNWINDING_LLVM_BACKTRACE_H_

#include <libunwind.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace fringe::testing {

// The active functions, the innermost first.
//
// This unwinder treats every address as a return address and uses the rules in force before it,
// even for an address that a signal interrupted. Those may be the rules of the previous
// instruction. So the backtrace does not start in the signal handler. It starts with the
// interrupted registers and the address one byte further on.
class LlvmBacktrace {
 public:
  explicit LlvmBacktrace(const ucontext_t& context) {
    const auto& registers = context.uc_mcontext.gregs;
    auto pc = static_cast<uintptr_t>(registers[REG_RIP]);
    auto sp = static_cast<uintptr_t>(registers[REG_RSP]);
    constexpr unsigned char kReturn = 0xc3;
    if (*reinterpret_cast<const unsigned char*>(pc) == kReturn) {
      // The address one byte further on may be in no function.
      pc = *reinterpret_cast<const uintptr_t*>(sp);
      sp += sizeof(uintptr_t);
    } else {
      ++pc;
    }
    unw_context_t own;
    unw_cursor_t cursor;
    if (unw_getcontext(&own) != UNW_ESUCCESS || unw_init_local(&cursor, &own) != UNW_ESUCCESS) {
      std::abort();
    }
    constexpr struct {
      unw_regnum_t number;
      int index;
    } kRegisters[] = {
        {UNW_X86_64_RAX, REG_RAX}, {UNW_X86_64_RBX, REG_RBX}, {UNW_X86_64_RCX, REG_RCX},
        {UNW_X86_64_RDX, REG_RDX}, {UNW_X86_64_RSI, REG_RSI}, {UNW_X86_64_RDI, REG_RDI},
        {UNW_X86_64_RBP, REG_RBP}, {UNW_X86_64_R8, REG_R8},   {UNW_X86_64_R9, REG_R9},
        {UNW_X86_64_R10, REG_R10}, {UNW_X86_64_R11, REG_R11}, {UNW_X86_64_R12, REG_R12},
        {UNW_X86_64_R13, REG_R13}, {UNW_X86_64_R14, REG_R14}, {UNW_X86_64_R15, REG_R15},
    };
    for (const auto& [number, index] : kRegisters) {
      unw_set_reg(&cursor, number, static_cast<unw_word_t>(registers[index]));
    }
    unw_set_reg(&cursor, UNW_X86_64_RSP, sp);
    unw_set_reg(&cursor, UNW_REG_IP, pc);
    do {
      unw_proc_info_t function;
      if (unw_get_proc_info(&cursor, &function) != UNW_ESUCCESS) break;
      functions_[count_++] = reinterpret_cast<const void*>(function.start_ip);
    } while (count_ < kMaximum && unw_step(&cursor) > 0);
  }

  // Whether the given functions appear in this order, with any others in between.
  bool InOrder(std::span<const void* const> named) const {
    for (size_t i = 0; i < count_; ++i) {
      if (!named.empty() && functions_[i] == named.front()) named = named.subspan(1);
    }
    return named.empty();
  }

 private:
  static constexpr size_t kMaximum = 1024;

  const void* functions_[kMaximum];
  size_t count_ = 0;
};

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_UNWINDING_LLVM_BACKTRACE_H_
