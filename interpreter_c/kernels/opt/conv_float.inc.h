/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{f32,s8,s1}_f32_* and conv_f32_s8_*: float sums in the order of SPEC.md 3.1, four output pixels and four
 * channels at a time.
 *
 * The order of a sum is fixed, so speed comes from 16 independent sums that share their loads. A kernel row of a window
 * that lies whole inside an f32 map is read where it stands; any other row (border, dilation, groups, s8 or s1 input)
 * is first written to scratch as floats. Channels come in blocks of four, as the weights do; s8 weights of a block are
 * written to scratch as floats each time.
 *
 * A template. In: NAME(function); EMIT(function) for the outputs of epilogue.h, DOT(function) for the sums of
 * isa_float.h; the lanes of isa/mve_float.h or isa/isa_float.h, whichever is included before. Out:
 * NAME(dqnn_run_conv_<input>_f32_<output>) for all nine, NAME(dqnn_run_conv_f32_s8_{s1,s8,f32}); for portable and mve.
 */
#include "conv_float.h"

#include "../../isa/isa_float.h"
#include "epilogue.h"
#include "quads.h"

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const uint8_t *image;
  const uint8_t *weights; /* of the group at work */
  uint32_t pixel_bytes;
  uint32_t first_channel, first_output;
  uint32_t row_taps, block; /* elements of a kernel row; floats of four channels' weights */
  int32_t up_h, up_w;
  float outside;
  const float **rows; /* [kernel row][4 pixels] */
  float *copies;      /* [pixel][kernel row][row_taps] */
  float *totals;      /* [pixel][channel of the group] */
  float *converted;   /* s8 weights of a block; NULL: weights are floats */
  uint8_t half_weights;
  uint8_t plain,
      in_place; /* kernel rows inside the map are runs of floats; all of them lie inside, there are no copies */
} layer;

static void fill(float *to, uint32_t count, float value) {
  for (; count; count--) {
    *to++ = value;
  }
}

/* Channels of one cell as floats. */
static void read_cell(const layer *l, uint32_t y, uint32_t x, float *to) {
  const uint8_t *cell = l->image + (y * (uint32_t)l->shape.width + x) * l->pixel_bytes;
  const dqnn_tensor_def *in = l->call->in_def[0];
  uint32_t count = l->shape.in_group, first = l->first_channel;
  if (in->dtype == DQNN_F32) {
    memcpy(to, cell + 4 * first, 4 * count);
  } else if (in->dtype == DQNN_S8) {
    for (uint32_t i = 0; i < count; i++) {
      to[i] = (float)((int8_t)cell[first + i] - in->zero_point);
    }
  } else {
    for (uint32_t i = first; i < first + count; i++) {
      uint32_t word;
      memcpy(&word, cell + 4 * (i >> 5), 4);
      *to++ = word >> (i & 31u) & 1u ? -1.0f : 1.0f;
    }
  }
}

static void copy_row(const layer *l, int32_t y, int32_t x, float *to) {
  const dqnn_geometry *g = &l->shape;
  int32_t row = dqnn_input_index(y, g->height, l->up_h);
  for (int32_t kx = 0; kx < g->kernel_w; kx++, x += g->dilation_w, to += g->in_group) {
    int32_t column = dqnn_input_index(x, g->width, l->up_w);
    if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
      fill(to, g->in_group, l->outside);
    } else if (row < 0 || column < 0) {
      fill(to, g->in_group, 0.0f);
    } else {
      read_cell(l, (uint32_t)row, (uint32_t)column, to);
    }
  }
}

/* The kernel row where it lies in memory as one run of floats; NULL if it does not. */
static const float *direct_row(const layer *l, int32_t y, int32_t x) {
  const dqnn_geometry *g = &l->shape;
  int inside = y >= 0 && y < g->height && x >= 0 && x + g->kernel_w <= g->width;
  if (!l->in_place && !(l->plain && inside)) {
    return NULL;
  }
  return (const float *)l->call->in[0] + dqnn_cell_index(g, y, x) * g->channels;
}

static void gather(const layer *l, dqnn_origin at, uint32_t lane) {
  uint32_t kernel_h = (uint32_t)l->shape.kernel_h;
  float *copy = l->copies + lane * kernel_h * l->row_taps;
  for (uint32_t ky = 0; ky < kernel_h; ky++, at.y += l->shape.dilation_h, copy += l->row_taps) {
    const float *row = direct_row(l, at.y, at.x);
    if (!row) {
      copy_row(l, at.y, at.x, copy);
      row = copy;
    }
    l->rows[4 * ky + lane] = row;
  }
}

static void quad_gather(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  const layer *l = (const layer *)state;
  for (; n; n--, lane++, at.x += l->shape.stride_w) {
    gather(l, at, lane);
  }
}

/* Weights of channels c to c + 3 of the group; c is a multiple of 4. */
static const float *block_weights(const layer *l, uint32_t c) {
  uint32_t first = (c >> 2) * l->block;
  if (!l->converted) {
    return (const float *)(const void *)l->weights + first;
  }
  const int8_t *from = (const int8_t *)l->weights + first;
  for (uint32_t i = 0; i < l->block; i++) {
    l->converted[i] = (float)(l->half_weights ? 2 * from[i] + 1 : from[i]); /* w stands for w + 1/2 */
  }
  return l->converted;
}

/* One channel of four pixels to an f32 output. */
DQNN_INLINE void emit_quad(const layer *l, const float acc[4], uint32_t channel, float *const out[4]) {
  const dqnn_epilogue *e = &l->epilogue;
  float scale = e->scale[channel], offset = e->offset[channel], y[4];
  for (uint32_t p = 0; p < 4; p++) {
    y[p] = acc[p] * scale;
  }
  for (uint32_t p = 0; p < 4; p++) {
    y[p] += offset;
  }
  if (e->clamps) {
    for (uint32_t p = 0; p < 4; p++) {
      y[p] = y[p] < e->low ? e->low : y[p] > e->high ? e->high : y[p];
    }
  }
  for (uint32_t p = 0; p < 4; p++) {
    out[p][channel] = y[p];
  }
}

/* Four pixels, straight to an f32 output. */
DQNN_NOINLINE void sum_quad_f32(const layer *l, uint32_t first, uint32_t n) {
  uint32_t channel = l->first_output, end = channel + l->shape.out_group;
  float acc[16], *out[4];
  for (uint32_t p = 0; p < 4; p++) {
    out[p] = (float *)l->call->out + (first + (p < n ? p : n - 1)) * l->shape.outputs;
  }
  for (; channel < end; channel += 4) {
    const float *w = block_weights(l, channel - l->first_output);
    DOT(dqnn_dot_f32_4x4)(l->rows, (uint32_t)l->shape.kernel_h, l->row_taps, w, acc);
    for (uint32_t i = 0; i < 4 && channel + i < end; i++) {
      emit_quad(l, acc + 4 * i, channel + i, out);
    }
  }
}

/* Four pixels of n channels. */
DQNN_INLINE void scatter(const float acc[16], uint32_t n, float *totals, uint32_t pitch) {
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t p = 0; p < 4; p++) {
      totals[p * pitch + i] = acc[4 * i + p];
    }
  }
}

/* One or four pixels: totals[pixel][channel]. */
DQNN_NOINLINE void sum_totals(const layer *l, uint32_t lanes) {
  uint32_t count = l->shape.out_group, kernel_h = (uint32_t)l->shape.kernel_h;
  float acc[16];
  for (uint32_t c = 0; c < count; c += 4) {
    const float *w = block_weights(l, c);
    uint32_t n = count - c < 4 ? count - c : 4;
    if (lanes == 1) {
      DOT(dqnn_dot_f32_1x4)(l->rows, 4, kernel_h, l->row_taps, w, acc);
      for (uint32_t i = 0; i < n; i++) {
        l->totals[c + i] = acc[i];
      }
      continue;
    }
    if (n == 4 && dqnn_dot_lanes_4x4(l->rows, kernel_h, l->row_taps, w, l->totals + c, count)) {
      continue;
    }
    DOT(dqnn_dot_f32_4x4)(l->rows, kernel_h, l->row_taps, w, acc);
    scatter(acc, n, l->totals + c, count);
  }
}

static void quad_sum(void *state, uint32_t first, uint32_t n, uint32_t lanes) {
  const layer *l = (const layer *)state;
  if (!DQNN_LANES_F32 && lanes == 4 && l->call->out_def->dtype == DQNN_F32) {
    sum_quad_f32(l, first, n);
    return;
  }
  sum_totals(l, lanes);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t outputs = l->shape.out_group;
    EMIT(dqnn_emit_float)(l->call, &l->epilogue, l->totals + i * outputs, l->first_output, outputs, first + i);
  }
}

static float larger(float a, float b) {
  return a < b ? b : a;
}

/* Cells of a pooling window come in order, so the maximum is taken in the order of SPEC.md 3.1. */
static void quad_maximum(void *state, int first) {
  const layer *l = (const layer *)state;
  uint32_t count = l->shape.out_group;
  float acc[16];
  for (uint32_t c = 0; c < count; c += 4) {
    const float *w = block_weights(l, c);
    DOT(dqnn_dot_f32_4x4)(l->rows, (uint32_t)l->shape.kernel_h, l->row_taps, w, acc);
    for (uint32_t i = 0; i < 4 && c + i < count; i++) {
      const float *a = acc + 4 * i;
      float most = first ? a[0] : larger(l->totals[c + i], a[0]);
      l->totals[c + i] = larger(larger(larger(most, a[1]), a[2]), a[3]);
    }
  }
}

static void quad_emit(void *state, uint32_t pixel) {
  const layer *l = (const layer *)state;
  EMIT(dqnn_emit_float)(l->call, &l->epilogue, l->totals, l->first_output, l->shape.out_group, pixel);
}

static const dqnn_quad_ops quad_ops = {quad_gather, quad_sum, quad_maximum, quad_emit};

static void prepare(const dqnn_call *call, int s8_weights, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  l->call = call;
  dqnn_read_geometry(call, g);
  l->image = (const uint8_t *)call->in[0];
  l->pixel_bytes = dqnn_row_bytes(in);
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->outside = in->dtype == DQNN_S8 ? p->pad_value - (float)in->zero_point : p->pad_value;
  l->plain = in->dtype == DQNN_F32 && p->groups == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1;
  l->in_place = (uint8_t)dqnn_rows_in_place(call);
  l->row_taps = (uint32_t)g->kernel_w * g->in_group;
  l->block = (uint32_t)g->kernel_h * l->row_taps * 4;
  l->rows = (const float **)call->scratch;
  l->totals = (float *)call->scratch + 8 * (uint32_t)g->kernel_h;
  l->converted = NULL;
  l->copies = l->totals + dqnn_quad_lanes(g) * g->out_group;
  if (s8_weights) {
    l->converted = l->copies;
    l->copies += l->block;
  }
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l->epilogue);
  }
}

static void run(const dqnn_call *call, int s8_weights) {
  layer l;
  prepare(call, s8_weights, &l);
  l.half_weights = ((const dqnn_conv_params *)call->params)->half_weights;
  uint32_t weight_bytes = s8_weights ? 1 : 4;
  const dqnn_geometry *g = &l.shape;
  for (uint32_t group = 0; group < g->groups; group++) {
    l.weights = (const uint8_t *)call->constants[0] + group * ((g->out_group + 3) / 4) * l.block * weight_bytes;
    l.first_channel = group * g->in_group;
    l.first_output = group * g->out_group;
    dqnn_quads_run(g, &quad_ops, &l);
  }
}

void NAME(dqnn_run_conv_f32_f32_s1)(const dqnn_call *call) {
  run(call, 0);
}
DQNN_SAME_RUN(NAME(dqnn_run_conv_f32_f32_s8), NAME(dqnn_run_conv_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_f32_f32_f32), NAME(dqnn_run_conv_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_s8_f32_s1), NAME(dqnn_run_conv_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_s8_f32_s8), NAME(dqnn_run_conv_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_s8_f32_f32), NAME(dqnn_run_conv_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_s1_f32_s1), NAME(dqnn_run_conv_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_s1_f32_s8), NAME(dqnn_run_conv_f32_f32_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_s1_f32_f32), NAME(dqnn_run_conv_f32_f32_s1))
void NAME(dqnn_run_conv_f32_s8_s1)(const dqnn_call *call) {
  run(call, 1);
}
DQNN_SAME_RUN(NAME(dqnn_run_conv_f32_s8_s8), NAME(dqnn_run_conv_f32_s8_s1))
DQNN_SAME_RUN(NAME(dqnn_run_conv_f32_s8_f32), NAME(dqnn_run_conv_f32_s8_s1))
