/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_s8 with windows of 3x3, any stride and dilation: sixteen channels of an output at a time
 * (isa/mve_nine.h), from 16 channels on; the last ones go with those before them once more. No scratch: for maps whose
 * cells do not pay to be brought into the order of patches (depthwise_bytes_mve.c). Pools, depth multipliers, half
 * weights, two weights of -128 beside each other and rules other than those of isa/affine.h are left to others.
 *
 * Cells are taken as they are stored: what the zero point of the input adds is a number per channel. Where a cell lies
 * outside the map, one of the pad value is read. */
#include "depthwise_nine_bytes_mve.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../../isa/mve_nine.h"
#include "../opt/emit_quad.h"
#include "../opt/geometry.h"
#include "epilogue_mve.h"

enum { LANES = 16, SIDE = 3, TAPS = SIDE * SIDE };

/* Along a line of outputs, or across lines; steps in bytes. */
typedef struct {
  int32_t size, outputs, pad, stride, dilation; /* size: of the input */
  uint32_t in_step, out_step;
} axis;

typedef struct {
  const dqnn_call *call;
  axis along, across;
  uint32_t channels;
  uint8_t transposed, binary_weights;
  dqnn_depthwise_unpack unpack; /* NULL: weights are signs, or bytes in the file */
  void (*run_row)(const dqnn_nine_row *);
  void (*run_cells)(const dqnn_nine_cells *);
  int8_t outside[LANES];
  dqnn_nine_channels table;
} layer;

/* Lines of the map under a line of outputs, from their first cell, and bytes from cell to cell; of a line outside, a
 * cell of the pad value. */
typedef struct {
  const int8_t *at[SIDE];
  uint32_t step[SIDE];
} lines;

DQNN_ALWAYS_INLINE void find_line(const layer *l, const int8_t *image, int32_t y, const int8_t **at, uint32_t *step) {
  const int inside = y >= 0 && y < l->across.size;
  *at = inside ? image + (uint32_t)y * l->across.in_step : l->outside;
  *step = inside ? l->along.in_step : 0;
}

/* `count` outputs whose windows lie between both ends of lines, from cell x on. */
DQNN_NOINLINE void run_between(const layer *l, const lines *n, int32_t x, uint32_t count, int8_t *out) {
  const uint32_t right = (uint32_t)l->along.dilation, turn = (uint32_t)l->along.stride - SIDE * right;
  dqnn_nine_row r;
  for (uint32_t i = 0; i < SIDE; i++) {
    const uint32_t step = n->step[i];
    r.at[i] = n->at[i] + (uint32_t)x * step;
    r.right[i] = right * step;
    r.turn[i] = turn * step;
  }
  r.channels = &l->table;
  r.out = out;
  r.step = l->along.out_step;
  r.count = count;
  l->run_row(&r);
}

/* The output whose window begins in cell x. */
DQNN_NOINLINE void run_anywhere(const layer *l, const lines *n, int32_t x, int8_t *out) {
  const int8_t *const outside = l->outside, *a = n->at[0], *b = n->at[1], *d = n->at[2];
  const uint32_t step_a = n->step[0], step_b = n->step[1], step_d = n->step[2];
  const uint32_t size = (uint32_t)l->along.size;
  dqnn_nine_cells c;
  uint32_t at = (uint32_t)x;
  for (const int8_t **to = c.at; to < c.at + SIDE; to++, at += (uint32_t)l->along.dilation) {
    to[0] = to[SIDE] = to[2 * SIDE] = outside;
    if (at < size) {
      to[0] = a + at * step_a;
      to[SIDE] = b + at * step_b;
      to[2 * SIDE] = d + at * step_d;
    }
  }
  c.channels = &l->table;
  c.out = out;
  l->run_cells(&c);
}

/* A line of outputs, whose windows begin in line y. */
DQNN_NOINLINE void run_line(const layer *l, const int8_t *image, int32_t y, int8_t *out) {
  const axis *along = &l->along;
  const int32_t next = l->across.dilation, last = along->size - 1 - (SIDE - 1) * along->dilation;
  lines n;
  find_line(l, image, y, &n.at[0], &n.step[0]);
  find_line(l, image, y + next, &n.at[1], &n.step[1]);
  find_line(l, image, y + 2 * next, &n.at[2], &n.step[2]);
  int32_t x = -along->pad;
  for (int32_t left = along->outputs, count; left; left -= count, out += (uint32_t)count * along->out_step) {
    count = 1;
    if (x < 0 || x > last) {
      run_anywhere(l, &n, x, out);
    } else {
      const int32_t most = (last - x) / along->stride + 1;
      count = most < left ? most : left;
      run_between(l, &n, x, (uint32_t)count, out);
    }
    x += count * along->stride;
  }
}

/* ---- set-up ---- */

/* Signs of sixteen channels of a tap. */
static int8x16_t signs_at(const layer *l, uint32_t tap, uint32_t channel) {
  const uint32_t *from = (const uint32_t *)l->call->constants[0] + (channel >> 5) * TAPS + tap;
  const uint32_t at = channel & 31u, more = at > 32u - LANES ? from[TAPS] << (32u - at) : 0;
  return vpselq_s8(vdupq_n_s8(-1), vdupq_n_s8(1), (mve_pred16_t)(from[0] >> at | more));
}

static void exchange(int8_t *a, int8_t *b) {
  const int8x16_t x = vld1q_s8(a);
  vst1q_s8(a, vld1q_s8(b));
  vst1q_s8(b, x);
}

DQNN_NOINLINE void read_weights(layer *l, uint32_t channel) {
  const int8_t *w = (const int8_t *)l->call->constants[0] + channel;
  int8_t(*to)[LANES] = l->table.weights;
  for (uint32_t four = 0; l->unpack && four < LANES; four += 4) {
    l->unpack(l->call, channel + four, LANES, to[0] + four);
  }
  for (uint32_t tap = 0; !l->unpack && tap < TAPS; tap++, w += l->channels) {
    vst1q_s8(to[tap], l->binary_weights ? signs_at(l, tap, channel) : vld1q_s8(w));
  }
  if (l->transposed) {
    exchange(to[1], to[3]);
    exchange(to[2], to[6]);
    exchange(to[5], to[7]);
  }
}

/* Bias, and what the zero point of the input comes to. */
DQNN_NOINLINE void set_begin(layer *l, const int32_t *bias) {
  const int32_t zero_point = l->call->in_def[0]->zero_point;
  int16x8_t even = vdupq_n_s16(0), odd = even; /* of nine weights */
  for (uint32_t tap = 0; tap < TAPS; tap++) {
    const int8x16_t v = vld1q_s8(l->table.weights[tap]);
    even = vaddq_s16(even, vmovlbq_s8(v));
    odd = vaddq_s16(odd, vmovltq_s8(v));
  }
  vst1q_s32(l->table.begin[0], vmulq_n_s32(vmovlbq_s16(even), -zero_point));
  vst1q_s32(l->table.begin[1], vmulq_n_s32(vmovlbq_s16(odd), -zero_point));
  vst1q_s32(l->table.begin[2], vmulq_n_s32(vmovltq_s16(even), -zero_point));
  vst1q_s32(l->table.begin[3], vmulq_n_s32(vmovltq_s16(odd), -zero_point));
  const uint32x4_t places = vshlq_n_u32(vidupq_n_u32(0, 1), 2);
  for (uint32_t i = 0; bias && i < 4; i++) {
    const int32x4_t sum = vld1q_s32(l->table.begin[i]);
    vst1q_s32(l->table.begin[i], vaddq_s32(sum, vldrwq_gather_shifted_offset_s32(bias + i, places)));
  }
}

/* Sixteen channels. */
DQNN_NOINLINE void set_channels(layer *l, uint32_t channel) {
  dqnn_epilogue e;
  dqnn_read_epilogue(l->call, 1, &e);
  const int affine = e.requant == DQNN_REQUANT_AFFINE;
  const int32_t *factors = (const int32_t *)(affine ? (const void *)e.scale : e.multiplier) + channel,
                *addends = (const int32_t *)(affine ? (const void *)e.offset : e.shift) + channel;
  const uint32x4_t places = vshlq_n_u32(vidupq_n_u32(0, 1), 2);
  for (uint32_t i = 0; i < 4; i++) {
    vst1q_s32(l->table.factor[i], vldrwq_gather_shifted_offset_s32(factors + i, places));
    vst1q_s32(l->table.addend[i], vldrwq_gather_shifted_offset_s32(addends + i, places));
  }
  l->table.zero_point = e.zero_point;
  read_weights(l, channel);
  set_begin(l, affine ? NULL : e.bias + channel);
}

static uint32_t block_at(const layer *l, uint32_t channel) {
  return channel + LANES > l->channels ? l->channels - LANES : channel;
}

/* Do the products of two taps fit a halfword? They do unless both weights are -128. */
DQNN_NOINLINE int are_small(layer *l) {
  int8x16_t least = vdupq_n_s8(127);
  for (uint32_t channel = 0; channel < l->channels; channel += LANES) {
    read_weights(l, block_at(l, channel));
    for (uint32_t tap = 0; tap + 1 < TAPS; tap += 2) {
      const int8_t *w = l->table.weights[tap];
      least = vminq_s8(least, vmaxq_s8(vld1q_s8(w), vld1q_s8(w + LANES)));
    }
  }
  return vminvq_s8(127, least) > -128;
}

/* Lines along the longer side. */
static void read_axes(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  const axis row = {(int32_t)in.w, (int32_t)out.w, p->pad_left, p->stride_w, p->dilation_w, in.c, in.c};
  const axis column = {(int32_t)in.h, (int32_t)out.h, p->pad_top,  p->stride_h,
                       p->dilation_h, in.w * in.c,    out.w * in.c};
  l->transposed = out.h > out.w;
  l->along = l->transposed ? column : row;
  l->across = l->transposed ? row : column;
  l->channels = in.c;
}

/* Returns 0 for what goes another way. */
DQNN_NOINLINE int prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const uint32_t channels = dqnn_last(call->in_def[0]);
  if (p->half_weights || p->multiplier != 1 || dqnn_pool_cells(p) > 1 || p->kernel_h != SIDE || p->kernel_w != SIDE ||
      channels < LANES) {
    return 0;
  }
  dqnn_epilogue e;
  dqnn_read_epilogue(call, 1, &e);
  const dqnn_quad_kind kind = dqnn_quad_kind_of(&e, channels, TAPS);
  l->call = call;
  read_axes(call, l);
  const int relu = e.least >= 0;
  l->run_row = kind == DQNN_QUAD_AFFINE ? dqnn_nine_row_affine : relu ? dqnn_nine_row_relu : dqnn_nine_row_fixed;
  l->run_cells = kind == DQNN_QUAD_AFFINE ? dqnn_nine_cells_affine
                 : relu                   ? dqnn_nine_cells_relu
                                          : dqnn_nine_cells_fixed;
  vst1q_s8(l->outside, vdupq_n_s8((int8_t)p->pad_value));
  return kind != DQNN_QUAD_ANY && (l->unpack || l->binary_weights || are_small(l));
}

/* Of stride 1 patches pay from 136 outputs on, or from fewer where channels leave vectors in part empty. */
static int is_quick(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const uint32_t outputs = dqnn_rows(call->out_def), channels = dqnn_last(call->out_def), most = 136;
  const uint32_t lanes = (channels + LANES - 1) / LANES * LANES;
  return p->stride_h > 1 || (outputs < most && outputs * lanes < most * channels);
}

int dqnn_depthwise_nine_bytes_mve(const dqnn_call *call, uint8_t binary_weights, dqnn_depthwise_unpack unpack,
                                  int always) {
  layer l;
  l.binary_weights = binary_weights;
  l.unpack = unpack;
  if (!(always || is_quick(call)) || !prepare(call, &l)) {
    return 0;
  }
  for (uint32_t first = 0; first < l.channels; first += LANES) {
    const uint32_t channel = block_at(&l, first);
    const int8_t *image = (const int8_t *)call->in[0] + channel;
    int8_t *out = (int8_t *)call->out + channel;
    int32_t y = -l.across.pad;
    set_channels(&l, channel);
    for (int32_t line = l.across.outputs; line; line--, y += l.across.stride, out += l.across.out_step) {
      run_line(&l, image, y, out);
    }
  }
  return 1;
}
#endif
