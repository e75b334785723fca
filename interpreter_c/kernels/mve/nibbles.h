/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Tables and sums of kernels/opt/conv_nibbles.c in vectors of eight 16-bit numbers: here a code has its positions in
 * order, so the eight outputs of kernel column kx are one vector from position kx on. */
#ifndef DQNN_MVE_NIBBLES_H
#define DQNN_MVE_NIBBLES_H

#include <arm_mve.h>

#include "../opt/conv_nibbles_layer.h"

enum { LANES = 8, CODE_HALVES = 2 * DQNN_NIBBLE_CODE };

/* Bits of the 16-bit lanes first .. end - 1 of a vector. */
DQNN_INLINE mve_pred16_t lanes_between(int32_t first, int32_t end) {
  uint32_t low = first > 0 ? (uint32_t)first : 0, high = end > 0 ? (uint32_t)end : 0;
  return (mve_pred16_t)(dqnn_low_bits(2 * high) & ~dqnn_low_bits(2 * low));
}

/* One channel of eight positions, zero point removed. from: its first; places: distances. */
DQNN_INLINE int16x8_t read_lanes(const layer *l, const int8_t *from, uint16x8_t places, mve_pred16_t inside) {
  int16x8_t x;
  if (inside == UINT16_MAX) {
    x = vldrbq_gather_offset_s16(from, places);
  } else {
    x = vpselq_s16(vldrbq_gather_offset_z_s16(from, places, inside), vdupq_n_s16((int8_t)l->outside), inside);
  }
  return vaddq_n_s16(x, (int16_t)(l->minus_zero_point & 0xffffu));
}

/* Keeps the compiler from taking an address apart again. */
DQNN_INLINE const int16_t *whole_address(const int16_t *address) {
  __asm__("" : "+r"(address));
  return address;
}

/* Signs of the third and fourth input: low plus or minus them, with sum and difference of both given. t: code 8, from
 * where a store reaches all others. */
DQNN_INLINE void fill_four(int16x8_t low, int16x8_t sum, int16x8_t difference, int16_t *t) {
  vst1q_s16(t - 8 * CODE_HALVES, vaddq_s16(low, sum));
  vst1q_s16(t - 4 * CODE_HALVES, vsubq_s16(low, difference));
  vst1q_s16(t, vaddq_s16(low, difference));
  vst1q_s16(t + 4 * CODE_HALVES, vsubq_s16(low, sum));
}

/* All signs of the inputs a, b, c, d (bits 0 to 3 of the code). */
DQNN_INLINE void fill_codes(int16x8_t a, int16x8_t b, int16x8_t c, int16x8_t d, int16_t *t) {
  int16x8_t both = vaddq_s16(a, b), sum = vaddq_s16(c, d), difference = vsubq_s16(c, d);
  t += 8 * CODE_HALVES;
  __asm__("" : "+r"(t));
  fill_four(both, sum, difference, t);
  fill_four(vsubq_s16(b, a), sum, difference, t + CODE_HALVES);
  fill_four(vsubq_s16(a, b), sum, difference, t + 2 * CODE_HALVES);
  fill_four(vnegq_s16(both), sum, difference, t + 3 * CODE_HALVES);
}

/* Both tables of a kernel row: input row y, positions from x on, eight channels from `channel` on. */
DQNN_NOINLINE void fill_row(const layer *l, int32_t y, int32_t x, uint32_t channel, uint32_t *tables) {
  const dqnn_geometry *s = &l->shape;
  int row_inside = (uint32_t)y < (uint32_t)s->height;
  int32_t channels = (int32_t)s->channels, width = row_inside ? s->width : 0;
  /* May lie before the image, where the first positions are outside: lanes that count are not. */
  const int8_t *from = l->image + (int32_t)(dqnn_cell_index(s, row_inside ? y : 0, x) * s->channels + channel);
  uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)channels);
  int16_t *table = (int16_t *)tables;
  for (int32_t done = 0; done < s->kernel_w + LANES - 1; done += LANES, x += LANES) {
    mve_pred16_t inside = lanes_between(-x, width - x < LANES ? width - x : LANES);
    for (uint32_t half = 0; half < 2; half++) {
      const int8_t *cell = from + done * channels + 4 * half;
      fill_codes(read_lanes(l, cell, places, inside), read_lanes(l, cell + 1, places, inside),
                 read_lanes(l, cell + 2, places, inside), read_lanes(l, cell + 3, places, inside),
                 table + 2 * TABLE_WORDS * half + done);
    }
  }
}

/* Tables of a kernel row, of four channels each. */
typedef struct {
  const int16_t *low, *high;
} row_tables;

DQNN_INLINE row_tables tables_of(const int16_t *table) {
  row_tables t = {whole_address(table), whole_address(table + 2 * TABLE_WORDS)};
  return t;
}

/* One kernel cell: eight channels. */
DQNN_INLINE int16x8_t add_cell(int16x8_t sum, row_tables t, uint32_t kx, uint32_t code) {
  sum = vaddq_s16(sum, vld1q_s16(whole_address(t.low + (code & 15u) * CODE_HALVES) + kx));
  return vaddq_s16(sum, vld1q_s16(whole_address(t.high + (code >> 4 & 15u) * CODE_HALVES) + kx));
}

DQNN_INLINE int16x8_t sum_any(const int16_t *table, const uint8_t *weights, uint32_t kernel_h, uint32_t kernel_w) {
  int16x8_t sum = vdupq_n_s16(0);
  for (; kernel_h > 0; kernel_h--, table += 4 * TABLE_WORDS) {
    for (uint32_t kx = 0; kx < kernel_w; kx++) {
      sum = add_cell(sum, tables_of(table), kx, *weights++);
    }
  }
  return sum;
}

DQNN_INLINE int16x8_t sum_3x3(const row_tables rows[3], const uint8_t *weights) {
  uint32_t first, second;
  memcpy(&first, weights, 4);
  memcpy(&second, weights + 4, 4);
  int16x8_t sum = add_cell(vdupq_n_s16(0), rows[0], 0, first);
  sum = add_cell(sum, rows[0], 1, first >> 8);
  sum = add_cell(sum, rows[0], 2, first >> 16);
  sum = add_cell(sum, rows[1], 0, first >> 24);
  sum = add_cell(sum, rows[1], 1, second);
  sum = add_cell(sum, rows[1], 2, second >> 8);
  sum = add_cell(sum, rows[2], 0, second >> 16);
  sum = add_cell(sum, rows[2], 1, second >> 24);
  return add_cell(sum, rows[2], 2, weights[8]);
}

/* One block of channels of all outputs; weights: a byte per kernel cell and output. */
DQNN_NOINLINE void add_any_block(const layer *l, const uint8_t *weights) {
  uint32_t outputs = l->shape.out_group, kernel_h = (uint32_t)l->shape.kernel_h, kernel_w = (uint32_t)l->shape.kernel_w;
  uint32x4_t even = vmulq_n_u32(vidupq_n_u32(0, 2), outputs), odd = vaddq_n_u32(even, outputs); /* places of totals */
  const int16_t *table = (const int16_t *)l->tables;
  const row_tables rows[3] = {tables_of(table), tables_of(table + 4 * TABLE_WORDS), tables_of(table + 8 * TABLE_WORDS)};
  int usual = kernel_h == 3 && kernel_w == 3;
  for (int32_t *total = l->totals, *end = total + outputs; total < end; total++, weights += kernel_h * kernel_w) {
    int16x8_t sum = usual ? sum_3x3(rows, weights) : sum_any(table, weights, kernel_h, kernel_w);
    int32x4_t low = vldrwq_gather_shifted_offset_s32(total, even), high = vldrwq_gather_shifted_offset_s32(total, odd);
    vstrwq_scatter_shifted_offset_s32(total, even, vaddq_s32(low, vmovlbq_s16(sum)));
    vstrwq_scatter_shifted_offset_s32(total, odd, vaddq_s32(high, vmovltq_s16(sum)));
  }
}

#endif
