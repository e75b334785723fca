/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* First layers: 3x3 binary convolution of one f32 channel, threshold and 2x2 maximum in one pass.
 *
 * A pooled row needs four input rows. A strip of them, three pooled pixels wide, becomes four row tables
 * (isa_tables.h); then every output is three look-ups and two additions. The maximum of four sums is below the
 * threshold if all of them are.
 *
 * Strips of a pooled row go from left to right and read their input before they write: the output may lie on the
 * input's first bytes (dqnn_overlap_conv says when that is safe). */
#include "conv_first.h"

#include "../../isa/isa_tables.h"
#include "geometry.h"

#if DQNN_HAVE_PORTABLE

typedef struct {
  dqnn_geometry shape;
  const float *image, *thresholds;
  const uint8_t *weights; /* two bytes per channel: nine sign bits */
  const uint32_t *flip;
  uint32_t out_words;
  float pad_value;
  float *tables;
} layer;

/* Inputs under a strip that leaves the map. */
static void load_strip(const layer *l, int32_t y, int32_t x, float *out) {
  int32_t width = l->shape.width;
  for (int32_t row = 0; row < DQNN_TABLE_ROWS; row++, y++) {
    int row_inside = (uint32_t)y < (uint32_t)l->shape.height;
    const float *in = l->image + (row_inside ? (uint32_t)(y * width) : 0);
    for (int32_t i = x; i < x + DQNN_STRIP_INPUTS; i++) {
      *out++ = row_inside && (uint32_t)i < (uint32_t)width ? in[i] : l->pad_value;
    }
  }
}

/* A strip of fewer than three pooled pixels needs fewer inputs; what the tables hold beyond them is not looked at, but
 * must be readable. */
static void make_tables(const layer *l, int32_t y, int32_t x, uint32_t pixels) {
  const dqnn_geometry *s = &l->shape;
  int needed_inside = y >= 0 && x >= 0 && y + DQNN_TABLE_ROWS <= s->height && x + 2 * (int32_t)pixels + 2 <= s->width;
  if (needed_inside && (y + DQNN_TABLE_ROWS - 1) * s->width + x + DQNN_STRIP_INPUTS <= s->height * s->width) {
    dqnn_row_tables_f32(l->image + y * s->width + x, (uint32_t)s->width, l->tables);
    return;
  }
  float inputs[DQNN_TABLE_ROWS * DQNN_STRIP_INPUTS];
  load_strip(l, y, x, inputs);
  dqnn_row_tables_f32(inputs, DQNN_STRIP_INPUTS, l->tables);
}

/* One or three pooled pixels. */
DQNN_INLINE void run_pixels(const layer *l, uint32_t pixels, const float *tables, uint32_t *out) {
  const uint8_t *weights = l->weights;
  const float *thresholds = l->thresholds;
  uint32_t left = l->shape.outputs, step = l->out_words, words[3];
  for (const uint32_t *flip = l->flip; left > 0; weights += 64, thresholds += 32, out++) {
    uint32_t n = left < 32 ? left : 32, *at = out, mask = flip ? *flip++ : 0, unused = (32 - n) & 31u;
    if (pixels == 3) {
      dqnn_row_signs_f32_3(weights, thresholds, tables, n, words);
    } else {
      dqnn_row_signs_f32_1(weights, thresholds, tables, n, words);
    }
    for (uint32_t i = 0; i < pixels; i++, at += step) {
      *at = words[i] >> unused ^ mask;
    }
    left -= n;
  }
}

static void run_strip(const layer *l, int32_t y, int32_t x, uint32_t pixels, uint32_t *out) {
  make_tables(l, y, x, pixels);
  if (pixels == 3) {
    run_pixels(l, 3, l->tables, out);
    return;
  }
  for (uint32_t i = 0; i < pixels; i++) {
    run_pixels(l, 1, l->tables + 2 * i, out + i * l->out_words);
  }
}

void dqnn_run_first_f32(const dqnn_call *call) {
  layer l;
  dqnn_read_geometry(call, &l.shape);
  const dqnn_geometry *s = &l.shape;
  l.image = (const float *)call->in[0];
  l.weights = (const uint8_t *)call->constants[0];
  l.thresholds = (const float *)call->constants[1];
  l.flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
  l.out_words = (s->outputs + 31) / 32;
  l.pad_value = ((const dqnn_conv_params *)call->params)->pad_value;
  l.tables = (float *)call->scratch;
  uint32_t *out = (uint32_t *)call->out;
  for (int32_t oy = 0; oy < s->out_height; oy += 2) {
    for (int32_t left = s->pooled_width, px = 0; left > 0; left -= 3, px += 3) {
      uint32_t pixels = left < 3 ? (uint32_t)left : 3;
      run_strip(&l, oy - s->pad_top, 2 * px - s->pad_left, pixels, out);
      out += pixels * l.out_words;
    }
  }
}
#endif
