/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* s8 x s1 convolution of any windows: strides, pools, groups, dilation, maps that are no blocks of eight channels.
 *
 * As in conv_nibbles.c four inputs under four signs have sixteen sums, which are tabulated and which all outputs look
 * up; here for four windows that may lie anywhere. A word of a table is sum of one window + 2^16 * sum of the next, as
 * a number, so that all cores add and subtract two of them at once. Its low part is that of the sum as long as this
 * fits 16 bits, which it does for eight bytes of weights at a time.
 *
 * Scratch: totals, the maxima of a pool, and as many tables as there is room for. */
#include "../../isa/windows.h"
#include "cells.h"
#include "conv_blocks.h"
#include "conv_first.h"
#include "conv_nibbles.h"
#include "conv_single.h"
#include "epilogue.h"

#if DQNN_HAVE_PORTABLE

enum { TABLES = 2 * DQNN_WINDOWS_TABLE, BLOCK = 8 /* channels */, NARROW = 128 /* inputs whose sums fit 16 bits */ };

typedef struct {
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const dqnn_call *call;
  const int8_t *image;
  const uint8_t *weights;               /* of the group at work */
  uint32_t first_channel, first_output; /* of that group */
  uint32_t bytes;                       /* of weights whose tables stand at a time, at most */
  uint32_t narrow;                      /* 1: all sums fit 16 bits */
  uint32_t zero;                        /* the zero points of two inputs */
  uint32_t *tables;                     /* [byte][inputs 0-3, 4-7][code][windows 0 and 1, 2 and 3] */
  int32_t *totals;                      /* [window][output of the group]; narrow: [output][2], as words of tables */
  int32_t *maxima;                      /* [output of the group], of a pool */
  dqnn_origin at[DQNN_WINDOWS];
  uint8_t inside;  /* all of them lie in the map */
  uint8_t plain;   /* nothing is dilated, so that they may */
  uint8_t in_runs; /* kernel rows are runs of memory then */
  int8_t outside[BLOCK], hole[BLOCK];
} layer;

/* Where the inputs of the next byte are, in the order of the weights: blocks of channels, kernel rows, columns. A run
 * is a cell's channels of the block, or a kernel row of them. */
typedef struct {
  uint32_t channel, channels; /* the block's, of the group */
  uint32_t run, taken;        /* inputs of a run, and of this one so far */
  int32_t ky, kx;
  const int8_t *from[DQNN_WINDOWS];
} cursor;

/* ---- gathering ---- */

static void find_run(const layer *l, cursor *c) {
  const dqnn_geometry *g = &l->shape;
  const dqnn_conv_params *p = (const dqnn_conv_params *)l->call->params;
  const int32_t dy = c->ky * g->dilation_h, dx = c->kx * g->dilation_w;
  const int8_t *image = l->image + l->first_channel + c->channel;
  for (uint32_t w = 0; w < DQNN_WINDOWS; w++) {
    const int32_t y = l->at[w].y + dy, x = l->at[w].x + dx;
    const int quick = l->inside || (l->plain && (uint32_t)y < (uint32_t)g->height && (uint32_t)x < (uint32_t)g->width);
    int32_t cell = quick ? (int32_t)dqnn_cell_index(g, y, x) : dqnn_cell_at(g, p->up_h, p->up_w, y, x);
    c->from[w] = cell >= 0 ? image + (uint32_t)cell * g->channels : cell == DQNN_AT_HOLE ? l->hole : l->outside;
  }
}

DQNN_NOINLINE void begin_block(const layer *l, cursor *c, uint32_t channel) {
  const uint32_t left = l->shape.in_group - channel;
  c->channel = channel;
  c->channels = left < BLOCK ? left : BLOCK;
  c->run = l->in_runs && l->inside ? (uint32_t)l->shape.kernel_w * c->channels : c->channels;
  c->taken = 0;
  c->ky = c->kx = 0;
  find_run(l, c);
}

/* Behind the last run of a block there is none. */
static void take(const layer *l, cursor *c, uint32_t inputs) {
  c->taken += inputs;
  if (c->taken < c->run) {
    return;
  }
  c->taken = 0;
  if (c->run > c->channels || ++c->kx == l->shape.kernel_w) {
    c->kx = 0;
    c->ky++;
  }
  if (c->ky < l->shape.kernel_h) {
    find_run(l, c);
  }
}

/* The inputs of a byte of each window; those that the block does not have count 0. */
static void read_inputs(const layer *l, cursor *c, int8_t inputs[DQNN_WINDOWS][BLOCK]) {
  memset(inputs, l->hole[0], sizeof(int8_t[DQNN_WINDOWS][BLOCK]));
  for (uint32_t i = 0, n; i < BLOCK && c->ky < l->shape.kernel_h; i += n) {
    n = c->run - c->taken < BLOCK - i ? c->run - c->taken : BLOCK - i;
    for (uint32_t k = 0; k < n; k++) {
      for (uint32_t w = 0; w < DQNN_WINDOWS; w++) {
        inputs[w][i + k] = c->from[w][c->taken + k];
      }
    }
    take(l, c, n);
  }
}

/* ---- tables ---- */

/* Four inputs of two windows: sums whose codes differ by one sign follow each other. */
DQNN_NOINLINE void fill_table(const int8_t *first, const int8_t *second, uint32_t zero, uint32_t *t) {
  enum { CODE = DQNN_WINDOWS / 2 };
  const uint32_t a = (uint32_t)first[0] + ((uint32_t)second[0] << 16) - zero,
                 b = (uint32_t)first[1] + ((uint32_t)second[1] << 16) - zero,
                 c = (uint32_t)first[2] + ((uint32_t)second[2] << 16) - zero,
                 d = (uint32_t)first[3] + ((uint32_t)second[3] << 16) - zero;
  uint32_t sum = a + b + c + d;
  t[0 * CODE] = sum;
  t[1 * CODE] = sum -= 2 * a;
  t[3 * CODE] = sum -= 2 * b;
  t[2 * CODE] = sum += 2 * a;
  t[6 * CODE] = sum -= 2 * c;
  t[7 * CODE] = sum -= 2 * a;
  t[5 * CODE] = sum += 2 * b;
  t[4 * CODE] = sum += 2 * a;
  t[12 * CODE] = sum -= 2 * d;
  t[13 * CODE] = sum -= 2 * a;
  t[15 * CODE] = sum -= 2 * b;
  t[14 * CODE] = sum += 2 * a;
  t[10 * CODE] = sum += 2 * c;
  t[11 * CODE] = sum -= 2 * a;
  t[9 * CODE] = sum += 2 * b;
  t[8 * CODE] = sum + 2 * a;
}

/* The tables of a byte of weights. */
static void fill_byte(const layer *l, cursor *c, uint32_t *tables) {
  int8_t inputs[DQNN_WINDOWS][BLOCK];
  if (c->ky == l->shape.kernel_h) {
    begin_block(l, c, c->channel + BLOCK);
  }
  const int whole = c->run - c->taken >= BLOCK;
  if (!whole) {
    read_inputs(l, c, inputs);
  }
  for (uint32_t w = 0; w < DQNN_WINDOWS; w += 2, tables++) {
    const int8_t *first = whole ? c->from[w] + c->taken : inputs[w],
                 *second = whole ? c->from[w + 1] + c->taken : inputs[w + 1];
    fill_table(first, second, l->zero, tables);
    fill_table(first + 4, second + 4, l->zero, tables + DQNN_WINDOWS_TABLE);
  }
  if (whole) {
    take(l, c, BLOCK);
  }
}

/* ---- sums ---- */

/* Totals of the gathered windows. The bytes of an output are those of a block of channels, which follow each other, or
 * of all blocks where a block has just one. */
static void sum_windows(const layer *l) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t cells = dqnn_kernel_cells(g), blocks = (g->in_group + BLOCK - 1) / BLOCK;
  const uint8_t *weights = l->weights;
  memset(l->totals, 0, (size_t)4 * (DQNN_WINDOWS >> l->narrow) * g->out_group);
  for (uint32_t channel = 0; channel < g->in_group; channel += BLOCK) {
    cursor c;
    begin_block(l, &c, channel);
    uint32_t left = (cells * c.channels + 7) / 8, step = 1, pitch = left;
    if (cells == 1) {
      left = blocks;
      step = g->out_group;
      channel = g->in_group;
    }
    const uint8_t *next = weights + left * g->out_group;
    for (uint32_t n; left > 0; left -= n, weights += n * step) {
      n = left < l->bytes ? left : l->bytes;
      for (uint32_t i = 0; i < n; i++) {
        fill_byte(l, &c, l->tables + TABLES * i);
      }
      dqnn_windows_sums(&(dqnn_windows_plan){l->tables, weights, l->totals, g->out_group, n, step, pitch, l->narrow});
    }
    weights = next;
  }
}

/* ---- output ---- */

static void quad_gather(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  layer *l = (layer *)state;
  const dqnn_geometry *g = &l->shape;
  l->inside = (lane == 0 || l->inside) && l->plain && dqnn_neighbours_inside(g, at, n);
  for (; n > 0; n--, lane++, at.x += g->stride_w) {
    l->at[lane] = at;
  }
}

static void quad_sum(void *state, uint32_t first, uint32_t n, uint32_t lanes) {
  layer *l = (layer *)state;
  const uint32_t outputs = l->shape.out_group;
  for (uint32_t w = lanes; w < DQNN_WINDOWS; w++) { /* nobody asks for them */
    l->at[w] = l->at[0];
  }
  sum_windows(l);
  for (uint32_t w = 0; w < n; w++) {
    dqnn_emit(l->call, &l->epilogue, l->totals + w * outputs, l->first_output, outputs, first + w);
  }
}

DQNN_INLINE int32_t larger(int32_t a, int32_t b) {
  return a < b ? b : a;
}

/* Of the sums of two windows in a word the second one; *both becomes the first. */
DQNN_INLINE int32_t split(int32_t *both) {
  const int32_t first = (int16_t)(*both & 0xffff), second = (*both - first) >> 16;
  *both = first;
  return second;
}

/* The largest of four sums of each output, or of these and what was found before. */
static void quad_maximum(void *state, int first) {
  const layer *l = (const layer *)state;
  const uint32_t outputs = l->shape.out_group;
  const int32_t *total = l->totals;
  int32_t *maxima = l->maxima;
  sum_windows(l);
  for (const int32_t *end = maxima + outputs; maxima < end; maxima++, total++) {
    int32_t a = *total, b, c, d;
    if (l->narrow) {
      c = *++total;
      b = split(&a);
      d = split(&c);
    } else {
      b = total[outputs];
      c = total[2 * outputs];
      d = total[3 * outputs];
    }
    int32_t most = larger(larger(a, b), larger(c, d));
    *maxima = first ? most : larger(*maxima, most);
  }
}

static void quad_emit(void *state, uint32_t pixel) {
  const layer *l = (const layer *)state;
  dqnn_emit(l->call, &l->epilogue, l->maxima, l->first_output, l->shape.out_group, pixel);
}

static const dqnn_quad_ops quad_ops = {quad_gather, quad_sum, quad_maximum, quad_emit};

static void prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_geometry *g = &l->shape;
  dqnn_read_geometry(call, &l->shape);
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l->epilogue);
  }
  l->call = call;
  l->image = (const int8_t *)call->in[0];
  l->plain = p->up_h == 1 && p->up_w == 1 && p->dilation_w == 1;
  l->in_runs = g->channels <= BLOCK && g->groups == 1;
  const int8_t zero_point = (int8_t)call->in_def[0]->zero_point;
  l->zero = (uint32_t)(int32_t)zero_point * 0x10001u;
  memset(l->outside, (int8_t)p->pad_value, sizeof l->outside);
  memset(l->hole, zero_point, sizeof l->hole);
  l->totals = (int32_t *)call->scratch;
  l->narrow = g->pool_cells > 1 && dqnn_kernel_cells(g) * g->in_group <= NARROW;
  l->maxima = l->totals + (DQNN_WINDOWS >> l->narrow) * g->out_group;
  l->tables = (uint32_t *)l->maxima + (g->pool_cells > 1 ? g->out_group : 0);
  const uint32_t used = (uint32_t)(l->tables - (uint32_t *)call->scratch),
                 room = (call->scratch_bytes / 4 - used) / TABLES;
  l->bytes = room < DQNN_WINDOWS_BYTES ? room : DQNN_WINDOWS_BYTES;
}

DQNN_NOINLINE void run_windows(const dqnn_call *call) {
  layer l;
  prepare(call, &l);
  const dqnn_geometry *g = &l.shape;
  const uint32_t cells = dqnn_kernel_cells(g), rest = g->in_group & 7u,
                 group_bytes = g->out_group * (g->in_group / 8 * cells + (cells * rest + 7) / 8);
  for (uint32_t group = 0; group < g->groups; group++) {
    l.weights = (const uint8_t *)call->constants[0] + group * group_bytes;
    l.first_channel = group * g->in_group;
    l.first_output = group * g->out_group;
    dqnn_quads_run(g, &quad_ops, &l);
  }
}

static void run_any(const dqnn_call *call) {
  dqnn_blocks_path path = dqnn_blocks_path_of(call);
  if (path == DQNN_BLOCKS_SINGLE) {
    dqnn_run_single(call);
  } else if (path == DQNN_BLOCKS_NIBBLES && dqnn_nibbles_pay(call)) {
    dqnn_run_nibbles(call);
  } else {
    run_windows(call);
  }
}

void dqnn_run_conv_s8_s1_s1_portable(const dqnn_call *call) {
  if (dqnn_blocks_path_of(call) == DQNN_BLOCKS_FIRST) {
    dqnn_run_first_s8(call);
  } else {
    run_any(call);
  }
}
void dqnn_run_conv_s8_s1_s8_portable(const dqnn_call *call) {
  run_any(call);
}
DQNN_SAME_RUN(dqnn_run_conv_s8_s1_f32_portable, dqnn_run_conv_s8_s1_s8_portable)
#endif
