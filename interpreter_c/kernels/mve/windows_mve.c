/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* windows_mve.h, compiled once. Signs of an s1 input become bytes 1 and -1. */
#include "windows_mve.h"

#if DQNN_HAVE_MVE

/* ---- windows ---- */

/* Bits of a packed row from `first` on as bytes 1 and -1. */
static void sign_bytes(int8_t *to, const uint32_t *row, uint32_t first, uint32_t count) {
  int8x16_t plus = vdupq_n_s8(1), minus = vdupq_n_s8(-1);
  for (uint32_t n; count > 0; count -= n, first += n, to += n) {
    n = count < DQNN_WINDOW_STEP ? count : DQNN_WINDOW_STEP;
    mve_pred16_t negative = (mve_pred16_t)dqnn_read_bits(row, first, n);
    vstrbq_p_s8(to, vpselq_s8(minus, plus, negative), vctp8q(n));
  }
}

/* One kernel row of a window of a plain map, of which it may reach out. */
static void copy_border(const dqnn_windows *l, int32_t y, int32_t x, int8_t *to) {
  const dqnn_geometry *g = &l->shape;
  dqnn_taps in = {0, 0};
  if (y >= 0 && y < g->height) {
    in = dqnn_taps_inside(x, g->kernel_w, 1, g->width);
  }
  uint32_t before = (uint32_t)in.first * g->channels, taps = (uint32_t)(in.end - in.first) * g->channels;
  dqnn_fill_bytes(to, before, l->outside);
  if (taps > 0) {
    dqnn_copy_bytes(to + before, (const int8_t *)l->image + dqnn_cell_index(g, y, x + in.first) * g->channels, taps);
  }
  dqnn_fill_bytes(to + before + taps, l->row_taps - before - taps, l->outside);
}

/* One kernel row of any, tap by tap. */
static void copy_taps(const dqnn_windows *l, int32_t y, int32_t x, int8_t *to) {
  const dqnn_geometry *g = &l->shape;
  int32_t row = dqnn_input_index(y, g->height, l->up_h);
  uint32_t count = g->in_group;
  for (int32_t kx = 0; kx < g->kernel_w; kx++, x += g->dilation_w, to += count) {
    int32_t column = dqnn_input_index(x, g->width, l->up_w);
    if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
      dqnn_fill_bytes(to, count, l->outside);
      continue;
    }
    if (row < 0 || column < 0) {
      dqnn_fill_bytes(to, count, l->zero_point);
      continue;
    }
    const uint8_t *cell = l->image + dqnn_cell_index(g, row, column) * l->pixel_bytes;
    if (l->binary) {
      sign_bytes(to, (const uint32_t *)(const void *)cell, l->first_channel, count);
    } else {
      dqnn_copy_bytes(to, (const int8_t *)cell + l->first_channel, count);
    }
  }
}

/* The taps of one window in the order of the weights. In kernel rows of odd length the last elements stand behind all
 * rows; the end of a row is overwritten by the next one, that of the last row by the end of the first. run:
 * dqnn_windows_row. */
DQNN_INLINE void copy_window(const dqnn_windows *l, dqnn_origin at, const int8_t *run, int8_t *column) {
  const dqnn_geometry *g = &l->shape;
  uint32_t count = l->row_taps, even = count & ~1u, pitch = run ? dqnn_row_step(g, g->kernel_h) * g->channels : 0;
  int8_t *to = column, *odd = column + (uint32_t)g->kernel_h * even, first = 0;
  for (int32_t ky = 0; ky < g->kernel_h; ky++, at.y += g->dilation_h, to += even) {
    if (run) {
      dqnn_copy_bytes(to, run, count);
      run += pitch;
    } else if (l->plain) {
      copy_border(l, at.y, at.x, to);
    } else {
      copy_taps(l, at.y, at.x, to);
    }
    if (count != even) {
      first = (int8_t)(ky == 0 ? to[even] : first);
      odd[ky] = to[even];
    }
  }
  if (count != even) {
    odd[0] = first;
  }
}

void dqnn_windows_copy(const dqnn_windows *l, const int8_t *run, int8_t *column) {
  const dqnn_origin none = {0, 0};
  copy_window(l, none, run, column);
}

void dqnn_windows_gather(const dqnn_windows *l, dqnn_origin at, int8_t *column) {
  copy_window(l, at, NULL, column);
}

static void sum_windows(const dqnn_windows *l, const dqnn_origin *at, uint32_t n) {
  const int8_t *x[DQNN_WINDOWS];
  int8_t *column = l->columns;
  for (uint32_t p = 0; p < n; p++, column += l->column_bytes) {
    x[p] = l->gather(l, at[p], column);
  }
  l->sum(l, x, n);
}

/* ---- output ---- */

static void emit(const dqnn_windows *l, const int32_t *total, uint32_t pixel) {
  const dqnn_call *call = l->call;
  uint32_t outputs = l->shape.outputs, count = l->outputs, channel = l->first_output;
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

static void run_plain(const dqnn_windows *l) {
  const dqnn_geometry *g = &l->shape;
  uint32_t width = (uint32_t)g->out_width, pixels = (uint32_t)g->out_height * width, y = 0, x = 0;
  for (uint32_t first = 0, n; first < pixels; first += n) {
    dqnn_origin at[DQNN_WINDOWS];
    n = pixels - first < l->together ? pixels - first : l->together;
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

/* Cells `cell` and, where there is another, the next one of the pooling window from y, x on; the maxima are `most`. */
static void pool_two(dqnn_windows *l, uint32_t y, uint32_t x, uint32_t cell, int32_t *most) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t pool_w = (uint32_t)g->pool_w, n = g->pool_cells - cell < 2 ? 1 : 2;
  dqnn_origin at[2];
  for (uint32_t i = 0; i < n; i++) {
    at[i] = dqnn_window_at(g, y + (cell + i) / pool_w, x + (cell + i) % pool_w);
  }
  l->totals = cell > 0 ? most + l->pitch : most;
  sum_windows(l, at, n);
  if (cell > 0) {
    keep_larger(most, l->totals, l->outputs);
  }
  if (n > 1) {
    keep_larger(most, l->totals + l->pitch, l->outputs);
  }
}

/* Pooling windows, two cells at a time behind the maxima. */
static void run_pooled(dqnn_windows *l) {
  const dqnn_geometry *g = &l->shape;
  uint32_t width = (uint32_t)g->pooled_width, pixels = (uint32_t)(g->out_height / g->pool_h) * width;
  int32_t *most = l->totals;
  for (uint32_t pixel = 0; pixel < pixels; pixel++) {
    uint32_t y = pixel / width * (uint32_t)g->pool_h, x = pixel % width * (uint32_t)g->pool_w;
    for (uint32_t cell = 0; cell < g->pool_cells; cell += 2) {
      pool_two(l, y, x, cell, most);
    }
    emit(l, most, pixel);
  }
  l->totals = most;
}

int dqnn_windows_next(dqnn_windows *l, uint32_t block) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t first = l->first_output + l->outputs, group = first / g->out_group;
  const uint32_t left = (group + 1) * g->out_group - first;
  l->first_channel = group * g->in_group;
  l->first_output = first;
  l->outputs = left < block ? left : block;
  return first < g->outputs;
}

void dqnn_windows_run(dqnn_windows *l) {
  if (l->shape.pool_cells > 1) {
    run_pooled(l);
  } else {
    run_plain(l);
  }
}

void dqnn_windows_prepare(dqnn_windows *l, const dqnn_call *call, uint32_t constants) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  l->call = call;
  dqnn_read_geometry(call, g);
  l->first_output = l->outputs = 0;
  l->binary = in->dtype == DQNN_S1;
  l->half_weights = p->half_weights;
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->image = (const uint8_t *)call->in[0];
  l->pixel_bytes = l->binary ? (g->channels + 31u) / 32u * 4u : g->channels;
  l->zero_point = l->binary ? 0 : in->zero_point;
  l->outside = (int32_t)p->pad_value;
  l->plain = !l->binary && p->groups == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1;
  l->row_taps = (uint32_t)g->kernel_w * g->in_group;
  l->taps = (uint32_t)g->kernel_h * l->row_taps;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, constants, &l->epilogue);
  }
}

#endif
