/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32}: 8-bit weights, sixteen taps of two channels and up to three
 * pixels at a time.
 *
 * A weight word holds two taps of two channels (SPEC.md 3.3): VLD2 takes them apart, and VMLADAVA adds sixteen products
 * of bytes to a register. Inputs stay bytes: a sum begins at -zero point * (sum of the channel's weights). Outputs for
 * which the scratch has no room go in blocks, each through the whole map.
 *
 * Scratch: dqnn_conv_bytes_scratch. */
#include "conv_bytes_mve.h"

#include "windows_mve.h"

#if DQNN_HAVE_MVE

#include "conv_columns_mve.h"
#include "dense_bytes_mve.h"

enum { STEP = DQNN_WINDOW_STEP };

typedef struct {
  dqnn_windows columns;             /* first: its sums get the address of this one */
  const int8_t *weights;            /* of the block at work */
  uint32_t pair_bytes;              /* of the weights of two channels */
  uint32_t block;                   /* outputs at a time */
  const int8_t *weight_zero_points; /* of all outputs; NULL: 0 */
  int32_t *begin;                   /* of each sum, by channel of the block; an odd number reads one more */
} layer;

/* A window is copied as it lies in memory, and not at all if it is one run. */
static const int8_t *gather(const dqnn_windows *c, dqnn_origin at, int8_t *column) {
  const int8_t *run = dqnn_windows_row(c, at);
  if (!run) {
    dqnn_windows_gather(c, at, column);
    return column;
  }
  if (c->shape.kernel_h == 1) {
    return run;
  }
  dqnn_windows_copy(c, run, column);
  return column;
}

/* ---- sums ---- */

/* The weights of up to sixteen last taps of two channels. */
DQNN_INLINE int8x16x2_t last_weights(const int8_t *w, mve_pred16_t lanes) {
  uint8x16_t places = vidupq_n_u8(0, 2);
  int8x16x2_t pair = {{vldrbq_gather_offset_z_s8(w, places, lanes), vldrbq_gather_offset_z_s8(w + 1, places, lanes)}};
  return pair;
}

/* Two channels of n pixels (a constant, 1 to 3) to totals, `pitch` apart. */
DQNN_INLINE void dot(const int8_t *w, const int8_t *const x[], uint32_t taps, const int32_t begin[2], uint32_t n,
                     int32_t *total, uint32_t pitch) {
  int32_t a0 = begin[0], b0 = begin[1], a1 = a0, b1 = b0, a2 = a0, b2 = b0;
  const int8_t *x0 = x[0], *x1 = x[n > 1], *x2 = x[n > 2 ? 2 : 0];
  for (uint32_t steps = taps / STEP; steps > 0; steps--, w += 2 * STEP) {
    int8x16x2_t pair = vld2q_s8(w);
    int8x16_t input = vld1q_s8(x0);
    x0 += STEP;
    a0 = vmladavaq_s8(a0, pair.val[0], input);
    b0 = vmladavaq_s8(b0, pair.val[1], input);
    if (n > 1) {
      input = vld1q_s8(x1);
      x1 += STEP;
      a1 = vmladavaq_s8(a1, pair.val[0], input);
      b1 = vmladavaq_s8(b1, pair.val[1], input);
    }
    if (n > 2) {
      input = vld1q_s8(x2);
      x2 += STEP;
      a2 = vmladavaq_s8(a2, pair.val[0], input);
      b2 = vmladavaq_s8(b2, pair.val[1], input);
    }
  }
  if (taps % STEP) {
    mve_pred16_t lanes = vctp8q(taps % STEP);
    int8x16x2_t pair = last_weights(w, lanes);
    int8x16_t input = vld1q_z_s8(x0, lanes);
    a0 = vmladavaq_s8(a0, pair.val[0], input);
    b0 = vmladavaq_s8(b0, pair.val[1], input);
    if (n > 1) {
      input = vld1q_z_s8(x1, lanes);
      a1 = vmladavaq_s8(a1, pair.val[0], input);
      b1 = vmladavaq_s8(b1, pair.val[1], input);
    }
    if (n > 2) {
      input = vld1q_z_s8(x2, lanes);
      a2 = vmladavaq_s8(a2, pair.val[0], input);
      b2 = vmladavaq_s8(b2, pair.val[1], input);
    }
  }
  total[0] = a0;
  total[1] = b0;
  if (n > 1) {
    total[pitch] = a1;
    total[pitch + 1] = b1;
  }
  if (n > 2) {
    total[2 * pitch] = a2;
    total[2 * pitch + 1] = b2;
  }
}

/* totals[pixel][channel] of n pixels. */
DQNN_INLINE void sum_pixels(const layer *l, const int8_t *const x[], uint32_t n) {
  const int8_t *w = l->weights;
  const int32_t *begin = l->begin;
  uint32_t pitch = l->columns.pitch, taps = l->columns.taps, pair_bytes = l->pair_bytes;
  int32_t *total = l->columns.totals, *end = total + pitch;
  for (; total < end; total += 2, begin += 2, w += pair_bytes) {
    dot(w, x, taps, begin, n, total, pitch);
  }
}

/* Functions of their own leave the registers to their loops. */
DQNN_NOINLINE void sum_one(const layer *l, const int8_t *const x[]) {
  sum_pixels(l, x, 1);
}
DQNN_NOINLINE void sum_two(const layer *l, const int8_t *const x[]) {
  sum_pixels(l, x, 2);
}
DQNN_NOINLINE void sum_three(const layer *l, const int8_t *const x[]) {
  sum_pixels(l, x, 3);
}

/* A half weight w stands for w + 1/2, and sums count halves; others are less their zero point. */
static void add_inputs(const layer *l, const int8_t *x, int32_t *total) {
  const dqnn_windows *c = &l->columns;
  int32_t sum = -c->zero_point * (int32_t)c->taps;
  for (int32_t left = (int32_t)c->taps; left > 0; left -= STEP, x += STEP) {
    sum = vaddvaq_s8(sum, vld1q_z_s8(x, vctp8q((uint32_t)left)));
  }
  for (uint32_t i = 0; i < c->outputs; i++) {
    total[i] = c->half_weights ? 2 * total[i] + sum : total[i] - l->weight_zero_points[c->first_output + i] * sum;
  }
}

static void sum_columns(const dqnn_windows *c, const int8_t *const x[], uint32_t n) {
  const layer *l = (const layer *)(const void *)c;
  if (n == 3) {
    sum_three(l, x);
  } else if (n == 2) {
    sum_two(l, x);
  } else {
    sum_one(l, x);
  }
  for (uint32_t p = 0; (c->half_weights || l->weight_zero_points) && p < n; p++) {
    add_inputs(l, x[p], c->totals + p * c->pitch);
  }
}

/* The only window, with what the zero point takes. */
static void sum_dense(const dqnn_windows *c, const int8_t *const x[], uint32_t n) {
  const layer *l = (const layer *)(const void *)c;
  (void)n;
  dqnn_dense_bytes_mve(c, l->weights, l->pair_bytes, x[0]);
}

/* ---- set-up ---- */

/* What the zero point takes from each sum. */
static void find_begins(const layer *l) {
  const int8_t *w = l->weights;
  const uint32_t outputs = l->columns.outputs;
  const int32_t zero_point = l->columns.zero_point;
  for (uint32_t c = 0; c < outputs; c += 2, w += l->pair_bytes) {
    int32_t a = 0, b = 0;
    const int8_t *from = w;
    uint32_t left = zero_point ? l->columns.taps : 0;
    for (; left >= STEP; left -= STEP, from += 2 * STEP) {
      int8x16x2_t pair = vld2q_s8(from);
      a = vaddvaq_s8(a, pair.val[0]);
      b = vaddvaq_s8(b, pair.val[1]);
    }
    if (left > 0) {
      int8x16x2_t pair = last_weights(from, vctp8q(left));
      a = vaddvaq_s8(a, pair.val[0]);
      b = vaddvaq_s8(b, pair.val[1]);
    }
    l->begin[c] = -zero_point * a;
    if (c + 1 < outputs) {
      l->begin[c + 1] = -zero_point * b;
    }
  }
}

/* Outputs of a block: all of a group, or as many as the scratch holds, which is DQNN_BYTES_LEAST or more. */
static uint32_t find_block(const dqnn_call *call, uint32_t taps, uint32_t outputs, uint32_t pixels) {
  return dqnn_conv_bytes_scratch(taps, outputs, pixels) <= call->scratch_bytes
             ? outputs
             : (call->scratch_bytes - pixels * taps) / (4 * (1 + pixels)) & ~1u;
}

static void prepare(const dqnn_call *call, uint32_t zero_points, layer *l) {
  dqnn_windows *c = &l->columns;
  const dqnn_geometry *g = &c->shape;
  dqnn_windows_prepare(c, call, 1 + zero_points);
  const uint32_t pixels = dqnn_bytes_pixels(g->out_height, g->out_width);
  l->block = find_block(call, c->taps, g->out_group, pixels);
  l->weights = (const int8_t *)call->constants[0];
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->pair_bytes = (c->taps + 1) / 2 * 4;
  l->begin = (int32_t *)call->scratch;
  c->together = DQNN_WINDOWS;
  c->totals = l->begin + l->block;
  c->columns = (int8_t *)(c->totals + pixels * dqnn_bytes_pitch(l->block));
  c->column_bytes = c->taps;
  c->gather = gather;
  c->sum = sum_columns;
}

static void run_any(const dqnn_call *call, uint32_t zero_points) {
  layer l;
  dqnn_windows *c = &l.columns;
  prepare(call, zero_points, &l);
  const int is_dense = dqnn_is_single(c->shape.out_height, c->shape.out_width) && !zero_points && !c->half_weights;
  if (is_dense) {
    c->sum = sum_dense;
  }
  for (; dqnn_windows_next(c, l.block); l.weights += c->pitch / 2 * l.pair_bytes) {
    c->pitch = dqnn_bytes_pitch(c->outputs);
    if (!is_dense) {
      find_begins(&l);
    }
    dqnn_windows_run(c);
  }
}

static void run(const dqnn_call *call) {
  run_any(call, 0);
}

void dqnn_run_conv_s8_s8_s1_mve(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s8_s8_s8_mve(const dqnn_call *call) {
  if (!dqnn_run_columns(call)) {
    run(call);
  }
}
void dqnn_run_conv_s8_s8_f32_mve(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_s1_mve(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_s8_mve(const dqnn_call *call) {
  run(call);
}
void dqnn_run_conv_s1_s8_f32_mve(const dqnn_call *call) {
  run(call);
}
void dqnn_run_convz_s8_s8_s8_mve(const dqnn_call *call) {
  run_any(call, 1);
}
void dqnn_run_convz_s8_s8_f32_mve(const dqnn_call *call) {
  run_any(call, 1);
}
#endif
