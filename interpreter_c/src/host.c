/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What the library is, and on what it runs. Which instruction sets may be used: those that the library was compiled
 * with and the processor has. A host is asked for what its vectors need, as one library serves many; elsewhere the
 * compiler's options named the processor. */
#include "dqnn/dqnn.h"

#if DQNN_HAVE_DOTPROD && defined(__linux__)
#include <sys/auxv.h>
#elif DQNN_HAVE_DOTPROD && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
/* As many features as the options in kernels/sources.cmake let the compiler use. */
static uint32_t vectors(void) {
  uint32_t mask = 0;
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt")) {
    mask |= (uint32_t)DQNN_HAVE_AVX2 << DQNN_ISA_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
      mask |= (uint32_t)DQNN_HAVE_AVX512 << DQNN_ISA_avx512;
      if (__builtin_cpu_supports("avx512vnni")) {
        mask |= (uint32_t)DQNN_HAVE_VNNI << DQNN_ISA_vnni;
      }
    }
  }
  return mask;
}
#else
/* 64-bit Arm always has the vectors of `neon`, and of the rest only the system knows. */
static int has_dotprod(void) {
#if DQNN_HAVE_DOTPROD && defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif DQNN_HAVE_DOTPROD && defined(__APPLE__)
  int has = 0; /* before macOS 12, which first had the name, it stays 0 */
  size_t size = sizeof has;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has != 0;
#else
  return 0;
#endif
}

static uint32_t vectors(void) {
  uint32_t mask = (uint32_t)DQNN_HAVE_NEON << DQNN_ISA_neon;
  return has_dotprod() ? mask | 1u << DQNN_ISA_dotprod : mask;
}
#endif

uint32_t dqnn_version(void) {
  return DQNN_VERSION;
}

uint32_t dqnn_host_isas(void) {
  return vectors() | 1u << DQNN_ISA_ref | (uint32_t)DQNN_HAVE_PORTABLE << DQNN_ISA_portable |
         (uint32_t)DQNN_HAVE_WINOGRAD << DQNN_ISA_winograd | (uint32_t)DQNN_HAVE_MVE << DQNN_ISA_mve |
         (uint32_t)DQNN_HAVE_PACKED << DQNN_ISA_packed;
}
