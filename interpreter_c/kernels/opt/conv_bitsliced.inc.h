/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32}: binary convolution with 32 output channels in the bits of a word.
 *
 * One weight word ("row" k) holds bit k of 32 outputs. With P1 the sum of the rows whose input bit is 1, P0 of those
 * whose bit is 0, S of all rows (a number per output) and n1, n0 the numbers of ones and zeros of the input:
 *
 *   popcount(w ^ x) = S + n1 - 2*P1
 *                   = n1 - S + 2*P0
 *   acc             = K - 2*popcount(w ^ x)
 *
 * So a window costs one addition of a row per one, or per zero, whichever is rarer. Rows are added by carry-save adders
 * to bit-sliced counters that start at a preset of the file (SPEC.md 3.4), chosen so that the sign plane is the packed
 * result.
 *
 * The numbers of the rows to add are kept as one list per input column of the window (kernel_h cells of it), in a ring:
 * a step to the right makes only the lists of the columns that come in, and all blocks of 32 outputs use them.
 *
 * Ones or zeros: the side that was rarer in the last window is tried first, a window with more than 9/16 of its bits
 * there is listed anew. Windows cut by a border with pad value 0 always use the ones, for which the file has presets
 * per border class.
 *
 * Small groups would leave most lanes of a word empty; their windows go side by side (run_slices).
 *
 * A template. In: NAME(function); EMIT(function) for the outputs of epilogue.h; the counters of isa/mve.h or isa/isa.h,
 * whichever is included before. Out: NAME(dqnn_run_conv_s1_s1_s1), NAME(dqnn_run_conv_s1_s1_s8),
 * NAME(dqnn_run_conv_s1_s1_f32); for portable, and for mve as _lanes. */
#include "conv_bitsliced.h"

#include "epilogue.h"
#include "geometry.h"
#include "planes.h"

#if defined(DQNN_OWN_LANE_COUNTERS)
#define SLICES 0 /* of the other code */
#else
#define SLICES DQNN_SLICES
#endif

enum { NO_COLUMN = INT32_MIN };

typedef struct {
  int32_t x;      /* input column listed here, or NO_COLUMN */
  uint16_t rows;  /* entries of its list, padding excluded */
  uint16_t zeros; /* 1: the list holds the bits that are 0 */
} column;
_Static_assert(sizeof(column) == DQNN_BITSLICED_COLUMN_BYTES, "scratch formula");
_Static_assert(DQNN_PLANES >= DQNN_MOST_PLANES, "counters hold a preset");
_Static_assert(DQNN_COUNTER_WORDS >= 32, "accumulators() puts 32 numbers in their place");
#ifdef DQNN_MOST_BLOCKS
_Static_assert(DQNN_MOST_TAPS <= DQNN_MOST_BLOCKS, "each block of rows has one at least");
#endif

struct place;
struct window;
struct layer;
/* Takes the counters of one block to the output pixel. */
typedef void (*finish_fn)(const struct layer *l, const struct window *w, const struct place *at, uint32_t *counter,
                          uint8_t *pixel);

typedef struct layer {
  finish_fn finish;
  dqnn_geometry shape;
  const uint32_t *image;
  const uint32_t *weights, *ones, *zeros, *flip;
  uint32_t pixel_words; /* of an input pixel */
  uint32_t out_pixel_bytes;
  uint32_t column_rows;    /* kernel_h * in_group: also the number of the zero row that pads lists */
  uint32_t taps;           /* K */
  uint32_t blocks, planes; /* blocks of 32 outputs in a group, planes of a preset */
  uint32_t column_classes;
  uint32_t pad_mask;       /* bits of a cell outside the map: all 0 (+1), all 1 (-1) */
  uint32_t pad_skips;      /* 1: pad value 0, cells outside do not count */
  uint32_t span, capacity; /* columns of the ring, entries of a list */
  uint32_t zeros_rarer;    /* which side to try first */
  column *ring;
  uint16_t *lists;
  void *pool; /* a row of maxima: words (s1) or 32 int16_t per block */
  dqnn_epilogue epilogue;
} layer;

/* Where a row of output positions stands. */
typedef struct {
  dqnn_taps inside;
  int32_t y;             /* input row of the first kernel row */
  uint32_t border_class; /* row class */
  uint32_t group;
  uint32_t first, last; /* first and last row of its pooling window */
  uint8_t *out;         /* output row */
} row;

/* What one window has listed. */
typedef struct window {
  uint32_t slot;   /* ring column of its leftmost column */
  uint32_t zeros;  /* 1: zeros were listed */
  uint32_t listed; /* rows listed in all */
  uint32_t inside; /* taps that count */
  uint32_t border_class;
} window;

/* ---- lists ---- */

/* Lists the chosen bits of `count` channels from bit `first` of a pixel on; row numbers begin at `number`. */
static uint16_t *list_channels(uint16_t *list, const uint32_t *pixel, uint32_t first, uint32_t count, uint32_t invert,
                               uint32_t number) {
  while (count > 0) {
    uint32_t n = count < 32 ? count : 32;
    list = dqnn_list_bits(list, dqnn_read_bits(pixel, first, n) ^ (invert & dqnn_low_bits(n)), number);
    first += n;
    number += n;
    count -= n;
  }
  return list;
}

/* Lists the kernel_h cells of input column x below input row y; returns the number of entries, not counting the padding
 * to four. */
DQNN_NOINLINE uint32_t list_column(const layer *l, uint16_t *const list, int32_t y, int32_t x, uint32_t group,
                                   uint32_t zeros) {
  const dqnn_geometry *s = &l->shape;
  uint32_t invert = 0u - zeros, number = 0, cells = s->in_group, first = group * cells;
  int outside_listed = !l->pad_skips && (l->pad_mask ^ invert);
  int x_inside = (uint32_t)x < (uint32_t)s->width;
  uint16_t *end = list;
  for (int32_t ky = 0; ky < s->kernel_h; ky++, y += s->dilation_h, number += cells) {
    if (x_inside && (uint32_t)y < (uint32_t)s->height) {
      const uint32_t *pixel = l->image + dqnn_cell_index(s, y, x) * l->pixel_words;
      end = list_channels(end, pixel, first, cells, invert, number);
    } else if (outside_listed) {
      for (uint32_t i = 0; i < cells; i++) {
        *end++ = (uint16_t)(number + i);
      }
    }
  }
  uint32_t count = (uint32_t)(end - list);
  for (uint32_t i = count; i & 3u; i++) {
    *end++ = (uint16_t)l->column_rows;
  }
  return count;
}

DQNN_INLINE uint32_t next_slot(const layer *l, uint32_t slot, uint32_t step) {
  slot += step;
  return slot >= l->span ? slot - l->span : slot;
}

/* Brings the columns of a window into the ring; returns the number of rows they list. */
static uint32_t list_window(const layer *l, const row *r, int32_t x, uint32_t slot, uint32_t zeros) {
  uint32_t listed = 0;
  for (int32_t kx = 0; kx < l->shape.kernel_w; kx++, x += l->shape.dilation_w) {
    column *c = l->ring + slot;
    if (c->x != x || c->zeros != zeros) {
      c->rows = (uint16_t)list_column(l, l->lists + slot * l->capacity, r->y, x, r->group, zeros);
      c->x = x;
      c->zeros = (uint16_t)zeros;
    }
    listed += c->rows;
    slot = next_slot(l, slot, (uint32_t)l->shape.dilation_w);
  }
  return listed;
}

/* Lists a window by its rarer side. w->slot, inside and border_class are set. */
static void choose_side(layer *l, const row *r, int32_t x, window *w) {
  uint32_t free_choice = !l->pad_skips || w->inside == l->taps;
  w->zeros = free_choice ? l->zeros_rarer : 0;
  w->listed = list_window(l, r, x, w->slot, w->zeros);
  if (!free_choice || w->listed <= (l->taps >> 1) + (l->taps >> 4)) {
    return;
  }
  w->zeros = l->zeros_rarer ^= 1u;
  w->listed = list_window(l, r, x, w->slot, w->zeros);
}

/* ---- counters ---- */

/* Counters of one block: preset plus 2 * sum of the listed rows. */
static void count_block(const layer *l, const window *w, const uint32_t *preset, const uint32_t *weights,
                        uint32_t *counter) {
  uint32_t slot = w->slot, pitch = l->column_rows + 1;
  dqnn_begin_rows(counter, preset, l->planes, (w->listed >> 2) + (uint32_t)l->shape.kernel_w);
  for (int32_t kx = 0; kx < l->shape.kernel_w; kx++, weights += pitch) {
    dqnn_add_rows(counter, l->lists + slot * l->capacity, (l->ring[slot].rows + 3u) >> 2, weights);
    slot = next_slot(l, slot, (uint32_t)l->shape.dilation_w);
  }
  dqnn_end_rows(counter, preset, l->planes);
}

/* Carry of `carry` + bit of the scalar + plane x, lane by lane. */
DQNN_INLINE uint32_t scalar_carry(uint32_t carry, uint32_t x, uint32_t bit) {
  return bit & 1u ? carry | x : carry & x;
}

/* Sign plane of counters + scalar; the waiting carries are added on the way. */
DQNN_NOINLINE uint32_t sign_plane(const uint32_t *counter, uint32_t planes, uint32_t scalar) {
  uint32_t carry = 0, ripple = 0, blocks = counter[DQNN_BLOCKS], p = 0;
  for (; p < DQNN_FIRST_WAITING; p++, scalar >>= 1) {
    carry = scalar_carry(carry, counter[p], scalar);
  }
  for (; p < planes - 1; p++, scalar >>= 1, blocks >>= 1) {
    uint32_t x = counter[p];
    ripple = blocks & 1u ? dqnn_full_add(&x, counter[p + DQNN_PENDING], ripple) : dqnn_half_add(&x, ripple);
    carry = scalar_carry(carry, x, scalar);
  }
  uint32_t sign = counter[p] ^ ripple ^ carry ^ (0u - (scalar & 1u));
  return blocks & 1u ? sign ^ counter[p + DQNN_PENDING] : sign;
}

/* Adds the waiting carries and extends the sign to 16 planes. */
static void resolve(uint32_t *counter, uint32_t planes) {
  uint32_t ripple = 0, blocks = counter[DQNN_BLOCKS], p = DQNN_FIRST_WAITING;
  for (; p < planes; p++, blocks >>= 1) {
    uint32_t x = counter[p];
    ripple = blocks & 1u ? dqnn_full_add(&x, counter[p + DQNN_PENDING], ripple) : dqnn_half_add(&x, ripple);
    counter[p] = x;
  }
  for (; p < DQNN_PLANES; p++) {
    counter[p] = counter[planes - 1];
  }
}

/* Accumulators of a block, in place of the counters: acc = base + 2*z for listed ones, base - 2*z for zeros. */
DQNN_NOINLINE int32_t *accumulators(const layer *l, const window *w, uint32_t *counter) {
  int32_t *acc = (int32_t *)counter;
  int32_t base = (int32_t)w->inside - 2 * (int32_t)w->listed, factor = 2;
  if (w->zeros) {
    base = -base;
    factor = -2;
  }
  resolve(counter, l->planes);
  dqnn_planes_to_int(counter, base, factor, acc);
  return acc;
}

/* ---- outputs of one block of one position ---- */

typedef struct place {
  uint32_t channel, count; /* first output channel, outputs of the block */
  uint32_t pool_index;     /* block of the pooled row */
  uint32_t first, last;    /* first and last position of the pooling window */
} place;

static void finish_s1(const layer *l, const window *w, const place *at, uint32_t *counter, uint8_t *pixel) {
  uint32_t scalar = w->zeros ? l->taps - w->listed : 0u - w->listed;
  uint32_t sign = sign_plane(counter, l->planes, scalar) ^ (0u - w->zeros);
  if (l->pool) { /* the maximum is below the threshold if every accumulator is */
    uint32_t *all = (uint32_t *)l->pool + at->pool_index;
    *all = sign = at->first ? sign : sign & *all;
    if (!at->last) {
      return;
    }
  }
  if (l->flip) {
    sign ^= dqnn_read_bits(l->flip, at->channel, at->count);
  }
  dqnn_append_bits((uint32_t *)(void *)pixel, at->channel, at->count, sign);
}

/* Running maximum; after the last position acc holds the maxima. */
static void pool_max(int16_t *most, int32_t acc[32], const place *at) {
  for (uint32_t i = 0; i < 32; i++) {
    if (!at->first && most[i] > acc[i]) {
      acc[i] = most[i];
    }
    most[i] = (int16_t)acc[i];
  }
}

/* The final accumulators, NULL before the last position of a pooling window. */
static const int32_t *finish_int(const layer *l, const window *w, const place *at, uint32_t *counter) {
  int32_t *acc = accumulators(l, w, counter);
  if (l->pool) {
    pool_max((int16_t *)l->pool + 32 * at->pool_index, acc, at);
  }
  return at->last ? acc : NULL;
}

static void finish_s8(const layer *l, const window *w, const place *at, uint32_t *counter, uint8_t *pixel) {
  const int32_t *acc = finish_int(l, w, at, counter);
  if (acc) {
    EMIT(dqnn_emit_s8)(&l->epilogue, acc, at->channel, at->count, (int8_t *)pixel + at->channel);
  }
}

static void finish_f32(const layer *l, const window *w, const place *at, uint32_t *counter, uint8_t *pixel) {
  const int32_t *acc = finish_int(l, w, at, counter);
  if (acc) {
    EMIT(dqnn_emit_f32)(&l->epilogue, acc, at->channel, at->count, (float *)(void *)pixel + at->channel);
  }
}

/* ---- the walk over the image ---- */

static void run_window(const layer *l, const window *w, const row *r, place *at, uint8_t *pixel) {
  uint32_t counter[DQNN_COUNTER_WORDS], group_outputs = l->shape.out_group;
  uint32_t preset = ((w->border_class * l->shape.groups + r->group) * l->blocks) * l->planes;
  const uint32_t *presets = l->ones + preset, *weights = l->weights,
                 pitch = (uint32_t)l->shape.kernel_w * (l->column_rows + 1);
  if (w->zeros && l->zeros) {
    presets = l->zeros + r->group * l->blocks * l->planes;
  }
  weights += r->group * l->blocks * pitch;
  at->channel = r->group * group_outputs;
  for (uint32_t b = 0; b < l->blocks; b++, at->pool_index++, at->channel += 32) {
    uint32_t left = group_outputs - 32 * b;
    at->count = left < 32 ? left : 32;
    count_block(l, w, presets, weights, counter);
    l->finish(l, w, at, counter, pixel);
    presets += l->planes;
    weights += pitch;
  }
}

#if SLICES
DQNN_NOINLINE void run_row(layer *l, const row *r); /* its frame does not lie under those of slices */
#endif
static void run_row(layer *l, const row *r) {
  const dqnn_geometry *s = &l->shape;
  dqnn_taps previous = {-1, -1};
  window w = {0, 0, 0, 0, r->border_class * l->column_classes - 1u};
  int32_t x = -s->pad_left, pool_x = 0, pooled = 0;
  for (uint32_t i = 0; i < l->span; i++) {
    l->ring[i].x = NO_COLUMN;
  }
  for (int32_t ox = 0; ox < s->out_width; ox++, x += s->stride_w) {
    dqnn_taps inside = dqnn_taps_inside(x, s->kernel_w, s->dilation_w, s->width);
    if (!dqnn_same_taps(inside, previous)) {
      w.border_class++;
    }
    previous = inside;
    w.inside = (uint32_t)((r->inside.end - r->inside.first) * (inside.end - inside.first)) * s->in_group;
    if (!l->pad_skips) {
      w.inside = l->taps;
      w.border_class = 0;
    }
    choose_side(l, r, x, &w);
    place at = {0, 0, ((uint32_t)pooled * s->groups + r->group) * l->blocks, r->first && pool_x == 0,
                r->last && pool_x == s->pool_w - 1};
    run_window(l, &w, r, &at, r->out + (uint32_t)pooled * l->out_pixel_bytes);
    for (w.slot += (uint32_t)s->stride_w; w.slot >= l->span;) {
      w.slot -= l->span;
    }
    if (++pool_x == s->pool_w) {
      pool_x = 0;
      pooled++;
    }
  }
}

#if SLICES
/* ---- several windows side by side ----
 *
 * Groups of 8 or 16 inputs have few outputs: a word holds those of 4 or 2 neighbouring windows, a field of lanes each.
 * z of a window is its preset + 2 * (ones that meet a weight of -1) - (ones), negative where the output is 1. */

enum { EIGHT = 8, SIXTEEN = 16, MOST_CELLS = 31 /* of a window: a byte counts their ones */ };

static int takes_slices(const layer *l) {
  const dqnn_geometry *s = &l->shape;
  return l->finish == finish_s1 && !l->pool && s->groups > 1 && s->stride_w == 1 && s->dilation_w == 1 &&
         (s->in_group == EIGHT || s->in_group == SIXTEEN) && s->out_group <= s->in_group &&
         dqnn_kernel_cells(s) <= (s->in_group == EIGHT ? MOST_CELLS : DQNN_SLICES_OF_16);
}

/* The cells under some windows of a row, in the place of the lists. Each has a field of `parts` bytes; those of 16 bits
 * are there twice, as they are and shifted down by eight, so that the first eight bits of a field are those of a block
 * of weights. Then come sums of columns. */
typedef struct {
  uint8_t *bits; /* row by row of a window, `pitch` bytes each */
  uint32_t pitch, parts;
  int32_t first, windows, room; /* first column of the first window; windows; at most */
} strips;

static strips strips_of(const layer *l) {
  const dqnn_geometry *s = &l->shape;
  const uint32_t parts = s->in_group / EIGHT, rows = (uint32_t)s->kernel_h * parts + 1;
  const uint32_t most = ((uint32_t)(s->out_width + s->kernel_w - 2) * parts + 7u) & ~3u;
  strips t = {(uint8_t *)l->lists, 2 * l->span * l->capacity / rows & ~3u, parts, -s->pad_left, 0, 0};
  t.pitch = t.pitch < most ? t.pitch : most;
  t.room = (int32_t)((t.pitch - 4) / parts) - s->kernel_w + 2; /* words of fields are read */
  return t;
}

static void put_pads(const strips *t, uint8_t *to, const uint8_t *end, uint8_t pad) {
  for (; to < end; to++) {
    to[0] = pad;
    if (t->parts > 1) {
      to[t->pitch] = pad;
    }
  }
}

static void gather_row(const layer *l, const strips *t, uint32_t group, int32_t y, uint8_t *to) {
  const dqnn_geometry *s = &l->shape;
  const uint32_t pixel = 4 * l->pixel_words, parts = t->parts, pitch = t->pitch;
  const int32_t width = (uint32_t)y < (uint32_t)s->height ? s->width : 0;
  const int32_t cells = t->windows + s->kernel_w - 1, begin = t->first < 0 ? 0 : t->first;
  const int32_t stop = t->first + cells < width ? t->first + cells : width;
  const uint8_t *const end = to + (uint32_t)cells * parts;
  if (begin < stop) {
    const uint8_t *from = (const uint8_t *)(l->image + dqnn_cell_index(s, y, begin) * l->pixel_words) + group * parts;
    uint8_t *const at = to + (uint32_t)(begin - t->first) * parts, *const last = at + (uint32_t)(stop - begin) * parts;
    put_pads(t, to, at, (uint8_t)l->pad_mask);
    to = at;
    if (parts == 1) {
      for (; to < last; from += pixel) {
        *to++ = *from;
      }
    } else {
      for (; to < last; from += pixel, to += 2) {
        to[0] = from[0];
        to[1] = to[pitch] = from[1];
      }
    }
  }
  put_pads(t, to, end, (uint8_t)l->pad_mask);
}

/* Sums of columns: the ones of each field, by the byte. */
static void sum_columns(const strips *t, uint32_t rows) {
  const uint32_t down = t->parts * t->pitch;
  uint8_t *sums = t->bits + rows * down;
  for (const uint8_t *first = t->bits, *end = first + t->pitch; first < end; first += 4, sums += 4) {
    const uint8_t *at = first;
    uint32_t sum = 0;
    for (uint32_t ky = rows; ky > 0; ky--, at += down) {
      uint32_t count = *(const uint32_t *)(const void *)at;
      count -= count >> 1 & 0x55555555u;
      count = (count & 0x33333333u) + (count >> 2 & 0x33333333u);
      sum += (count + (count >> 4)) & 0x0f0f0f0fu;
    }
    *(uint32_t *)(void *)sums = sum;
  }
}

/* The cells under as many windows as there is room for, from column x on. */
DQNN_NOINLINE void gather_strips(const layer *l, const row *r, strips *t, int32_t x, int32_t last) {
  const dqnn_geometry *s = &l->shape;
  uint8_t *to = t->bits;
  t->first = x;
  t->windows = last - x < t->room ? last - x : t->room;
  for (int32_t ky = 0, y = r->y; ky < s->kernel_h; ky++, y += s->dilation_h, to += t->parts * t->pitch) {
    gather_row(l, t, r->group, y, to);
  }
  sum_columns(t, (uint32_t)s->kernel_h);
}

/* The ones of windows from here on. */
static uint32_t count_ones(const strips *t, const uint8_t *sums, int32_t columns) {
  uint32_t all = 0, word;
  for (; columns > 0; columns--, sums += t->parts) {
    memcpy(&word, sums, 4);
    all += word;
  }
  return t->parts > 1 ? (all & 0x00ff00ffu) + (all >> 8 & 0x00ff00ffu) : all;
}

/* The preset in all fields. */
DQNN_NOINLINE void spread_preset(const layer *l, const uint32_t *preset, uint32_t ones, uint32_t *planes) {
  const uint32_t low = dqnn_low_bits(l->shape.in_group);
  for (uint32_t p = 0; p < l->planes; p++) {
    planes[p] = (preset[p] & low) * ones;
  }
}

/* Other presets for the fields that are not kept. */
static void begin_class(const layer *l, const uint32_t *presets, uint32_t keep, uint32_t *planes) {
  for (uint32_t p = 0; p < l->planes; p++) {
    planes[p] = (planes[p] & keep) | (presets[p] & ~keep);
  }
}

/* Signs of counters less the ones, which each field has for its lanes. */
DQNN_NOINLINE uint32_t slice_signs(const layer *l, const uint32_t *planes, uint32_t ones, uint32_t sums) {
  const uint32_t low = dqnn_low_bits(l->shape.in_group);
  uint32_t carry = ~0u;
  for (uint32_t p = 1; p < l->planes; p++, sums >>= 1) {
    carry = dqnn_majority(*planes++, ~((sums & ones) * low), carry);
  }
  return ~(*planes ^ carry);
}

DQNN_NOINLINE void run_slices(const layer *l, const row *r) {
  const dqnn_geometry *s = &l->shape;
  const uint32_t outputs = s->out_group, low = dqnn_low_bits(outputs), channel = r->group * outputs;
  const uint32_t flip = l->flip ? dqnn_read_bits(l->flip, channel, outputs) : 0;
  const uint32_t row_class = l->pad_skips ? r->border_class * l->column_classes : 0;
  const uint32_t *preset = l->ones + (row_class * s->groups + r->group) * l->planes;
  const int32_t fields = 32 / (int32_t)s->in_group;
  uint32_t planes[DQNN_MOST_PLANES + 1], presets[DQNN_MOST_PLANES];
  strips t = strips_of(l);
  dqnn_slice_plan plan = {NULL,
                          l->weights + r->group * (uint32_t)s->kernel_w * (l->column_rows + 1),
                          ~0u / dqnn_low_bits(s->in_group),
                          (uint32_t)s->kernel_w,
                          l->column_rows / EIGHT,
                          planes + 1,
                          t.pitch,
                          t.parts};
  int32_t x = t.first;
  uint8_t *out = r->out;
  dqnn_taps before = dqnn_taps_inside(x, s->kernel_w, 1, s->width);
  spread_preset(l, preset, plan.ones, presets);
  for (int32_t last = x + s->out_width, count; x < last; x += count) {
    if (x == t.first + t.windows) {
      gather_strips(l, r, &t, x, last);
    }
    const uint32_t at = (uint32_t)(x - t.first) * t.parts;
    count = t.windows - (x - t.first);
    count = count < fields ? count : fields;
    planes[l->planes] = 0;
    (void)dqnn_copy_words(planes, presets, l->planes);
    for (int32_t i = 0; l->pad_skips && i < count; i++) {
      const dqnn_taps inside = dqnn_taps_inside(x + i, s->kernel_w, 1, s->width);
      if (!dqnn_same_taps(inside, before)) {
        before = inside;
        preset += s->groups * l->planes;
        spread_preset(l, preset, plan.ones, presets);
        begin_class(l, presets, dqnn_low_bits((uint32_t)i * s->in_group), planes);
      }
    }
    plan.bits = t.bits + at;
    dqnn_add_slices(&plan);
    uint32_t signs = slice_signs(l, planes, plan.ones, count_ones(&t, plan.bits + plan.blocks * t.pitch, s->kernel_w));
    for (int32_t i = 0; i < count; i++, out += l->out_pixel_bytes, signs >>= s->in_group) {
      dqnn_append_bits((uint32_t *)(void *)out, channel, outputs, (signs & low) ^ flip);
    }
  }
}
#endif

static void run_image(layer *l, uint8_t *out) {
  const dqnn_geometry *s = &l->shape;
  dqnn_taps previous = {-1, -1};
  int32_t pool_y = 0;
  row r = {{0, 0}, -s->pad_top, 0u - 1u, 0, 0, 0, out};
#if SLICES
  const int slices = takes_slices(l);
  if (slices) { /* what is behind the cells is looked at */
    memset(l->lists, 0, 2 * l->span * l->capacity);
  }
#endif
  for (int32_t oy = 0; oy < s->out_height; oy++, r.y += s->stride_h) {
    r.inside = dqnn_taps_inside(r.y, s->kernel_h, s->dilation_h, s->height);
    if (!dqnn_same_taps(r.inside, previous)) {
      r.border_class++;
    }
    previous = r.inside;
    r.first = pool_y == 0;
    r.last = pool_y == s->pool_h - 1;
    for (r.group = 0; r.group < s->groups; r.group++) {
#if SLICES
      if (slices) {
        run_slices(l, &r);
        continue;
      }
#endif
      run_row(l, &r);
    }
    if (!r.last) {
      pool_y++;
      continue;
    }
    pool_y = 0;
    r.out += (uint32_t)s->pooled_width * l->out_pixel_bytes;
  }
}

/* ---- set-up ---- */

/* max(7, ceil(log2(K + 2)) + 1) */
static uint32_t preset_planes(uint32_t taps) {
  uint32_t planes = 7;
  while ((1u << (planes - 1)) < taps + 2) {
    planes++;
  }
  return planes;
}

static uint32_t count_column_classes(const dqnn_geometry *s) {
  uint32_t classes = 0;
  dqnn_taps previous = {-1, -1};
  int32_t x = -s->pad_left;
  for (int32_t ox = 0; ox < s->out_width; ox++, x += s->stride_w) {
    dqnn_taps inside = dqnn_taps_inside(x, s->kernel_w, s->dilation_w, s->width);
    classes += !dqnn_same_taps(inside, previous);
    previous = inside;
  }
  return classes;
}

/* First guess at the rarer side from eight words spread over the image; a wrong one costs time only. */
static uint32_t mostly_ones(const uint32_t *words, uint32_t count) {
  uint32_t ones = 0, step = count / 8, sampled = step > 0 ? 8 : count;
  for (uint32_t i = 0; i<sampled; i++, words += step> 0 ? step : 1) {
    ones += dqnn_popcount(*words);
  }
  return ones > 20 * sampled; /* clearly more than half: windows at borders have to use the ones anyway */
}

static void set_sizes(layer *l) {
  const dqnn_geometry *s = &l->shape;
  l->pixel_words = (s->channels + 31) / 32;
  l->column_rows = (uint32_t)s->kernel_h * s->in_group;
  l->taps = l->column_rows * (uint32_t)s->kernel_w;
  l->blocks = (s->out_group + 31) / 32;
  l->planes = preset_planes(l->taps);
  l->span = (uint32_t)((s->kernel_w - 1) * s->dilation_w + 1);
  l->capacity = (l->column_rows + 3) & ~3u;
}

static void set_up(layer *l, const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_read_geometry(call, &l->shape);
  set_sizes(l);
  l->image = (const uint32_t *)call->in[0];
  l->weights = (const uint32_t *)call->constants[0];
  l->ones = (const uint32_t *)call->constants[1];
  l->zeros = l->flip = NULL;
  l->pad_skips = p->pad_value == 0.0f;
  l->pad_mask = p->pad_value < 0.0f ? ~0u : 0u;
  l->column_classes = l->pad_skips ? count_column_classes(&l->shape) : 1;
  l->zeros_rarer = mostly_ones(l->image, (uint32_t)(l->shape.height * l->shape.width) * l->pixel_words);
  l->ring = (column *)call->scratch;
  l->lists = (uint16_t *)(l->ring + l->span);
  l->pool = l->shape.pool_cells > 1 ? l->lists + l->span * l->capacity : NULL;
}

void NAME(dqnn_run_conv_s1_s1_s1)(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  l.zeros = (const uint32_t *)call->constants[2];
  if (call->constant_count > 3) {
    l.flip = (const uint32_t *)call->constants[3];
  }
  l.finish = finish_s1;
  l.out_pixel_bytes = (l.shape.outputs + 31) / 32 * 4;
  run_image(&l, (uint8_t *)call->out);
}

void NAME(dqnn_run_conv_s1_s1_s8)(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  dqnn_read_epilogue(call, 2, &l.epilogue);
  l.finish = finish_s8;
  l.out_pixel_bytes = l.shape.outputs;
  run_image(&l, (uint8_t *)call->out);
}

void NAME(dqnn_run_conv_s1_s1_f32)(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  dqnn_read_epilogue(call, 2, &l.epilogue);
  l.finish = finish_f32;
  l.out_pixel_bytes = 4 * l.shape.outputs;
  run_image(&l, (uint8_t *)call->out);
}
