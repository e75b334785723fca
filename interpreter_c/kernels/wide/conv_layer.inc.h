/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_*_{s8,f32}_*: four output pixels and a tile of neighbouring channels at a time, in the walk of
 * kernels/opt/quads.h. What a layer is, how its inputs become `element`s, and where sums of tiles go: through the
 * epilogue at once, or to `totals` until the other cells of a pooling window are done.
 *
 * A template, part of conv.inc.h and conv_columns.inc.h. In, before: the type `element`, DQNN_FLOAT_SUMS (emit.inc.h),
 * DQNN_ADDED(zero_point) (added to stored integers when they are gathered), DQNN_STORED (1: elements of s8 inputs are
 * their bytes; 0 if not defined); and behind it tile(). Out: layer, prepare_layer(), read_row(), run_groups(), what
 * dqnn_quad_ops needs but for the gathering. */
#include "../opt/conv_float.h"
#include "../opt/conv_packed.h"
#include "../opt/geometry.h"
#include "../opt/quads.h"
#include "emit.inc.h"
#include "scratch.h"

#ifndef DQNN_STORED
#define DQNN_STORED 0
#endif

enum { PIXELS = 4, TILE = 4 * LANES };

/* Kernel rows are `pitch` elements apart. */
typedef struct {
  const element *at;
  uint32_t pitch;
} window;

typedef struct {
  dqnn_geometry shape;
  sink to;
  const uint8_t *image, *weights; /* weights: of the group at work */
  uint32_t pixel_bytes;           /* of the input */
  uint32_t first_channel, first_output;
  uint32_t row_taps, window_taps;   /* elements of a kernel row and of a window */
  uint32_t copy_elements;           /* of a gathered window */
  int32_t up_h, up_w, zero_point;   /* of the input */
  int32_t added;                    /* to integers */
  element outside, hole;            /* cells outside the map and between dilated ones */
  uint8_t type, half_weights, bits; /* bits: of a weight in the file, 0 for all */
  uint8_t runs;                     /* the cells of a kernel row are neighbours in memory */
  uint8_t in_place;                 /* float windows all lie in the map so, and there are no copies */
  uint8_t stored, narrow;           /* DQNN_STORED: windows inside a map are read there; no weight is -128 */
  window windows[PIXELS];
  element *copies;                  /* [pixel][copy_elements] */
  number *totals;                   /* [channel of the group], with a pool */
  const int8_t *weight_zero_points; /* of all outputs; NULL: 0 */
  uint8_t by_inputs, adds_inputs;   /* sums need those of the windows' inputs too; and get them when they are done */
  int32_t column_sums[PIXELS];      /* which these are then */
} layer;

/* Channels channel .. channel + count - 1 of the group of a tile, for `pixels` (1 or 4) windows. */
static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]);

#if DQNN_FLOAT_SUMS
#define add_inputs(l, channel, count, pixels, sums) ((void)0)
#else
/* What the weights of `outputs` neighbours take in the file: whole pairs, or fours if they are packed. */
DQNN_INLINE uint32_t bytes_of(const layer *l, uint32_t outputs) {
  return 4 * (l->bits ? (outputs + 3) / 4 * dqnn_packed_words(l->window_taps, l->bits)
                      : (outputs + 1) / 2 * ((l->window_taps + 1) / 2));
}

/* What stands for the weights is not themselves: a half weight w is w + 1/2, and sums count halves; others are less
 * their zero point. Channels from `channel` of the group on. */
DQNN_INLINE void add_inputs_of(const layer *l, uint32_t output, uint32_t count, int32_t inputs, number *sums) {
  const int8_t *zero_points = l->half_weights ? NULL : l->weight_zero_points + output;
  uint32_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    v_int sum = load_int(sums + i);
    store_int(sums + i, zero_points ? sum - load_s8(zero_points + i) * inputs : sum + sum + inputs);
  }
  for (; i < count; i++) {
    sums[i] = zero_points ? sums[i] - zero_points[i] * inputs : 2 * sums[i] + inputs;
  }
}

static void add_inputs(const layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  for (uint32_t p = 0; l->adds_inputs && p < pixels; p++) {
    add_inputs_of(l, l->first_output + channel, count, l->column_sums[p], sums[p]);
  }
}
#endif

/* ---- gathering ---- */

static void fill(element *to, uint32_t count, element value) {
  for (uint32_t i = 0; i < count; i++) {
    to[i] = value;
  }
}

/* The rows of first layers are short. What is read soon, and in words, is written last. */
DQNN_INLINE void copy_bytes(void *to, const void *from, uint32_t count) {
  uint8_t *t = (uint8_t *)to;
  const uint8_t *f = (const uint8_t *)from;
  if (count > 16 || count < 4) {
    memcpy(t, f, count);
  } else if (count >= 8) {
    uint64_t first, last;
    memcpy(&first, f, sizeof first);
    memcpy(&last, f + count - sizeof last, sizeof last);
    memcpy(t + count - sizeof last, &last, sizeof last);
    memcpy(t, &first, sizeof first);
  } else {
    uint32_t first, last;
    memcpy(&first, f, sizeof first);
    memcpy(&last, f + count - sizeof last, sizeof last);
    memcpy(t + count - sizeof last, &last, sizeof last);
    memcpy(t, &first, sizeof first);
  }
}

/* `count` elements from channel `first` of a cell on; with s8 and f32 they may go on in the next cells. */
static void convert(const layer *l, uint32_t cell, uint32_t first, uint32_t count, element *to) {
  const uint8_t *from = l->image + cell * l->pixel_bytes;
  if (l->type == DQNN_F32) {
    memcpy(to, from + 4 * first, 4 * count);
  } else if (DQNN_STORED && l->type == DQNN_S8) {
    copy_bytes(to, from + first, count);
  } else if (l->type == DQNN_S8) {
    const int8_t *bytes = (const int8_t *)from + first;
    int32_t add = l->added;
    for (uint32_t i = 0; i < count; i++) {
      to[i] = (element)(bytes[i] + add);
    }
  } else {
    const uint32_t *words = (const uint32_t *)(const void *)from;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t at = first + i;
      to[i] = (element)(l->added + 1 - 2 * (int32_t)(words[at >> 5] >> (at & 31u) & 1u));
    }
  }
}

static void read_taps(const layer *l, int32_t row, int32_t x, element *to) {
  const dqnn_geometry *g = &l->shape;
  for (int32_t kx = 0; kx < g->kernel_w; kx++, x += g->dilation_w, to += g->in_group) {
    int32_t column = dqnn_input_index(x, g->width, l->up_w);
    if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
      fill(to, g->in_group, l->outside);
    } else if (row < 0 || column < 0) {
      fill(to, g->in_group, l->hole);
    } else {
      convert(l, dqnn_cell_index(g, row, column), l->first_channel, g->in_group, to);
    }
  }
}

/* One kernel row of a window that begins at (y, x). */
static void read_row(const layer *l, int32_t y, int32_t x, element *to) {
  const dqnn_geometry *g = &l->shape;
  int32_t row = dqnn_input_index(y, g->height, l->up_h);
  if (row < 0 || !l->runs) {
    read_taps(l, row, x, to);
    return;
  }
  dqnn_taps in = dqnn_taps_inside(x, g->kernel_w, 1, g->width);
  uint32_t first = (uint32_t)in.first * g->channels, end = (uint32_t)in.end * g->channels;
  if (first) {
    fill(to, first, l->outside);
  }
  if (end > first) {
    convert(l, dqnn_cell_index(g, row, x + in.first), 0, end - first, to + first);
  }
  if (end < l->row_taps) {
    fill(to + end, l->row_taps - end, l->outside);
  }
}

/* ---- sums ---- */

static void quad_sum(void *state, uint32_t first, uint32_t n, uint32_t lanes) {
  layer *l = (layer *)state;
  number sums[PIXELS][TILE];
  for (uint32_t c = 0, count = l->shape.out_group; c < count; c += TILE) {
    uint32_t channels = count - c < TILE ? count - c : TILE;
    tile(l, c, channels, lanes, sums);
    add_inputs(l, c, channels, lanes, sums);
    emit_pixels(&l->to, sums[0], TILE, first, n, l->first_output + c, channels);
  }
}

/* to[i] = the largest of sums[0..3][i], and of to[i] unless it is the first time. */
static void keep_largest(number *to, number sums[PIXELS][TILE], uint32_t count, int first) {
  uint32_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    v_number most = load_number(first ? sums[0] + i : to + i);
    for (uint32_t p = 0; p < PIXELS; p++) {
      most = larger(most, load_number(sums[p] + i));
    }
    store_number(to + i, most);
  }
  for (; i < count; i++) {
    number most = first ? sums[0][i] : to[i];
    for (uint32_t p = 0; p < PIXELS; p++) {
      most = most < sums[p][i] ? sums[p][i] : most;
    }
    to[i] = most;
  }
}

/* Cells of a pooling window come in order, so the maximum is taken in the order of SPEC.md 3.1. */
static void quad_maximum(void *state, int first) {
  layer *l = (layer *)state;
  number sums[PIXELS][TILE];
  for (uint32_t c = 0, count = l->shape.out_group; c < count; c += TILE) {
    uint32_t channels = count - c < TILE ? count - c : TILE;
    tile(l, c, channels, PIXELS, sums);
    add_inputs(l, c, channels, PIXELS, sums);
    keep_largest(l->totals + c, sums, channels, first);
  }
}

static void quad_emit(void *state, uint32_t pixel) {
  const layer *l = (const layer *)state;
  emit(&l->to, l->totals, pixel, l->first_output, l->shape.out_group);
}

/* Everything but `copy_elements`. zero_points: 1 if constant 1 are those of the weights, ahead of the output rule's. */
static void prepare_layer(const dqnn_call *call, uint32_t zero_points, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  dqnn_read_geometry(call, g);
  read_sink(call, 1 + zero_points, g->outputs, &l->to);
  l->image = (const uint8_t *)call->in[0];
  l->type = in->dtype;
  l->zero_point = l->type == DQNN_S8 ? in->zero_point : 0;
  l->pixel_bytes = dqnn_row_bytes(in);
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->added = DQNN_ADDED(l->zero_point);
  l->outside = (element)(p->pad_value + (float)l->added);
  l->hole = (element)(l->zero_point + l->added);
  l->half_weights = p->half_weights;
  l->bits = p->weight_bits;
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->by_inputs = l->adds_inputs = p->half_weights || zero_points;
  l->runs = l->type != DQNN_S1 && g->groups == 1 && g->dilation_w == 1 && l->up_w == 1;
  l->in_place = DQNN_FLOAT_SUMS && dqnn_rows_in_place(call);
  l->row_taps = (uint32_t)g->kernel_w * g->in_group;
  l->window_taps = (uint32_t)g->kernel_h * l->row_taps;
  l->totals = (number *)call->scratch;
  l->copies = (element *)(g->pool_cells > 1 ? l->totals + g->out_group : call->scratch);
}

/* All groups, each by `run`; a group has `weight_bytes` of weights. */
DQNN_INLINE void run_groups(const dqnn_call *call, layer *l, uint32_t weight_bytes, void (*run)(layer *l)) {
  const dqnn_geometry *g = &l->shape;
  for (uint32_t group = 0; group < g->groups; group++) {
    l->weights = (const uint8_t *)call->constants[0] + group * weight_bytes;
    l->first_channel = group * g->in_group;
    l->first_output = group * g->out_group;
    run(l);
  }
}
