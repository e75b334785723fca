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
#define DQNN_HAVE_WIDEN_S8
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

/* A pair: three pipelined loads, 4 extensions, 4 multiply-accumulates: 12 cycles for 8 products on a Cortex-M4. */
#define DQNN_HAVE_DOT_1X4
static inline __attribute__((always_inline)) void dqnn_dot_1x4(const uint32_t *w0, const uint32_t *w1,
                                                               const uint32_t *x, uint32_t pairs, int32_t acc[4]) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  uint32_t u, v, p, t;
  const uint32_t *end = x + (pairs & ~3u);
  while (x < end) {
    __asm__ volatile(
        ".rept 4\n"
        "  ldr %[p], [%[x]], #4\n ldr %[u], [%[w0]], #4\n ldr %[v], [%[w1]], #4\n" DQNN_DOT_WORD("u", "p", "a", "b")
            DQNN_DOT_WORD("v", "p", "c", "d") ".endr\n"
        : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w0] "+r"(w0), [w1] "+r"(w1), [p] "=&r"(p),
          [u] "=&r"(u), [v] "=&r"(v), [t] "=&r"(t)
        :
        : "memory");
  }
  for (pairs &= 3u; pairs; pairs--) {
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
#define DQNN_HAVE_MULTIPLY_BYTES
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

#if defined(__ARM_FP)
/* One pair: 5 pipelined loads, 2 extensions, 8 multiply-accumulates: 17 cycles for 16 products on a Cortex-M4. All
 * encodings are 32 bits wide, 60 bytes in all, so that a first block of fewer than 16 pairs can be entered in the
 * middle. All 14 registers are taken: the end of the column waits in a float register. */
#define DQNN_HAVE_DOT_4X2
static inline __attribute__((always_inline)) void dqnn_dot_4x2(const uint32_t *w, const uint32_t *x, uint32_t pairs,
                                                               int32_t acc[8]) {
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
  uint32_t skip = (0u - pairs) & 15u, end = (uint32_t)(uintptr_t)(x + 4 * pairs), entry = skip * 60u, v, p, q;
  w -= skip;
  x -= 4 * skip;
  __asm__ volatile(
      "  adr.w %[v], 1f\n"
      "  add %[entry], %[v]\n"
      "  orr %[entry], %[entry], #1\n"
      "  bx %[entry]\n"
      "  .balign 4\n"
      "1: .set o, 0\n"
      "  .rept 16\n"
      "  ldr.w %[v], [%[w], #o*4]\n"
      "  ldr.w %[p], [%[x], #o*16]\n"
      "  ldr.w %[q], [%[x], #o*16+4]\n"
      "  sxtb16.w %[entry], %[v]\n"
      "  sxtb16.w %[v], %[v], ror #8\n"
      "  smlad %[a0], %[entry], %[p], %[a0]\n"
      "  smlad %[a1], %[entry], %[q], %[a1]\n"
      "  smlad %[b0], %[v], %[p], %[b0]\n"
      "  smlad %[b1], %[v], %[q], %[b1]\n"
      "  ldr.w %[p], [%[x], #o*16+8]\n"
      "  ldr.w %[q], [%[x], #o*16+12]\n"
      "  smlad %[a2], %[entry], %[p], %[a2]\n"
      "  smlad %[a3], %[entry], %[q], %[a3]\n"
      "  smlad %[b2], %[v], %[p], %[b2]\n"
      "  smlad %[b3], %[v], %[q], %[b3]\n"
      "  .set o, o+1\n"
      "  .endr\n"
      "  add %[x], %[x], #256\n"
      "  add %[w], %[w], #64\n"
      "  vmov %[p], %[end]\n"
      "  cmp %[x], %[p]\n"
      "  bne.w 1b\n"
      : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3), [b0] "+r"(b0), [b1] "+r"(b1), [b2] "+r"(b2),
        [b3] "+r"(b3), [x] "+r"(x), [w] "+r"(w), [entry] "+r"(entry), [v] "=&r"(v), [p] "=&r"(p), [q] "=&r"(q)
      : [end] "t"(end)
      : "cc", "memory");
  acc[0] = a0;
  acc[1] = a1;
  acc[2] = a2;
  acc[3] = a3;
  acc[4] = b0;
  acc[5] = b1;
  acc[6] = b2;
  acc[7] = b3;
}
#endif

#endif
