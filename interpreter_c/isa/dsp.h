/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Armv7E-M and Armv8-M with the DSP extension (Cortex-M4, M7, M33): dual 16-bit multiply-accumulate.
 * Guarded names replace those of portable.h; the sums are the same integers. */
#ifndef DQNN_ISA_DSP_H
#define DQNN_ISA_DSP_H

#include <stdint.h>

static inline __attribute__((always_inline)) uint32_t dqnn_dsp_sxtb16(uint32_t x) {
  uint32_t y;
  __asm__("sxtb16 %0, %1" : "=r"(y) : "r"(x));
  return y;
}

static inline __attribute__((always_inline)) uint32_t dqnn_dsp_sxtb16_high(uint32_t x) {
  uint32_t y;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(x));
  return y;
}

static inline __attribute__((always_inline)) int32_t dqnn_dsp_smlad(uint32_t a, uint32_t b, int32_t sum) {
  int32_t y;
  __asm__("smlad %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(sum));
  return y;
}

/* Bytes 0, 2 (low) or 1, 3 (high) of x, sign-extended to halfwords, each plus the halfword of `add`. */
#define DQNN_OWN_WIDEN_S8
static inline __attribute__((always_inline)) void dqnn_widen_s8(uint32_t x, uint32_t add, uint32_t pairs[2]) {
  uint32_t even, odd;
  __asm__("sxtab16 %0, %1, %2" : "=r"(even) : "r"(add), "r"(x));
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(add), "r"(x));
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pairs[0]) : "r"(even), "r"(odd));
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pairs[1]) : "r"(odd), "r"(even));
}

/* Products of one weight word (a pair of each of two channels) with a pair. */
#define DQNN_DOT_WORD(w, x, a, b)                                                                                     \
  "sxtb16 %[t], %[" w "]\n sxtb16 %[" w "], %[" w "], ror #8\n smlad %[" a "], %[t], %[" x "], %[" a "]\n smlad %[" b \
  "], %[" w "], %[" x "], %[" b "]\n"

/* Eight pairs, those of one word after the other or of two words at a time: three pipelined loads, 4 extensions and 4
 * multiply-accumulates for 8 products take 12 cycles on a Cortex-M4, twice that for 16 takes 23. */
#if DQNN_ARM_ALL_REGISTERS
#define DQNN_DOT_EIGHT                                                                                              \
  ".rept 4\n"                                                                                                       \
  "  ldr %[p], [%[x]], #4\n ldr %[p2], [%[x]], #4\n ldr %[u], [%[w0]], #4\n ldr %[u2], [%[w0]], #4\n"               \
  "  ldr %[v], [%[w1]], #4\n ldr %[v2], [%[w1]], #4\n" DQNN_DOT_WORD("u", "p", "a", "b")                            \
      DQNN_DOT_WORD("v", "p", "c", "d") DQNN_DOT_WORD("u2", "p2", "a", "b") DQNN_DOT_WORD("v2", "p2", "c", "d") ".endr\n"
#define DQNN_DOT_FREE u, v, p, t, u2, v2, p2
#define DQNN_DOT_SECOND , [p2] "=&r"(p2), [u2] "=&r"(u2), [v2] "=&r"(v2)
#else
#define DQNN_DOT_EIGHT                                                                                              \
  ".rept 8\n"                                                                                                       \
  "  ldr %[p], [%[x]], #4\n ldr %[u], [%[w0]], #4\n ldr %[v], [%[w1]], #4\n" DQNN_DOT_WORD("u", "p", "a", "b")       \
      DQNN_DOT_WORD("v", "p", "c", "d") ".endr\n"
#define DQNN_DOT_FREE u, v, p, t
#define DQNN_DOT_SECOND
#endif

#define DQNN_OWN_DOT_1X4
static inline __attribute__((always_inline)) void dqnn_dot_1x4(const uint32_t *w0, const uint32_t *w1,
                                                               const uint32_t *x, uint32_t pairs, int32_t acc[4]) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  uint32_t DQNN_DOT_FREE;
  const uint32_t *end = x + (pairs & ~7u);
  while (x < end) {
    __asm__ volatile(DQNN_DOT_EIGHT
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w0] "+r"(w0), [w1] "+r"(w1),
                       [p] "=&r"(p), [u] "=&r"(u), [v] "=&r"(v), [t] "=&r"(t) DQNN_DOT_SECOND
                     :
                     : "memory");
  }
  for (pairs &= 7u; pairs; pairs--) {
    p = *x++;
    u = *w0++;
    v = *w1++;
    a = dqnn_dsp_smlad(dqnn_dsp_sxtb16(u), p, a);
    b = dqnn_dsp_smlad(dqnn_dsp_sxtb16_high(u), p, b);
    c = dqnn_dsp_smlad(dqnn_dsp_sxtb16(v), p, c);
    d = dqnn_dsp_smlad(dqnn_dsp_sxtb16_high(v), p, d);
  }
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
}

/* acc[i] += (byte i of x + half of add) * byte i of w */
#define DQNN_OWN_MULTIPLY_BYTES
static inline __attribute__((always_inline)) void dqnn_multiply_bytes(uint32_t x, uint32_t add, uint32_t w,
                                                                      int32_t acc[4]) {
  uint32_t even, odd, low = dqnn_dsp_sxtb16(w), high = dqnn_dsp_sxtb16_high(w);
  __asm__("sxtab16 %0, %1, %2" : "=r"(even) : "r"(add), "r"(x));
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(add), "r"(x));
  __asm__("smlabb %0, %1, %2, %0" : "+r"(acc[0]) : "r"(even), "r"(low));
  __asm__("smlabb %0, %1, %2, %0" : "+r"(acc[1]) : "r"(odd), "r"(high));
  __asm__("smlatt %0, %1, %2, %0" : "+r"(acc[2]) : "r"(even), "r"(low));
  __asm__("smlatt %0, %1, %2, %0" : "+r"(acc[3]) : "r"(odd), "r"(high));
}

#endif
