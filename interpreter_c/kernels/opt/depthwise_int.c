/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_{s8,s1}_s8_*, depthwise_s8_s1_* and depthwisez_s8_s8_*: integer sums of four neighbouring outputs at a
 * time.
 *
 * Inputs and weights of four outputs are one word of bytes each: a tap costs two loads, four extensions to halfwords
 * and four multiply-accumulates on a core with the DSP extension. Taps outside the map are left out, or added apart
 * where the pad value counts. Any size, stride, dilation and multiplier, without scratch; dense 3x3 windows over s8 go
 * to depthwise_channels.c. Weights of 4 and 2 bits come here unpacked, a strip of outputs each time
 * (depthwise_packed.c). */
#include "../../isa/affine.h"
#include "../../isa/depthwise_rows.h"
#include "../../isa/halves.h"
#include "depthwise_channels.h"
#include "epilogue.h"
#include "geometry.h"

#if DQNN_HAVE_PORTABLE

enum { BLOCK = 4, CHUNK = 24 /* two arrays of it stand on the stack, which has 1 KB */ };

#if DQNN_HAVE_PACKED
/* Outputs first to end - 1, with their weights, `pitch` from a tap to the next. */
typedef struct {
  const uint8_t *weights;
  uint32_t first, end, pitch;
} strip;
#endif

typedef struct {
  dqnn_geometry shape;
  const dqnn_call *call;
  const uint8_t *image, *weights;
#if DQNN_HAVE_PACKED
  const strip *strip;
#endif
  uint32_t pixel_bytes, multiplier, taps;
  uint32_t add;    /* minus the zero point of the input, in both halves */
  uint32_t pad;    /* a cell outside the map, four times */
  int32_t outside; /* the same, zero point removed */
  uint8_t binary_input, binary_weights, half_weights;
  uint8_t simple;                   /* s8 weights and inputs, an input channel for each output */
  const int8_t *weight_zero_points; /* NULL: 0 */
  dqnn_epilogue epilogue;
} layer;

/* The strip, which is all outputs in builds that unpack no weights. */
#if DQNN_HAVE_PACKED
#define STRIP(l, member, all) (l)->strip->member
#else
#define STRIP(l, member, all) (all)
#endif

/* Bytes from a tap's weights to the next, and where those of output o stand. */
DQNN_INLINE uint32_t weight_pitch(const layer *l) {
  return STRIP(l, pitch, l->shape.outputs);
}

DQNN_INLINE const uint8_t *weights_at(const layer *l, uint32_t tap, uint32_t o) {
  return l->weights + tap * weight_pitch(l) + (o - STRIP(l, first, 0u));
}

typedef struct {
  int32_t y, x;
  dqnn_taps rows, columns;
  int outside; /* some taps are outside the map */
} window;

/* The inputs of outputs o to o + n - 1, a byte each. */
DQNN_INLINE uint32_t input_word(const layer *l, const uint8_t *cell, uint32_t o, uint32_t n) {
  uint32_t word = 0;
  if (n == BLOCK && l->multiplier == 1) {
    memcpy(&word, cell + (l->binary_input ? 4 * (o >> 5) : o), 4);
    return l->binary_input ? dqnn_spread_signs(word >> (o & 31u)) : word;
  }
  for (uint32_t i = 0; i < n; i++) {
    uint32_t channel = (o + i) / l->multiplier, byte = cell[l->binary_input ? channel >> 3 : channel];
    if (l->binary_input) {
      byte = byte >> (channel & 7u) & 1u ? 0xffu : 1u;
    }
    word |= byte << 8 * i;
  }
  return word;
}

/* The weights of a tap for outputs o to o + n - 1. */
DQNN_INLINE uint32_t weight_word(const layer *l, uint32_t tap, uint32_t o, uint32_t n) {
  uint32_t word = 0;
  if (l->binary_weights) {
    memcpy(&word, l->weights + 4 * ((o >> 5) * l->taps + tap), 4);
    return dqnn_spread_signs(word >> (o & 31u));
  }
  const uint8_t *from = weights_at(l, tap, o);
  if (n == BLOCK) {
    memcpy(&word, from, 4);
    return word;
  }
  for (uint32_t i = 0; i < n; i++) {
    word |= (uint32_t)from[i] << 8 * i;
  }
  return word;
}

DQNN_INLINE int among(const dqnn_taps *taps, int32_t tap) {
  return tap >= taps->first && tap < taps->end;
}

/* One tap, if it counts. cell: where it lies, from the map on; unit: its weights are 1. */
DQNN_INLINE void add_tap(const layer *l, int inside, uint32_t cell, uint32_t tap, uint32_t o, uint32_t n, int unit,
                         int32_t sum[BLOCK]) {
  if (inside || l->outside) {
    const uint32_t inputs = inside ? input_word(l, l->image + cell, o, n) : l->pad;
    dqnn_multiply_bytes(inputs, l->add, unit ? 0x01010101u : weight_word(l, tap, o, n), sum);
  }
}

/* All taps; unit: with all weights 1. */
DQNN_NOINLINE void sum_any(const layer *l, const window *w, uint32_t o, uint32_t n, int unit, int32_t acc[BLOCK]) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t right = (uint32_t)g->dilation_w * l->pixel_bytes,
                 down = (uint32_t)g->dilation_h * (uint32_t)g->width * l->pixel_bytes;
  uint32_t row = dqnn_cell_index(g, w->y, w->x) * l->pixel_bytes, tap = 0; /* means something where a tap is inside */
  int32_t sum[BLOCK] = {0, 0, 0, 0};
  for (int32_t ky = 0; ky < g->kernel_h; ky++, row += down) {
    const int row_inside = among(&w->rows, ky);
    uint32_t cell = row;
    for (int32_t kx = 0; kx < g->kernel_w; kx++, tap++, cell += right) {
      add_tap(l, row_inside && among(&w->columns, kx), cell, tap, o, n, unit, sum);
    }
  }
  memcpy(acc, sum, sizeof sum);
}

/* The usual case: s8 weights and inputs, all whole blocks of four channels of a run at once. No tap outside counts. */
DQNN_NOINLINE void sum_blocks(const layer *l, const window *w, uint32_t first, uint32_t blocks, int32_t *acc) {
  const dqnn_geometry *g = &l->shape;
  if (w->rows.end == 0 || w->columns.end == 0) {
    for (uint32_t i = 0; i < BLOCK * blocks; i++) {
      acc[i] = 0;
    }
    return;
  }
  int32_t y = w->y + w->rows.first * g->dilation_h, x = w->x + w->columns.first * g->dilation_w;
  uint32_t right = (uint32_t)g->dilation_w * l->pixel_bytes,
           tap = (uint32_t)(w->rows.first * g->kernel_w + w->columns.first);
  dqnn_depthwise_plan plan = {l->image + dqnn_cell_index(g, y, x) * l->pixel_bytes + first,
                              weights_at(l, tap, first),
                              right,
                              weight_pitch(l),
                              dqnn_row_step(g, w->rows.end - w->rows.first) * l->pixel_bytes,
                              (uint32_t)g->kernel_w * weight_pitch(l),
                              (uint32_t)(w->rows.end - w->rows.first),
                              (uint32_t)(w->columns.end - w->columns.first),
                              blocks,
                              l->add,
                              acc};
  dqnn_depthwise_rows(&plan);
}

/* A half weight w stands for w + 1/2, and sums count halves; others are less their zero point. */
DQNN_INLINE void add_inputs(const layer *l, const window *w, uint32_t o, uint32_t n, int32_t acc[BLOCK]) {
  int32_t sum[BLOCK];
  sum_any(l, w, o, n, 1, sum);
  for (uint32_t i = 0; i < n; i++) {
    acc[i] = l->half_weights ? 2 * acc[i] + sum[i] : acc[i] - l->weight_zero_points[o + i] * sum[i];
  }
}

/* Sums of outputs first to first + n - 1. */
static void sum_window(const layer *l, const window *w, uint32_t first, uint32_t n, int32_t acc[CHUNK]) {
  uint32_t done = n >= BLOCK && l->simple && !(l->outside && w->outside) ? n : 0;
  if (done) {
    sum_blocks(l, w, first, n / BLOCK, acc);
  }
  if (done % BLOCK) { /* the last four once more */
    sum_blocks(l, w, first + n - BLOCK, 1, acc + n - BLOCK);
  }
  for (uint32_t i = 0, count; i < n; i += count) {
    count = n - i < BLOCK ? n - i : BLOCK;
    if (i >= done) {
      sum_any(l, w, first + i, count, 0, acc + i);
    }
    if (l->half_weights || l->weight_zero_points) {
      add_inputs(l, w, first + i, count, acc + i);
    }
  }
}

static window window_at(const dqnn_geometry *g, int32_t y, int32_t x) {
  window w = {y, x, dqnn_taps_inside(y, g->kernel_h, g->dilation_h, g->height),
              dqnn_taps_inside(x, g->kernel_w, g->dilation_w, g->width), 0};
  w.outside = w.rows.end - w.rows.first < g->kernel_h || w.columns.end - w.columns.first < g->kernel_w;
  return w;
}

/* Outputs first to first + n - 1 (at most CHUNK): the maxima over the pooling window that begins at y, x. */
static void sum_chunk(const layer *l, int32_t y, int32_t x, uint32_t first, uint32_t n, int32_t total[CHUNK]) {
  const dqnn_geometry *g = &l->shape;
  window w = window_at(g, y, x);
  sum_window(l, &w, first, n, total);
  for (int32_t py = 0; py < g->pool_h; py++) {
    for (int32_t px = py ? 0 : 1; px < g->pool_w; px++) {
      int32_t acc[CHUNK];
      w = window_at(g, y + py * g->stride_h, x + px * g->stride_w);
      sum_window(l, &w, first, n, acc);
      for (uint32_t i = 0; i < n; i++) {
        total[i] = total[i] < acc[i] ? acc[i] : total[i];
      }
    }
  }
}

static void run_pixel(const layer *l, int32_t y, int32_t x, uint32_t pixel) {
  const dqnn_call *call = l->call;
  uint32_t end = STRIP(l, end, l->shape.outputs), n;
  int32_t total[CHUNK];
  for (uint32_t first = STRIP(l, first, 0u); first < end; first += n) {
    n = dqnn_chunk(end - first, CHUNK);
    sum_chunk(l, y, x, first, n, total);
    dqnn_emit(call, &l->epilogue, total, first, n, pixel);
  }
}

static void set_up(const dqnn_call *call, dqnn_depthwise_kind kind, layer *l) {
  const uint32_t zero_points = kind & DQNN_DEPTHWISE_ZERO_POINTS;
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  dqnn_read_geometry(call, g);
  l->call = call;
  l->image = (const uint8_t *)call->in[0];
  l->weights = (const uint8_t *)call->constants[0];
  l->binary_input = in->dtype == DQNN_S1;
  l->taps = dqnn_kernel_cells(g);
  l->half_weights = p->half_weights;
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->multiplier = p->multiplier;
  l->pixel_bytes = dqnn_row_bytes(in);
  int32_t zero_point = l->binary_input ? 0 : in->zero_point;
  l->add = dqnn_pair(-zero_point, -zero_point);
  l->pad = dqnn_every_byte((int32_t)p->pad_value);
  l->outside = (int32_t)p->pad_value - zero_point;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1 + zero_points, &l->epilogue);
  }
}

DQNN_NOINLINE void run_windows(const dqnn_call *call, dqnn_depthwise_kind kind DQNN_IF_PACKED(const strip *outputs)) {
  layer l;
  set_up(call, kind, &l);
#if DQNN_HAVE_PACKED
  l.weights = outputs->weights;
  l.strip = outputs;
#endif
  l.binary_weights = kind == DQNN_DEPTHWISE_SIGNS;
  l.simple = !l.binary_weights && !l.binary_input && l.multiplier == 1;
  const dqnn_geometry *g = &l.shape;
  uint32_t pixel = 0;
  int32_t y = -g->pad_top;
  for (int32_t oy = 0; oy < g->out_height; oy += g->pool_h, y += g->pool_h * g->stride_h) {
    int32_t x = -g->pad_left;
    for (int32_t ox = 0; ox < g->out_width; ox += g->pool_w, x += g->pool_w * g->stride_w) {
      run_pixel(&l, y, x, pixel++);
    }
  }
}

#if DQNN_HAVE_PACKED
/* With unpacked weights as many outputs at a time as there is scratch for, in whole strips. */
DQNN_NOINLINE void run_strips(const dqnn_call *call, dqnn_depthwise_kind kind, dqnn_depthwise_unpack unpack) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const uint32_t outputs = dqnn_last(call->out_def);
  strip s = {(const uint8_t *)call->constants[0], 0, outputs, outputs};
  if (unpack) {
    s.weights = (const uint8_t *)call->scratch;
    s.pitch = call->scratch_bytes / (DQNN_STRIP * p->kernel_h * (uint32_t)p->kernel_w) * DQNN_STRIP;
  }
  for (; s.first < outputs; s.first = s.end) {
    s.end = outputs - s.first < s.pitch ? outputs : s.first + s.pitch;
    for (uint32_t o = s.first; unpack && o < s.end; o += BLOCK) {
      unpack(call, o, s.pitch, (int8_t *)call->scratch + (o - s.first));
    }
    run_windows(call, kind, &s);
  }
}

DQNN_APART void dqnn_run_depthwise(const dqnn_call *call, dqnn_depthwise_kind kind, dqnn_depthwise_unpack unpack) {
  const uint32_t path = dqnn_channels_of(call);
  if (path) {
    dqnn_run_depthwise_channels(call, path, kind, unpack);
  } else {
    run_strips(call, kind, unpack);
  }
}

static void run(const dqnn_call *call, dqnn_depthwise_kind kind) {
  dqnn_run_depthwise(call, kind, NULL);
}
#else
static void run(const dqnn_call *call, dqnn_depthwise_kind kind) {
  const uint32_t path = dqnn_channels_of(call);
  if (path) {
    dqnn_run_depthwise_channels(call, path, kind);
  } else {
    run_windows(call, kind);
  }
}
#endif

void dqnn_run_depthwise_s8_s8_s1_portable(const dqnn_call *call) {
  run(call, DQNN_DEPTHWISE_BYTES);
}
DQNN_SAME_RUN(dqnn_run_depthwise_s8_s8_s8_portable, dqnn_run_depthwise_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_depthwise_s8_s8_f32_portable, dqnn_run_depthwise_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_depthwise_s1_s8_s1_portable, dqnn_run_depthwise_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_depthwise_s1_s8_s8_portable, dqnn_run_depthwise_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_depthwise_s1_s8_f32_portable, dqnn_run_depthwise_s8_s8_s1_portable)
void dqnn_run_depthwise_s8_s1_s1_portable(const dqnn_call *call) {
  run(call, DQNN_DEPTHWISE_SIGNS);
}
DQNN_SAME_RUN(dqnn_run_depthwise_s8_s1_s8_portable, dqnn_run_depthwise_s8_s1_s1_portable)
DQNN_SAME_RUN(dqnn_run_depthwise_s8_s1_f32_portable, dqnn_run_depthwise_s8_s1_s1_portable)
void dqnn_run_depthwisez_s8_s8_s8_portable(const dqnn_call *call) {
  run(call, DQNN_DEPTHWISE_ZERO_POINTS);
}
DQNN_SAME_RUN(dqnn_run_depthwisez_s8_s8_f32_portable, dqnn_run_depthwisez_s8_s8_s8_portable)
#endif
