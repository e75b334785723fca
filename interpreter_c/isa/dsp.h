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

/* Registers of dqnn_dots: r0 x, r1 and r2 weights of two channels each, r3 and r4 pairs of x, r5 to r8 words of weights,
 * r9 free, r10, r11, r12, lr sums. Products of a word (a pair of each of two channels) with a pair: */
#define DQNN_DOT_WORD(w, x, a, b) \
  "sxtb16 r9," w "\n sxtb16 " w "," w ",ror #8\n smlad " a ",r9," x "," a "\n smlad " b "," w "," x "," b "\n"
#define DQNN_DOT_PAIR(x, u, v) DQNN_DOT_WORD(u, x, "r10", "r11") DQNN_DOT_WORD(v, x, "r12", "lr")

/* Two pairs take 88 bytes: six pipelined loads, 8 extensions and 8 multiply-accumulates for 16 products, 23 cycles on a Cortex-M4.
 * Blocks of so many of them are entered in the middle; an odd pair comes first. */
#if DQNN_SMALL
#define DQNN_DOT_BLOCK "4"
#else
#define DQNN_DOT_BLOCK "8"
#endif

#define DQNN_OWN_DOTS
__attribute__((naked, noinline, unused)) static void dqnn_dots(__attribute__((unused)) const uint32_t *w,
                                                               __attribute__((unused)) const uint32_t *x,
                                                               __attribute__((unused)) uint32_t pairs,
                                                               __attribute__((unused)) int32_t *acc,
                                                               __attribute__((unused)) uint32_t channels) {
  __asm__(
      /* stack: first entry, entry to the block, end of x, acc, x, pairs; behind saved registers the channels to go */
      ".syntax unified\n push {r4-r11,lr}\n sub sp,#24\n strd r3,r1,[sp,#12]\n str r2,[sp,#20]\n add r4,r1,r2,lsl #2\n"
      "lsrs r3,r2,#1\n rsb r5,r3,#0\n and r5,r5,#" DQNN_DOT_BLOCK "-1\n it eq\n moveq r5,#" DQNN_DOT_BLOCK "\n"
      "adr.w r6,3f\n movs r7,#88\n mla r5,r5,r7,r6\n orr r5,r5,#1\n strd r5,r4,[sp,#4]\n"
      "adr.w r6,2f\n orr r6,r6,#1\n lsls r2,r2,#31\n it mi\n movmi r5,r6\n str r5,[sp]\n mov r1,r0\n"
      "1: ldr r0,[sp,#16]\n ldr r2,[sp,#20]\n ldr r3,[sp,#60]\n ldr r4,[sp]\n"
      "cmp r3,#2\n ite hi\n addhi.w r2,r1,r2,lsl #2\n movls r2,r1\n"
      "mov.w r10,#0\n mov r11,r10\n mov r12,r10\n mov lr,r10\n bx r4\n .balign 4\n"
      "2: ldr r3,[r0],#4\n ldr r5,[r1],#4\n ldr r7,[r2],#4\n" DQNN_DOT_PAIR("r3", "r5", "r7") "ldr r3,[sp,#4]\n bx r3\n .balign 4\n"
      "3: .rept " DQNN_DOT_BLOCK "\n ldr r3,[r0],#4\n ldr r4,[r0],#4\n ldr r5,[r1],#4\n ldr r6,[r1],#4\n ldr r7,[r2],#4\n ldr r8,[r2],#4\n"
      DQNN_DOT_PAIR("r3", "r5", "r7") DQNN_DOT_PAIR("r4", "r6", "r8") ".endr\n"
      "ldr r3,[sp,#8]\n cmp r0,r3\n bne.w 3b\n"
      "ldr r3,[sp,#12]\n ldr r4,[sp,#60]\n stm r3!,{r10,r11,r12,lr}\n str r3,[sp,#12]\n subs r4,#4\n str r4,[sp,#60]\n mov r1,r2\n"
      "bgt.w 1b\n add sp,#24\n pop {r4-r11,pc}");
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
