/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* First layers: 3x3 binary convolution of one s8 channel, threshold and 2x2 maximum in one pass.
 *
 * As conv_first.c, with sums of 16 bits, two to a word (half_tables.h): strips are eight outputs, four pooled pixels,
 * wide. */
#include "../../isa/half_tables.h"
#include "conv_first.h"
#include "geometry.h"

#if DQNN_HAVE_PORTABLE

enum { STRIP_PIXELS = 4 }; /* pooled */

typedef struct {
  dqnn_geometry shape;
  const int8_t *image;
  dqnn_half_channel *channels;
  const uint32_t *flip;
  uint32_t out_words;
  int32_t pad_value;
  uint32_t minus_zero_point; /* in both halves */
  uint32_t *tables;
} layer;

/* ---- tables ---- */

/* Sums of three signed inputs for all eight codes; a, b, c: the inputs of two outputs each. */
DQNN_INLINE void fill_word(uint32_t a, uint32_t b, uint32_t c, uint32_t *table) {
  uint32_t sum = dqnn_add_halves(a, b), difference = dqnn_sub_halves(a, b);
  uint32_t code_0 = dqnn_add_halves(sum, c), code_4 = dqnn_sub_halves(sum, c);
  uint32_t code_2 = dqnn_add_halves(difference, c), code_6 = dqnn_sub_halves(difference, c);
  table[0 * DQNN_HALF_CODE] = code_0;
  table[7 * DQNN_HALF_CODE] = dqnn_sub_halves(0, code_0);
  table[4 * DQNN_HALF_CODE] = code_4;
  table[3 * DQNN_HALF_CODE] = dqnn_sub_halves(0, code_4);
  table[2 * DQNN_HALF_CODE] = code_2;
  table[5 * DQNN_HALF_CODE] = dqnn_sub_halves(0, code_2);
  table[6 * DQNN_HALF_CODE] = code_6;
  table[1 * DQNN_HALF_CODE] = dqnn_sub_halves(0, code_6);
}

/* Two words from inputs i .. i + 5. */
DQNN_INLINE void fill_two_words(const int8_t *in, uint32_t minus_zero_point, uint32_t *table) {
  uint32_t first, second;
  memcpy(&first, in, 4);
  memcpy(&second, in + 2, 4);
  uint32_t a = dqnn_add_even_bytes(minus_zero_point, first), b = dqnn_add_odd_bytes(minus_zero_point, first);
  uint32_t c = dqnn_add_even_bytes(minus_zero_point, second), d = dqnn_add_odd_bytes(minus_zero_point, second);
  fill_word(a, b, c, table);
  fill_word(b, c, d, table + 1);
}

static void load_row(const layer *l, int32_t y, int32_t x, int8_t out[DQNN_HALF_INPUTS]) {
  int row_inside = (uint32_t)y < (uint32_t)l->shape.height;
  const int8_t *row = l->image + (row_inside ? (uint32_t)(y * l->shape.width) : 0);
  for (int32_t i = 0; i < DQNN_HALF_INPUTS; i++, x++) {
    out[i] = (int8_t)(row_inside && (uint32_t)x < (uint32_t)l->shape.width ? row[x] : l->pad_value);
  }
}

/* Fewer than four pooled pixels need fewer inputs; what the tables hold beyond them is not looked at, but must be
 * readable. */
static void make_tables(const layer *l, int32_t y, int32_t x, uint32_t pixels) {
  const dqnn_geometry *s = &l->shape;
  int8_t copy[DQNN_HALF_INPUTS];
  int32_t reach = pixels > 2 ? DQNN_HALF_INPUTS : DQNN_HALF_INPUTS - 4, end = s->height * s->width - reach;
  int columns_inside = x >= 0 && x + 2 * (int32_t)pixels + 2 <= s->width;
  uint32_t *table = l->tables;
  for (int32_t row = 0; row < DQNN_HALF_INPUT_ROWS; row++, y++, table += DQNN_HALF_ROW) {
    const int8_t *in = copy;
    if (columns_inside && (uint32_t)y < (uint32_t)s->height && y * s->width + x <= end) {
      in = l->image + y * s->width + x;
    } else {
      load_row(l, y, x, copy);
    }
    for (uint32_t i = 0; i < pixels; i += 2) {
      fill_two_words(in + 2 * i, l->minus_zero_point, table + i);
    }
  }
}

/* The bits of sixteen channels of two pooled pixels. */
DQNN_INLINE uint32_t even_pixel(uint32_t bits, uint32_t unused) {
  return (bits & 0xffffu) >> unused;
}
DQNN_INLINE uint32_t odd_pixel(uint32_t bits, uint32_t unused) {
  return bits >> 16 >> unused;
}

/* Up to sixteen channels; returns how many low bits of each half are unused. */
DQNN_INLINE uint32_t signs(const layer *l, uint32_t channel, uint32_t pixels, uint32_t bits[2]) {
  uint32_t left = l->shape.outputs - channel, count = left < 16 ? left : 16;
  if (pixels > 2) {
    dqnn_half_signs_4(l->channels + channel, l->tables, count, bits);
  } else {
    dqnn_half_signs_2(l->channels + channel, l->tables, count, bits);
  }
  return 16 - count;
}

/* One output word of up to four pooled pixels. */
static void run_word(const layer *l, uint32_t channel, uint32_t pixels, uint32_t *out) {
  uint32_t low[2], high[2] = {0, 0}, high_unused = 0, step = l->out_words, flip = l->flip ? l->flip[channel / 32] : 0;
  uint32_t low_unused = signs(l, channel, pixels, low);
  if (channel + 16 < l->shape.outputs) {
    high_unused = signs(l, channel + 16, pixels, high);
  }
  for (uint32_t i = 0; i < pixels; i += 2, out += 2 * step) {
    uint32_t a = low[i / 2], b = high[i / 2];
    out[0] = (even_pixel(a, low_unused) | even_pixel(b, high_unused) << 16) ^ flip;
    if (i + 1 < pixels) {
      out[step] = (odd_pixel(a, low_unused) | odd_pixel(b, high_unused) << 16) ^ flip;
    }
  }
}

void dqnn_run_first_s8(const dqnn_call *call) {
  layer l;
  dqnn_read_geometry(call, &l.shape);
  const dqnn_geometry *s = &l.shape;
  l.image = (const int8_t *)call->in[0];
  l.flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
  l.out_words = (s->outputs + 31) / 32;
  l.pad_value = (int32_t)((const dqnn_conv_params *)call->params)->pad_value;
  l.minus_zero_point = dqnn_both_halves(-call->in_def[0]->zero_point);
  l.tables = (uint32_t *)call->scratch;
  l.channels = (dqnn_half_channel *)(void *)(l.tables + DQNN_HALF_TABLE);
  const uint8_t *weights = (const uint8_t *)call->constants[0]; /* nine sign bits, in two bytes */
  const int32_t *thresholds = (const int32_t *)call->constants[1];
  for (uint32_t c = 0; c < s->outputs; c++, weights += 2) {
    l.channels[c] = dqnn_half_channel_of(weights[0] | (uint32_t)weights[1] << 8, thresholds[c]);
  }
  uint32_t *out = (uint32_t *)call->out;
  for (int32_t oy = 0; oy < s->out_height; oy += 2) {
    for (int32_t px = 0; px < s->pooled_width; px += STRIP_PIXELS) {
      uint32_t left = (uint32_t)(s->pooled_width - px), pixels = left < STRIP_PIXELS ? left : STRIP_PIXELS;
      make_tables(&l, oy - s->pad_top, 2 * px - s->pad_left, pixels);
      for (uint32_t word = 0; word < l.out_words; word++) {
        run_word(&l, 32 * word, pixels, out + word);
      }
      out += pixels * l.out_words;
    }
  }
}
#endif
