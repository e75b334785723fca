/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Inline primitives in plain C11: what every other header in this directory may replace, with the same results.
 *
 * A kernel in kernels/opt is written once over these names and includes isa/isa.h, which picks the header of the
 * instruction set it is compiled for. A name is guarded by DQNN_OWN_<NAME>: an instruction-set header that defines its
 * own sets the guard first. */
#ifndef DQNN_ISA_PORTABLE_H
#define DQNN_ISA_PORTABLE_H

#include <stdint.h>
#include <string.h>

#ifndef DQNN_OWN_LANE_COUNTERS
#include "counters.h"
#endif
#include "plans.h"

/* At -Os the compiler weighs what inlining costs, but for the few functions that speed hangs on. */
#if defined(__GNUC__)
#define DQNN_ALWAYS_INLINE static inline __attribute__((always_inline, unused))
#define DQNN_NOINLINE static __attribute__((noinline, unused))
#if defined(__OPTIMIZE_SIZE__)
#define DQNN_INLINE static inline __attribute__((unused))
#else
#define DQNN_INLINE DQNN_ALWAYS_INLINE
#endif
#else
#define DQNN_ALWAYS_INLINE static inline
#define DQNN_INLINE static inline
#define DQNN_NOINLINE static
#endif

/* ---- single bits ---- */

/* Carry-save adder: sum becomes sum ^ a ^ b, the carry (majority) is returned. */
DQNN_INLINE uint32_t dqnn_full_add(uint32_t *sum, uint32_t a, uint32_t b) {
  uint32_t half = *sum ^ a;
  uint32_t carry = a ^ ((a ^ b) & half);
  *sum = half ^ b;
  return carry;
}

DQNN_INLINE uint32_t dqnn_half_add(uint32_t *sum, uint32_t a) {
  uint32_t carry = *sum & a;
  *sum ^= a;
  return carry;
}

/* n low bits set, 0 <= n <= 32. */
DQNN_INLINE uint32_t dqnn_low_bits(uint32_t n) {
  return n >= 32 ? ~0u : (1u << n) - 1u;
}

/* Number of set bits. Never __builtin_popcount: on Cortex-M that is a call into libgcc. */
DQNN_INLINE uint32_t dqnn_popcount(uint32_t x) {
  x -= (x >> 1) & 0x55555555u;
  x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
  return (((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24;
}

/* sum + the four bytes of x. */
#ifndef DQNN_OWN_ADD_BYTES
DQNN_INLINE uint32_t dqnn_add_bytes(uint32_t sum, uint32_t x) {
  x = (x & 0x00ff00ffu) + ((x >> 8) & 0x00ff00ffu);
  return sum + (x & 0xffffu) + (x >> 16);
}
#endif

/* Shifts the bit a < b into the top of a word: after 32 calls the first one is bit 0. */
#ifndef DQNN_OWN_PUSH_LESS
DQNN_INLINE uint32_t dqnn_push_less(uint32_t bits, int32_t a, int32_t b) {
  return bits >> 1 | (uint32_t)(a < b) << 31;
}
#endif

/* count (1..32) bits of a packed row from bit `first` on. Reads no word that holds none of them. */
DQNN_INLINE uint32_t dqnn_read_bits(const uint32_t *row, uint32_t first, uint32_t count) {
  uint32_t shift = first & 31u, value = row[first >> 5] >> shift;
  if (shift + count > 32) {
    value |= row[(first >> 5) + 1] << (32 - shift);
  }
  return value & dqnn_low_bits(count);
}

/* Puts count (1..32) bits at bit `first` of a packed row that is filled from its start: the words entered for the first
 * time are overwritten, their tail becomes 0. value has no bit beyond count. */
DQNN_INLINE void dqnn_append_bits(uint32_t *row, uint32_t first, uint32_t count, uint32_t value) {
  uint32_t shift = first & 31u;
  row += first >> 5;
  if (shift == 0) {
    *row = value;
    return;
  }
  *row |= value << shift;
  if (shift + count > 32) {
    row[1] = value >> (32 - shift);
  }
}

/* Appends `first` + position of every set bit of x to a list, in ascending order. */
#ifndef DQNN_OWN_LIST_BITS
DQNN_INLINE uint16_t *dqnn_list_bits(uint16_t *list, uint32_t x, uint32_t first) {
  for (; x; x >>= 1, first++) {
    if (x & 1u) {
      *list++ = (uint16_t)first;
    }
  }
  return list;
}
#endif

/* Copies words; returns the end of the copy. */
#ifndef DQNN_OWN_COPY_WORDS
DQNN_INLINE uint32_t *dqnn_copy_words(uint32_t *out, const uint32_t *in, uint32_t words) {
  for (; words > 0; words--) {
    *out++ = *in++;
  }
  return out;
}
#endif

/* ---- horizontal counting ---- */

/* Sum of the bits of three words, as eight-bit fields of at most 24. */
DQNN_INLINE uint32_t dqnn_sum_of_three(uint32_t a, uint32_t b, uint32_t c) {
  a = (a - ((a >> 1) & 0x55555555u)) + (c & 0x55555555u); /* two-bit fields, at most 3 */
  b = (b - ((b >> 1) & 0x55555555u)) + ((c >> 1) & 0x55555555u);
  uint32_t fours = (a & 0x33333333u) + ((a >> 2) & 0x33333333u) + (b & 0x33333333u) + ((b >> 2) & 0x33333333u);
  return (fours & 0x0f0f0f0fu) + ((fours >> 4) & 0x0f0f0f0fu);
}

/* Differences of three words: bits of weight 1, and of weight 2 in *twos. */
DQNN_INLINE uint32_t dqnn_three_differences(const uint32_t *x, const uint32_t *w, uint32_t *twos) {
  uint32_t sum = x[0] ^ w[0];
  *twos = dqnn_full_add(&sum, x[1] ^ w[1], x[2] ^ w[2]);
  return sum;
}

/* acc[o] = base - 2 * (bits in which 9 * steps words of x differ from those of output o). Carry-save adders turn nine
 * words into three of weight 1 and three of weight 2; fields of two, four and eight bits add them up. */
#ifndef DQNN_OWN_COUNT_NINES
DQNN_NOINLINE void dqnn_count_nines(const uint32_t *const x, const uint32_t *w, const dqnn_count_plan *plan,
                                    int32_t *acc) {
  for (uint32_t o = 0; o < plan->outputs; o++, w += plan->skip) {
    const uint32_t *a = x;
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->steps; i++, a += 9, w += 9) {
      uint32_t t0, t1, t2, s0 = dqnn_three_differences(a, w, &t0);
      uint32_t s1 = dqnn_three_differences(a + 3, w + 3, &t1), s2 = dqnn_three_differences(a + 6, w + 6, &t2);
      count = dqnn_add_bytes(count, dqnn_sum_of_three(s0, s1, s2) + 2 * dqnn_sum_of_three(t0, t1, t2));
    }
    acc[o] = plan->base - 2 * (int32_t)count;
  }
}
#endif

/* ---- 3x3 windows of one-bit numbers ---- */

DQNN_INLINE uint32_t dqnn_majority(uint32_t a, uint32_t b, uint32_t c) {
  return a ^ ((a ^ b) & (a ^ c));
}

/* Sum of nine one-bit numbers, four planes. Here and below loops are written out: compilers do not unroll them at -O2.
 */
DQNN_INLINE void dqnn_sum_nine(const uint32_t d[9], uint32_t sum[4]) {
  uint32_t one_a = d[0], one_b = d[3], one_c = d[6];
  uint32_t two_a = dqnn_full_add(&one_a, d[1], d[2]), two_b = dqnn_full_add(&one_b, d[4], d[5]),
           two_c = dqnn_full_add(&one_c, d[7], d[8]);
  uint32_t two_d = dqnn_full_add(&one_a, one_b, one_c);
  uint32_t four_a = dqnn_full_add(&two_a, two_b, two_c), four_b = dqnn_half_add(&two_a, two_d);
  sum[0] = one_a;
  sum[1] = two_a;
  sum[2] = four_a ^ four_b;
  sum[3] = four_a & four_b;
}

/* Bits where 2 * sum + preset >= 0; preset has six planes. */
DQNN_INLINE uint32_t dqnn_sign_of_nine(const uint32_t sum[4], const uint32_t *preset) {
  uint32_t carry = preset[1] & sum[0];
  carry = dqnn_majority(preset[2], sum[1], carry);
  carry = dqnn_majority(preset[3], sum[2], carry);
  carry = dqnn_majority(preset[4], sum[3], carry);
  return ~(preset[5] ^ carry);
}

/* Presets and weights as depthwise_s1_s1_s1 has them; x: first cell of the first of `pixels` windows inside the map. */
#if !defined(DQNN_OWN_NINE_SIGNS) || !defined(DQNN_OWN_25_SIGNS)
DQNN_INLINE void dqnn_three_taps(const uint8_t *x, const uint32_t *weight, uint32_t column, uint32_t d[3]) {
  d[0] = *(const uint32_t *)(const void *)x ^ weight[0];
  d[1] = *(const uint32_t *)(const void *)(x + column) ^ weight[1];
  d[2] = *(const uint32_t *)(const void *)(x + 2 * column) ^ weight[2];
}
#endif

#ifndef DQNN_OWN_NINE_SIGNS
DQNN_NOINLINE void dqnn_nine_signs(const dqnn_nine_plan *plan, const uint32_t *x, uint32_t *out, uint32_t pixels) {
  const uint8_t *window = (const uint8_t *)x;
  const uint32_t column = plan->column, row = plan->row;
  for (; pixels > 0; pixels--, window += plan->step) {
    const uint32_t *weight = plan->weights, *preset = plan->presets;
    for (uint32_t i = 0; i < plan->pixel; i += 4, weight += 9, preset += DQNN_NINE_PLANES) {
      uint32_t d[9], sum[4];
      dqnn_three_taps(window + i, weight, column, d);
      dqnn_three_taps(window + i + row, weight + 3, column, d + 3);
      dqnn_three_taps(window + i + 2 * row, weight + 6, column, d + 6);
      dqnn_sum_nine(d, sum);
      *out++ = dqnn_sign_of_nine(sum, preset);
    }
  }
}
#endif

/* The same for windows of 5x5. */
#ifndef DQNN_OWN_25_SIGNS
/* One row of taps more in five planes. */
DQNN_INLINE void dqnn_add_five_taps(uint32_t sum[5], const uint8_t *x, const uint32_t *weight, uint32_t column) {
  uint32_t d[3];
  dqnn_three_taps(x, weight, column, d);
  uint32_t two_a = dqnn_full_add(&sum[0], d[0], d[1]);
  const uint32_t e = *(const uint32_t *)(const void *)(x + 3 * column) ^ weight[3],
                 f = *(const uint32_t *)(const void *)(x + 4 * column) ^ weight[4];
  uint32_t two_b = dqnn_full_add(&sum[0], d[2], e), two_c = dqnn_half_add(&sum[0], f);
  uint32_t four_a = dqnn_full_add(&sum[1], two_a, two_b), four_b = dqnn_half_add(&sum[1], two_c);
  sum[4] ^= dqnn_half_add(&sum[3], dqnn_full_add(&sum[2], four_a, four_b));
}

DQNN_NOINLINE void dqnn_25_signs(const dqnn_nine_plan *plan, const uint32_t *x, uint32_t *out, uint32_t pixels) {
  const uint8_t *window = (const uint8_t *)x;
  for (; pixels > 0; pixels--, window += plan->step) {
    const uint32_t *weight = plan->weights, *preset = plan->presets;
    for (uint32_t i = 0; i < plan->pixel; i += 4, preset += DQNN_25_PLANES) {
      uint32_t sum[5] = {0, 0, 0, 0, 0}, carry;
      const uint8_t *cell = window + i;
      for (uint32_t rows = plan->rows; rows > 0; rows--, cell += plan->row, weight += 5) {
        dqnn_add_five_taps(sum, cell, weight, plan->column);
      }
      weight += plan->skip / 4;
      carry = preset[1] & sum[0];
      carry = dqnn_majority(preset[2], sum[1], carry);
      carry = dqnn_majority(preset[3], sum[2], carry);
      carry = dqnn_majority(preset[4], sum[3], carry);
      carry = dqnn_majority(preset[5], sum[4], carry);
      *out++ = ~(preset[6] ^ carry);
    }
  }
}
#endif

/* ---- bit-sliced counters, see counters.h ---- */

#ifndef DQNN_OWN_LANE_COUNTERS
/* Before and after the rows of a window; quads: how many entries of four rows its lists have, or more. Planes from
 * `planes` on hold anything: what is carried into them never comes back. */
DQNN_INLINE void dqnn_begin_rows(uint32_t *counter, const uint32_t *preset, uint32_t planes, uint32_t quads) {
  (void)quads;
  for (uint32_t p = 0; p < planes; p++) {
    counter[p] = preset[p];
  }
  counter[DQNN_BLOCKS] = 0;
}

DQNN_INLINE void dqnn_end_rows(uint32_t *counter, const uint32_t *preset, uint32_t planes) {
  (void)counter;
  (void)preset;
  (void)planes;
}
#endif

/* Adds rows w[list[0 .. 4*quads-1]] to the counters, each row with weight 2 (plane 1 upwards).
 * A carry-save tree takes a block of 32 rows at a time. A shorter first block enters the tree in the middle, as if
 * leading rows were zero; so there is a block, and a carry of weight 64, for every call with a row, however few. */
#ifndef DQNN_OWN_ADD_ROWS
DQNN_INLINE uint32_t dqnn_add_4_rows(uint32_t *one, uint32_t *two, const uint16_t *list, const uint32_t *w) {
  uint32_t a = dqnn_full_add(one, w[list[0]], w[list[1]]);
  uint32_t b = dqnn_full_add(one, w[list[2]], w[list[3]]);
  return dqnn_full_add(two, a, b);
}

DQNN_NOINLINE void dqnn_add_rows(uint32_t *counter, const uint16_t *list, uint32_t quads, const uint32_t *w) {
  uint32_t p1 = counter[1], p2 = counter[2], p3 = counter[3], p4 = counter[4];
  uint32_t eight = 0, sixteen = 0, thirty_two = 0; /* carries that wait for their partner */
  uint32_t step = (8 - (quads & 7u)) & 7u;
  for (; quads; quads--, list += 4, step = (step + 1) & 7u) {
    uint32_t carry = dqnn_add_4_rows(&p1, &p2, list, w);
    if (!(step & 1u)) {
      eight = carry;
      continue;
    }
    carry = dqnn_full_add(&p3, eight, carry);
    if (!(step & 2u)) {
      sixteen = carry;
      continue;
    }
    carry = dqnn_full_add(&p4, sixteen, carry);
    if (!(step & 4u)) {
      thirty_two = carry;
      continue;
    }
    carry = dqnn_full_add(&counter[5], thirty_two, carry);
    uint32_t *plane = counter + DQNN_FIRST_WAITING;
    for (uint32_t blocks = counter[DQNN_BLOCKS]++; blocks & 1u; blocks >>= 1, plane++) {
      carry = dqnn_full_add(plane, plane[DQNN_PENDING], carry);
    }
    plane[DQNN_PENDING] = carry;
  }
  counter[1] = p1;
  counter[2] = p2;
  counter[3] = p3;
  counter[4] = p4;
}
#endif

/* ---- several windows side by side ---- */

/* A word holds a field of lanes for each of some windows. Bit i of a block's word, shifted down, says whether weight i
 * is added to the lowest field, and so on for the others: a product puts the weight into all fields that want it. */
#ifndef DQNN_OWN_ADD_SLICES
enum { DQNN_SLICES_OF_16 = 12 }; /* cells of a window up to which lists of rows are slower than fields of 16 bits */

DQNN_INLINE uint32_t dqnn_slice(const dqnn_slice_plan *plan, uint32_t bits, const uint32_t *w, uint32_t i) {
  return w[i] * (bits >> i & plan->ones);
}

DQNN_NOINLINE void dqnn_add_slices(const dqnn_slice_plan *plan) {
  const uint8_t *bits = plan->bits;
  const uint32_t *w = plan->weights;
  uint32_t *planes = plan->planes, one = planes[0], two = planes[1], four = planes[2];
  for (uint32_t column = 0; column < plan->columns; column++, w++) {
    for (uint32_t block = 0; block < plan->blocks; block++, w += 8) {
      const uint8_t *at = bits + column * plan->step + block * plan->pitch; /* not aligned */
      const uint32_t word = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
      uint32_t twos[4], fours[2];
      for (uint32_t i = 0; i < 4; i++) {
        twos[i] = dqnn_full_add(&one, dqnn_slice(plan, word, w, 2 * i), dqnn_slice(plan, word, w, 2 * i + 1));
      }
      fours[0] = dqnn_full_add(&two, twos[0], twos[1]);
      fours[1] = dqnn_full_add(&two, twos[2], twos[3]);
      uint32_t carry = dqnn_full_add(&four, fours[0], fours[1]);
      for (uint32_t *plane = planes + 3; carry; plane++) {
        carry = dqnn_half_add(plane, carry);
      }
    }
  }
  planes[0] = one;
  planes[1] = two;
  planes[2] = four;
}
#endif

#endif
