// Whether a switch describes itself to unwinders.

#ifndef FRINGE_ARCH_CFI_H_
#define FRINGE_ARCH_CFI_H_

// 1 where every function is described to unwinders by CFI, at every instruction, so that a
// statement of assembler may change the description. 0 where some are not: an assembler takes no
// CFI outside of a description.
//
// GCC tells. Clang says only that some functions are described: with
// -fno-asynchronous-unwind-tables, or where that is its default, those are not that let no
// exception through. On 32-bit Arm it never describes one by CFI without -g, on s390x (System Z)
// its default is off, and on RISC-V it was before Clang 17 (LLVM's revision D145164). A program
// that gives the flag itself has to define this as 0.
#if !defined(FRINGE_ARCH_CFI)
#if !defined(__GCC_HAVE_DWARF2_CFI_ASM)
#define FRINGE_ARCH_CFI 0
#elif defined(__clang__) && (defined(__arm__) || defined(__s390x__))
#define FRINGE_ARCH_CFI 0
#elif defined(__clang__) && defined(__riscv) && __clang_major__ < 17
#define FRINGE_ARCH_CFI 0
#else
#define FRINGE_ARCH_CFI 1
#endif
#endif

#endif  // FRINGE_ARCH_CFI_H_
