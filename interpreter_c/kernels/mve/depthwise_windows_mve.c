/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_s8 with windows of any size, stride and dilation: sixteen channels of an output at a time, from
 * 16 channels on; the last ones go with those before them once more. No scratch. Pools, depth multipliers and half
 * weights are left to the 32-bit code.
 *
 * Products of bytes are halfwords, even and odd channels apart; those of two taps are added up before they are widened,
 * as long as no weight is -128. Cells are taken as they are stored: what the zero point adds is a number per channel,
 * and where some of a window lies outside the map, cells count from the pad value on. */
#include "depthwise_windows_mve.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../opt/geometry.h"
#include "epilogue_mve.h"

enum { LANES = 16, VECTORS = 4 /* of sums: channels 0, 4, 8, 12 and so on */ };

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  uint32_t taps;
  int32_t pad; /* stored value of cells outside the map */
  uint8_t binary_weights;
  /* the channels at work: */
  uint32_t channel;
  uint8_t pairs;         /* two products fit a halfword */
  int32_t inside[LANES]; /* what the sums of windows in the map begin with ... */
  int32_t border[LANES]; /* ... and of all others */
} layer;

/* The weights of a tap, and of those that follow it. */
typedef struct {
  const int8_t *bytes;
  uint32_t step;
  const uint32_t *words; /* s1 */
  uint32_t at, next;     /* the first bit, and where the word behind is, which has the others; 0: none has */
} weights;

DQNN_ALWAYS_INLINE weights weights_of(const layer *l, uint32_t tap) {
  const void *constant = l->call->constants[0];
  const uint32_t at = l->channel & 31u;
  const weights w = {.bytes = (const int8_t *)constant + tap * l->shape.channels + l->channel,
                     .step = l->shape.channels,
                     .words = (const uint32_t *)constant + (l->channel >> 5) * l->taps + tap,
                     .at = at,
                     .next = at > 32u - LANES ? l->taps : 0};
  return w;
}

DQNN_ALWAYS_INLINE int8x16_t next_weights(weights *w, int binary) {
  if (!binary) {
    const int8_t *from = w->bytes;
    w->bytes += w->step;
    return vld1q_s8(from);
  }
  const uint32_t *from = w->words++;
  const uint32_t bits = from[0] >> w->at | (w->next ? from[w->next] << (32u - w->at) : 0u);
  return vpselq_s8(vdupq_n_s8(-1), vdupq_n_s8(1), (mve_pred16_t)bits);
}

DQNN_ALWAYS_INLINE void widen(int32x4_t sums[VECTORS], int16x8_t even, int16x8_t odd) {
  sums[0] = vaddq_s32(sums[0], vmovlbq_s16(even));
  sums[1] = vaddq_s32(sums[1], vmovlbq_s16(odd));
  sums[2] = vaddq_s32(sums[2], vmovltq_s16(even));
  sums[3] = vaddq_s32(sums[3], vmovltq_s16(odd));
}

DQNN_ALWAYS_INLINE void begin(int32x4_t sums[VECTORS], const int32_t *from) {
  const int32x4x4_t four = vld4q_s32(from);
  for (uint32_t i = 0; i < VECTORS; i++) {
    sums[i] = four.val[i];
  }
}

DQNN_ALWAYS_INLINE void store(const int32x4_t sums[VECTORS], int32_t *to) {
  const int32x4x4_t four = {{sums[0], sums[1], sums[2], sums[3]}};
  vst4q_s32(to, four);
}

/* A window that lies in the map: `cells` are those of its first tap. */
DQNN_ALWAYS_INLINE void sum_inside(const layer *l, int binary, const int8_t *cells, int32_t *to) {
  const dqnn_geometry *g = &l->shape;
  const int32_t width = g->kernel_w;
  const uint32_t right = (uint32_t)g->dilation_w * g->channels, down = dqnn_row_step(g, g->kernel_h) * g->channels;
  weights w = weights_of(l, 0);
  int32x4_t sums[VECTORS];
  begin(sums, l->inside);
  for (int32_t rows = g->kernel_h; rows; rows--, cells += down) {
    const int8_t *x = cells;
    for (int32_t pairs = width / 2; pairs; pairs--, x += 2 * right) {
      const int8x16_t a = vld1q_s8(x), v = next_weights(&w, binary);
      int16x8_t even = vmullbq_int_s8(a, v), odd = vmulltq_int_s8(a, v);
      const int8x16_t b = vld1q_s8(x + right), u = next_weights(&w, binary);
      even = vaddq_s16(even, vmullbq_int_s8(b, u));
      odd = vaddq_s16(odd, vmulltq_int_s8(b, u));
      widen(sums, even, odd);
    }
    if (width & 1) {
      const int8x16_t a = vld1q_s8(x), v = next_weights(&w, binary);
      widen(sums, vmullbq_int_s8(a, v), vmulltq_int_s8(a, v));
    }
  }
  store(sums, to);
}

/* (x - pad) * w for even, or odd channels: of a halfword and a byte. */
DQNN_ALWAYS_INLINE void add_wide(int32x4_t *low, int32x4_t *high, int16x8_t x, int16x8_t w) {
  *low = vaddq_s32(*low, vmullbq_int_s16(x, w));
  *high = vaddq_s32(*high, vmulltq_int_s16(x, w));
}

/* Any window, from its first tap at y, x on. */
DQNN_ALWAYS_INLINE void sum_border(const layer *l, int binary, int32_t y, int32_t x, int32_t *to) {
  const dqnn_geometry *g = &l->shape;
  const dqnn_taps rows = dqnn_taps_inside(y, g->kernel_h, g->dilation_h, g->height),
                  columns = dqnn_taps_inside(x, g->kernel_w, g->dilation_w, g->width);
  const int8_t *image = (const int8_t *)l->call->in[0] + l->channel;
  const uint32_t right = (uint32_t)g->dilation_w * g->channels;
  const int16_t pad = (int16_t)l->pad;
  int32x4_t sums[VECTORS];
  begin(sums, l->border);
  for (int32_t ky = rows.first; ky < rows.end && columns.first < columns.end; ky++) {
    const int8_t *cell =
        image + dqnn_cell_index(g, y + ky * g->dilation_h, x + columns.first * g->dilation_w) * g->channels;
    weights from = weights_of(l, (uint32_t)(ky * g->kernel_w + columns.first));
    for (int32_t kx = columns.end - columns.first; kx; kx--, cell += right) {
      const int8x16_t a = vld1q_s8(cell), w = next_weights(&from, binary);
      add_wide(&sums[0], &sums[2], vsubq_n_s16(vmovlbq_s8(a), pad), vmovlbq_s8(w));
      add_wide(&sums[1], &sums[3], vsubq_n_s16(vmovltq_s8(a), pad), vmovltq_s8(w));
    }
  }
  store(sums, to);
}

DQNN_NOINLINE void sum_bytes_inside(const layer *l, const int8_t *cells, int32_t *to) {
  sum_inside(l, 0, cells, to);
}
DQNN_NOINLINE void sum_signs_inside(const layer *l, const int8_t *cells, int32_t *to) {
  sum_inside(l, 1, cells, to);
}
DQNN_NOINLINE void sum_bytes_border(const layer *l, int32_t y, int32_t x, int32_t *to) {
  sum_border(l, 0, y, x, to);
}
DQNN_NOINLINE void sum_signs_border(const layer *l, int32_t y, int32_t x, int32_t *to) {
  sum_border(l, 1, y, x, to);
}

/* Sixteen channels: what their sums begin with. */
DQNN_NOINLINE void begin_channels(layer *l, uint32_t channel) {
  const int32_t zero_point = l->call->in_def[0]->zero_point;
  int32x4_t sums[VECTORS] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  int8x16_t least = vdupq_n_s8(127);
  l->channel = channel;
  weights from = weights_of(l, 0);
  for (uint32_t tap = 0; tap < l->taps; tap++) {
    const int8x16_t w = l->binary_weights ? next_weights(&from, 1) : next_weights(&from, 0);
    least = vminq_s8(least, w);
    widen(sums, vmovlbq_s8(w), vmovltq_s8(w));
  }
  l->pairs = vminvq_s8(127, least) > -128;
  int32x4_t outside[VECTORS];
  for (uint32_t i = 0; i < VECTORS; i++) {
    outside[i] = vmulq_n_s32(sums[i], l->pad - zero_point);
    sums[i] = vmulq_n_s32(sums[i], -zero_point);
  }
  store(sums, l->inside);
  store(outside, l->border);
}

static void sum_window(const layer *l, int32_t y, int32_t x, int rows_inside, int32_t *sums) {
  const dqnn_geometry *g = &l->shape;
  if (!(rows_inside && l->pairs && x >= 0 && x + (g->kernel_w - 1) * g->dilation_w < g->width)) {
    l->binary_weights ? sum_signs_border(l, y, x, sums) : sum_bytes_border(l, y, x, sums);
    return;
  }
  const int8_t *cells = (const int8_t *)l->call->in[0] + dqnn_cell_index(g, y, x) * g->channels + l->channel;
  l->binary_weights ? sum_signs_inside(l, cells, sums) : sum_bytes_inside(l, cells, sums);
}

static void run_channels(const layer *l) {
  const dqnn_geometry *g = &l->shape;
  int8_t *out = (int8_t *)l->call->out + l->channel;
  int32_t y = -g->pad_top, sums[LANES];
  for (int32_t row = g->out_height; row; row--, y += g->stride_h) {
    const int inside = y >= 0 && y + (g->kernel_h - 1) * g->dilation_h < g->height;
    int32_t x = -g->pad_left;
    for (int32_t column = g->out_width; column; column--, x += g->stride_w, out += g->channels) {
      sum_window(l, y, x, inside, sums);
      dqnn_emit_s8_mve(&l->epilogue, sums, l->channel, LANES, out);
    }
  }
}

int dqnn_depthwise_windows_mve(const dqnn_call *call, uint8_t binary_weights) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  layer l;
  dqnn_read_geometry(call, &l.shape);
  if (p->half_weights || p->multiplier != 1 || l.shape.pool_cells > 1 || l.shape.channels < LANES) {
    return 0;
  }
  l.call = call;
  l.taps = dqnn_kernel_cells(&l.shape);
  l.pad = (int32_t)p->pad_value;
  l.binary_weights = binary_weights;
  dqnn_read_epilogue(call, 1, &l.epilogue);
  const uint32_t channels = l.shape.channels;
  for (uint32_t channel = 0; channel < channels; channel += LANES) {
    begin_channels(&l, channel + LANES > channels ? channels - LANES : channel);
    run_channels(&l);
  }
  return 1;
}
#endif
