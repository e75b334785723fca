/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Cores without halfword products (Cortex-M0+, M23): two products of a weight with two pixels are one multiplication.
 *
 * Columns of four pixels are turned first: a tap is two words, pixel 0 plus 2^16 times pixel 1, and pixels 2 and 3. A
 * product with a weight is P = a + 2^16 b, where |a|, |b| <= 255 * 128 < 2^15, so that b is (P + 2^15) >> 16. A counts
 * the products, B the b's: the sums are B of the upper pixel and A - 2^16 B of the lower one, modulo 2^32, whatever wraps. */
#ifndef DQNN_ISA_SHORT_PAIRS_H
#define DQNN_ISA_SHORT_PAIRS_H

#include <stdint.h>

static __attribute__((noinline, unused)) void dqnn_turn_columns(uint32_t *column, uint32_t pairs) {
  for (uint32_t *end = column + 4 * pairs; column < end; column += 4) {
    const uint32_t a = column[0], b = column[1], c = column[2], d = column[3], high = 0xffff0000u;
    column[0] = (uint32_t)(int32_t)(int16_t)(a & 0xffffu) + (b << 16);
    column[1] = (uint32_t)(int32_t)(int16_t)(c & 0xffffu) + (d << 16);
    column[2] = (uint32_t)((int32_t)a >> 16) + (b & high);
    column[3] = (uint32_t)((int32_t)c >> 16) + (d & high);
  }
}

/* clang-format off */

/* Registers: r0 column, r1 weights, r2 2^15, r3 sums, r4 weight, r5 and r6 products, r7 weights of a pair; r8, r9 A and B of
 * pixels 0 and 1, r10, r11 of 2 and 3; lr end. 34 cycles for eight products. */
#define DQNN_SHORT_COUNT(p, a, b) "add " a "," p "\n adds " p "," p ",r2\n asrs " p "," p ",#16\n add " b "," p "\n"
#define DQNN_SHORT_TAP(weight)                                                   \
  "ldm r0!,{r5,r6}\n muls r5," weight ",r5\n muls r6," weight ",r6\n"            \
  DQNN_SHORT_COUNT("r5", "r8", "r9") DQNN_SHORT_COUNT("r6", "r10", "r11")
#define DQNN_SHORT_SUMS(a, b) "mov r4," a "\n mov r5," b "\n lsls r6,r5,#16\n subs r4,r4,r6\n stm r3!,{r4,r5}\n"
#define DQNN_SHORT_DOT(name, first, second)                                                                                     \
  __attribute__((naked, noinline, unused)) static void name(                                                                    \
      __attribute__((unused)) const uint32_t *x, __attribute__((unused)) const uint32_t *w,                                     \
      __attribute__((unused)) const uint32_t *end, __attribute__((unused)) int32_t sums[4]) {                                   \
    __asm__(".syntax unified\n push {r4-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n mov lr,r2\n"      \
            "movs r4,#0\n mov r8,r4\n mov r9,r4\n mov r10,r4\n mov r11,r4\n movs r2,#1\n lsls r2,r2,#15\n"                         \
            "1: ldm r1!,{r7}\n" first DQNN_SHORT_TAP("r4") second DQNN_SHORT_TAP("r7") "cmp r0,lr\n bne 1b\n"                     \
            DQNN_SHORT_SUMS("r8", "r9") DQNN_SHORT_SUMS("r10", "r11")                                                           \
            "pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r4-r7,pc}");                                    \
  }
/* The first channel of a pair has bytes 0 and 2 of the weights, the second one bytes 1 and 3. */
DQNN_SHORT_DOT(dqnn_short_first, "sxtb r4,r7\n", "asrs r7,r7,#16\n sxtb r7,r7\n")
DQNN_SHORT_DOT(dqnn_short_second, "asrs r7,r7,#8\n sxtb r4,r7\n", "asrs r7,r7,#16\n")

/* clang-format on */

#define DQNN_OWN_DOT_4X2
static inline void dqnn_dot_4x2(const uint32_t *w, const uint32_t *x, uint32_t pairs, int32_t acc[8]) {
  dqnn_short_first(x, w, x + 4 * pairs, acc);
  dqnn_short_second(x, w, x + 4 * pairs, acc + 4);
}

#endif
