/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{f32,s8}_s1_*: sixteen output pixels side by side, channels one after the other, four inputs per addition.
 *
 * Weights lie in blocks of eight channels (SPEC.md 3.3). Four neighbouring inputs have sixteen sums, which are made
 * once for the sixteen pixels; four bits of weights choose the one to add. Float sums come in the order of SPEC.md 3.1:
 * each chosen sum is ((p0 + p1) + p2) + p3.
 *
 * At most TABLES tables and PASS channels at a time stand on the stack (about 30 KB): this is for hosts. Pixels come in
 * order and all their inputs are read before the first of them is written, as dqnn_first_overlap asks for.
 *
 * A template. In: DQNN_FLOAT_SUMS (emit.inc.h). Out: run(). */
#include "../opt/geometry.h"
#include "../opt/quads.h"
#include "emit.inc.h"

enum { WIDTH = 16, VECTORS = WIDTH / LANES, TABLES = 16, PASS = 64 };

/* Adding it changes nothing, not even the sign of a zero. */
#if DQNN_FLOAT_SUMS
#define NOTHING all_float(-0.0f)
#else
#define NOTHING all_int(0)
#endif

typedef struct {
  v_number part[VECTORS];
} pixels;

typedef struct {
  dqnn_geometry shape;
  sink to;
  const uint8_t *image, *weights; /* weights: of the group at work */
  uint32_t first_channel;         /* of the group */
  int32_t up_h, up_w, zero_point;
  number outside;
} layer;

/* First taps of the windows at work; the cells under one of their taps: DQNN_AT_OUTSIDE, DQNN_AT_HOLE, or an index. */
typedef struct {
  v_int y[VECTORS], x[VECTORS];
} windows;
typedef struct {
  v_int index[VECTORS];
} cells;

/* A block of at most eight channels. */
typedef struct {
  uint32_t channel, channels;
  uint32_t output_bytes;  /* from an output's weights to the next one's */
  const uint8_t *weights; /* of the first output at work */
} block;

/* Where an output's weights for up to four inputs are: bits from `shift` on of two bytes. */
typedef struct {
  uint32_t byte, next, shift, mask;
} place;

/* The tables at hand. */
typedef struct {
  pixels sums[TABLES][16];
  place places[TABLES];
  uint32_t count;
} tables;

/* ---- tables ---- */

DQNN_INLINE v_int outside_of(v_int at, int32_t size) {
  return (at < 0) | (at >= size);
}

static cells find_cells(const layer *l, const windows *w, int32_t ky, int32_t kx) {
  const dqnn_geometry *g = &l->shape;
  cells found;
  for (unsigned v = 0; v < VECTORS; v++) {
    v_int y = w->y[v] + ky * g->dilation_h, x = w->x[v] + kx * g->dilation_w, hole = {0};
    v_int outside = outside_of(y, (g->height - 1) * l->up_h + 1) | outside_of(x, (g->width - 1) * l->up_w + 1);
    if (l->up_h > 1 || l->up_w > 1) {
      v_int row = y / l->up_h, column = x / l->up_w;
      hole = (row * l->up_h != y) | (column * l->up_w != x);
      y = row;
      x = column;
    }
    v_int index = (v_int)((v_uint)y * (uint32_t)g->width + (v_uint)x) & ~(outside | hole);
    found.index[v] = index | (outside & DQNN_AT_OUTSIDE) | (hole & ~outside & DQNN_AT_HOLE);
  }
  return found;
}

/* LANES inputs at these indices. */
DQNN_INLINE v_number gather(const layer *l, v_int at) {
#if DQNN_FLOAT_SUMS
  return gather_float((const float *)(const void *)l->image, at);
#else
  const int8_t *from = (const int8_t *)l->image;
  int32_t index[LANES];
  int8_t x[LANES];
  store_int(index, at);
  for (unsigned i = 0; i < LANES; i++) {
    x[i] = from[index[i]];
  }
  return load_s8(x) - l->zero_point;
#endif
}

static pixels read_inputs(const layer *l, const cells *from, uint32_t channel) {
  pixels x;
  for (unsigned v = 0; v < VECTORS; v++) {
    v_int index = from->index[v], there = index >= 0;
    v_number value = gather(l, (v_int)((v_uint)index * l->shape.channels + channel) & there);
    v_int missing = (v_int)(l->outside - (v_number){0}) & (index == DQNN_AT_OUTSIDE);
    x.part[v] = (v_number)(((v_int)value & there) | missing);
  }
  return x;
}

/* The sums of `count` (1..4) inputs; bit i of a code is the sign of input i. */
static void fill_table(const pixels x[4], uint32_t count, pixels *table) {
  for (unsigned v = 0; v < VECTORS; v++) {
    table[0].part[v] = x[0].part[v];
    table[1].part[v] = -x[0].part[v];
    for (uint32_t i = 1; i < count; i++) {
      for (uint32_t code = 0, half = 1u << i; code < half; code++) {
        v_number sum = table[code].part[v];
        table[code].part[v] = sum + x[i].part[v];
        table[code + half].part[v] = sum - x[i].part[v];
      }
    }
  }
}

/* A table for `count` inputs whose weights begin at `bit`. */
static void append_table(tables *t, const pixels x[4], uint32_t count, uint32_t bit) {
  uint32_t byte = bit >> 3, shift = bit & 7u;
  fill_table(x, count, t->sums[t->count]);
  t->places[t->count++] = (place){byte, byte + (shift + count > 8), shift, (1u << count) - 1u};
}

/* ---- sums ---- */

/* Adds the tables at hand to the sums of `outputs` channels. */
static void add_tables(const block *b, tables *t, uint32_t outputs, pixels *total) {
  const uint8_t *w = b->weights;
  uint32_t count = t->count;
  for (uint32_t o = 0; o < outputs; o++, w += b->output_bytes) {
    pixels sum = total[o];
    for (uint32_t i = 0; i < count; i++) {
      const place *at = &t->places[i];
      uint32_t code = (w[at->byte] | (uint32_t)w[at->next] << 8) >> at->shift & at->mask;
      for (unsigned v = 0; v < VECTORS; v++) {
        sum.part[v] += t->sums[i][code].part[v];
      }
    }
    total[o] = sum;
  }
  t->count = 0;
}

/* All inputs of a block. Tables begin anew with every kernel row. */
static void add_block(const layer *l, const windows *w, const block *b, uint32_t outputs, tables *t, pixels *total) {
  uint32_t row = (uint32_t)l->shape.kernel_w * b->channels, bit = 0;
  for (int32_t ky = 0; ky < l->shape.kernel_h; ky++) {
    pixels x[4];
    cells at = find_cells(l, w, ky, 0);
    for (uint32_t i = 0, channel = 0; i < row; i++, channel++) {
      if (channel == b->channels) {
        channel = 0;
        at = find_cells(l, w, ky, (int32_t)(i / b->channels));
      }
      x[i % 4] = read_inputs(l, &at, b->channel + channel);
      if (i % 4 < 3 && i + 1 < row) {
        continue;
      }
      append_table(t, x, i % 4 + 1, bit + i / 4 * 4);
      if (t->count == TABLES) {
        add_tables(b, t, outputs, total);
      }
    }
    bit += row;
  }
  add_tables(b, t, outputs, total);
}

/* Sums of channels first .. first + count - 1 of the group. */
static void sum_windows(const layer *l, const windows *w, uint32_t first, uint32_t count, pixels *total) {
  const dqnn_geometry *g = &l->shape;
  uint32_t taps = dqnn_kernel_cells(g);
  const uint8_t *weights = l->weights;
  tables t;
  t.count = 0;
  for (uint32_t i = 0; i < count * VECTORS; i++) {
    total[i / VECTORS].part[i % VECTORS] = NOTHING;
  }
  for (uint32_t channel = 0; channel < g->in_group; channel += 8) {
    block b = {.channel = l->first_channel + channel};
    b.channels = g->in_group - channel < 8 ? g->in_group - channel : 8;
    b.output_bytes = (taps * b.channels + 7) / 8;
    b.weights = weights + first * b.output_bytes;
    add_block(l, w, &b, count, &t, total);
    weights += b.output_bytes * g->out_group;
  }
}

/* ---- output ---- */

/* LANES vectors to columns. */
DQNN_INLINE void transpose(const pixels *from, unsigned part, number (*to)[PASS]) {
  v_float rows[LANES];
  for (unsigned i = 0; i < LANES; i++) {
    rows[i] = (v_float)from[i].part[part];
  }
  transpose_float(rows);
  for (unsigned i = 0; i < LANES; i++) {
    store_number(to[i], (v_number)rows[i]);
  }
}

static void put(const layer *l, const pixels *total, uint32_t pixel, uint32_t n, uint32_t channel, uint32_t count) {
  number rows[WIDTH][PASS];
  for (uint32_t c = 0; c < count; c += LANES) {
    for (unsigned v = 0; v < VECTORS; v++) {
      transpose(total + c, v, (number(*)[PASS])(&rows[v * LANES][c]));
    }
  }
  for (uint32_t i = 0; i < n; i++) {
    emit(&l->to, rows[i], pixel + i, channel, count);
  }
}

/* ---- the walk ---- */

/* Windows of cell (cy, cx) of the pooling windows first .. first + WIDTH - 1; lanes beyond the last repeat it. */
static void place_windows(const dqnn_geometry *g, windows *w, uint32_t first, uint32_t n, int32_t cy, int32_t cx) {
  uint32_t width = (uint32_t)g->pooled_width;
  for (unsigned i = 0; i < WIDTH; i++) {
    uint32_t pixel = first + (i < n ? i : n - 1);
    w->y[i / LANES][i % LANES] = ((int32_t)(pixel / width) * g->pool_h + cy) * g->stride_h - g->pad_top;
    w->x[i / LANES][i % LANES] = ((int32_t)(pixel % width) * g->pool_w + cx) * g->stride_w - g->pad_left;
  }
}

static void run_pass(const layer *l, uint32_t pixel, uint32_t n, uint32_t group, uint32_t first, uint32_t count) {
  const dqnn_geometry *g = &l->shape;
  pixels total[PASS], most[PASS];
  windows w;
  for (int32_t cell = 0; cell < (int32_t)g->pool_cells; cell++) {
    place_windows(g, &w, pixel, n, cell / g->pool_w, cell % g->pool_w);
    sum_windows(l, &w, first, count, cell ? total : most);
    for (uint32_t i = 0; cell && i < count * VECTORS; i++) {
      v_number *to = &most[i / VECTORS].part[i % VECTORS];
      *to = larger(*to, total[i / VECTORS].part[i % VECTORS]);
    }
  }
  put(l, most, pixel, n, group * g->out_group + first, count);
}

static void read_layer(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_read_geometry(call, &l->shape);
  read_sink(call, 1, l->shape.outputs, &l->to);
  l->image = (const uint8_t *)call->in[0];
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->zero_point = DQNN_FLOAT_SUMS ? 0 : call->in_def[0]->zero_point;
  l->outside = (number)(p->pad_value - (float)l->zero_point);
}

static void run(const dqnn_call *call) {
  layer l;
  read_layer(call, &l);
  const dqnn_geometry *g = &l.shape;
  uint32_t total = (uint32_t)(g->out_height / g->pool_h) * (uint32_t)g->pooled_width;
  uint32_t taps = dqnn_kernel_cells(g);
  uint32_t group_bytes = g->out_group * (g->in_group / 8 * taps + (taps * (g->in_group % 8) + 7) / 8);
  for (uint32_t pixel = 0; pixel < total; pixel += WIDTH) {
    uint32_t n = total - pixel < WIDTH ? total - pixel : WIDTH;
    for (uint32_t group = 0; group < g->groups; group++) {
      l.weights = (const uint8_t *)call->constants[0] + group * group_bytes;
      l.first_channel = group * g->in_group;
      for (uint32_t first = 0; first < g->out_group; first += PASS) {
        run_pass(&l, pixel, n, group, first, g->out_group - first < PASS ? g->out_group - first : PASS);
      }
    }
  }
}
