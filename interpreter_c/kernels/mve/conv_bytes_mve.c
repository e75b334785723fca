/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32}: 8-bit weights, sixteen taps of two channels and up to three
 * pixels at a time.
 *
 * A weight word holds two taps of two channels (SPEC.md 3.3): VLD2 takes them apart, and VMLADAVA adds sixteen products
 * of bytes to a register. Inputs stay bytes: a sum begins at -zero point * (sum of the channel's weights), so that a
 * window is copied as it lies in memory, and not at all if it is one run. Signs of an s1 input become bytes 1 and -1.
 *
 * Scratch: dqnn_conv_bytes_scratch. */
#include "conv_bytes_mve.h"

#include "../opt/quads.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "conv_columns_mve.h"
#include "epilogue_mve.h"

enum { PIXELS = DQNN_BYTES_PIXELS, STEP = 16 };

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const uint8_t *image;
  const int8_t *weights;  /* of the group at work */
  uint32_t pixel_bytes;   /* of the input */
  uint32_t first_channel; /* of the group at work, input side */
  uint32_t first_output;
  uint32_t row_taps, taps; /* elements of a kernel row, of a window */
  uint32_t pair_bytes;     /* of the weights of two channels */
  uint32_t pitch;          /* totals of a pixel, even */
  int32_t up_h, up_w;
  int32_t zero_point, outside; /* of the input; stored value of cells outside the map */
  uint8_t plain;               /* kernel rows lie in memory as runs of s8 */
  uint8_t binary, half_weights;
  const int8_t *weight_zero_points; /* of all outputs; NULL: 0 */
  int32_t *begin;                   /* of each sum, by channel of the group; an odd number reads one more */
  int32_t *totals;                  /* [pixel][channel of the group] */
  int8_t *columns;                  /* [pixel][tap] */
} layer;

/* ---- windows ---- */

DQNN_INLINE void copy_bytes(int8_t *to, const int8_t *from, uint32_t count) {
  for (; count >= STEP; count -= STEP, to += STEP, from += STEP) {
    vst1q_s8(to, vld1q_s8(from));
  }
  if (count > 0) {
    mve_pred16_t lanes = vctp8q(count);
    vstrbq_p_s8(to, vld1q_z_s8(from, lanes), lanes);
  }
}

DQNN_INLINE void fill_bytes(int8_t *to, uint32_t count, int32_t value) {
  int8x16_t all = vdupq_n_s8((int8_t)value);
  for (int32_t left = (int32_t)count; left > 0; left -= STEP, to += STEP) {
    vstrbq_p_s8(to, all, vctp8q((uint32_t)left));
  }
}

/* Bits of a packed row from `first` on as bytes 1 and -1. */
static void sign_bytes(int8_t *to, const uint32_t *row, uint32_t first, uint32_t count) {
  int8x16_t plus = vdupq_n_s8(1), minus = vdupq_n_s8(-1);
  for (uint32_t n; count > 0; count -= n, first += n, to += n) {
    n = count < STEP ? count : STEP;
    mve_pred16_t negative = (mve_pred16_t)dqnn_read_bits(row, first, n);
    vstrbq_p_s8(to, vpselq_s8(minus, plus, negative), vctp8q(n));
  }
}

/* One kernel row of a window, tap by tap. */
static void copy_taps(const layer *l, int32_t y, int32_t x, int8_t *to) {
  const dqnn_geometry *g = &l->shape;
  int32_t row = dqnn_input_index(y, g->height, l->up_h);
  uint32_t count = g->in_group;
  for (int32_t kx = 0; kx < g->kernel_w; kx++, x += g->dilation_w, to += count) {
    int32_t column = dqnn_input_index(x, g->width, l->up_w);
    if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
      fill_bytes(to, count, l->outside);
      continue;
    }
    if (row < 0 || column < 0) {
      fill_bytes(to, count, l->zero_point);
      continue;
    }
    const uint8_t *cell = l->image + dqnn_cell_index(g, row, column) * l->pixel_bytes;
    if (l->binary) {
      sign_bytes(to, (const uint32_t *)(const void *)cell, l->first_channel, count);
    } else {
      copy_bytes(to, (const int8_t *)cell + l->first_channel, count);
    }
  }
}

/* The taps of one window in the order of the weights: in the map itself, or copied to `column`. In kernel rows of odd
 * length the last elements stand behind all rows; the end of a row is overwritten by the next one, that of the last row
 * by the end of the first. */
static const int8_t *window(const layer *l, dqnn_origin at, int8_t *const column) {
  const dqnn_geometry *g = &l->shape;
  uint32_t count = l->row_taps, even = count & ~1u;
  uint32_t pitch = dqnn_row_step(g, g->kernel_h) * g->channels;
  int32_t last_y = at.y + (g->kernel_h - 1) * g->dilation_h;
  int inside = l->plain && at.y >= 0 && last_y < g->height && at.x >= 0 && at.x + g->kernel_w <= g->width;
  const int8_t *run = (const int8_t *)l->image;
  int8_t *to = column, *odd = column + (uint32_t)g->kernel_h * even, first = 0;
  if (inside) {
    run += dqnn_cell_index(g, at.y, at.x) * g->channels;
    if (g->kernel_h == 1) {
      return run;
    }
  }
  for (int32_t ky = 0; ky < g->kernel_h; ky++, at.y += g->dilation_h, to += even) {
    if (inside) {
      copy_bytes(to, run, count);
      run += pitch;
    } else {
      copy_taps(l, at.y, at.x, to);
    }
    if (count != even) {
      first = ky == 0 ? to[even] : first;
      odd[ky] = to[even];
    }
  }
  if (count != even) {
    odd[0] = first;
  }
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
DQNN_INLINE void dot(const int8_t *w, const int8_t *const x[PIXELS], uint32_t taps, const int32_t begin[2], uint32_t n,
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
DQNN_INLINE void sum_pixels(const layer *l, const int8_t *const x[PIXELS], uint32_t n) {
  const int8_t *w = l->weights;
  const int32_t *begin = l->begin;
  int32_t *total = l->totals, *end = total + l->pitch;
  uint32_t pitch = l->pitch, taps = l->taps, pair_bytes = l->pair_bytes;
  for (; total < end; total += 2, begin += 2, w += pair_bytes) {
    dot(w, x, taps, begin, n, total, pitch);
  }
}

/* Functions of their own leave the registers to their loops. */
DQNN_NOINLINE void sum_one(const layer *l, const int8_t *const x[PIXELS]) {
  sum_pixels(l, x, 1);
}
DQNN_NOINLINE void sum_two(const layer *l, const int8_t *const x[PIXELS]) {
  sum_pixels(l, x, 2);
}
DQNN_NOINLINE void sum_three(const layer *l, const int8_t *const x[PIXELS]) {
  sum_pixels(l, x, 3);
}

/* A half weight w stands for w + 1/2, and sums count halves; others are less their zero point. */
static void add_inputs(const layer *l, const int8_t *x, int32_t *total) {
  int32_t sum = -l->zero_point * (int32_t)l->taps;
  for (int32_t left = (int32_t)l->taps; left > 0; left -= STEP, x += STEP) {
    sum = vaddvaq_s8(sum, vld1q_z_s8(x, vctp8q((uint32_t)left)));
  }
  for (uint32_t c = 0; c < l->shape.out_group; c++) {
    total[c] = l->half_weights ? 2 * total[c] + sum : total[c] - l->weight_zero_points[l->first_output + c] * sum;
  }
}

DQNN_NOINLINE void sum_windows(const layer *l, const dqnn_origin *at, uint32_t n) {
  const int8_t *x[PIXELS];
  for (uint32_t p = 0; p < n; p++) {
    x[p] = window(l, at[p], l->columns + p * l->taps);
  }
  if (n == 3) {
    sum_three(l, x);
  } else if (n == 2) {
    sum_two(l, x);
  } else {
    sum_one(l, x);
  }
  for (uint32_t p = 0; (l->half_weights || l->weight_zero_points) && p < n; p++) {
    add_inputs(l, x[p], l->totals + p * l->pitch);
  }
}

/* ---- output ---- */

static void emit(const layer *l, const int32_t *total, uint32_t pixel) {
  const dqnn_call *call = l->call;
  uint32_t outputs = l->shape.outputs, count = l->shape.out_group, channel = l->first_output;
  if (call->out_def->dtype == DQNN_S1) {
    const uint32_t *flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
    uint32_t *row = (uint32_t *)call->out + pixel * ((outputs + 31u) >> 5);
    dqnn_emit_s1_mve((const int32_t *)call->constants[1], flip, total, channel, count, row);
  } else if (call->out_def->dtype == DQNN_S8) {
    dqnn_emit_s8_mve(&l->epilogue, total, channel, count, (int8_t *)call->out + pixel * outputs + channel);
  } else {
    dqnn_emit_f32_mve(&l->epilogue, total, channel, count, (float *)call->out + pixel * outputs + channel);
  }
}

/* ---- the walk ---- */

static void run_plain(const layer *l) {
  const dqnn_geometry *g = &l->shape;
  uint32_t width = (uint32_t)g->out_width, pixels = (uint32_t)g->out_height * width, y = 0, x = 0;
  for (uint32_t first = 0, n; first < pixels; first += n) {
    dqnn_origin at[PIXELS];
    n = pixels - first < PIXELS ? pixels - first : PIXELS;
    for (uint32_t i = 0; i < n; i++) {
      at[i] = dqnn_window_at(g, y, x);
      if (++x == width) {
        x = 0;
        y++;
      }
    }
    sum_windows(l, at, n);
    for (uint32_t i = 0; i < n; i++) {
      emit(l, l->totals + i * l->pitch, first + i);
    }
  }
}

/* The larger of each total of pixel 0 and of pixel p to pixel 0. */
static void keep_larger(int32_t *most, const int32_t *total, uint32_t count) {
  for (int32_t left = (int32_t)count; left > 0; left -= 4, most += 4, total += 4) {
    mve_pred16_t lanes = vctp32q((uint32_t)left);
    vst1q_p_s32(most, vmaxq_s32(vld1q_z_s32(most, lanes), vld1q_z_s32(total, lanes)), lanes);
  }
}

/* One pooling window: two cells at a time behind the maxima. */
static void run_pooled(layer *l) {
  const dqnn_geometry *g = &l->shape;
  uint32_t pool_w = (uint32_t)g->pool_w, cells = g->pool_cells, width = (uint32_t)g->pooled_width,
           pixels = (uint32_t)(g->out_height / g->pool_h) * width, count = g->out_group;
  int32_t *most = l->totals;
  for (uint32_t pixel = 0; pixel < pixels; pixel++) {
    uint32_t y = pixel / width * (uint32_t)g->pool_h, x = pixel % width * pool_w;
    for (uint32_t cell = 0; cell < cells; cell += 2) {
      uint32_t n = cells - cell < 2 ? 1 : 2;
      dqnn_origin at[2];
      for (uint32_t i = 0; i < n; i++) {
        at[i] = dqnn_window_at(g, y + (cell + i) / pool_w, x + (cell + i) % pool_w);
      }
      l->totals = cell > 0 ? most + l->pitch : most;
      sum_windows(l, at, n);
      if (cell > 0) {
        keep_larger(most, l->totals, count);
      }
      if (n > 1) {
        keep_larger(most, l->totals + l->pitch, count);
      }
    }
    emit(l, most, pixel);
  }
  l->totals = most;
}

/* ---- set-up ---- */

/* What the zero point takes from each sum. */
static void find_begins(const layer *l) {
  const int8_t *w = l->weights;
  uint32_t outputs = l->shape.out_group;
  for (uint32_t c = 0; c < outputs; c += 2, w += l->pair_bytes) {
    int32_t a = 0, b = 0;
    const int8_t *from = w;
    uint32_t left = l->zero_point ? l->taps : 0;
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
    l->begin[c] = -l->zero_point * a;
    if (c + 1 < outputs) {
      l->begin[c + 1] = -l->zero_point * b;
    }
  }
}

static void prepare(const dqnn_call *call, uint32_t zero_points, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  l->call = call;
  dqnn_read_geometry(call, g);
  l->binary = in->dtype == DQNN_S1;
  l->half_weights = p->half_weights;
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->image = (const uint8_t *)call->in[0];
  l->pixel_bytes = l->binary ? (g->channels + 31u) / 32u * 4u : g->channels;
  l->zero_point = l->binary ? 0 : in->zero_point;
  l->outside = (int32_t)p->pad_value;
  l->plain = !l->binary && p->groups == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1;
  l->row_taps = (uint32_t)g->kernel_w * g->in_group;
  l->taps = (uint32_t)g->kernel_h * l->row_taps;
  l->pair_bytes = (l->taps + 1) / 2 * 4;
  l->pitch = dqnn_bytes_pitch(g->out_group);
  l->begin = (int32_t *)call->scratch;
  l->totals = l->begin + g->out_group;
  l->columns = (int8_t *)(l->totals + dqnn_bytes_pixels(g->out_height, g->out_width) * l->pitch);
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1 + zero_points, &l->epilogue);
  }
}

static void run_any(const dqnn_call *call, uint32_t zero_points) {
  layer l;
  prepare(call, zero_points, &l);
  const dqnn_geometry *g = &l.shape;
  for (uint32_t group = 0; group < g->groups; group++) {
    l.weights = (const int8_t *)call->constants[0] + group * ((g->out_group + 1) / 2 * l.pair_bytes);
    l.first_channel = group * g->in_group;
    l.first_output = group * g->out_group;
    find_begins(&l);
    if (g->pool_cells > 1) {
      run_pooled(&l);
    } else {
      run_plain(&l);
    }
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
