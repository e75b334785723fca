/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32} on a host with wide registers: WIDTH output pixels side by side, 32 output channels in the
 * bits of each lane.
 *
 * The weights stay as they lie in the file: one word (row) holds input bit k of 32 outputs. A row meets WIDTH pixels at
 * once as row & mask[k], where lane i of mask[k] is all ones if bit k of pixel i is 1: 32 * WIDTH products in about
 * seven operations. Carry-save adders count the rows in bit planes, as kernels/opt/conv_bitsliced.inc.h does for one
 * pixel; the algebra and the presets are the same (SPEC.md 3.4), always in the form that sums the ones, so time does
 * not depend on the data.
 *
 * Masks of CHUNK rows are made once for PASS blocks of 32 outputs. Everything stands on the stack (about 40 KB): this
 * is for hosts.
 *
 * A template. In: WIDTH, NAME(function). Out: NAME(dqnn_run_conv_s1_s1_s1), NAME(dqnn_run_conv_s1_s1_s8),
 * NAME(dqnn_run_conv_s1_s1_f32). */
#define DQNN_FLOAT_SUMS 0
#include "../opt/conv_bitsliced.h"
#include "../opt/geometry.h"
#include "emit.inc.h"

enum { CHUNK = 128, PASS = 8, PLANES = DQNN_MOST_PLANES, STEP = 32 };

typedef uint32_t vec __attribute__((vector_size(4 * WIDTH)));
typedef int32_t signed_vec __attribute__((vector_size(4 * WIDTH)));

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
  int32_t y[WIDTH], x[WIDTH];
  uint32_t classes[WIDTH]; /* border class */
  vec inside, ones;        /* taps that count, ones among them */
} windows;

/* ---- bit-sliced counters ---- */

DQNN_INLINE vec full_add(vec *sum, vec a, vec b) {
  vec half = *sum ^ a, carry = a ^ ((a ^ b) & half);
  *sum = half ^ b;
  return carry;
}

DQNN_INLINE vec broadcast(uint32_t word) {
  return (vec){0} + word;
}

/* Planes 1 to 5, which every step changes. */
typedef struct {
  vec two, four, eight, sixteen, thirty_two;
} low_planes;

DQNN_INLINE vec add_4_rows(low_planes *z, const uint32_t *w, const vec *mask) {
  vec a = full_add(&z->two, mask[0] & broadcast(w[0]), mask[1] & broadcast(w[1]));
  vec b = full_add(&z->two, mask[2] & broadcast(w[2]), mask[3] & broadcast(w[3]));
  return full_add(&z->four, a, b);
}

/* Adds 16 rows with weight 2; returns the carry to plane 5. */
DQNN_INLINE vec add_16_rows(low_planes *z, const uint32_t *w, const vec *mask) {
  vec a = add_4_rows(z, w, mask), b = add_4_rows(z, w + 4, mask + 4);
  vec c = full_add(&z->eight, a, b);
  a = add_4_rows(z, w + 8, mask + 8);
  b = add_4_rows(z, w + 12, mask + 12);
  return full_add(&z->sixteen, c, full_add(&z->eight, a, b));
}

DQNN_INLINE void add_step(low_planes *z, vec *high, const uint32_t *w, const vec *mask, uint32_t planes) {
  vec a = add_16_rows(z, w, mask), b = add_16_rows(z, w + 16, mask + 16), carry = full_add(&z->thirty_two, a, b);
  for (uint32_t p = 6; p < planes; p++) {
    vec next = high[p] & carry;
    high[p] ^= carry;
    carry = next;
  }
}

/* Adds `count` rows; masks from `count` to the next multiple of STEP exist, whatever they hold. */
static void add_rows(vec *counter, const uint32_t *w, const vec *mask, uint32_t count, uint32_t planes) {
  low_planes z;
  memcpy(&z, counter + 1, sizeof z);
  for (; count >= STEP; count -= STEP, w += STEP, mask += STEP) {
    add_step(&z, counter, w, mask, planes);
  }
  if (count) {
    uint32_t rest[STEP] = {0};
    memcpy(rest, w, 4 * count);
    add_step(&z, counter, rest, mask, planes);
  }
  memcpy(counter + 1, &z, sizeof z);
}

/* Sign plane of counters - ones. */
static vec sign_plane(const vec *z, uint32_t planes, vec ones) {
  vec scalar = (vec){0} - ones, carry = {0}, bit;
  for (uint32_t p = 0; p + 1 < planes; p++) {
    bit = (vec){0} - ((scalar >> p) & 1u);
    carry = (z[p] & bit) | (carry & (z[p] | bit));
  }
  bit = (vec){0} - ((scalar >> (planes - 1)) & 1u);
  return z[planes - 1] ^ bit ^ carry;
}

/* ---- masks ---- */

/* The cell under tap (ky, kx) of every lane, NULL outside the map. */
static void find_cells(const layer *l, const windows *w, int32_t ky, int32_t kx, const uint32_t **cells) {
  const dqnn_geometry *g = &l->shape;
  int32_t down = ky * g->dilation_h, right = kx * g->dilation_w;
  for (unsigned i = 0; i < WIDTH; i++) {
    int32_t y = w->y[i] + down, x = w->x[i] + right;
    int inside = (uint32_t)y < (uint32_t)g->height && (uint32_t)x < (uint32_t)g->width;
    cells[i] = inside ? l->image + dqnn_cell_index(g, y, x) * l->pixel_words : NULL;
  }
}

/* Bits first .. first + n - 1 of every cell. */
static vec read_cells(const layer *l, const uint32_t *const *cells, uint32_t first, uint32_t n) {
  uint32_t words[WIDTH], outside = l->outside & dqnn_low_bits(n);
  vec result;
  for (unsigned i = 0; i < WIDTH; i++) {
    words[i] = cells[i] ? dqnn_read_bits(cells[i], first, n) : outside;
  }
  memcpy(&result, words, sizeof result);
  return result;
}

static void count_ones(windows *w, vec words) {
  for (unsigned i = 0; i < WIDTH; i++) {
    w->ones[i] += (uint32_t)__builtin_popcount(words[i]);
  }
}

/* Masks of rows first_row .. first_row + count - 1 of kernel column kx. */
static void make_masks(const layer *l, windows *w, uint32_t group, int32_t kx, uint32_t first_row, uint32_t count,
                       vec *mask) {
  uint32_t channels = l->shape.in_group, ky = first_row / channels, channel = first_row % channels;
  const uint32_t *cells[WIDTH];
  find_cells(l, w, (int32_t)ky, kx, cells);
  while (count) {
    uint32_t n = channels - channel;
    n = n < 32 ? n : 32;
    n = n < count ? n : count;
    vec words = read_cells(l, (const uint32_t *const *)cells, group * channels + channel, n);
    for (uint32_t b = 0; b < n; b++) {
      *mask++ = (vec)((signed_vec)(words << (31 - b)) >> 31);
    }
    count_ones(w, words);
    channel += n;
    count -= n;
    if (channel == channels && count > 0) {
      channel = 0;
      find_cells(l, w, (int32_t)++ky, kx, cells);
    }
  }
}

/* ---- one set of windows ---- */

static void start_counters(const layer *l, const windows *w, uint32_t group, uint32_t block, vec *z) {
  const uint32_t *preset[WIDTH];
  uint32_t same = 1;
  for (unsigned i = 0; i < WIDTH; i++) {
    preset[i] = l->presets + ((w->classes[i] * l->shape.groups + group) * l->blocks + block) * l->planes;
    same &= w->classes[i] == w->classes[0];
  }
  for (uint32_t p = 0; p < PLANES; p++) {
    z[p] = broadcast(p < l->planes ? preset[0][p] : 0);
    for (unsigned i = 0; !same && p < l->planes && i < WIDTH; i++) {
      z[p][i] = preset[i][p];
    }
  }
}

/* Counters of blocks first .. first + count - 1 (count <= PASS). */
static void count_blocks(const layer *l, windows *w, uint32_t group, uint32_t first, uint32_t count,
                         vec z[PASS][PLANES]) {
  vec mask[CHUNK + STEP];
  uint32_t rows = l->column_rows, pitch = (uint32_t)l->shape.kernel_w * (rows + 1);
  const uint32_t *weights = l->weights + (group * l->blocks + first) * pitch;
  w->ones = (vec){0};
  for (uint32_t b = 0; b < count; b++) {
    start_counters(l, w, group, first + b, z[b]);
  }
  for (int32_t kx = 0; kx < l->shape.kernel_w; kx++, weights += rows + 1) {
    for (uint32_t row = 0; row < rows; row += CHUNK) {
      uint32_t n = rows - row < CHUNK ? rows - row : CHUNK;
      make_masks(l, w, group, kx, row, n, mask);
      for (uint32_t b = 0; b < count; b++) {
        add_rows(z[b], weights + b * pitch + row, mask, n, l->planes);
      }
    }
  }
}

/* Where bit i of a lane's word is set, adds `weight` to acc[i]. */
#if defined(__AVX512F__)
typedef __m512i thirty_two_ints[2];
DQNN_INLINE void set_all(__m512i *acc, int32_t value) {
  acc[0] = acc[1] = _mm512_set1_epi32(value);
}
DQNN_INLINE void add_weight(__m512i *acc, uint32_t bits, int32_t weight) {
  __m512i add = _mm512_set1_epi32(weight);
  acc[0] = _mm512_mask_add_epi32(acc[0], (__mmask16)bits, acc[0], add);
  acc[1] = _mm512_mask_add_epi32(acc[1], (__mmask16)(bits >> 16), acc[1], add);
}
#else
typedef v_int thirty_two_ints[32 / LANES];
DQNN_INLINE void set_all(v_int *acc, int32_t value) {
  for (unsigned i = 0; i < 32 / LANES; i++) {
    acc[i] = all_int(value);
  }
}
DQNN_INLINE void add_weight(v_int *acc, uint32_t bits, int32_t weight) {
  for (unsigned i = 0; i < 32 / LANES; i++) {
    acc[i] = add_where(bits >> LANES * i & ALL_LANES, acc[i], all_int(weight));
  }
}
#endif

/* Accumulators of one lane and block: inside - 2 * ones + 2 * z. */
static void lane_accumulators(const layer *l, const windows *w, const vec *z, unsigned lane, int32_t acc[32]) {
  thirty_two_ints sum;
  set_all(sum, (int32_t)w->inside[lane] - 2 * (int32_t)w->ones[lane]);
  uint32_t last = l->planes - 1;
  for (uint32_t p = 0; p < last; p++) {
    add_weight(sum, z[p][lane], (int32_t)(2u << p));
  }
  add_weight(sum, z[last][lane], -(int32_t)(2u << last));
  memcpy(acc, sum, sizeof sum);
}

/* ---- output ---- */

/* What the cells of a pooling window have given so far, for the blocks of a pass. */
typedef union {
  vec signs[PASS];
  int32_t most[PASS][WIDTH][32];
} pooled;

static void keep_maxima(const layer *l, const windows *w, const vec *z, int first, int32_t most[WIDTH][32]) {
  int32_t acc[32];
  for (unsigned i = 0; i < WIDTH; i++) {
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

static void keep(const layer *l, const windows *w, vec z[PASS][PLANES], uint32_t count, int first, pooled *out) {
  for (uint32_t b = 0; b < count; b++) {
    if (l->call->out_def->dtype != DQNN_S1) {
      keep_maxima(l, w, z[b], first, out->most[b]);
      continue;
    }
    vec sign = sign_plane(z[b], l->planes, w->ones);
    out->signs[b] = first ? sign : out->signs[b] & sign;
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

/* Positions of cell (cy, cx) of the pooling windows first .. first + WIDTH - 1; lanes beyond the last repeat it. */
static void place_windows(const layer *l, windows *w, uint32_t first, uint32_t n, int32_t cy, int32_t cx) {
  const dqnn_geometry *g = &l->shape;
  uint32_t width = (uint32_t)g->pooled_width;
  for (unsigned i = 0; i < WIDTH; i++) {
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
  vec z[PASS][PLANES];
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
