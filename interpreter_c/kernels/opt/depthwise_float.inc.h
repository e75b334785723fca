/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_{f32,s8,s1}_f32_* and depthwise_f32_{s8,s1}_*: four neighbouring outputs at a time, products and sums in
 * the order of SPEC.md 3.1, each rounded. Types other than f32 are converted element by element.
 *
 * Taps outside the map are left out where the pad value is 0: the sums begin at +0 and weights are finite, so that
 * adding a zero changes nothing. Any other pad value takes part in order. No scratch.
 *
 * A template. In: NAME(function); EMIT(function) for the outputs of epilogue.h; the lanes of isa/mve_float.h or
 * isa/isa_float.h, whichever is included before. Out: NAME(dqnn_run_depthwise_f32_{f32,s8,s1}_{s1,s8,f32}),
 * NAME(dqnn_run_depthwise_{s8,s1}_f32_{s1,s8,f32}); for portable and mve. */
#include "../../isa/isa_float.h"
#include "epilogue.h"
#include "geometry.h"

enum { BLOCK = 4, CHUNK = 32 };

typedef struct {
  dqnn_geometry shape;
  const dqnn_call *call;
  const uint8_t *image, *weights;
  uint32_t pixel_bytes, multiplier;
  int32_t zero_point;
  uint8_t input, weight; /* types */
  uint8_t half_weights;
  uint8_t direct; /* all float, an input channel for each output */
  float pad;
  dqnn_epilogue epilogue;
} layer;

typedef struct {
  int32_t y, x;
  dqnn_taps rows, columns;
  int whole; /* every tap is inside the map, or those outside do not count */
} window;

/* No tap is inside the map. */
DQNN_INLINE int outside(const window *w) {
  return w->rows.end == 0 || w->columns.end == 0;
}

/* Those inside the map, for outputs from o on that have an input channel each; there are some. */
DQNN_INLINE dqnn_taps_f32 taps_of(const layer *l, const window *w, uint32_t o) {
  const dqnn_geometry *g = &l->shape;
  int32_t y = w->y + w->rows.first * g->dilation_h, x = w->x + w->columns.first * g->dilation_w;
  uint32_t outputs = g->outputs;
  dqnn_taps_f32 t;
  t.rows = (uint32_t)(w->rows.end - w->rows.first);
  t.columns = (uint32_t)(w->columns.end - w->columns.first);
  t.right = (uint32_t)g->dilation_w * outputs;
  t.down = dqnn_row_step(g, w->rows.end - w->rows.first) * outputs;
  t.next = outputs;
  t.next_row = (uint32_t)g->kernel_w * outputs;
  t.cell = (const float *)(const void *)l->image + dqnn_cell_index(g, y, x) * outputs + o;
  t.weight = (const float *)(const void *)l->weights +
             (uint32_t)(w->rows.first * g->kernel_w + w->columns.first) * outputs + o;
  return t;
}

/* Outputs o to o + 3 of those, each with an input channel of its own. */
DQNN_NOINLINE void sum_four(const dqnn_taps_f32 *t, uint32_t o, float acc[BLOCK]) {
  const float *row = t->cell + o, *weights = t->weight + o;
  float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
  for (uint32_t rows = t->rows; rows > 0; rows--, row += t->down, weights += t->next_row) {
    const float *cell = row, *weight = weights;
    for (uint32_t i = t->columns; i; i--, cell += t->right, weight += t->next) {
      a += weight[0] * cell[0];
      b += weight[1] * cell[1];
      c += weight[2] * cell[2];
      d += weight[3] * cell[3];
    }
  }
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
}

DQNN_INLINE float input_at(const layer *l, const uint8_t *cell, uint32_t channel) {
  if (l->input == DQNN_F32) {
    return ((const float *)(const void *)cell)[channel];
  }
  if (l->input == DQNN_S8) {
    return (float)((int8_t)cell[channel] - l->zero_point);
  }
  return (uint32_t)cell[channel >> 3] >> (channel & 7u) & 1u ? -1.0f : 1.0f;
}

DQNN_INLINE float weight_at(const layer *l, uint32_t tap, uint32_t o) {
  const dqnn_geometry *g = &l->shape;
  if (l->weight == DQNN_F32) {
    return ((const float *)(const void *)l->weights)[tap * g->outputs + o];
  }
  if (l->weight == DQNN_S8) {
    const int8_t *w = (const int8_t *)l->weights + tap * g->outputs + o;
    return (float)(l->half_weights ? 2 * *w + 1 : *w); /* w stands for w + 1/2, sums count halves */
  }
  uint32_t taps = dqnn_kernel_cells(g);
  return ((const uint32_t *)(const void *)l->weights)[(o >> 5) * taps + tap] >> (o & 31u) & 1u ? -1.0f : 1.0f;
}

/* The cell of a tap; NULL: outside the map. */
DQNN_INLINE const uint8_t *cell_of(const layer *l, const window *w, int32_t ky, int32_t kx) {
  const dqnn_geometry *g = &l->shape;
  if (ky < w->rows.first || ky >= w->rows.end || kx < w->columns.first || kx >= w->columns.end) {
    return NULL;
  }
  int32_t y = w->y + ky * g->dilation_h, x = w->x + kx * g->dilation_w;
  return l->image + dqnn_cell_index(g, y, x) * l->pixel_bytes;
}

/* Up to four outputs, any window and types. */
DQNN_NOINLINE void sum_any(const layer *l, const window *w, uint32_t o, uint32_t n, float acc[BLOCK]) {
  const dqnn_geometry *g = &l->shape;
  uint32_t channel[BLOCK], tap = 0;
  for (uint32_t i = 0; i < n; i++) {
    channel[i] = (o + i) / l->multiplier;
    acc[i] = 0.0f;
  }
  for (int32_t ky = 0; ky < g->kernel_h; ky++) {
    for (int32_t kx = 0; kx < g->kernel_w; kx++, tap++) {
      const uint8_t *cell = cell_of(l, w, ky, kx);
      if (!cell && w->whole) {
        continue; /* does not count */
      }
      for (uint32_t i = 0; i < n; i++) {
        acc[i] += weight_at(l, tap, o + i) * (cell ? input_at(l, cell, channel[i]) : l->pad);
      }
    }
  }
}

/* Outputs first to first + n - 1 of one window. */
static void sum_window(const layer *l, int32_t y, int32_t x, uint32_t first, uint32_t n, float acc[CHUNK]) {
  const dqnn_geometry *g = &l->shape;
  window w = {y, x, dqnn_taps_inside(y, g->kernel_h, g->dilation_h, g->height),
              dqnn_taps_inside(x, g->kernel_w, g->dilation_w, g->width), 0};
  w.whole =
      l->pad == 0.0f || (w.rows.end - w.rows.first == g->kernel_h && w.columns.end - w.columns.first == g->kernel_w);
  uint32_t i = 0;
  if (w.whole && l->direct && !outside(&w)) {
    const dqnn_taps_f32 taps = taps_of(l, &w, first);
    i = DQNN_TAP_LANES ? dqnn_tap_lanes(&taps, n, acc) : 0;
    for (; n - i >= BLOCK; i += BLOCK) {
      sum_four(&taps, i, acc + i);
    }
    if (DQNN_TAP_LANES && i < n && n >= BLOCK) { /* the last four once more */
      sum_four(&taps, n - BLOCK, acc + n - BLOCK);
      i = n;
    }
  }
  for (; i < n; i += BLOCK) {
    sum_any(l, &w, first + i, n - i < BLOCK ? n - i : BLOCK, acc + i);
  }
}

/* The maxima over the pooling window that begins at y, x. */
static void sum_chunk(const layer *l, int32_t y, int32_t x, uint32_t first, uint32_t n, float total[CHUNK]) {
  const dqnn_geometry *g = &l->shape;
  sum_window(l, y, x, first, n, total);
  for (int32_t py = 0; py < g->pool_h; py++) {
    for (int32_t px = py ? 0 : 1; px < g->pool_w; px++) {
      float acc[CHUNK];
      sum_window(l, y + py * g->stride_h, x + px * g->stride_w, first, n, acc);
      for (uint32_t i = 0; i < n; i++) {
        total[i] = total[i] < acc[i] ? acc[i] : total[i];
      }
    }
  }
}

static void run_pixel(const layer *l, int32_t y, int32_t x, uint32_t pixel) {
  uint32_t outputs = l->shape.outputs, n;
  float total[CHUNK];
  for (uint32_t first = 0; first < outputs; first += n) {
    n = dqnn_chunk(outputs - first, CHUNK);
    sum_chunk(l, y, x, first, n, total);
    EMIT(dqnn_emit_float)(l->call, &l->epilogue, total, first, n, pixel);
  }
}

static void run(const dqnn_call *call, uint8_t weight) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  layer l;
  const dqnn_geometry *g = &l.shape;
  dqnn_read_geometry(call, &l.shape);
  l.call = call;
  l.image = (const uint8_t *)call->in[0];
  l.weights = (const uint8_t *)call->constants[0];
  l.multiplier = p->multiplier;
  l.input = call->in_def[0]->dtype;
  l.weight = weight;
  l.half_weights = p->half_weights;
  l.direct = l.input == DQNN_F32 && weight == DQNN_F32 && p->multiplier == 1;
  l.pixel_bytes = dqnn_row_bytes(call->in_def[0]);
  l.zero_point = l.input == DQNN_S8 ? call->in_def[0]->zero_point : 0;
  l.pad = p->pad_value - (float)l.zero_point;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l.epilogue);
  }
  uint32_t pixel = 0;
  int32_t y = -g->pad_top;
  for (int32_t oy = 0; oy < g->out_height; oy += g->pool_h, y += g->pool_h * g->stride_h) {
    int32_t x = -g->pad_left;
    for (int32_t ox = 0; ox < g->out_width; ox += g->pool_w, x += g->pool_w * g->stride_w) {
      run_pixel(&l, y, x, pixel++);
    }
  }
}

void NAME(dqnn_run_depthwise_f32_f32_s1)(const dqnn_call *call) {
  run(call, DQNN_F32);
}
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_f32_f32_s8), NAME(dqnn_run_depthwise_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_f32_f32_f32), NAME(dqnn_run_depthwise_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_s8_f32_s1), NAME(dqnn_run_depthwise_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_s8_f32_s8), NAME(dqnn_run_depthwise_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_s8_f32_f32), NAME(dqnn_run_depthwise_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_s1_f32_s1), NAME(dqnn_run_depthwise_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_s1_f32_s8), NAME(dqnn_run_depthwise_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_s1_f32_f32), NAME(dqnn_run_depthwise_f32_f32_s1))
void NAME(dqnn_run_depthwise_f32_s8_s1)(const dqnn_call *call) {
  run(call, DQNN_S8);
}
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_f32_s8_s8), NAME(dqnn_run_depthwise_f32_s8_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_f32_s8_f32), NAME(dqnn_run_depthwise_f32_s8_s1))
void NAME(dqnn_run_depthwise_f32_s1_s1)(const dqnn_call *call) {
  run(call, DQNN_S1);
}
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_f32_s1_s8), NAME(dqnn_run_depthwise_f32_s1_s1))
DQNN_SAME_RUN(NAME(dqnn_run_depthwise_f32_s1_f32), NAME(dqnn_run_depthwise_f32_s1_s1))
