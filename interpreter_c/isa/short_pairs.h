/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Cores without halfword products (Cortex-M0+, M23): two products of a weight with two pixels are one multiplication.
 *
 * Columns of four pixels are turned first, with their zero point: a tap is two words, pixel 0 plus 2^16 times pixel 1, and
 * pixels 2 and 3. The products of two taps, P = a + 2^16 b, are added up before they are taken apart: a and b are -32512
 * to 32768, so that b + m is (P + m + 2^16 m) >> 16 for m = 32640. A counts the products, B the b's: the sums are B of the
 * upper pixel and A - 2^16 B of the lower one, modulo 2^32, whatever wraps, less the zero point times the weights. */
#ifndef DQNN_ISA_SHORT_PAIRS_H
#define DQNN_ISA_SHORT_PAIRS_H

#include <stdint.h>

#define DQNN_COLUMNS_TURN 1
enum { DQNN_SHORT_MIDDLE = 32640 };

static __attribute__((noinline, unused)) void dqnn_turn_columns(uint32_t *column, uint32_t pairs, int32_t zero_point) {
  const uint32_t zero = (uint32_t)zero_point * 0x10001u;
  for (uint32_t *end = column + 4 * pairs; column < end; column += 4) {
    const uint32_t a = column[0], b = column[1], c = column[2], d = column[3], high = 0xffff0000u;
    column[0] = (uint32_t)(int32_t)(int16_t)(a & 0xffffu) + (b << 16) + zero;
    column[1] = (uint32_t)(int32_t)(int16_t)(c & 0xffffu) + (d << 16) + zero;
    column[2] = (uint32_t)((int32_t)a >> 16) + (b & high) + zero;
    column[3] = (uint32_t)((int32_t)c >> 16) + (d & high) + zero;
  }
}

/* clang-format off */

/* Registers: r0 column, r1 weights, r2, r3, r5, r6 cells and products of two taps, r4 and r7 their weights; r8, r9 A and B of
 * pixels 0 and 1, r10, r11 of 2 and 3, r12 sum of the weights, lr what goes to a product. Stack: end, r8 to r11, sums, r4 to r7, lr,
 * what B begins at, zero point. 26 cycles for eight products, and 5 for a round of sixteen, whose first half an odd number leaves out. */
#define DQNN_SHORT_COUNT(p, a, b) "add " a "," p "\n add " p ",lr\n lsrs " p "," p ",#16\n add " b "," p "\n"
#define DQNN_SHORT_PAIR(weights)                                                                                      \
  "ldm r1!,{r7}\n" weights "add r12,r4\n add r12,r7\n ldm r0!,{r2,r3,r5,r6}\n muls r2,r4,r2\n muls r3,r4,r3\n"        \
  "muls r5,r7,r5\n muls r6,r7,r6\n adds r2,r2,r5\n adds r3,r3,r6\n"                                                   \
  DQNN_SHORT_COUNT("r2", "r8", "r9") DQNN_SHORT_COUNT("r3", "r10", "r11")
#define DQNN_SHORT_SUMS(a, b)                                                                                         \
  "mov r4," a "\n mov r5," b "\n adds r5,r5,r2\n lsls r6,r5,#16\n subs r4,r4,r6\n subs r4,r4,r7\n subs r5,r5,r7\n stm r3!,{r4,r5}\n"
#define DQNN_SHORT_DOT(name, weights)                                                                                          \
  __attribute__((naked, noinline, unused)) static void name(                                                                   \
      __attribute__((unused)) const uint32_t *x, __attribute__((unused)) const uint32_t *w,                                    \
      __attribute__((unused)) const uint32_t *end, __attribute__((unused)) int32_t sums[4],                                    \
      __attribute__((unused)) int32_t begin, __attribute__((unused)) int32_t zero_point) {                                     \
    __asm__(".syntax unified\n push {r3-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r2,r4-r7}\n"          \
            "movs r4,#0\n mov r8,r4\n mov r9,r4\n mov r10,r4\n mov r11,r4\n mov r12,r4\n movs r4,#255\n lsls r4,r4,#7\n"        \
            "lsls r5,r4,#16\n adds r4,r4,r5\n mov lr,r4\n subs r4,r2,r0\n lsls r4,r4,#27\n bmi 2f\n"                          \
            "1:" DQNN_SHORT_PAIR(weights) "2:" DQNN_SHORT_PAIR(weights) "ldr r2,[sp]\n cmp r0,r2\n bne 1b\n"                   \
            "ldr r7,[sp,#48]\n mov r4,r12\n muls r7,r4,r7\n ldr r3,[sp,#20]\n ldr r2,[sp,#44]\n"                             \
            DQNN_SHORT_SUMS("r8", "r9") DQNN_SHORT_SUMS("r10", "r11")                                                          \
            "pop {r2,r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r3-r7,pc}");                             \
  }
/* The first channel of a pair has bytes 0 and 2 of the weights, the second one bytes 1 and 3. */
DQNN_SHORT_DOT(dqnn_short_first, "sxtb r4,r7\n asrs r7,r7,#16\n sxtb r7,r7\n")
DQNN_SHORT_DOT(dqnn_short_second, "asrs r7,r7,#8\n sxtb r4,r7\n asrs r7,r7,#16\n")

/* An even number of taps of windows that lie `step` bytes apart, or begin at a and b, turned: r0 to r3 cells, r4 minus those to
 * go, r7 column; 17.5 cycles a tap, and 10.5. */
#define DQNN_SHORT_PUT(a, b, i, x, y) "ldrsb " x ",[" a "," i "]\n ldrsb " y ",[" b "," i "]\n lsls " y "," y ",#16\n adds " x "," x "," y "\n"
#define DQNN_SHORT_FOUR \
  DQNN_SHORT_PUT("r0", "r1", "r4", "r5", "r6") "stm r7!,{r5}\n" DQNN_SHORT_PUT("r2", "r3", "r4", "r5", "r6") "stm r7!,{r5}\n adds r4,#1\n"
__attribute__((naked, noinline, unused)) static void dqnn_short_put_four(__attribute__((unused)) const int8_t *from, __attribute__((unused)) uint32_t step,
                                                                         __attribute__((unused)) uint32_t taps, __attribute__((unused)) uint32_t *column) {
  __asm__(".syntax unified\n push {r4-r7,lr}\n mov r7,r3\n adds r0,r0,r2\n rsbs r4,r2,#0\n mov r5,r1\n adds r1,r0,r5\n adds r2,r1,r5\n adds r3,r2,r5\n"
          "1:" DQNN_SHORT_FOUR DQNN_SHORT_FOUR "bne 1b\n pop {r4-r7,pc}");
}
__attribute__((naked, noinline, unused)) static void dqnn_short_put_two(__attribute__((unused)) const int8_t *a, __attribute__((unused)) const int8_t *b,
                                                                        __attribute__((unused)) uint32_t taps, __attribute__((unused)) uint32_t *column) {
  __asm__(".syntax unified\n push {r4,r5,lr}\n adds r0,r0,r2\n adds r1,r1,r2\n rsbs r2,r2,#0\n"
          "1:" DQNN_SHORT_PUT("r0", "r1", "r2", "r4", "r5") "str r4,[r3]\n adds r2,#1\n" DQNN_SHORT_PUT("r0", "r1", "r2", "r4", "r5")
          "str r4,[r3,#8]\n adds r3,#16\n adds r2,#1\n bne 1b\n pop {r4,r5,pc}");
}

/* One pixel, two words of weights of two channels each. Registers: r0, r1 weights, r2 column, r3, r4 cells of a pair, r5 a word, r6 a
 * weight and its product, r7 end; r8 to r11 sums. 37.5 cycles for eight products, in rounds of sixteen, whose first half an odd
 * number leaves out. */
#define DQNN_SHORT_TIMES(sum, x, weight, p) weight "muls " p "," x "," p "\n add " sum "," p "\n"
#define DQNN_SHORT_WORD(w, a, b)                                                                                            \
  "ldm " w "!,{r5}\n" DQNN_SHORT_TIMES(a, "r3", "sxtb r6,r5\n", "r6") DQNN_SHORT_TIMES(b, "r3", "asrs r5,r5,#8\n sxtb r6,r5\n", "r6") \
  DQNN_SHORT_TIMES(a, "r4", "asrs r5,r5,#8\n sxtb r6,r5\n", "r6") DQNN_SHORT_TIMES(b, "r4", "asrs r5,r5,#8\n", "r5")
#define DQNN_SHORT_ONE "ldm r2!,{r4}\n sxth r3,r4\n asrs r4,r4,#16\n" DQNN_SHORT_WORD("r0", "r8", "r9") DQNN_SHORT_WORD("r1", "r10", "r11")
__attribute__((naked, noinline, unused)) static void dqnn_short_dot_one(__attribute__((unused)) const uint32_t *w0, __attribute__((unused)) const uint32_t *w1,
                                                                        __attribute__((unused)) const uint32_t *x, __attribute__((unused)) const uint32_t *end,
                                                                        __attribute__((unused)) int32_t acc[4]) {
  __asm__(".syntax unified\n push {r4-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n mov r7,r3\n"
          "movs r4,#0\n mov r8,r4\n mov r9,r4\n mov r10,r4\n mov r11,r4\n subs r4,r7,r2\n lsls r4,r4,#29\n bmi 2f\n"
          "1:" DQNN_SHORT_ONE "2:" DQNN_SHORT_ONE "cmp r2,r7\n bne 1b\n"
          "ldr r0,[sp,#36]\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n stm r0!,{r4-r7}\n"
          "pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r4-r7,pc}");
}

/* clang-format on */

static inline uint32_t dqnn_short_turned(int32_t a, int32_t b) {
  return (uint32_t)a + ((uint32_t)b << 16);
}

/* Taps of four pixels that lie `step` bytes apart, turned at once; returns where the column goes on. */
static inline uint32_t *dqnn_put_turned(const int8_t *from, uint32_t step, uint32_t taps, int32_t zero_point,
                                        uint32_t *column) {
  (void)zero_point;
  const uint32_t even = taps & ~1u;
  if (even) {
    dqnn_short_put_four(from, step, even, column);
  }
  if (taps & 1u) {
    const int8_t *last = from + even;
    column[2 * even] = dqnn_short_turned(last[0], last[step]);
    column[2 * even + 1] = dqnn_short_turned(last[2 * step], last[3 * step]);
  }
  return column + 2 * taps;
}

/* The same of two pixels, pixels 0 and 1 or, from the second word on, 2 and 3. */
static inline uint32_t *dqnn_put_two_turned(const int8_t *a, const int8_t *b, uint32_t taps, int32_t zero_point,
                                            uint32_t *column) {
  (void)zero_point;
  const uint32_t even = taps & ~1u;
  if (even) {
    dqnn_short_put_two(a, b, even, column);
  }
  if (taps & 1u) {
    column[2 * even] = dqnn_short_turned(a[even], b[even]);
  }
  return column + 2 * taps;
}

#define DQNN_OWN_DOT_1X4
static inline void dqnn_dot_1x4(const uint32_t *w0, const uint32_t *w1, const uint32_t *x, uint32_t pairs,
                                int32_t acc[4]) {
  dqnn_short_dot_one(w0, w1, x, x + pairs, acc);
}

#define DQNN_OWN_DOT_4X2
static inline void dqnn_dot_4x2(const uint32_t *w, const uint32_t *x, uint32_t pairs, int32_t zero_point, int32_t acc[8]) {
  const int32_t begin = -DQNN_SHORT_MIDDLE * (int32_t)pairs;
  dqnn_short_first(x, w, x + 4 * pairs, acc, begin, zero_point);
  dqnn_short_second(x, w, x + 4 * pairs, acc + 4, begin, zero_point);
}

#endif
