/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* s8 x s1 convolution, 3x3, of whole blocks of eight channels, eight neighbouring outputs at a time.
 *
 * The sixteen sums of four channels under four signs are tabulated per input position, in 16 bits, and shared by all
 * kernel columns and all outputs: word j of a code holds positions j and j + 4, so the eight outputs of kernel column
 * kx are words kx .. kx + 3. A block of eight channels (two tables per kernel row) is added up in 16 bits and then to
 * 32-bit totals. */
#include "../../isa/halves.h"
#include "../../isa/isa_nibbles.h"
#include "conv_nibbles_layer.h"

#if DQNN_HAVE_NIBBLES
/* ---- tables ---- */

/* Signs of the third and fourth input: low plus or minus them, with sum and difference of both given. */
DQNN_INLINE void fill_four(uint32_t low, uint32_t sum, uint32_t difference, uint32_t *t) {
  t[0 * DQNN_NIBBLE_CODE] = dqnn_add_halves(low, sum);
  t[4 * DQNN_NIBBLE_CODE] = dqnn_sub_halves(low, difference);
  t[8 * DQNN_NIBBLE_CODE] = dqnn_add_halves(low, difference);
  t[12 * DQNN_NIBBLE_CODE] = dqnn_sub_halves(low, sum);
}

/* All signs of a, b, c, d (bits 0 to 3 of the code). */
DQNN_INLINE void fill_codes(uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t *t) {
  uint32_t both = dqnn_add_halves(a, b), sum = dqnn_add_halves(c, d), difference = dqnn_sub_halves(c, d);
  fill_four(both, sum, difference, t);
  fill_four(dqnn_sub_halves(b, a), sum, difference, t + DQNN_NIBBLE_CODE);
  fill_four(dqnn_sub_halves(a, b), sum, difference, t + 2 * DQNN_NIBBLE_CODE);
  fill_four(dqnn_sub_halves(0, both), sum, difference, t + 3 * DQNN_NIBBLE_CODE);
}

/* cells: four channels of each position. */
static void fill_table(const layer *l, const uint32_t *cells, uint32_t *table) {
  uint32_t words = (uint32_t)l->shape.kernel_w + 3, zero = l->minus_zero_point;
  for (uint32_t j = 0; j < words; j++, cells++, table++) {
    uint32_t even = dqnn_add_even_bytes(zero, cells[0]), odd = dqnn_add_odd_bytes(zero, cells[0]);
    uint32_t even_4 = dqnn_add_even_bytes(zero, cells[4]), odd_4 = dqnn_add_odd_bytes(zero, cells[4]);
    fill_codes(dqnn_low_halves(even, even_4), dqnn_low_halves(odd, odd_4), dqnn_high_halves(even, even_4),
               dqnn_high_halves(odd, odd_4), table);
  }
}

/* Both tables of a kernel row: input row y, positions from x on, eight channels from `channel` on. */
static void fill_row(const layer *l, int32_t y, int32_t x, uint32_t channel, uint32_t *tables) {
  const dqnn_geometry *s = &l->shape;
  uint32_t low[POSITIONS], high[POSITIONS], count = (uint32_t)s->kernel_w + DQNN_NIBBLE_STRIP - 1;
  int row_inside = (uint32_t)y < (uint32_t)s->height;
  for (uint32_t i = 0; i < count; i++, x++) {
    low[i] = high[i] = l->outside;
    if (!row_inside || (uint32_t)x >= (uint32_t)s->width) {
      continue;
    }
    const int8_t *cell = l->image + dqnn_cell_index(s, y, x) * s->channels + channel;
    memcpy(&low[i], cell, 4);
    memcpy(&high[i], cell + 4, 4);
  }
  fill_table(l, low, tables);
  fill_table(l, high, tables + TABLE_WORDS);
}

/* ---- sums ---- */

static void add_any_block(const layer *l, const uint8_t *weights) {
  dqnn_nibbles_3x3(l->tables, weights, l->totals, l->shape.out_group);
}

#define NAME(function) function
#define EMIT(function) function
#include "conv_nibbles.inc.h"
#endif
