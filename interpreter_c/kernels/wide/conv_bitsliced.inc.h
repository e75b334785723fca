/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32} on a host: WIDTH output pixels side by side, PASS blocks of 32 output channels at a time.
 * How they are counted is another file's matter: conv_bitsliced_planes.inc.h has bit operations alone,
 * conv_bitsliced_counts.inc.h the instruction that counts bits. Each sums input bits that are 1 where the weight is,
 * from the presets of SPEC.md 3.4 on, so that time does not depend on the data.
 *
 * Everything stands on the stack (about 40 KB): this is for hosts.
 *
 * A template. In: WIDTH, NAME(function), COUNTING (that file). Out: NAME(dqnn_run_conv_s1_s1_s1),
 * NAME(dqnn_run_conv_s1_s1_s8), NAME(dqnn_run_conv_s1_s1_f32). */
#define DQNN_FLOAT_SUMS 0
#include "../opt/conv_bitsliced.h"
#include "../opt/geometry.h"
#include "emit.inc.h"

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_axis y, x;
  sink to; /* s8, f32 */
  const uint32_t *image, *weights, *presets, *flip;
  uint32_t pixel_words, out_words, planes, blocks;
  uint32_t column_rows, column_classes; /* rows of a kernel column; classes along x */
  uint32_t outside;                     /* bits of a cell outside the map */
  int32_t inner_x, inner_y;             /* border class of windows that lie whole inside, -1 if there are none */
  uint8_t skips;                        /* pad value 0: cells outside do not count */
} layer;

/* The windows at work: the first tap of lane i is at (y[i], x[i]) of the input. */
typedef struct {
  uint32_t count; /* of lanes that are filled */
  int32_t y[WIDTH], x[WIDTH];
  uint32_t classes[WIDTH];             /* border class */
  uint32_t inside[WIDTH], ones[WIDTH]; /* taps that count, ones among them */
} windows;

/* The cell under tap (ky, kx) of every lane, NULL outside the map. */
static void find_cells(const layer *l, const windows *w, int32_t ky, int32_t kx, const uint32_t **cells);

/* Counts. In: the above. Out: PASS; `counter`, what one block has counted in all windows; windows_for(n), lanes to fill
 * for n pixels, and windows_of(w), lanes that are; count_blocks(), signs_of(), lane_accumulators(). */
#include COUNTING

static void find_cells(const layer *l, const windows *w, int32_t ky, int32_t kx, const uint32_t **cells) {
  const dqnn_geometry *g = &l->shape;
  int32_t down = ky * g->dilation_h, right = kx * g->dilation_w;
  for (unsigned i = 0; i < windows_of(w); i++) {
    int32_t y = w->y[i] + down, x = w->x[i] + right;
    int inside = (uint32_t)y < (uint32_t)g->height && (uint32_t)x < (uint32_t)g->width;
    cells[i] = inside ? l->image + dqnn_cell_index(g, y, x) * l->pixel_words : NULL;
  }
}

/* ---- output ---- */

/* What the cells of a pooling window have given so far, for the blocks of a pass. */
typedef union {
  uint32_t signs[PASS][WIDTH];
  int32_t most[PASS][WIDTH][32];
} pooled;

static void keep_maxima(const layer *l, const windows *w, counter *z, int first, int32_t most[WIDTH][32]) {
  int32_t acc[32];
  for (uint32_t i = 0; i < windows_of(w); i++) {
    if (first) {
      lane_accumulators(l, w, z, i, most[i]);
      continue;
    }
    lane_accumulators(l, w, z, i, acc);
    for (uint32_t c = 0; c < 32; c += LANES) {
      store_int(most[i] + c, larger_int(load_int(most[i] + c), load_int(acc + c)));
    }
  }
}

static void keep(const layer *l, const windows *w, counter *z, uint32_t count, int first, pooled *out) {
  for (uint32_t b = 0; b < count; b++) {
    if (l->call->out_def->dtype != DQNN_S1) {
      keep_maxima(l, w, z + b, first, out->most[b]);
      continue;
    }
    uint32_t signs[WIDTH];
    signs_of(l, w, z + b, signs);
    for (uint32_t i = 0; i < windows_of(w); i++) {
      out->signs[b][i] = first ? signs[i] : out->signs[b][i] & signs[i];
    }
  }
}

static void put(const layer *l, const pooled *in, uint32_t b, unsigned lane, uint32_t pixel, uint32_t channel,
                uint32_t count) {
  if (l->call->out_def->dtype != DQNN_S1) {
    emit(&l->to, in->most[b][lane], pixel, channel, count);
    return;
  }
  uint32_t sign = in->signs[b][lane] & dqnn_low_bits(count);
  if (l->flip) {
    sign ^= dqnn_read_bits(l->flip, channel, count);
  }
  dqnn_append_bits((uint32_t *)l->call->out + pixel * l->out_words, channel, count, sign);
}

/* ---- the walk ---- */

static uint32_t border_class(const dqnn_axis *axis, int32_t inner, int32_t at) {
  dqnn_taps taps = dqnn_inside_of(axis, at);
  return (uint32_t)(taps.end - taps.first == axis->kernel ? inner : dqnn_class_of(axis, at));
}

/* Positions of cell (cy, cx) of the pooling windows first .. first + n - 1; lanes beyond the last repeat it. */
static void place_windows(const layer *l, windows *w, uint32_t first, uint32_t n, int32_t cy, int32_t cx) {
  const dqnn_geometry *g = &l->shape;
  uint32_t width = (uint32_t)g->pooled_width;
  w->count = windows_for(n);
  for (uint32_t i = 0; i < windows_of(w); i++) {
    uint32_t pixel = first + (i < n ? i : n - 1);
    int32_t y = (int32_t)(pixel / width) * g->pool_h + cy, x = (int32_t)(pixel % width) * g->pool_w + cx;
    w->y[i] = y * g->stride_h - g->pad_top;
    w->x[i] = x * g->stride_w - g->pad_left;
    w->classes[i] = 0;
    w->inside[i] = dqnn_kernel_cells(g) * g->in_group;
    if (!l->skips) {
      continue;
    }
    dqnn_taps rows = dqnn_inside_of(&l->y, y), columns = dqnn_inside_of(&l->x, x);
    w->inside[i] = (uint32_t)((rows.end - rows.first) * (columns.end - columns.first)) * g->in_group;
    w->classes[i] = border_class(&l->y, l->inner_y, y) * l->column_classes + border_class(&l->x, l->inner_x, x);
  }
}

static void run_pass(const layer *l, uint32_t first_pixel, uint32_t n, uint32_t group, uint32_t block, uint32_t count) {
  const dqnn_geometry *g = &l->shape;
  counter z[PASS];
  windows w;
  pooled result;
  for (int32_t cell = 0; cell < (int32_t)g->pool_cells; cell++) {
    place_windows(l, &w, first_pixel, n, cell / g->pool_w, cell % g->pool_w);
    count_blocks(l, &w, group, block, count, z);
    keep(l, &w, z, count, cell == 0, &result);
  }
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t b = 0; b < count; b++) {
      uint32_t done = 32 * (block + b), left = g->out_group - done;
      put(l, &result, b, i, first_pixel + i, group * g->out_group + done, left < 32 ? left : 32);
    }
  }
}

static int32_t inner_class(const dqnn_axis *axis, int32_t outputs) {
  for (int32_t o = 0; o < outputs; o++) {
    dqnn_taps taps = dqnn_inside_of(axis, o);
    if (taps.end - taps.first == axis->kernel) {
      return dqnn_class_of(axis, o);
    }
  }
  return -1;
}

static void prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_conv v = dqnn_conv_of(call, 0);
  dqnn_geometry *g = &l->shape;
  uint8_t type = call->out_def->dtype;
  dqnn_read_geometry(call, g);
  l->call = call;
  l->y = v.y;
  l->x = v.x;
  l->image = (const uint32_t *)call->in[0];
  l->weights = (const uint32_t *)call->constants[0];
  l->presets = (const uint32_t *)call->constants[1];
  l->flip = type == DQNN_S1 && call->constant_count > 3 ? (const uint32_t *)call->constants[3] : NULL;
  l->pixel_words = dqnn_words(g->channels);
  l->out_words = dqnn_words(g->outputs);
  l->column_rows = (uint32_t)g->kernel_h * g->in_group;
  l->blocks = dqnn_words(g->out_group);
  l->skips = p->pad_value == 0.0f; /* exactly -1, 0 or +1 */
  l->outside = p->pad_value < 0.0f ? ~0u : 0;
  for (l->planes = 7; (1u << (l->planes - 1)) < l->column_rows * (uint32_t)g->kernel_w + 2;) {
    l->planes++;
  }
  l->column_classes = l->skips ? (uint32_t)dqnn_class_of(&l->x, g->out_width - 1) + 1 : 1;
  l->inner_y = inner_class(&l->y, g->out_height);
  l->inner_x = inner_class(&l->x, g->out_width);
  if (type != DQNN_S1) {
    read_sink(call, 2, g->outputs, &l->to);
  }
}

/* One window leaves all lanes but one idle: `single` takes it, if there is such a variant. */
static void run(const dqnn_call *call, dqnn_run_fn single) {
  layer l;
  prepare(call, &l);
  const dqnn_geometry *g = &l.shape;
  if (single && dqnn_is_single(g->out_height, g->out_width)) {
    single(call);
    return;
  }
  uint32_t pixels = (uint32_t)(g->out_height / g->pool_h) * (uint32_t)g->pooled_width;
  for (uint32_t pixel = 0; pixel < pixels; pixel += WIDTH) {
    uint32_t n = pixels - pixel < WIDTH ? pixels - pixel : WIDTH;
    for (uint32_t group = 0; group < g->groups; group++) {
      for (uint32_t block = 0; block < l.blocks; block += PASS) {
        uint32_t count = l.blocks - block < PASS ? l.blocks - block : PASS;
        run_pass(&l, pixel, n, group, block, count);
      }
    }
  }
}

#if DQNN_HAVE_PORTABLE
#define SINGLE(function) function##_portable
#else
#define SINGLE(function) NULL
#endif

void NAME(dqnn_run_conv_s1_s1_s1)(const dqnn_call *call) {
  run(call, SINGLE(dqnn_run_conv_s1_s1_s1));
}
void NAME(dqnn_run_conv_s1_s1_s8)(const dqnn_call *call) {
  run(call, SINGLE(dqnn_run_conv_s1_s1_s8));
}
void NAME(dqnn_run_conv_s1_s1_f32)(const dqnn_call *call) {
  run(call, SINGLE(dqnn_run_conv_s1_s1_f32));
}
