/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32} for maps of many pixels: neighbouring channels side by side, so
 * that no sum is taken across a register.
 *
 * The weights of a block of channels are sorted once into columns: TAPS neighbouring taps of CHANNELS channels. As many
 * neighbouring inputs go to all of these at once. Inputs come from a patch: all that some rows of outputs (of a wide
 * map, a piece of one row) read of the map, padding included, as elements. Windows are read there where they lie, one
 * run of inputs after the other: a kernel row or, of a dilated one, a cell. Runs that are no whole columns go on with
 * weights of 0.
 *
 * Columns (48 KB) and patch (16 KB) stand on the stack. Layers with few pixels, where columns would not pay, and with
 * windows too long for them are not taken.
 *
 * Weights of 4 and 2 bits become the same columns where the channels of a group are a multiple of 4, so that runs are
 * whole columns; other layers of such weights are not taken.
 *
 * A template. In: what conv_layer.inc.h takes; CHANNELS, TAPS; `unit`, an unsigned integer of 2 * TAPS bytes: what a
 * column takes of two channels; `weight_column`, one in memory; `v_sums`, CHANNELS sums; and functions over these. Out:
 * prepare_columns(), run_columns(), run_blocks(). */
#include <string.h>

#include "conv_columns.h"
#include "conv_layer.inc.h"

enum { PATCH = 16384 /* bytes */, BLOCK_CHANNELS = 256, UNITS = CHANNELS / 2, QUADS = CHANNELS / 4 };
enum {
  LINE = 64 / sizeof(element),
  PATCH_ELEMENTS = PATCH / sizeof(element),
  BLOCK_COLUMNS = 2 * DQNN_COLUMNS_TAPS / TAPS
};

/* A block of output channels; begins with the layer. Vectors that lie across two lines of the cache are slow. */
typedef struct {
  layer l, reader;           /* reader: takes a row of the patch for a kernel row */
  uint32_t rows, parts, run; /* of a window: kernel rows, runs of each, inputs of each run */
  uint32_t run_columns, columns;
  uint32_t span, down;              /* rows of the map under a kernel, rows of the patch between those of outputs */
  uint32_t tile_height, tile_width; /* outputs that a patch serves */
  int32_t start[BLOCK_CHANNELS];    /* of the sums */
  int32_t factors[BLOCK_CHANNELS];  /* of the sum of a window's inputs: minus the zero points of the weights */
  _Alignas(64) element patch[PATCH_ELEMENTS + LINE]; /* the last column of the last run may end behind it */
  _Alignas(64) weight_column weights[BLOCK_COLUMNS]; /* [CHANNELS channels][column of a window] */
} block;

/* ---- weights ---- */

/* What a run has behind its last whole column. Of an odd run the last tap stands behind all runs. */
static unit last_unit(const block *b, const uint8_t *pair, uint32_t run) {
  uint32_t words = b->run / 2, rest = words % (TAPS / 2), word;
  unit u = 0;
  if (rest) {
    memcpy(&word, pair + 4 * ((run + 1) * words - 1), sizeof word);
    u = word;
  }
  if (b->run & 1u) {
    memcpy(&word, pair + 4 * (b->rows * words + run / 2), sizeof word);
    u |= (unit)(word >> run % 2 * 16 & 0xffffu) << 32 * rest;
  }
  return u;
}

/* Four taps of four channels. bits is a constant. */
DQNN_INLINE uint64_t load_four(const uint8_t *from, uint32_t bits) {
  uint64_t four;
  uint32_t low;
  if (bits == 4) {
    memcpy(&four, from, sizeof four);
    return four;
  }
  memcpy(&low, from, sizeof low);
  return low;
}

/* CHANNELS channels from `channel` of the group on, those beyond the last four repeat it: four taps at a time. */
DQNN_INLINE void sort_fours(const layer *l, uint32_t channel, uint32_t bits, weight_column *to) {
  const uint8_t *quads[QUADS];
  uint32_t last = (l->shape.out_group - 1) / 4, bytes = 2 * bits;
  uint64_t fours[QUADS];
  for (uint32_t i = 0; i < QUADS; i++) {
    uint32_t quad = channel / 4 + i;
    quads[i] = l->weights + bytes_of(l, 4 * (quad < last ? quad : last));
  }
  for (uint32_t at = 0, end = l->window_taps / 4 * bytes; at < end; at += bytes, to += 4 / TAPS) {
    for (uint32_t i = 0; i < QUADS; i++) {
      fours[i] = load_four(quads[i] + at, bits);
    }
    store_fours(to, fours, bits);
  }
}

static void sort_packed(const layer *l, uint32_t channel, weight_column *to) {
  if (l->bits == 4) {
    sort_fours(l, channel, 4, to);
  } else {
    sort_fours(l, channel, 2, to);
  }
}

/* CHANNELS channels from `channel` of the group on, those beyond the last pair repeat it. */
static void sort_weights(const block *b, uint32_t channel, weight_column *to) {
  const layer *l = &b->l;
  const uint8_t *pairs[UNITS];
  uint32_t last = (l->shape.out_group - 1) / 2, at = 0;
  unit units[UNITS];
  for (uint32_t i = 0; i < UNITS; i++) {
    uint32_t pair = channel / 2 + i;
    pairs[i] = l->weights + (pair < last ? pair : last) * bytes_of(l, 2);
  }
  for (uint32_t run = 0; run < b->rows * b->parts; run++) {
    at = run * (b->run / 2) * 4;
    for (uint32_t i = b->run / TAPS; i; i--, at += sizeof(unit)) {
      for (uint32_t j = 0; j < UNITS; j++) {
        memcpy(&units[j], pairs[j] + at, sizeof(unit));
      }
      store_column(to++, units);
    }
    if (b->run % TAPS) {
      for (uint32_t j = 0; j < UNITS; j++) {
        units[j] = last_unit(b, pairs[j], run);
      }
      store_column(to++, units);
    }
  }
}

/* Elements are too large by `hole`; what that adds is in the sums from the start. */
static void start_sums(const block *b, const weight_column *weights, int32_t *start) {
  v_sums sum = nothing();
  for (uint32_t i = 0; i < b->columns; i++) {
    sum = add_products(sum, ones(), load_column(weights + i));
  }
  store_vector(start, times(sum, -b->l.hole));
}

static void set_factors(block *b) {
  const int8_t *zero_points = b->l.weight_zero_points + b->l.first_output;
  for (uint32_t i = 0; i < b->l.shape.out_group; i++) {
    b->factors[i] = -zero_points[i];
  }
}

/* ---- sums ---- */

typedef struct {
  v_sums of[PIXELS][2];
} counters;

/* A column of one or two tiles of CHANNELS channels, with the inputs of PIXELS windows. */
DQNN_INLINE void add_column(const element *const *x, uint32_t at, const weight_column *w, uint32_t next, uint32_t tiles,
                            counters *z) {
  v_inputs first = load_column(w), second = first;
  if (tiles > 1) {
    second = load_column(w + next);
  }
  for (uint32_t p = 0; p < PIXELS; p++) {
    v_inputs in = load_inputs(x[p] + at);
    z->of[p][0] = add_products(z->of[p][0], in, first);
    if (tiles > 1) {
      z->of[p][1] = add_products(z->of[p][1], in, second);
    }
  }
}

/* tiles is a constant. */
DQNN_INLINE void add_columns(const block *b, uint32_t channel, uint32_t tiles, number (*sums)[TILE]) {
  const dqnn_geometry *g = &b->l.shape;
  const weight_column *w = b->weights + channel / CHANNELS * b->columns;
  const int32_t *start = b->start + channel;
  counters z;
  for (uint32_t i = 0; i < PIXELS * tiles; i++) {
    z.of[i / tiles][i % tiles] = load_vector(start + i % tiles * CHANNELS);
  }
  if (b->l.weight_zero_points) {
    const int32_t *factors = b->factors + channel;
    for (uint32_t i = 0; i < PIXELS * tiles; i++) {
      v_sums more = times(load_vector(factors + i % tiles * CHANNELS), b->l.column_sums[i / tiles]);
      z.of[i / tiles][i % tiles] = plus(z.of[i / tiles][i % tiles], more);
    }
  }
  for (uint32_t row = 0; row < b->rows; row++) {
    for (uint32_t part = 0; part < b->parts; part++) {
      uint32_t run = row * (uint32_t)g->dilation_h * b->reader.row_taps + part * (uint32_t)g->dilation_w * g->in_group;
      const element *x[PIXELS];
      for (uint32_t p = 0; p < PIXELS; p++) {
        x[p] = b->l.windows[p].at + run;
      }
      for (uint32_t i = 0; i < b->run_columns; i++) {
        add_column(x, i * TAPS, w++, b->columns, tiles, &z);
      }
    }
  }
  for (uint32_t i = 0; i < PIXELS * tiles; i++) {
    store_vector(sums[i / tiles] + i % tiles * CHANNELS, z.of[i / tiles][i % tiles]);
  }
}

DQNN_NOINLINE void add_two_tiles(const block *b, uint32_t channel, number (*sums)[TILE]) {
  add_columns(b, channel, 2, sums);
}
DQNN_NOINLINE void add_a_tile(const block *b, uint32_t channel, number (*sums)[TILE]) {
  add_columns(b, channel, 1, sums);
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  const block *b = (const block *)(const void *)l;
  for (uint32_t p = pixels; p < PIXELS; p++) {
    l->windows[p] = l->windows[0];
  }
  for (uint32_t done = 0; done < count; done += 2 * CHANNELS) {
    number(*to)[TILE] = (number(*)[TILE])(&sums[0][done]);
    if (count - done > CHANNELS) {
      add_two_tiles(b, channel + done, to);
    } else {
      add_a_tile(b, channel + done, to);
    }
  }
}

/* ---- patches ---- */

/* What the output tile of the layer's shape reads. */
static void read_patch(block *b) {
  const dqnn_geometry *g = &b->l.shape;
  uint32_t rows = ((uint32_t)g->out_height - 1) * b->down + b->span, skipped = (uint32_t)g->stride_h - b->down;
  element *to = b->patch;
  b->reader.shape.kernel_w = (g->out_width - 1) * g->stride_w + (g->kernel_w - 1) * g->dilation_w + 1;
  b->reader.row_taps = (uint32_t)b->reader.shape.kernel_w * g->in_group;
  for (uint32_t row = 0; row < rows; row++, to += b->reader.row_taps) {
    uint32_t y = row + (skipped ? row / b->down * skipped : 0); /* if any are, down = span */
    read_row(&b->reader, (int32_t)y - g->pad_top, -g->pad_left, to);
  }
  fill(to, TAPS, 0);
}

/* Where something is made of the inputs of a window: their sum, less the zero point. */
static int32_t sum_inputs(const block *b, const element *at) {
  const dqnn_geometry *g = &b->l.shape;
  v_sums sums = nothing();
  for (uint32_t row = 0; row < b->rows; row++, at += (uint32_t)g->dilation_h * b->reader.row_taps) {
    const element *run = at;
    for (uint32_t part = 0; part < b->parts; part++, run += (uint32_t)g->dilation_w * g->in_group) {
      sums = add_run(sums, run, b->run);
    }
  }
  return add_lanes(sums) - (int32_t)b->l.window_taps * b->l.hole;
}

static void patch_gather(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  block *b = (block *)state;
  const dqnn_geometry *g = &b->l.shape;
  uint32_t row = (uint32_t)(at.y + g->pad_top) / (uint32_t)g->stride_h * b->down;
  const element *from = b->patch + row * b->reader.row_taps + (uint32_t)(at.x + g->pad_left) * g->in_group;
  for (; n; n--, lane++, from += (uint32_t)g->stride_w * g->in_group) {
    b->l.windows[lane].at = from;
    b->l.column_sums[lane] = b->l.by_inputs ? sum_inputs(b, from) : 0;
  }
}

static const dqnn_quad_ops patch_ops = {patch_gather, quad_sum, quad_maximum, quad_emit};

static void run_patches(block *b) {
  dqnn_geometry *g = &b->l.shape;
  const dqnn_geometry whole = *g;
  sink *to = &b->l.to;
  uint8_t *out = to->out;
  for (int32_t y = 0; y < whole.out_height; y += (int32_t)b->tile_height) {
    for (int32_t x = 0; x < whole.out_width; x += (int32_t)b->tile_width) {
      int32_t down = whole.out_height - y, right = whole.out_width - x;
      g->out_height = down < (int32_t)b->tile_height ? down : (int32_t)b->tile_height;
      g->out_width = right < (int32_t)b->tile_width ? right : (int32_t)b->tile_width;
      g->pooled_width = g->out_width / g->pool_w;
      g->pad_top = whole.pad_top - y * g->stride_h;
      g->pad_left = whole.pad_left - x * g->stride_w;
      to->out = out + ((uint32_t)(y / g->pool_h) * (uint32_t)whole.pooled_width + (uint32_t)(x / g->pool_w)) *
                          to->pixel_bytes;
      read_patch(b);
      dqnn_quads_run(g, &patch_ops, b);
    }
  }
  to->out = out;
  *g = whole;
}

/* ---- layers ---- */

/* A block of outputs takes the place of a group. */
static void run_blocks(layer *l) {
  block *b = (block *)(void *)l;
  dqnn_geometry *g = &l->shape;
  const uint8_t *weights = l->weights;
  uint32_t outputs = g->out_group, first = l->first_output,
           most = BLOCK_COLUMNS / b->columns / 2 * 2 * CHANNELS; /* two columns at a time */
  most = most < BLOCK_CHANNELS ? most : BLOCK_CHANNELS;
  b->reader = *l;
  b->reader.shape.dilation_w = 1;
  for (uint32_t done = 0; done < outputs; done += g->out_group) {
    g->out_group = outputs - done < most ? outputs - done : most;
    l->weights = weights + bytes_of(l, done);
    l->first_output = first + done;
    for (uint32_t c = 0; c < g->out_group; c += CHANNELS) {
      weight_column *to = b->weights + c / CHANNELS * b->columns;
      if (l->bits) {
        sort_packed(l, c, to);
      } else {
        sort_weights(b, c, to);
      }
      start_sums(b, to, b->start + c);
    }
    if (l->weight_zero_points) {
      set_factors(b);
    }
    run_patches(b);
    g->out_group = outputs - done < most ? outputs - done : most;
  }
  g->out_group = outputs;
}

/* How many of a row of outputs, whole pools, have their inputs among `taken` of a row. */
static uint32_t outputs_of(uint64_t taken, uint64_t span, uint32_t step, int32_t pool, int32_t all) {
  uint64_t some = taken < span ? 0 : (taken - span) / step + 1;
  return (uint32_t)(some < (uint64_t)all ? some / (uint32_t)pool * (uint32_t)pool : (uint64_t)all);
}

/* Returns if the layer is taken. */
static int set_tiles(block *b) {
  const dqnn_geometry *g = &b->l.shape;
  uint64_t span = (uint64_t)(g->kernel_h - 1) * (uint32_t)g->dilation_h + 1,
           across = (uint64_t)(g->kernel_w - 1) * (uint32_t)g->dilation_w + 1,
           width = (uint64_t)(g->out_width - 1) * (uint32_t)g->stride_w + across, cells = PATCH_ELEMENTS / g->in_group;
  b->span = (uint32_t)span;
  b->down = span < (uint64_t)g->stride_h ? b->span : (uint32_t)g->stride_h;
  b->tile_width = (uint32_t)g->out_width;
  b->tile_height = outputs_of(cells / width, span, b->down, g->pool_h, g->out_height);
  if (b->tile_height == 0) {
    uint64_t least = ((uint64_t)g->pool_h - 1) * b->down + span;
    b->tile_height = (uint32_t)g->pool_h;
    b->tile_width = outputs_of(cells / least, across, (uint32_t)g->stride_w, g->pool_w, g->out_width);
  }
  return b->tile_width > 0;
}

/* Returns if the layer is taken. */
static int prepare_columns(const dqnn_call *call, uint32_t zero_points, block *b) {
  layer *l = &b->l;
  prepare_layer(call, zero_points, l);
  l->adds_inputs = l->half_weights;
  const dqnn_geometry *g = &l->shape;
  int dilated = g->dilation_w > 1 && g->kernel_w > 1;
  b->rows = (uint32_t)g->kernel_h;
  b->parts = dilated ? (uint32_t)g->kernel_w : 1;
  b->run = dilated ? g->in_group : l->row_taps;
  b->run_columns = (b->run + TAPS - 1) / TAPS;
  if (b->rows * b->parts * b->run_columns > DQNN_COLUMNS_TAPS / TAPS || (dilated && b->run % 2) ||
      (l->bits && g->in_group % 4) || !set_tiles(b)) {
    return 0;
  }
  b->columns = b->rows * b->parts * b->run_columns;
  return 1;
}

/* Of a layer that was taken: all groups, each by `run`. */
DQNN_INLINE void run_columns(const dqnn_call *call, block *b, void (*run)(layer *l)) {
  run_groups(call, &b->l, bytes_of(&b->l, b->l.shape.out_group), run);
}
