// Whether a switch describes itself to unwinders.

#ifndef FRINGE_ARCH_CFI_H_
#define FRINGE_ARCH_CFI_H_

// 1 if every function has CFI at every instruction, so that an asm statement may change it. 0 if
// some functions have none: an assembler rejects CFI outside of a described function.
//
// GCC defines a macro for it. Clang's macro says only that some functions have CFI: with
// -fno-asynchronous-unwind-tables, or where that is its default, functions that cannot throw are
// not described. On 32-bit Arm Clang writes CFI only with -g; on LoongArch, MIPS and s390x (System
// Z) its default is off, and on RISC-V it was before Clang 17 (LLVM's revision D145164). A program
// that gives the flag itself must define this as 0.
#if !defined(FRINGE_ARCH_CFI)
#if !defined(__GCC_HAVE_DWARF2_CFI_ASM)
#define FRINGE_ARCH_CFI 0
#elif defined(__clang__) && \
    (defined(__arm__) || defined(__loongarch__) || defined(__mips__) || defined(__s390x__))
#define FRINGE_ARCH_CFI 0
#elif defined(__clang__) && defined(__riscv) && __clang_major__ < 17
#define FRINGE_ARCH_CFI 0
#else
#define FRINGE_ARCH_CFI 1
#endif
#endif

#endif  // FRINGE_ARCH_CFI_H_
