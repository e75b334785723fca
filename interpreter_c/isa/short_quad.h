/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Cores without halfword products (Cortex-M0+, M23): all channels of four pixels from their turned columns
 * (short_pairs.h) to s8 outputs. The sums of a channel stay in registers until they are outputs by the steps of steps.h.
 *
 * A record holds what a channel's sums begin with, where its weights are in, and how they become outputs; its weights are
 * read once for a layer instead of with each four pixels. Weights of which four in a row are at most 255 in all, signs
 * left out, have products that are added up four at a time before they are taken apart. */
#ifndef DQNN_ISA_SHORT_QUAD_H
#define DQNN_ISA_SHORT_QUAD_H

#include <stddef.h>
#include <stdint.h>

#include "affine.h"
#include "plans.h"

typedef struct {
  uint32_t rule; /* shift; DQNN_SHORT_REST, _FOURS, _SECOND; factor << 16 */
  int32_t begin, offset;
} dqnn_short_record;
enum { DQNN_SHORT_REST = 1 << 8, DQNN_SHORT_FOURS = 1 << 9, DQNN_SHORT_SECOND = 1 << 10, DQNN_SHORT_MOST = 255 };

/* Assembly reads the fields by their places. */
typedef struct {
  const uint32_t *columns, *weights;
  const dqnn_short_record *records;
  int8_t *out;
  uint32_t apart[3]; /* from the first pixel to the others, in bytes */
  uint32_t middle;   /* DQNN_SHORT_MIDDLE in both halves */
  int32_t twos, fours; /* what the B of a channel begins with */
  uint32_t unsure, far; /* as in dqnn_outputs */
  const dqnn_short_record *end;
  const void *plan;
  int32_t (*exact)(const void *plan, int32_t sum, const int8_t *out); /* what the steps leave open */
  const uint32_t *head, *columns_end; /* where whole rounds of eight taps begin, and end */
} dqnn_short_quad;

DQNN_WORD_IS(0, dqnn_short_quad, columns);
DQNN_WORD_IS(1, dqnn_short_quad, weights);
DQNN_WORD_IS(2, dqnn_short_quad, records);
DQNN_WORD_IS(3, dqnn_short_quad, out);
DQNN_WORD_IS(4, dqnn_short_quad, apart);
DQNN_WORD_IS(7, dqnn_short_quad, middle);
DQNN_WORD_IS(8, dqnn_short_quad, twos);
DQNN_WORD_IS(9, dqnn_short_quad, fours);
DQNN_WORD_IS(10, dqnn_short_quad, unsure);
DQNN_WORD_IS(11, dqnn_short_quad, far);
DQNN_WORD_IS(12, dqnn_short_quad, end);
DQNN_WORD_IS(13, dqnn_short_quad, plan);
DQNN_WORD_IS(14, dqnn_short_quad, exact);
DQNN_WORD_IS(15, dqnn_short_quad, head);
DQNN_WORD_IS(16, dqnn_short_quad, columns_end);
DQNN_WORDS_ARE(3, dqnn_short_record);
_Static_assert(DQNN_STEP_BITS == 21, "assembly shifts by it");

/* clang-format off */

/* Registers: r0 column, r1 weights, r2, r3, r5, r6 cells and products, r4 and r7 weights; r8, r9 A and B of pixels 0 and 1, r10, r11
 * of 2 and 3, r12 end, lr the middle. 24 cycles for the eight products of two taps, 43 for the sixteen of four, 3 for a round of
 * eight taps. The fields stand on the stack in their order. */
#define DQNN_QUAD_FIRST "ldm r1!,{r7}\n sxtb r4,r7\n asrs r7,r7,#16\n sxtb r7,r7\n"
#define DQNN_QUAD_SECOND "ldm r1!,{r7}\n asrs r7,r7,#8\n sxtb r4,r7\n asrs r7,r7,#16\n"
#define DQNN_QUAD_TWO(weights)                                                                                     \
  weights "ldm r0!,{r2,r3,r5,r6}\n muls r2,r4,r2\n muls r3,r4,r3\n muls r5,r7,r5\n muls r6,r7,r6\n"                \
  "adds r2,r2,r5\n adds r3,r3,r6\n"
#define DQNN_QUAD_MORE(weights)                                                                                    \
  weights "ldm r0!,{r5,r6}\n muls r5,r4,r5\n muls r6,r4,r6\n adds r2,r2,r5\n adds r3,r3,r6\n"                      \
  "ldm r0!,{r5,r6}\n muls r5,r7,r5\n muls r6,r7,r6\n adds r2,r2,r5\n adds r3,r3,r6\n"
#define DQNN_QUAD_COUNT(p, a, b) "add " a "," p "\n add " p ",lr\n lsrs " p "," p ",#16\n add " b "," p "\n"
#define DQNN_QUAD_COUNTS DQNN_QUAD_COUNT("r2", "r8", "r9") DQNN_QUAD_COUNT("r3", "r10", "r11")
#define DQNN_QUAD_PAIR(weights) DQNN_QUAD_TWO(weights) DQNN_QUAD_COUNTS
#define DQNN_QUAD_FOUR(weights) DQNN_QUAD_TWO(weights) DQNN_QUAD_MORE(weights) DQNN_QUAD_COUNTS
/* Pairs that are no whole round come first. */
#define DQNN_QUAD_SUMS(weights, over)                                                                              \
  "lsls r3,r3,#23\n bcs 19f\n ldr r4,[sp,#32]\n mov r9,r4\n mov r11,r4\n bpl 13f\n"                                \
  "11:" DQNN_QUAD_PAIR(weights) "ldr r2,[sp,#60]\n cmp r0,r2\n bne 11b\n cmp r0,r12\n bne 12f\n b " over "\n"       \
  "12: ldr r2,[sp,#8]\n ldr r2,[r2]\n lsls r2,r2,#23\n bcs 14f\n"                                                  \
  "13:" DQNN_QUAD_PAIR(weights) DQNN_QUAD_PAIR(weights) DQNN_QUAD_PAIR(weights) DQNN_QUAD_PAIR(weights)            \
  "cmp r0,r12\n bne 13b\n b " over "\n 19: ldr r4,[sp,#36]\n mov r9,r4\n mov r11,r4\n bmi 11b\n"                    \
  "14:" DQNN_QUAD_FOUR(weights) DQNN_QUAD_FOUR(weights) "cmp r0,r12\n bne 14b\n"

/* Of two pixels; begin in r6. */
#define DQNN_QUAD_TAKE(a, b)                                                                                       \
  "mov r4," a "\n mov r5," b "\n lsls r1,r5,#16\n subs r4,r4,r1\n adds r4,r4,r6\n adds r5,r5,r6\n mov " a ",r4\n mov " b ",r5\n"
/* A sum in r4; r0 out, r2 shift, r3 factor, r7 offset, lr unsure. 17 cycles. */
#define DQNN_QUAD_RULE(n, take, put)                                                                               \
  take "asrs r4,r4,r2\n sxth r5,r4\n cmp r5,r4\n bne 5" n "f\n muls r4,r3,r4\n adds r4,r4,r7\n asrs r5,r4,#21\n"   \
  "sxtb r6,r5\n cmp r6,r5\n bne 6" n "f\n lsls r4,r4,#11\n cmp r4,lr\n blo 7" n "f\n 8" n ":" put
#define DQNN_QUAD_PUT(at) "ldr r6,[sp,#" at "]\n strb r5,[r0,r6]\n"
#define DQNN_QUAD_OPEN(n, sum)                                                                                     \
  "5" n ": ldr r6,[sp,#44]\n cmp r6,#0\n bne 6" n "f\n 7" n ": mov r1," sum "\n bl 40f\n b 8" n "b\n"              \
  "6" n ": asrs r5,r4,#31\n movs r6,#127\n eors r5,r6\n b 8" n "b\n"

__attribute__((naked, noinline, unused)) static void dqnn_short_quads(__attribute__((unused)) const dqnn_short_quad *quad) {
  __asm__(
      ".syntax unified\n push {r4-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n sub sp,#68\n mov r1,sp\n"
      "ldm r0!,{r2-r7}\n stm r1!,{r2-r7}\n ldm r0!,{r2-r7}\n stm r1!,{r2-r7}\n ldm r0!,{r2-r6}\n stm r1!,{r2-r6}\n mov r12,r6\n"
      "10: ldr r2,[sp,#28]\n mov lr,r2\n ldr r2,[sp,#8]\n ldr r3,[r2]\n movs r4,#0\n mov r8,r4\n mov r10,r4\n"
      "ldr r0,[sp]\n ldr r1,[sp,#4]\n lsrs r4,r3,#11\n bcc 15f\n b 20f\n 15:" DQNN_QUAD_SUMS(DQNN_QUAD_FIRST, "30f") "b 30f\n"
      "20:" DQNN_QUAD_SUMS(DQNN_QUAD_SECOND, "29f") "29: str r1,[sp,#4]\n"
      "30: ldr r1,[sp,#8]\n ldm r1!,{r2,r6,r7}\n str r1,[sp,#8]\n asrs r3,r2,#16\n"
      DQNN_QUAD_TAKE("r10", "r11") DQNN_QUAD_TAKE("r8", "r9") "ldr r0,[sp,#12]\n ldr r6,[sp,#40]\n mov lr,r6\n"
      DQNN_QUAD_RULE("0", "", "strb r5,[r0]\n") DQNN_QUAD_RULE("1", "mov r4,r9\n", DQNN_QUAD_PUT("16"))
      DQNN_QUAD_RULE("2", "mov r4,r10\n", DQNN_QUAD_PUT("20")) DQNN_QUAD_RULE("3", "mov r4,r11\n", DQNN_QUAD_PUT("24"))
      "adds r0,#1\n str r0,[sp,#12]\n ldr r1,[sp,#8]\n ldr r2,[sp,#48]\n cmp r1,r2\n beq 9f\n b 10b\n"
      DQNN_QUAD_OPEN("0", "r8") DQNN_QUAD_OPEN("1", "r9") DQNN_QUAD_OPEN("2", "r10") DQNN_QUAD_OPEN("3", "r11")
      "40: push {r0,r2,r3,lr}\n mov r4,r12\n mov r2,r0\n ldr r0,[sp,#68]\n ldr r3,[sp,#72]\n blx r3\n mov r12,r4\n mov r5,r0\n"
      "pop {r0,r2,r3,r6}\n ldr r1,[sp,#40]\n mov lr,r1\n bx r6\n"
      "9: add sp,#68\n pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r4-r7,pc}");
}

/* clang-format on */

/* Sums of the weights of two channels. */
static inline void dqnn_short_sums(const uint32_t *w, uint32_t pairs, int32_t sums[2]) {
  enum { PART = 256 /* words whose bytes fit halves */ };
  sums[0] = sums[1] = -256 * (int32_t)pairs;
  for (uint32_t n; pairs; pairs -= n) {
    uint32_t even = 0, odd = 0;
    n = pairs < PART ? pairs : PART;
    for (const uint32_t *end = w + n; w < end;) {
      const uint32_t word = *w++ ^ 0x80808080u;
      even += word & 0x00ff00ffu;
      odd += word >> 8 & 0x00ff00ffu;
    }
    sums[0] += (int32_t)((even & 0xffffu) + (even >> 16));
    sums[1] += (int32_t)((odd & 0xffffu) + (odd >> 16));
  }
}

/* Which of two channels have weights for blocks of four taps: its DQNN_SHORT_FOURS in the low half, the second one's in
 * the high one. Pairs that are no whole round come before them. */
static inline uint32_t dqnn_short_fours(const uint32_t *w, uint32_t pairs) {
  const uint32_t *const end = w + pairs;
  uint32_t over = 0;
  for (w += pairs & 3u; w < end; w += 2) {
    uint32_t even = 0, odd = 0;
    for (uint32_t i = 0; i < 2; i++) {
      const uint32_t negative = w[i] >> 7 & 0x01010101u, size = (w[i] ^ negative * 255u) + negative;
      even += size & 0x00ff00ffu;
      odd += size >> 8 & 0x00ff00ffu;
    }
    over |= ((even + (even >> 16)) & 0xffffu) | (odd + (odd >> 16)) << 16;
  }
  return (over & 0xff00u ? 0 : (uint32_t)DQNN_SHORT_FOURS) |
         (over & 0xff000000u ? 0 : (uint32_t)DQNN_SHORT_FOURS << 16);
}

#endif
