/* s8 x s1 convolution of whole blocks of eight channels, eight neighbouring outputs at a time.
 *
 * The sixteen sums of four channels under four signs are tabulated per input position, in 16 bits, and shared by all
 * kernel columns and all outputs: word j of a code holds positions j and j + 4, so the eight outputs of kernel column
 * kx are words kx .. kx + 3. A block of eight channels (two tables per kernel row) is added up in 16 bits and then to
 * 32-bit totals. */
#include "kernels/opt/conv_nibbles.h"

#include "isa/halves.h"
#if !defined(DQNN_PORTABLE) && defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#include "isa/nibbles_dsp.h"
#endif
#include "kernels/opt/epilogue.h"
#include "kernels/opt/geometry.h"

#ifndef NAME /* kernels/mve compiles this file too */
#define NAME(function) function
#endif

enum { TABLE_WORDS = 16 * DQNN_NIBBLE_CODE, POSITIONS = DQNN_NIBBLE_STRIP + DQNN_NIBBLE_WIDTH - 1 };

typedef struct {
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const dqnn_call *call;
  const int8_t *image;
  uint32_t minus_zero_point; /* in both halves */
  uint32_t outside;          /* four stored bytes of a cell outside the map */
  uint32_t *tables;          /* [kernel row][channels 0-3, 4-7][code][word] */
  int32_t *totals;           /* [output of the strip][channel] */
} layer;

#ifdef DQNN_MVE
#include "kernels/mve/nibbles.h"
#else

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

DQNN_INLINE void add_total(int32_t *total, uint32_t pitch, uint32_t sums) {
  total[0] += (int16_t)(sums & 0xffffu);
  total[4 * pitch] += (int32_t)sums >> 16;
}

/* One block of channels of all outputs; weights: a byte per kernel cell and output. */
static void add_block(const layer *l, const uint8_t *weights) {
  uint32_t outputs = l->shape.out_group, kernel_h = (uint32_t)l->shape.kernel_h, kernel_w = (uint32_t)l->shape.kernel_w;
  int32_t *total = l->totals;
  for (uint32_t o = 0; o < outputs; o++, total++) {
    uint32_t sums[4] = {0, 0, 0, 0};
    const uint32_t *tables = l->tables;
    for (uint32_t ky = 0; ky < kernel_h; ky++, tables += 2 * TABLE_WORDS) {
      for (uint32_t kx = 0; kx < kernel_w; kx++) {
        uint32_t code = *weights++;
        dqnn_add_4_halves(sums, tables + (code & 15u) * DQNN_NIBBLE_CODE + kx);
        dqnn_add_4_halves(sums, tables + TABLE_WORDS + (code >> 4) * DQNN_NIBBLE_CODE + kx);
      }
    }
    add_total(total, outputs, sums[0]);
    add_total(total + outputs, outputs, sums[1]);
    add_total(total + 2 * outputs, outputs, sums[2]);
    add_total(total + 3 * outputs, outputs, sums[3]);
  }
}

#ifdef DQNN_HAVE_NIBBLES_3X3
static void add_any_block(const layer *l, const uint8_t *weights) {
  if (l->shape.kernel_h == 3 && l->shape.kernel_w == 3) {
    dqnn_nibbles_3x3(l->tables, weights, l->totals, l->shape.out_group);
  } else {
    add_block(l, weights);
  }
}
#else
#define add_any_block add_block
#endif

#endif

/* ---- the walk ---- */

/* Totals of a strip, a multiple of eight. */
static void clear(int32_t *totals, uint32_t eights) {
  for (; eights > 0; eights--, totals += 8) {
    totals[0] = totals[1] = totals[2] = totals[3] = totals[4] = totals[5] = totals[6] = totals[7] = 0;
  }
}

static void sum_strip(const layer *l, int32_t y, int32_t x, uint32_t group) {
  const dqnn_geometry *s = &l->shape;
  uint32_t cells = dqnn_kernel_cells(s);
  const uint8_t *weights = (const uint8_t *)l->call->constants[0] + group * s->out_group * (s->in_group / 8) * cells;
  clear(l->totals, s->out_group);
  for (uint32_t channel = 0; channel < s->in_group; channel += 8, weights += s->out_group * cells) {
    for (int32_t ky = 0; ky < s->kernel_h; ky++) {
      fill_row(l, y + ky * s->dilation_h, x, group * s->in_group + channel, l->tables + ky * 2 * TABLE_WORDS);
    }
    add_any_block(l, weights);
  }
}

static void emit_strip(const layer *l, uint32_t first_pixel, uint32_t count, uint32_t channel) {
  const dqnn_call *call = l->call;
  uint32_t channels = l->shape.out_group;
  const int32_t *acc = l->totals;
  for (uint32_t pixel = first_pixel; pixel < first_pixel + count; pixel++, acc += channels) {
    if (call->out_def->dtype == DQNN_S8) {
      dqnn_emit_s8(&l->epilogue, acc, channel, channels, (int8_t *)call->out + pixel * l->shape.outputs + channel);
    } else {
      dqnn_emit(call, &l->epilogue, acc, channel, channels, pixel);
    }
  }
}

void NAME(dqnn_run_nibbles)(const dqnn_call *call) {
  layer l;
  dqnn_read_geometry(call, &l.shape);
  const dqnn_geometry *s = &l.shape;
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l.epilogue);
  }
  l.call = call;
  l.image = (const int8_t *)call->in[0];
  l.minus_zero_point = dqnn_both_halves(-call->in_def[0]->zero_point);
  l.outside = ((uint32_t)(int32_t)p->pad_value & 0xffu) * 0x01010101u;
  l.tables = (uint32_t *)call->scratch;
  l.totals = (int32_t *)(void *)(l.tables + 2 * TABLE_WORDS * (uint32_t)s->kernel_h);
  for (int32_t oy = 0; oy < s->out_height; oy++) {
    for (uint32_t group = 0; group < s->groups; group++) {
      for (int32_t ox = 0; ox < s->out_width; ox += DQNN_NIBBLE_STRIP) {
        int32_t left = s->out_width - ox, count = left < DQNN_NIBBLE_STRIP ? left : DQNN_NIBBLE_STRIP;
        sum_strip(&l, oy * s->stride_h - s->pad_top, ox - s->pad_left, group);
        emit_strip(&l, (uint32_t)(oy * s->out_width + ox), (uint32_t)count, group * s->out_group);
      }
    }
  }
}
