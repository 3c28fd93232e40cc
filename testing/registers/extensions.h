// Registers that a function can have and its file lacks, because of an attribute, a pragma or
// link-time optimisation. A switch that is inlined there must preserve their values.

#ifndef FRINGE_TESTING_REGISTERS_EXTENSIONS_H_
#define FRINGE_TESTING_REGISTERS_EXTENSIONS_H_

#if defined(__aarch64__) || defined(__arm__) || defined(__loongarch__) || defined(__mips64) || \
    defined(__powerpc64__)
#include <sys/auxv.h>
#endif

// Callers of such a function assume that it changes every register that the ABI allows. (GCC
// analyses the function unless told not to.)
#if defined(__clang__)
#define FRINGE_OPAQUE_FUNCTION [[gnu::noinline]]
#else
#define FRINGE_OPAQUE_FUNCTION [[gnu::noipa]]
#endif

namespace fringe::testing {

#if defined(__x86_64__) || defined(__i386__)

inline bool HasAvx512() {
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

#if defined(__x86_64__)
#define FRINGE_VECTOR_NUMBERS                                                                      \
  "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, " \
  "26, 27, 28, 29, 30, 31"
#else
#define FRINGE_VECTOR_NUMBERS "0, 1, 2, 3, 4, 5, 6, 7"
#endif

FRINGE_OPAQUE_FUNCTION [[gnu::target("avx512f,avx512bw")]] inline void ScrambleAvx512() {
  asm volatile(".irp n, " FRINGE_VECTOR_NUMBERS
               "\n\t"
               "vpternlogd $255, %%zmm\\n, %%zmm\\n, %%zmm\\n\n\t"
               ".endr\n\t"
               ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
               "kxnorw %%k\\n, %%k\\n, %%k\\n\n\t"
               ".endr" ::
                   : "memory");
}
#undef FRINGE_VECTOR_NUMBERS

FRINGE_OPAQUE_FUNCTION [[gnu::target("avx2")]] inline void ScrambleAvx2() {
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
      "vpcmpeqd %%ymm\\n, %%ymm\\n, %%ymm\\n\n\t"
      ".endr" ::
          : "memory");
}

FRINGE_OPAQUE_FUNCTION [[gnu::target("sse2")]] inline void ScrambleSse2() {
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n\t"
      "pcmpeqd %%xmm\\n, %%xmm\\n\n\t"
      "pcmpeqd %%mm\\n, %%mm\\n\n\t"
      ".endr\n\t"
      "emms" ::
          : "memory");
}

// Overwrites those that this CPU has.
inline void ScrambleExtensions() {
  if (__builtin_cpu_supports("sse2")) ScrambleSse2();
  if (__builtin_cpu_supports("avx2")) ScrambleAvx2();
  if (HasAvx512()) ScrambleAvx512();
}

#elif defined(__aarch64__) && !defined(__clang__)

inline bool HasSve() { return (getauxval(AT_HWCAP) & HWCAP_SVE) != 0; }

FRINGE_OPAQUE_FUNCTION [[gnu::target("+sve")]] inline void ScrambleSve() {
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "mov z\\n\\().b, 0x5a\n\t"
      ".endr\n\t"
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
      "pfalse p\\n\\().b\n\t"
      ".endr\n\t"
      "wrffr p0.b"
      // A callee preserves the lower halves of these.
      ::
          : "memory", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15");
}

inline void ScrambleExtensions() {
  if (HasSve()) ScrambleSve();
}

#elif defined(__arm__) && !defined(__clang__)

inline bool HasNeon() { return (getauxval(AT_HWCAP) & (1 << 12)) != 0; }  // HWCAP_NEON

FRINGE_OPAQUE_FUNCTION [[gnu::target("fpu=neon")]] inline void ScrambleNeon() {
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, "
      "31\n\t"
      "vmov.i8 d\\n, #0xa5\n\t"
      ".endr" ::
          : "memory");
}

inline void ScrambleExtensions() {
  if (HasNeon()) ScrambleNeon();
}

#elif defined(__loongarch__)

inline bool HasLasx() { return (getauxval(AT_HWCAP) & (1 << 5)) != 0; }  // HWCAP_LOONGARCH_LASX

FRINGE_OPAQUE_FUNCTION [[gnu::target("lasx")]] inline void ScrambleLasx() {
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "xvreplgr2vr.d $xr\\n, $zero\n\t"
      ".endr"
      // A callee preserves the lowest 64 bits of these.
      ::
          : "memory", "$f24", "$f25", "$f26", "$f27", "$f28", "$f29", "$f30", "$f31");
}

inline void ScrambleExtensions() {
  if (HasLasx()) ScrambleLasx();
}

#elif defined(__mips64) && defined(__clang__)

inline bool HasMsa() { return (getauxval(AT_HWCAP) & 2 /* HWCAP_MIPS_MSA */) != 0; }

FRINGE_OPAQUE_FUNCTION [[gnu::target("arch=mips64r5,msa")]] inline void ScrambleMsa() {
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n\t"
      "ldi.b $w\\n, 0x5a\n\t"
      ".endr"
      // A callee preserves the lower halves of these.
      ::
          : "memory", "$f24", "$f25", "$f26", "$f27", "$f28", "$f29", "$f30", "$f31");
}

inline void ScrambleExtensions() {
  if (HasMsa()) ScrambleMsa();
}

#elif defined(__powerpc64__)

// Clang 14 has no __builtin_cpu_supports here.
inline bool HasVsx() { return (getauxval(AT_HWCAP) & 0x80 /* PPC_FEATURE_HAS_VSX */) != 0; }

FRINGE_OPAQUE_FUNCTION [[gnu::target("altivec,vsx")]] inline void ScrambleVsx() {
  asm volatile(
      ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 32, 33, 34, 35, 36, 37, 38, 39, 40, "
      "41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51\n\t"
      "xxlxor \\n, \\n, \\n\n\t"
      ".endr" ::
          : "memory");
}

inline void ScrambleExtensions() {
  if (HasVsx()) ScrambleVsx();
}

#else

inline void ScrambleExtensions() {}

#endif

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_REGISTERS_EXTENSIONS_H_
