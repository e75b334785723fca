/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} with weights of 4 and 2 bits, unpacked between load and product: as conv_pairs.c, but
 * four channels of two or four pixels at a time (isa/packed.h).
 *
 * The window of a pixel is gathered once as a column of pairs in the order of the weights (SPEC.md 3.3), four pixels at
 * a time. Stored weights count from 0 on, so sums begin at minus half of their range times the sum of the column,
 * which is taken as it is gathered. A variant of its own: firmware whose models have no such weights links none of it.
 *
 * Scratch: columns (4 bytes per pair and lane), totals, one kernel row of halfwords unless rows go to the columns as
 * they are. */
#include "conv_packed.h"

#if DQNN_HAVE_PACKED && !DQNN_HAVE_MVE /* mve/conv_packed_mve.c is the variant there */
#include "../../isa/packed.h"
#include "cells.h"
#include "emit_quad.h"

enum { CHUNK = 8, PIXELS = DQNN_PACKED_PIXELS };

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  dqnn_cells cells;        /* of the input */
  const uint32_t *weights; /* of the group at work */
  uint32_t first_output;
  uint32_t row_taps, words; /* elements of a kernel row; words of weights of four channels */
  uint32_t bits, lanes;     /* of a weight; pixels at a time: 4 or 1 */
  uint32_t pitch;           /* bytes between the kernel rows of a window inside the map, where rows are runs */
  uint32_t offset;          /* minus the zero point, twice as a pair */
  uint8_t in_runs;          /* dqnn_packed_in_runs */
  uint8_t fours;            /* channels of a group come in fours: taps 0, 2, 1, 3 */
  uint8_t half_weights;
  uint8_t direct; /* s8 outputs that need no sums in memory */
  dqnn_quad_kind kind;
  uint32_t *columns;
  int16_t *row;
  int32_t *totals; /* [channel of the group], of a pooled pixel */
  int32_t sums[4]; /* of each column */
} layer;

/* ---- gathering ---- */

/* Words between the pairs of a column, how many those are, and the column of a lane. */
DQNN_INLINE uint32_t step_of(const layer *l) {
  return DQNN_PACKED_INTERLEAVED ? l->lanes : 1;
}

DQNN_INLINE uint32_t pairs_of(const layer *l) {
  return l->words << (l->bits == 2);
}

DQNN_INLINE uint32_t *column_of(const layer *l, uint32_t lane) {
  return l->columns + (DQNN_PACKED_INTERLEAVED ? lane : lane * pairs_of(l));
}

/* Taps of a kernel row in fours, from s8 cells in memory. Returns sum plus all of them. */
DQNN_INLINE int32_t put_fours(const int8_t *from, uint32_t count, uint32_t add, uint32_t *column, uint32_t step,
                              int32_t sum) {
  uint32_t bytes, more, pairs[4];
  for (; count >= 8; count -= 8, from += 8, column += 4 * step) {
    memcpy(&bytes, from, 4);
    memcpy(&more, from + 4, 4);
    dqnn_packed_widen(bytes, add, pairs);
    dqnn_packed_widen(more, add, pairs + 2);
    sum = dqnn_packed_add_four(pairs, sum);
    column[0] = pairs[0];
    column[step] = pairs[1];
    column[2 * step] = pairs[2];
    column[3 * step] = pairs[3];
  }
  if (count > 0) {
    memcpy(&bytes, from, 4);
    dqnn_packed_widen(bytes, add, pairs);
    sum = dqnn_packed_add(pairs[0], sum);
    sum = dqnn_packed_add(pairs[1], sum);
    column[0] = pairs[0];
    column[step] = pairs[1];
  }
  return sum;
}

/* The windows of n neighbours that lie whole inside an s8 map whose channels come in fours. */
DQNN_INLINE void gather_fours(layer *l, dqnn_origin at, uint32_t lane, uint32_t n, uint32_t step) {
  const dqnn_geometry *g = &l->shape;
  const int8_t *first = (const int8_t *)l->cells.image + dqnn_cell_index(g, at.y, at.x) * g->channels;
  const uint32_t next = (uint32_t)g->stride_w * g->channels, pitch = l->pitch, add = l->offset, taps = l->row_taps;
  for (; n; n--, first += next, lane++) {
    const int8_t *run = first;
    uint32_t *column = column_of(l, lane);
    int32_t sum = 0;
    for (uint32_t rows = (uint32_t)g->kernel_h; rows; rows--, run += pitch, column += (taps >> 1) * step) {
      sum = put_fours(run, taps, add, column, step, sum);
    }
    l->sums[lane] = sum;
  }
}

DQNN_NOINLINE void gather_inside(layer *l, dqnn_origin at, uint32_t lane, uint32_t n) {
  if (DQNN_PACKED_INTERLEAVED && l->lanes == 4) {
    gather_fours(l, at, lane, n, 4);
  } else {
    gather_fours(l, at, lane, n, 1);
  }
}

/* The window of one pixel of such a map that may reach beyond it. */
DQNN_NOINLINE void gather_border(layer *l, dqnn_origin at, uint32_t lane) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t channels = g->channels, step = step_of(l),
                 outside = dqnn_packed_pair(l->cells.outside, l->cells.outside);
  uint32_t *column = column_of(l, lane), filled = 0;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < g->kernel_h; ky++, at.y += g->dilation_h) {
    dqnn_taps in = {0, 0};
    if (at.y >= 0 && at.y < g->height) {
      in = dqnn_taps_inside(at.x, g->kernel_w, 1, g->width);
    }
    uint32_t before = (uint32_t)in.first * channels, taps = (uint32_t)(in.end - in.first) * channels,
             after = l->row_taps - before - taps;
    column = dqnn_put_constant(outside, before, column, step);
    if (taps > 0) {
      const int8_t *run = (const int8_t *)l->cells.image + dqnn_cell_index(g, at.y, at.x + in.first) * channels;
      sum = put_fours(run, taps, l->offset, column, step, sum);
      column += (taps >> 1) * step;
    }
    column = dqnn_put_constant(outside, after, column, step);
    filled += before + after;
  }
  l->sums[lane] = sum + (int32_t)filled * l->cells.outside;
}

/* The gathered row as pairs of one column, in fours or in twos without an odd last tap. */
static int32_t put_row(const layer *l, uint32_t *column, int32_t sum) {
  const int16_t *row = l->row;
  const uint32_t step = step_of(l), taps = l->fours ? 4 : 2;
  for (uint32_t left = l->row_taps; left >= taps; left -= taps, row += taps) {
    *column = dqnn_packed_pair(row[0], row[taps / 2]);
    sum = dqnn_packed_add(*column, sum);
    column += step;
    if (taps == 4) {
      *column = dqnn_packed_pair(row[1], row[3]);
      sum = dqnn_packed_add(*column, sum);
      column += step;
    }
  }
  return sum;
}

/* The last tap of kernel row ky goes to the pairs after all rows. */
static int32_t put_odd(uint32_t *odd, uint32_t ky, uint32_t step, int32_t value) {
  uint32_t *pair = odd + (ky >> 1) * step;
  *pair = ky & 1 ? *pair + dqnn_packed_pair(0, value) : dqnn_packed_pair(value, 0);
  return value;
}

/* The window of one pixel into column `lane`. */
DQNN_NOINLINE void gather_any(layer *l, dqnn_origin at, uint32_t lane) {
  const dqnn_geometry *g = &l->shape;
  uint32_t taps = l->row_taps, row = (taps >> 1) * step_of(l);
  uint32_t *column = column_of(l, lane), *odd = column + (uint32_t)g->kernel_h * row;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < g->kernel_h; ky++, at.y += g->dilation_h, column += row) {
    dqnn_read_row(g, &l->cells, at, l->row);
    sum = put_row(l, column, sum);
    if (taps & 1u) {
      sum += put_odd(odd, (uint32_t)ky, step_of(l), l->row[taps - 1]);
    }
  }
  l->sums[lane] = sum;
}

static void quad_gather(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  layer *l = (layer *)state;
  const int quick = l->in_runs;
  if (quick && dqnn_neighbours_inside(&l->shape, at, n)) {
    gather_inside(l, at, lane, n);
    return;
  }
  for (; n; n--, lane++, at.x += l->shape.stride_w) {
    if (quick && dqnn_neighbours_inside(&l->shape, at, 1)) {
      gather_inside(l, at, lane, 1);
    } else if (quick) {
      gather_border(l, at, lane);
    } else {
      gather_any(l, at, lane);
    }
  }
}

/* ---- sums ---- */

/* What the sums of a pixel begin at. */
DQNN_INLINE int32_t begin_of(const layer *l, uint32_t lane) {
  return -l->sums[lane] * (1 << (l->bits - 1)) - dqnn_packed_excess(l->words, l->bits, l->cells.zero_point);
}

DQNN_INLINE uint32_t start_of(const layer *l) {
  return dqnn_packed_start(l->bits, l->cells.zero_point);
}

/* A half weight w is w + 1/2, and sums count halves. */
DQNN_INLINE int32_t whole(const layer *l, uint32_t lane, int32_t sum) {
  return l->half_weights ? 2 * sum + l->sums[lane] : sum;
}

static const uint32_t *weights_at(const layer *l, uint32_t channel) {
  return l->weights + channel / 4 * l->words;
}

/* Channels from c on of PIXELS pixels from `lane` on; the caller adds how many and where they go. */
DQNN_NOINLINE void begin_plan(const layer *l, uint32_t c, uint32_t lane, dqnn_packed_plan *plan) {
  plan->weights = weights_at(l, c);
  plan->columns = column_of(l, lane);
  plan->words = l->words;
  for (uint32_t p = 0; p < PIXELS; p++) {
    plan->begin[p] = begin_of(l, lane + p);
  }
}

/* Channels c (a multiple of 4, of the group) to c + n - 1 of PIXELS pixels from `lane` on: [channel][pixel], up to the
 * next multiple of 4. */
DQNN_NOINLINE void sum_chunk(const layer *l, uint32_t c, uint32_t n, uint32_t lane, int32_t sums[PIXELS * CHUNK]) {
  dqnn_packed_plan plan;
  begin_plan(l, c, lane, &plan);
  plan.channels = (n + 3) & ~3u;
  plan.sums = sums;
  plan.rule = DQNN_PACKED_SUMS;
  dqnn_packed_quad(&plan, l->bits, start_of(l));
  for (uint32_t i = 0; l->half_weights && i < PIXELS * n; i++) {
    sums[i] = whole(l, lane + i % PIXELS, sums[i]);
  }
}

DQNN_INLINE uint32_t chunk_at(const layer *l, uint32_t c) {
  return l->shape.out_group - c < CHUNK ? l->shape.out_group - c : CHUNK;
}

/* Channels from c on of pixels first to first + n - 1 through sums. */
DQNN_NOINLINE void sum_rest(const layer *l, uint32_t c, uint32_t first, uint32_t n) {
  int32_t sums[PIXELS * CHUNK], row[CHUNK];
  for (; c < l->shape.out_group; c += CHUNK) {
    uint32_t channels = chunk_at(l, c);
    for (uint32_t p = 0; p < n; p++) {
      if (p % PIXELS == 0) {
        sum_chunk(l, c, channels, p, sums);
      }
      for (uint32_t i = 0; i < channels; i++) {
        row[i] = sums[PIXELS * i + p % PIXELS];
      }
      dqnn_emit(l->call, &l->epilogue, row, l->first_output + c, channels, first + p);
    }
  }
}

/* Four pixels straight to an s8 output, the last one again and again behind n; what is no four channels through sums.
 */
static void sum_direct(layer *l, uint32_t first, uint32_t n) {
  const dqnn_epilogue *e = &l->epilogue;
  const uint32_t channel = l->first_output, outputs = l->shape.outputs;
  int8_t *out = (int8_t *)l->call->out + first * outputs + channel;
  for (uint32_t lane = 0; lane < n; lane += PIXELS) {
    dqnn_packed_plan plan;
    begin_plan(l, 0, lane, &plan);
    plan.channels = l->shape.out_group & ~3u;
    for (uint32_t p = 0; p < PIXELS; p++) {
      plan.out[p] = out + (lane + p < n ? lane + p : n - 1) * outputs;
    }
    plan.zero_point = e->zero_point;
    plan.rule = l->kind == DQNN_QUAD_FIXED ? DQNN_PACKED_FIXED : DQNN_PACKED_AFFINE;
    DQNN_SET_BOUNDS(&plan, e->least + e->zero_point, e->most + e->zero_point);
    plan.first.bias = e->bias + channel; /* or scales, which stand in the same constant, likewise the next */
    plan.second.multiplier = e->multiplier + channel;
    plan.shift = e->shift + channel;
    dqnn_packed_quad(&plan, l->bits, start_of(l));
  }
  if (l->shape.out_group & 3u) {
    sum_rest(l, l->shape.out_group & ~3u, first, n);
  }
}

DQNN_INLINE int32_t larger(int32_t a, int32_t b) {
  return a < b ? b : a;
}

/* The largest of the four pixels into totals[channel]; later quads of a window only raise it. */
static void quad_maximum(void *state, int first) {
  const layer *l = (const layer *)state;
  int32_t sums[PIXELS * CHUNK], *totals = l->totals;
  for (uint32_t c = 0; c < l->shape.out_group; c += CHUNK, totals += CHUNK) {
    uint32_t channels = chunk_at(l, c);
    for (uint32_t lane = 0; lane < 4; lane += PIXELS) {
      const int32_t *of = sums;
      sum_chunk(l, c, channels, lane, sums);
      for (uint32_t i = 0; i < channels; i++) {
        int32_t most = *of++;
        for (uint32_t p = 1; p < PIXELS; p++) {
          most = larger(most, *of++);
        }
        totals[i] = first && lane == 0 ? most : larger(totals[i], most);
      }
    }
  }
}

/* All channels of a single pixel. An odd number of fours reads the last one twice. */
DQNN_NOINLINE void emit_one(const layer *l, uint32_t pixel) {
  int32_t acc[CHUNK];
  for (uint32_t c = 0; c < l->shape.out_group; c += CHUNK) {
    uint32_t n = chunk_at(l, c);
    const uint32_t *w = weights_at(l, c);
    dqnn_packed_eight(w, n > 4 ? w + l->words : w, l->columns, l->words, l->bits, start_of(l), begin_of(l, 0), acc);
    for (uint32_t i = 0; l->half_weights && i < n; i++) {
      acc[i] = whole(l, 0, acc[i]);
    }
    dqnn_emit(l->call, &l->epilogue, acc, l->first_output + c, n, pixel);
  }
}

/* ---- output ---- */

static void quad_sum(void *state, uint32_t first, uint32_t n, uint32_t lanes) {
  layer *l = (layer *)state;
  if (lanes == 1) {
    emit_one(l, first);
  } else if (l->direct) {
    sum_direct(l, first, n);
  } else {
    sum_rest(l, 0, first, n);
  }
}

static void quad_emit(void *state, uint32_t pixel) {
  const layer *l = (const layer *)state;
  dqnn_emit(l->call, &l->epilogue, l->totals, l->first_output, l->shape.out_group, pixel);
}

static const dqnn_quad_ops quad_ops = {quad_gather, quad_sum, quad_maximum, quad_emit};

/* Pairs behind the last tap, which the weights have up to whole words. */
static void clear_tail(const layer *l, uint32_t taps) {
  const uint32_t pairs = pairs_of(l), step = step_of(l);
  for (uint32_t lane = 0; lane < l->lanes; lane++) {
    uint32_t *column = column_of(l, lane);
    for (uint32_t i = (taps + 1) / 2; i < pairs; i++) {
      column[i * step] = 0;
    }
  }
}

static void prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry *g = &l->shape;
  l->call = call;
  dqnn_read_geometry(call, g);
  dqnn_read_cells(call, &l->cells);
  l->half_weights = p->half_weights;
  l->bits = p->weight_bits;
  l->offset = dqnn_packed_pair(-l->cells.zero_point, -l->cells.zero_point);
  l->in_runs = (uint8_t)dqnn_packed_in_runs(call);
  l->fours = g->in_group % 4 == 0;
  l->pitch = dqnn_row_step(g, g->kernel_h) * g->channels;
  l->row_taps = (uint32_t)g->kernel_w * g->in_group;
  uint32_t taps = (uint32_t)g->kernel_h * l->row_taps;
  l->words = dqnn_packed_words(taps, l->bits);
  l->lanes = dqnn_quad_lanes(g);
  l->columns = (uint32_t *)call->scratch;
  l->totals = (int32_t *)(l->columns + l->lanes * pairs_of(l));
  l->row = (int16_t *)(l->totals + (g->pool_cells > 1 ? g->out_group : 0));
  clear_tail(l, taps);
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l->epilogue);
  }
  l->kind = DQNN_QUAD_ANY;
  if (call->out_def->dtype == DQNN_S8) {
    l->kind = dqnn_quad_kind_of(&l->epilogue, g->outputs, taps);
  }
  l->direct = l->kind != DQNN_QUAD_ANY && !l->half_weights && l->lanes == 4 && g->pool_cells == 1 && g->out_group >= 4;
}

static void run(const dqnn_call *call) {
  layer l;
  prepare(call, &l);
  const dqnn_geometry *g = &l.shape;
  uint32_t group_words = (g->out_group + 3) / 4 * l.words;
  for (uint32_t group = 0; group < g->groups; group++) {
    l.weights = (const uint32_t *)call->constants[0] + group * group_words;
    l.cells.first_channel = group * g->in_group;
    l.first_output = group * g->out_group;
    dqnn_quads_run(g, &quad_ops, &l);
  }
  if (!DQNN_RULES_CLAMP && l.direct && dqnn_quad_narrow(&l.epilogue, l.kind)) {
    dqnn_clamp_row(&l.epilogue, (int8_t *)call->out, (uint32_t)(g->out_height * g->out_width) * g->outputs);
  }
}

void dqnn_run_conv_s8_s8_s1_packed(const dqnn_call *call) {
  run(call);
}
DQNN_SAME_RUN(dqnn_run_conv_s8_s8_s8_packed, dqnn_run_conv_s8_s8_s1_packed)
DQNN_SAME_RUN(dqnn_run_conv_s8_s8_f32_packed, dqnn_run_conv_s8_s8_s1_packed)
DQNN_SAME_RUN(dqnn_run_conv_s1_s8_s1_packed, dqnn_run_conv_s8_s8_s1_packed)
DQNN_SAME_RUN(dqnn_run_conv_s1_s8_s8_packed, dqnn_run_conv_s8_s8_s1_packed)
DQNN_SAME_RUN(dqnn_run_conv_s1_s8_f32_packed, dqnn_run_conv_s8_s8_s1_packed)
#endif
