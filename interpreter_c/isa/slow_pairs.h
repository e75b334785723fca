/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Cores without halfword products whose multiplier takes 32 cycles (a Cortex-M0+ may have such a one; DQNN_SLOW_MULTIPLY):
 * products are differences of two numbers of a table, as a * b = q(a + b) - q(a - b) for q(n) = n * n / 4, rounded down.
 *
 * Columns of four pixels are turned first: a tap is four halfwords, 2 * (x + 256), which are bytes from the table's
 * element -256 on. */
#ifndef DQNN_ISA_SLOW_PAIRS_H
#define DQNN_ISA_SLOW_PAIRS_H

#include <stdint.h>

#define DQNN_COLUMNS_TURN 1
enum { DQNN_QUARTERS = 768, DQNN_QUARTERS_ZERO = 384 };

/* Element DQNN_QUARTERS_ZERO + n is q(n): sums and differences of two 9-bit numbers, of which one has 8 (kernels/quarters.c). */
extern const uint16_t dqnn_quarters[DQNN_QUARTERS];

static inline const uint16_t *dqnn_quarters_at(int32_t n) {
  return dqnn_quarters + DQNN_QUARTERS_ZERO + n;
}

/* |a + b|, |a - b| < 384 */
#define DQNN_OWN_PRODUCT
static inline int32_t dqnn_product(int32_t a, int32_t b) {
  return *dqnn_quarters_at(a + b) - *dqnn_quarters_at(a - b);
}

static inline uint32_t dqnn_two_offsets(int32_t a, int32_t b) {
  return ((uint32_t)(a + 256) | (uint32_t)(b + 256) << 16) << 1;
}

static __attribute__((noinline, unused)) void dqnn_turn_columns(uint32_t *column, uint32_t pairs, int32_t zero_point) {
  (void)zero_point;
  for (uint32_t *end = column + 4 * pairs; column < end; column += 4) {
    const int32_t a = (int32_t)column[0], b = (int32_t)column[1], c = (int32_t)column[2], d = (int32_t)column[3];
    column[0] = dqnn_two_offsets((int16_t)(a & 0xffff), (int16_t)(b & 0xffff));
    column[1] = dqnn_two_offsets((int16_t)(c & 0xffff), (int16_t)(d & 0xffff));
    column[2] = dqnn_two_offsets(a >> 16, b >> 16);
    column[3] = dqnn_two_offsets(c >> 16, d >> 16);
  }
}

/* Taps of four pixels that lie `step` bytes apart, turned at once; returns where the column goes on. */
static inline uint32_t *dqnn_put_turned(const int8_t *from, uint32_t step, uint32_t taps, int32_t zero_point,
                                        uint32_t *column) {
  const int8_t *b = from + step, *c = b + step, *d = c + step;
  for (const int8_t *end = from + taps; from < end; column += 2) {
    column[0] = dqnn_two_offsets(*from++ - zero_point, *b++ - zero_point);
    column[1] = dqnn_two_offsets(*c++ - zero_point, *d++ - zero_point);
  }
  return column;
}

/* The same of two pixels, pixels 0 and 1 or, from the second word on, 2 and 3. */
static inline uint32_t *dqnn_put_two_turned(const int8_t *a, const int8_t *b, uint32_t taps, int32_t zero_point,
                                            uint32_t *column) {
  for (const int8_t *end = a + taps; a < end; column += 2) {
    *column = dqnn_two_offsets(*a++ - zero_point, *b++ - zero_point);
  }
  return column;
}

/* clang-format off */

/* Registers: r0 column, r1 weights, r2 end, r3, r4 cells and numbers of the table, r5, r6 the table for a weight, r7 zero; r8 to
 * r11 sums, lr the table. 43 cycles for four products. */
#define DQNN_SLOW_PIXEL(at, sum) "ldrh r4,[r0,#" at "]\n ldrh r3,[r5,r4]\n ldrh r4,[r6,r4]\n subs r3,r3,r4\n add " sum ",r3\n"
__attribute__((naked, noinline, unused)) static void dqnn_slow_dot(
    __attribute__((unused)) const uint32_t *x, __attribute__((unused)) const int8_t *w, __attribute__((unused)) const uint32_t *end,
    __attribute__((unused)) int32_t sums[4], __attribute__((unused)) const uint16_t *table) {
  __asm__(".syntax unified\n push {r3-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n"
          "ldr r4,[sp,#40]\n mov lr,r4\n movs r7,#0\n mov r8,r7\n mov r9,r7\n mov r10,r7\n mov r11,r7\n"
          "1: ldrsb r4,[r1,r7]\n adds r1,#2\n lsls r4,r4,#1\n mov r5,lr\n subs r6,r5,r4\n adds r5,r5,r4\n"
          DQNN_SLOW_PIXEL("0", "r8") DQNN_SLOW_PIXEL("2", "r9") DQNN_SLOW_PIXEL("4", "r10") DQNN_SLOW_PIXEL("6", "r11")
          "adds r0,#8\n cmp r0,r2\n bne 1b\n"
          "ldr r3,[sp,#16]\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n stm r3!,{r4-r7}\n"
          "pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r3-r7,pc}");
}

/* clang-format on */

#define DQNN_OWN_DOT_4X2
static inline void dqnn_dot_4x2(const uint32_t *w, const uint32_t *x, uint32_t pairs, int32_t zero_point, int32_t acc[8]) {
  const int8_t *weights = (const int8_t *)w;
  (void)zero_point;
  dqnn_slow_dot(x, weights, x + 4 * pairs, acc, dqnn_quarters_at(-256));
  dqnn_slow_dot(x, weights + 1, x + 4 * pairs, acc + 4, dqnn_quarters_at(-256));
}

#define DQNN_OWN_DOT_1X4
static inline void dqnn_dot_1x4(const uint32_t *w0, const uint32_t *w1, const uint32_t *x, uint32_t pairs, int32_t acc[4]) {
  const int8_t *u = (const int8_t *)w0, *v = (const int8_t *)w1;
  int32_t a = 0, b = 0, c = 0, d = 0;
  for (const uint32_t *end = x + pairs; x < end; x++, u += 2, v += 2) {
    int32_t cell = (int16_t)(*x & 0xffffu);
    for (uint32_t tap = 2;; tap = 1, cell = (int32_t)*x >> 16, u += 2, v += 2) {
      const uint16_t *sum = dqnn_quarters_at(cell), *difference = dqnn_quarters_at(-cell); /* q(-n) is q(n) */
      a += sum[u[0]] - difference[u[0]];
      b += sum[u[1]] - difference[u[1]];
      c += sum[v[0]] - difference[v[0]];
      d += sum[v[1]] - difference[v[1]];
      if (tap == 1) {
        break;
      }
    }
  }
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
}

#endif
