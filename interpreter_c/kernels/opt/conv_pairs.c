/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32}: 8-bit weights and integer sums, four output pixels and two
 * channels at a time.
 *
 * The window of a pixel is gathered once as a column of halfword pairs (input minus its zero point; +1, -1 for s1), in
 * the order of the weights (SPEC.md 3.3). Four columns stand interleaved, so that one weight word (two taps of two
 * channels) meets four pixels: 16 products for 17 cycles on a Cortex-M4. All channels share the columns. Sums for s1
 * and s8 go straight to the output; the largest of a pooling window wait in `totals`.
 *
 * Scratch: columns (4 bytes per pair and lane), totals, one kernel row of halfwords; dqnn_conv_pairs_scratch in the
 * plan. */
#include "conv_pairs.h"

#include "../../isa/pairs_quad.h"
#include "cells.h"
#include "emit_quad.h"

#if DQNN_HAVE_PORTABLE

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  dqnn_cells cells; /* of the input */
  uint32_t first_output;
  uint32_t row_taps; /* elements of a kernel row */
  uint32_t lanes;    /* pixels interleaved in a column: 4 or 1 */
  uint32_t pitch;    /* bytes between the kernel rows of a window inside the map, of a plain layer */
  uint8_t plain;     /* kernel rows lie in memory as runs of s8 */
  uint8_t nine;      /* plain 3x3 windows of 3 channels, four lanes */
  uint8_t half_weights;
#if DQNN_COLUMNS_TURN
  uint8_t later;     /* windows are gathered when all four are known, as dqnn_turn_columns leaves them */
  uint8_t run;       /* the four are neighbours of a row: at[0] is the first of them ... */
  dqnn_origin at[4]; /* ... or all have their place */
#endif
  uint8_t direct;       /* s8 outputs that need no sums in memory, by the plan's rule */
  dqnn_pairs_plan plan; /* weights of the group at work, pairs of a column */
  dqnn_quad_kind kind;
  uint32_t *columns;
  int32_t *totals;                  /* [channel of the group], of a pooled pixel */
  const int8_t *weight_zero_points; /* of all outputs; NULL: 0 */
  uint8_t by_inputs;                /* sums need those of the columns too */
  int32_t sums[4];                  /* of each column then */
} layer;

/* ---- gathering ---- */

/* A kernel row of halfwords, behind the totals. */
static int16_t *row_of(const layer *l) {
  return (int16_t *)(l->totals + (l->shape.pool_cells > 1 ? l->shape.out_group : 0));
}

/* Minus the zero point, in both halves. */
DQNN_INLINE uint32_t offset_of(const layer *l) {
  return dqnn_pair(-l->cells.zero_point, -l->cells.zero_point);
}

/* Pairs of `count` (rounded down to even) halfwords into one lane of the columns. */
static void put_pairs(const int16_t *from, uint32_t count, uint32_t *column, uint32_t lanes) {
  for (uint32_t i = count >> 1; i; i--, from += 2, column += lanes) {
    memcpy(column, from, 4);
  }
}

/* The same from s8 cells in memory; returns where the column goes on. */
DQNN_INLINE uint32_t *put_s8(const int8_t *from, uint32_t count, uint32_t add, uint32_t *column, uint32_t lanes) {
  uint32_t bytes, pairs[4];
  for (; DQNN_COLUMNS_TURN && count >= 4;
       count -= 2, from += 2, column += lanes) { /* whose core loads no words anywhere */
    *column = dqnn_pair(from[0] + dqnn_half(add, 0), from[1] + dqnn_half(add, 0));
  }
  for (; count >= 8; count -= 8, from += 8, column += 4 * lanes) {
    uint32_t more;
    memcpy(&bytes, from, 4);
    memcpy(&more, from + 4, 4);
    dqnn_widen_s8(bytes, add, pairs);
    dqnn_widen_s8(more, add, pairs + 2);
    column[0] = pairs[0];
    column[lanes] = pairs[1];
    column[2 * lanes] = pairs[2];
    column[3 * lanes] = pairs[3];
  }
  for (; count >= 4; count -= 4, from += 4, column += 2 * lanes) {
    memcpy(&bytes, from, 4);
    dqnn_widen_s8(bytes, add, pairs);
    column[0] = pairs[0];
    column[lanes] = pairs[1];
  }
  if (count < 2) {
    return column;
  }
  *column = dqnn_pair(from[0] + dqnn_half(add, 0), from[1] + dqnn_half(add, 0));
  return column + lanes;
}

/* Which cells of a kernel row that lies in memory as one run are inside the map. */
static dqnn_taps run_inside(const dqnn_geometry *g, int32_t y, int32_t x) {
  const dqnn_taps none = {0, 0};
  return y < 0 || y >= g->height ? none : dqnn_taps_inside(x, g->kernel_w, 1, g->width);
}

DQNN_INLINE const int8_t *run_at(const layer *l, int32_t y, int32_t x) {
  return (const int8_t *)l->cells.image + dqnn_cell_index(&l->shape, y, x) * l->shape.channels;
}

/* Such a row as halfwords. */
static void read_run(const layer *l, int32_t y, int32_t x) {
  dqnn_taps in = run_inside(&l->shape, y, x);
  uint32_t first = (uint32_t)in.first * l->shape.channels, end = (uint32_t)in.end * l->shape.channels;
  int32_t zero_point = l->cells.zero_point;
  int16_t *to = row_of(l);
  dqnn_fill_halfwords(to, first, l->cells.outside);
  if (first < end) {
    const int8_t *run = run_at(l, y, x + in.first);
    for (uint32_t i = first; i < end; i++) {
      to[i] = (int16_t)(*run++ - zero_point);
    }
  }
  dqnn_fill_halfwords(to + end, l->row_taps - end, l->cells.outside);
}

/* Its pairs, of an even number of channels. */
static void put_run(const layer *l, int32_t y, int32_t x, uint32_t *column) {
  dqnn_taps in = run_inside(&l->shape, y, x);
  uint32_t first = (uint32_t)in.first * l->shape.channels, end = (uint32_t)in.end * l->shape.channels;
  uint32_t lanes = l->lanes, outside = dqnn_pair(l->cells.outside, l->cells.outside);
  column = dqnn_put_constant(outside, first, column, lanes);
  if (first < end) {
    column = put_s8(run_at(l, y, x + in.first), end - first, offset_of(l), column, lanes);
  }
  dqnn_put_constant(outside, l->row_taps - end, column, lanes);
}

/* The last element of kernel row ky goes to the pairs after all rows. */
DQNN_INLINE void put_odd(uint32_t *odd, uint32_t ky, uint32_t lanes, int32_t value) {
  uint32_t *pair = odd + (ky >> 1) * lanes;
  *pair = ky & 1 ? (*pair & 0xffffu) | (uint32_t)value << 16 : (uint32_t)value & 0xffffu;
}

/* A window that lies whole inside an s8 map and begins at `run`: rows of `taps`, `pitch` bytes apart. */
DQNN_INLINE void gather_rows(const int8_t *run, uint32_t rows, uint32_t taps, uint32_t pitch, uint32_t add,
                             uint32_t *column, uint32_t lanes) {
  uint32_t *odd = column + rows * (taps >> 1) * lanes;
  for (uint32_t ky = 0; ky < rows; ky++, run += pitch) {
    column = put_s8(run, taps, add, column, lanes);
    if (taps & 1u) {
      put_odd(odd, ky, lanes, run[taps - 1] + dqnn_half(add, 0));
    }
  }
}

/* 3x3 windows of 3 channels, the usual first layer, written out: 8 of the 9 taps of a row as two words, the last ones
 * as two pairs. */
DQNN_INLINE void gather_nine(const int8_t *row0, uint32_t pitch, uint32_t add, uint32_t *column) {
  const int8_t *row1 = row0 + pitch, *row2 = row1 + pitch;
  put_s8(row0, 8, add, column, 4);
  put_s8(row1, 8, add, column + 16, 4);
  put_s8(row2, 8, add, column + 32, 4);
  int32_t offset = dqnn_half(add, 0);
  column[48] = dqnn_pair(row0[8] + offset, row1[8] + offset);
  column[52] = dqnn_pair(row2[8] + offset, 0);
}

/* A row of whole blocks of eight, four lanes; returns where the column goes on. */
DQNN_INLINE uint32_t *put_eights(const int8_t *from, uint32_t taps, uint32_t add, uint32_t *column) {
  const int8_t *const end = from + taps;
  do {
    uint32_t low, high, pairs[4];
    memcpy(&low, from, 4);
    memcpy(&high, from + 4, 4);
    from += 8;
    dqnn_widen_s8(low, add, pairs);
    dqnn_widen_s8(high, add, pairs + 2);
    column[0] = pairs[0];
    column[4] = pairs[1];
    column[8] = pairs[2];
    column[12] = pairs[3];
    column += 16;
  } while (from != end);
  return column;
}

DQNN_INLINE void gather_eights(const int8_t *run, uint32_t rows, uint32_t taps, uint32_t pitch, uint32_t add,
                               uint32_t *column) {
  for (; rows; rows--, run += pitch) {
    column = put_eights(run, taps, add, column);
  }
}

#if DQNN_COLUMNS_TURN
/* Four neighbours that lie whole inside the map. */
DQNN_INLINE void gather_four(const layer *l) {
  const dqnn_geometry *g = &l->shape;
  const int8_t *run = run_at(l, l->at[0].y, l->at[0].x);
  const uint32_t step = (uint32_t)g->stride_w * g->channels, rows = (uint32_t)g->kernel_h, taps = l->row_taps;
  const int32_t zero_point = l->cells.zero_point;
  uint32_t *column = l->columns, *odd = column + 2 * rows * (taps & ~1u);
  for (uint32_t ky = 0; ky < rows; ky++, run += l->pitch) {
    column = dqnn_put_turned(run, step, taps & ~1u, zero_point, column);
    if (taps & 1u) {
      odd = dqnn_put_turned(run + taps - 1, step, 1, zero_point, odd);
    }
  }
  if (taps & rows & 1u) {
    odd[0] = odd[1] = 0;
  }
}

/* A kernel row: where it lies in the map, or a copy where some of it lies outside. */
static const int8_t *row_at(const layer *l, int32_t y, int32_t x, int8_t *copy) {
  const dqnn_geometry *g = &l->shape;
  const dqnn_taps in = run_inside(g, y, x);
  if (in.first == 0 && in.end == g->kernel_w) {
    return run_at(l, y, x);
  }
  const uint32_t first = (uint32_t)in.first * g->channels, end = (uint32_t)in.end * g->channels;
  memset(copy, l->cells.outside + l->cells.zero_point, l->row_taps);
  if (first < end) {
    memcpy(copy + first, run_at(l, y, x + in.first), end - first);
  }
  return copy;
}

/* Any two pixels, to every second word from `column` on. */
DQNN_NOINLINE void gather_two(const layer *l, dqnn_origin a, dqnn_origin b, uint32_t *column) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t rows = (uint32_t)g->kernel_h, taps = l->row_taps;
  const int32_t zero_point = l->cells.zero_point;
  int8_t *copies = (int8_t *)row_of(l);
  uint32_t *odd = column + 2 * rows * (taps & ~1u);
  for (uint32_t ky = 0; ky < rows; ky++, a.y += g->dilation_h, b.y += g->dilation_h) {
    const int8_t *first = row_at(l, a.y, a.x, copies), *second = row_at(l, b.y, b.x, copies + taps);
    column = dqnn_put_two_turned(first, second, taps & ~1u, zero_point, column);
    if (taps & 1u) {
      odd = dqnn_put_two_turned(first + taps - 1, second + taps - 1, 1, zero_point, odd);
    }
  }
  if (taps & rows & 1u) {
    odd[0] = 0;
  }
}

/* The columns of four pixels as dqnn_pairs_quad wants them. */
static void turn(const layer *l) {
  if (!l->later) {
    dqnn_turn_columns(l->columns, l->plan.pairs, l->cells.zero_point);
    return;
  }
  if (l->run && dqnn_neighbours_inside(&l->shape, l->at[0], 4)) {
    gather_four(l);
    return;
  }
  dqnn_origin at[4];
  memcpy(at, l->at, sizeof at);
  for (uint32_t i = 1; l->run && i < 4; i++) {
    at[i] = at[i - 1];
    at[i].x += l->shape.stride_w;
  }
  gather_two(l, at[0], at[1], l->columns);
  gather_two(l, at[2], at[3], l->columns + 1);
}
#else
static void turn(const layer *l) {
  (void)l;
}
#endif

/* The windows of n neighbours that lie whole inside the map. */
DQNN_NOINLINE void gather_inside(const layer *l, dqnn_origin at, uint32_t lane, uint32_t n) {
  const dqnn_geometry *g = &l->shape;
  const int8_t *run = (const int8_t *)l->cells.image + dqnn_cell_index(g, at.y, at.x) * g->channels;
  const uint32_t step = (uint32_t)g->stride_w * g->channels, pitch = l->pitch, add = offset_of(l), taps = l->row_taps;
  const uint32_t rows = (uint32_t)g->kernel_h; /* stores could change the layer */
  uint32_t *column = l->columns + lane;
  if (l->nine) {
    for (; n; n--, run += step, column++) {
      gather_nine(run, pitch, add, column);
    }
    return;
  }
  const int eights = !DQNN_COLUMNS_TURN && l->lanes == 4 && !(taps & 7u);
  if (eights && rows == 1) {
    for (; n; n--, run += step, column++) {
      put_eights(run, taps, add, column);
    }
    return;
  }
  if (eights) {
    for (; n; n--, run += step, column++) {
      gather_eights(run, rows, taps, pitch, add, column);
    }
    return;
  }
  for (; n; n--, run += step, column++) {
    gather_rows(run, rows, taps, pitch, add, column, l->lanes);
  }
}

/* The window of one pixel into lane `lane`. */
DQNN_NOINLINE void gather_border(const layer *l, dqnn_origin at, uint32_t lane) {
  const dqnn_geometry *g = &l->shape;
  uint32_t taps = l->row_taps, lanes = l->lanes, step = (taps >> 1) * lanes;
  uint32_t *column = l->columns + lane, *odd = column + (uint32_t)g->kernel_h * step;
  int16_t *row = row_of(l);
  int in_place = l->plain && !(g->channels & 1u);
  for (int32_t ky = 0; ky < g->kernel_h; ky++, at.y += g->dilation_h, column += step) {
    if (in_place) {
      put_run(l, at.y, at.x, column);
      continue;
    }
    if (l->plain) {
      read_run(l, at.y, at.x);
    } else {
      dqnn_read_row(g, &l->cells, at, row);
    }
    put_pairs(row, taps, column, lanes);
    if (taps & 1u) {
      put_odd(odd, (uint32_t)ky, lanes, row[taps - 1]);
    }
  }
}

static int is_inside(const layer *l, dqnn_origin at, uint32_t n) {
  return l->plain && dqnn_neighbours_inside(&l->shape, at, n);
}

static int32_t column_sum(const layer *l, uint32_t lane) {
  int32_t sum = 0;
  const uint32_t *column = l->columns + lane;
  for (uint32_t i = 0; i < l->plan.pairs; i++, column += l->lanes) {
    sum += dqnn_half(*column, 0) + dqnn_half(*column, 1);
  }
  return sum;
}

/* ---- sums ---- */

enum { CHUNK = 8, SINGLE = 48 /* channels of four pixels, and of one */ };

/* What stands for the weights is not themselves: a half weight w is w + 1/2, and sums count halves; others are less
 * their zero point. c: of the group. */
DQNN_INLINE int32_t by_inputs(const layer *l, uint32_t c, uint32_t lane, int32_t sum) {
  return l->half_weights ? 2 * sum + l->sums[lane] : sum - l->weight_zero_points[l->first_output + c] * l->sums[lane];
}

/* Channels c (even, of the group) to c + n - 1 of four pixels: [channel][pixel], and one more where n is odd. */
DQNN_NOINLINE void sum_chunk(const layer *l, uint32_t c, uint32_t n, int32_t sums[4 * CHUNK]) {
  dqnn_pairs_plan plan = {.weights = l->plan.weights + (c >> 1) * l->plan.pairs,
                          .columns = l->columns,
                          .pairs = l->plan.pairs,
                          .channels = (n + 1) & ~1u,
                          .sums = sums,
                          .rule = DQNN_PAIRS_SUMS};
  dqnn_pairs_input(&plan, l->cells.zero_point);
  dqnn_pairs_ready(&plan);
  dqnn_pairs_quad(&plan);
  for (uint32_t i = 0; l->by_inputs && i < 4 * n; i++) {
    sums[i] = by_inputs(l, c + i / 4, i & 3u, sums[i]);
  }
}

DQNN_INLINE uint32_t chunk_at(const layer *l, uint32_t c) {
  return l->shape.out_group - c < CHUNK ? l->shape.out_group - c : CHUNK;
}

/* Channels from c on of pixels first to first + n - 1 through sums. */
DQNN_NOINLINE void sum_rest(const layer *l, uint32_t c, uint32_t first, uint32_t n) {
  int32_t sums[4 * CHUNK], row[CHUNK];
  for (; c < l->shape.out_group; c += CHUNK) {
    uint32_t channels = chunk_at(l, c);
    sum_chunk(l, c, channels, sums);
    for (uint32_t p = 0; p < n; p++) {
      for (uint32_t i = 0; i < channels; i++) {
        row[i] = sums[4 * i + p];
      }
      dqnn_emit(l->call, &l->epilogue, row, l->first_output + c, channels, first + p);
    }
  }
}

/* Four pixels straight to an s8 output; of n an odd last channel through sums. */
DQNN_INLINE void sum_direct(layer *l, uint32_t first, uint32_t n) {
  dqnn_pairs_quad(&l->plan);
  if (l->shape.out_group & 1u) {
    sum_rest(l, l->shape.out_group - 1, first, n);
  }
}

#if DQNN_COLUMNS_TURN
/* The last pixel again and again behind n. */
DQNN_INLINE void set_places(layer *l, uint32_t first, uint32_t n) {
  int8_t *out = (int8_t *)l->call->out + first * l->shape.outputs + l->first_output;
  for (uint32_t p = 0; p < 4; p++) {
    l->plan.out[p] = out;
    out += p + 1 < n ? l->shape.outputs : 0;
  }
}
#endif

/* Four pixels, straight to an s1 output. */
DQNN_NOINLINE void sum_quad_s1(const layer *l, uint32_t first, uint32_t n) {
  const dqnn_call *call = l->call;
  const uint32_t *flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
  uint32_t words = (l->shape.outputs + 31u) >> 5;
  uint32_t *row = (uint32_t *)call->out + first * words;
  int32_t sums[4 * CHUNK];
  for (uint32_t c = 0; c < l->shape.out_group; c += CHUNK) {
    uint32_t channels = chunk_at(l, c), channel = l->first_output + c, bits[4] = {0, 0, 0, 0};
    const int32_t *threshold = (const int32_t *)call->constants[1] + channel, *acc = sums;
    sum_chunk(l, c, channels, sums);
    for (uint32_t i = 0; i < channels; i++, acc += 4) {
      int32_t t = threshold[i];
      bits[0] = dqnn_push_less(bits[0], acc[0], t);
      bits[1] = dqnn_push_less(bits[1], acc[1], t);
      bits[2] = dqnn_push_less(bits[2], acc[2], t);
      bits[3] = dqnn_push_less(bits[3], acc[3], t);
    }
    uint32_t flips = flip ? dqnn_read_bits(flip, channel, channels) : 0;
    for (uint32_t p = 0; p < n; p++) {
      dqnn_append_bits(row + p * words, channel, channels, bits[p] >> (32 - channels) ^ flips);
    }
  }
}

DQNN_INLINE int32_t larger(int32_t a, int32_t b) {
  return a < b ? b : a;
}

/* The largest of the four pixels into totals[channel]; later quads of a window only raise it. */
static void quad_maximum(void *state, int first) {
  layer *l = (layer *)state;
  int32_t sums[4 * CHUNK], *total = l->totals;
  turn(l);
  for (uint32_t c = 0; c < l->shape.out_group; c += CHUNK) {
    uint32_t channels = chunk_at(l, c);
    sum_chunk(l, c, channels, sums);
    for (const int32_t *acc = sums, *end = sums + 4 * channels; acc < end; acc += 4, total++) {
      int32_t most = larger(larger(acc[0], acc[1]), larger(acc[2], acc[3]));
      *total = first ? most : larger(*total, most);
    }
  }
}

/* All channels of one pixel to the output. */
DQNN_NOINLINE void emit_one(const layer *l, uint32_t pixel) {
  int32_t acc[SINGLE];
  for (uint32_t c = 0, n; c < l->shape.out_group; c += n) {
    n = l->shape.out_group - c < SINGLE ? l->shape.out_group - c : SINGLE;
    dqnn_dots(l->plan.weights + (c >> 1) * l->plan.pairs, l->columns, l->plan.pairs, acc, n);
    for (uint32_t i = 0; l->by_inputs && i < n; i++) {
      acc[i] = by_inputs(l, c + i, 0, acc[i]);
    }
    dqnn_emit(l->call, &l->epilogue, acc, l->first_output + c, n, pixel);
  }
}

/* ---- output ---- */

static void quad_gather(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  layer *l = (layer *)state;
#if DQNN_COLUMNS_TURN
  if (l->later) {
    l->run = n == 4;
    for (n = l->run ? 1 : n; n; n--, at.x += l->shape.stride_w) {
      l->at[lane++] = at;
    }
    return;
  }
#endif
  const int all = is_inside(l, at, n);
  if (all) {
    gather_inside(l, at, lane, n);
  }
  for (; n && (!all || l->by_inputs); n--, lane++, at.x += l->shape.stride_w) {
    if (!all && is_inside(l, at, 1)) {
      gather_inside(l, at, lane, 1);
    } else if (!all) {
      gather_border(l, at, lane);
    }
    l->sums[lane] = l->by_inputs ? column_sum(l, lane) : 0;
  }
}

static void quad_sum(void *state, uint32_t first, uint32_t n, uint32_t lanes) {
  layer *l = (layer *)state;
  if (lanes == 1) {
    emit_one(l, first);
    return;
  }
  turn(l);
#if DQNN_COLUMNS_TURN
  if (l->direct) {
    set_places(l, first, n);
    sum_direct(l, first, n);
    return;
  }
#endif
  if (l->call->out_def->dtype == DQNN_S1) {
    sum_quad_s1(l, first, n);
  } else {
    sum_rest(l, 0, first, n);
  }
}

/* ---- straight to s8 ---- */

#if !DQNN_COLUMNS_TURN
/* Columns of the output whose windows lie inside the map. */
static dqnn_taps columns_inside(const dqnn_geometry *g) {
  const int32_t room = g->width - g->kernel_w + g->pad_left;
  dqnn_taps in = {(g->pad_left + g->stride_w - 1) / g->stride_w, room < 0 ? 0 : room / g->stride_w + 1};
  in.end = in.end < g->out_width ? in.end : g->out_width;
  return in;
}

/* Of a row of the output as many pixels from ox on as lanes are left for and lie inside, or one; returns how many. */
DQNN_INLINE uint32_t gather_next(const layer *l, const dqnn_taps *inside, int32_t ox, dqnn_origin at, uint32_t lane) {
  if (ox < inside->first || ox >= inside->end) {
    gather_border(l, at, lane);
    return 1;
  }
  const uint32_t left = (uint32_t)(inside->end - ox), n = left < 4 - lane ? left : 4 - lane;
  gather_inside(l, at, lane, n);
  return n;
}

/* All outputs of a group, without a walk of quads.h, which takes more than the products of few channels. The last four
 * pixels may hold columns of some that are done. */
DQNN_NOINLINE void run_direct(layer *l) {
  const dqnn_geometry *g = &l->shape;
  const dqnn_taps none = {0, 0}, columns = columns_inside(g);
  int8_t *out = (int8_t *)l->call->out + l->first_output;
  uint32_t pixel = 0, lane = 0;
  dqnn_origin at = {-g->pad_top, 0};
  for (int32_t oy = 0; oy < g->out_height; oy++, at.y += g->stride_h) {
    const int inside = l->plain && at.y >= 0 && at.y + (g->kernel_h - 1) * g->dilation_h < g->height;
    const dqnn_taps row = inside ? columns : none;
    at.x = -g->pad_left;
    for (int32_t ox = 0; ox < g->out_width;) {
      const uint32_t n = gather_next(l, &row, ox, at, lane), end = lane + n;
      ox += (int32_t)n;
      at.x += (int32_t)n * g->stride_w;
      pixel += n;
      for (; lane < end; out += g->outputs) {
        l->plan.out[lane++] = out;
      }
      if (lane == 4) {
        sum_direct(l, pixel - 4, 4);
        lane = 0;
      }
    }
  }
  for (uint32_t i = lane; i > 0 && i < 4 && !DQNN_PAIRS_ANYWHERE; i++) {
    l->plan.out[i] = l->plan.out[lane - 1];
  }
  if (lane) {
    sum_direct(l, pixel - lane, lane);
  }
}
#endif

static void quad_emit(void *state, uint32_t pixel) {
  const layer *l = (const layer *)state;
  dqnn_emit(l->call, &l->epilogue, l->totals, l->first_output, l->shape.out_group, pixel);
}

static const dqnn_quad_ops quad_ops = {quad_gather, quad_sum, quad_maximum, quad_emit};

/* zero_points: constant 1 are those of the weights, ahead of the output rule's. */
static void prepare(const dqnn_call *call, layer *l, uint32_t zero_points) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry *g = &l->shape;
  l->call = call;
  dqnn_read_geometry(call, g);
  dqnn_read_cells(call, &l->cells);
  l->half_weights = p->half_weights;
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->by_inputs = p->half_weights || zero_points;
  l->plain = !l->cells.binary && p->groups == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1;
  l->pitch = dqnn_row_step(g, g->kernel_h) * g->channels;
  l->row_taps = (uint32_t)g->kernel_w * g->in_group;
  l->plan.pairs = ((uint32_t)g->kernel_h * l->row_taps + 1) >> 1;
  l->lanes = dqnn_quad_lanes(g);
  l->nine = l->plain && l->lanes == 4 && g->channels == 3 && g->kernel_h == 3 && g->kernel_w == 3;
#if DQNN_COLUMNS_TURN
  l->later = l->plain && l->lanes == 4 && !l->by_inputs;
#endif
  l->columns = (uint32_t *)call->scratch;
  l->totals = (int32_t *)(l->columns + l->lanes * l->plan.pairs);
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1 + zero_points, &l->epilogue);
  }
  l->direct =
      call->out_def->dtype == DQNN_S8 && !l->by_inputs && l->lanes == 4 && g->pool_cells == 1 && g->out_group > 1;
  l->kind = l->direct ? dqnn_quad_kind_of(&l->epilogue, g->outputs, 2 * l->plan.pairs) : DQNN_QUAD_ANY;
  l->direct = l->kind != DQNN_QUAD_ANY;
}

/* Where a core may keep what it finds out about a layer: behind all that this one needs, or where the last outputs go,
 * if those of no other group are there. */
DQNN_INLINE void keep(layer *l) {
  const dqnn_call *call = l->call;
  const dqnn_geometry *g = &l->shape;
  const uint32_t row = dqnn_windows_inside(call) ? 0 : l->row_taps, used = (16 * l->plan.pairs + 2 * row + 3) & ~3u;
  const uint32_t left = call->scratch_bytes > used ? call->scratch_bytes - used : 0;
  const uint32_t pixels = (uint32_t)(g->out_height * g->out_width), bytes = g->groups == 1 ? pixels * g->outputs : 0;
  dqnn_pairs_keep(&l->plan, (uint8_t *)call->scratch + used, left, (int8_t *)call->out, bytes, pixels);
}

/* Straight to s8: all whole channel pairs of the group at work; `out` is set for each four pixels. */
static void set_direct(layer *l) {
  const dqnn_epilogue *e = &l->epilogue;
  const uint32_t channel = l->first_output;
  const int fixed = l->kind == DQNN_QUAD_FIXED;
  dqnn_pairs_plan *plan = &l->plan;
  plan->columns = l->columns;
  plan->first.scale = e->scale + channel; /* or the bias, as far from where it begins */
  plan->second.offset = e->offset + channel;
  plan->channels = l->shape.out_group & ~1u;
  plan->zero_point = e->zero_point;
  plan->shift = fixed ? e->shift + channel : NULL;
  plan->rule = fixed ? DQNN_PAIRS_FIXED : DQNN_PAIRS_AFFINE;
  dqnn_pairs_input(plan, l->cells.zero_point);
  DQNN_SET_BOUNDS(plan, e->least + e->zero_point, e->most + e->zero_point);
  dqnn_pairs_ready(plan);
  if (DQNN_PAIRS_KEEP) {
    keep(l);
  }
}

static void run_any(const dqnn_call *call, uint32_t zero_points) {
  layer l;
  prepare(call, &l, zero_points);
  const dqnn_geometry *g = &l.shape;
  uint32_t group_words = (g->out_group + 1) / 2 * l.plan.pairs;
  for (uint32_t group = 0; group < g->groups; group++) {
    l.plan.weights = (const uint32_t *)call->constants[0] + group * group_words;
    l.cells.first_channel = group * g->in_group;
    l.first_output = group * g->out_group;
    if (l.direct) {
      set_direct(&l);
#if !DQNN_COLUMNS_TURN
      run_direct(&l);
      continue;
#endif
    }
    dqnn_quads_run(g, &quad_ops, &l);
  }
  if (!DQNN_QUADS_CLAMP && l.direct && dqnn_quad_narrow(&l.epilogue, l.kind)) {
    dqnn_clamp_row(&l.epilogue, (int8_t *)call->out, (uint32_t)(g->out_height * g->out_width) * g->outputs);
  }
}

static void run(const dqnn_call *call) {
  run_any(call, 0);
}

void dqnn_run_conv_s8_s8_s1_portable(const dqnn_call *call) {
  run(call);
}
DQNN_SAME_RUN(dqnn_run_conv_s8_s8_s8_portable, dqnn_run_conv_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_conv_s8_s8_f32_portable, dqnn_run_conv_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_conv_s1_s8_s1_portable, dqnn_run_conv_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_conv_s1_s8_s8_portable, dqnn_run_conv_s8_s8_s1_portable)
DQNN_SAME_RUN(dqnn_run_conv_s1_s8_f32_portable, dqnn_run_conv_s8_s8_s1_portable)
void dqnn_run_convz_s8_s8_s8_portable(const dqnn_call *call) {
  run_any(call, 1);
}
DQNN_SAME_RUN(dqnn_run_convz_s8_s8_f32_portable, dqnn_run_convz_s8_s8_s8_portable)
#endif
