/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s1_s1_s1 with windows of 3x3: four words of a row of outputs at a time, whatever pixels and channels they
 * are; nine differences go through a tree of adders (dqnn_sum_nine of isa/portable.h, for vectors).
 *
 * Which words of a pixel four lanes stand for repeats after a few vectors, so the outputs are made set by set, each
 * with its weights in lanes. Windows that lie in the map go first, row by row; others lane by lane, those of the same
 * columns one below the other. z = 2 * differing + outside + preset (SPEC.md 3.4) is negative exactly where the bit is
 * 0. No scratch. */
#include "depthwise_nine_mve.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../../isa/mve.h"
#include "../opt/geometry.h"

enum { LANES = 4, SIDE = 3, TAPS = SIDE * SIDE, PLANES = DQNN_NINE_PLANES };

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  uint32_t words;         /* of a pixel */
  uint32_t sets, columns; /* columns: of the map, from a vector of a set to the next one */
  uint32_t across, down;  /* words to the next tap, to the next row of taps */
  uint32_t pitch;         /* words of a row of the map */
  uint32_t pad_word;
  uint8_t skips; /* taps outside the map do not count */
} layer;

/* Every `sets`th vector of a row of outputs. */
typedef struct {
  uint32_t weights[TAPS][LANES];
  uint32_t presets[PLANES - 1][LANES]; /* from plane 1 on; the last one inverted, and flipped as outputs are */
  uint32_t word[LANES];                /* of a pixel */
  uint32_t column[LANES];              /* of the map: the first one of a window in the first vector */
  uint32_t number, vectors;            /* vectors: of a row that are of the set */
  uint32_t first, end;                 /* those whose windows all lie between the map's left and right side */
} set;

/* ---- counting ----
 *
 * Loops are written out: compilers do not unroll them at -O2, and vectors in arrays are stored. */

/* Sum of three bits. */
typedef struct {
  uint32x4_t one, two;
} three;

typedef struct {
  uint32x4_t one, two, four, eight;
} planes;

DQNN_ALWAYS_INLINE three sum_three(uint32x4_t a, uint32x4_t b, uint32x4_t c) {
  three sum = {.one = a};
  sum.two = dqnn_full_add_4(&sum.one, b, c);
  return sum;
}

DQNN_ALWAYS_INLINE planes sum_rows(three a, three b, three c) {
  const three low = sum_three(a.one, b.one, c.one), high = sum_three(a.two, b.two, c.two);
  const uint32x4_t carry = vandq_u32(high.one, low.two);
  return (planes){low.one, veorq_u32(high.one, low.two), veorq_u32(high.two, carry), vandq_u32(high.two, carry)};
}

DQNN_ALWAYS_INLINE uint32x4_t majority(uint32x4_t a, uint32x4_t b, uint32x4_t c) {
  return veorq_u32(a, vandq_u32(veorq_u32(a, b), veorq_u32(a, c)));
}

/* Keeps the compiler from loading vectors ahead, for which there are no registers, and from keeping their addresses. */
#define RELOAD(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")

/* The output where 2 * sum + preset >= 0. */
DQNN_ALWAYS_INLINE uint32x4_t signs(const set *s, planes sum) {
  RELOAD(s);
  uint32x4_t carry = vandq_u32(sum.one, vld1q_u32(s->presets[0]));
  carry = majority(vld1q_u32(s->presets[1]), sum.two, carry);
  carry = majority(vld1q_u32(s->presets[2]), sum.four, carry);
  carry = majority(vld1q_u32(s->presets[3]), sum.eight, carry);
  return veorq_u32(carry, vld1q_u32(s->presets[4]));
}

/* ---- presets ---- */

typedef struct {
  const uint32_t *presets;
  uint32x4_t first, outside, carry;
} adder;

/* Plane p of a preset and of `outside`. */
DQNN_ALWAYS_INLINE uint32x4_t next_plane(adder *a, uint32_t p) {
  const int32x4_t high = vreinterpretq_s32_u32(vshlq_n_u32(a->outside, 31));
  uint32x4_t sum = vldrwq_gather_shifted_offset_u32(a->presets + p, a->first);
  a->carry = dqnn_full_add_4(&sum, vreinterpretq_u32_s32(vshrq_n_s32(high, 31)), a->carry);
  a->outside = vshrq_n_u32(a->outside, 1);
  return sum;
}

/* Those of the file, and taps that do not count: at most nine. */
static void read_presets(const layer *l, uint32x4_t outside, set *s) {
  const dqnn_call *call = l->call;
  const uint32x4_t word = vld1q_u32(s->word);
  adder a = {(const uint32_t *)call->constants[1], vmulq_n_u32(word, PLANES), outside, vdupq_n_u32(0)};
  (void)next_plane(&a, 0);
  vst1q_u32(s->presets[0], next_plane(&a, 1));
  vst1q_u32(s->presets[1], next_plane(&a, 2));
  vst1q_u32(s->presets[2], next_plane(&a, 3));
  const uint32x4_t high = vldrwq_gather_shifted_offset_u32(a.presets + 4, a.first);
  vst1q_u32(s->presets[3], veorq_u32(high, a.carry));
  uint32x4_t sign = vldrwq_gather_shifted_offset_u32(a.presets + 5, a.first);
  sign = veorq_u32(sign, vandq_u32(high, a.carry));
  if (call->constant_count > 2) {
    sign = veorq_u32(sign, vldrwq_gather_shifted_offset_u32((const uint32_t *)call->constants[2], word));
  }
  vst1q_u32(s->presets[4], vmvnq_u32(sign));
}

/* For windows with so many columns and rows of taps in the map, where others do not count. */
DQNN_NOINLINE void count_outside(const layer *l, uint32x4_t columns, uint32_t rows, set *s) {
  read_presets(l, vsubq_u32(vdupq_n_u32(TAPS), vmulq_n_u32(columns, rows)), s);
}

/* ---- rows ---- */

/* Under a row of outputs: the rows of the map, NULL for one outside. */
typedef struct {
  const uint32_t *at[SIDE];
} rows;

DQNN_ALWAYS_INLINE rows rows_at(const layer *l, int32_t y) {
  const uint32_t height = (uint32_t)l->shape.height, next = (uint32_t)l->shape.dilation_h, first = (uint32_t)y;
  const uint32_t *at = (const uint32_t *)l->call->in[0] + first * l->pitch;
  return (rows){{first < height ? at : NULL, first + next < height ? at + l->down : NULL,
                 first + 2 * next < height ? at + 2 * l->down : NULL}};
}

DQNN_ALWAYS_INLINE uint32_t rows_inside(const rows *r) {
  return (r->at[0] ? 1u : 0u) + (r->at[1] ? 1u : 0u) + (r->at[2] ? 1u : 0u);
}

/* A row of taps outside: they differ nowhere, or where the pad value does. */
DQNN_ALWAYS_INLINE three row_outside(const layer *l, const uint32_t (*w)[LANES]) {
  const uint32x4_t zero = vdupq_n_u32(0), pad = vdupq_n_u32(l->pad_word);
  return l->skips ? (three){zero, zero}
                  : sum_three(veorq_u32(vld1q_u32(w[0]), pad), veorq_u32(vld1q_u32(w[1]), pad),
                              veorq_u32(vld1q_u32(w[2]), pad));
}

/* ---- windows between the left and the right side of the map ---- */

DQNN_ALWAYS_INLINE uint32x4_t difference(const uint32_t *cell, uint32x4_t places, const uint32_t *weights, int apart) {
  const uint32x4_t x = apart ? vldrwq_gather_shifted_offset_u32(cell, places) : vld1q_u32(cell);
  return veorq_u32(x, vld1q_u32(weights));
}

/* whole, a constant: the row lies in the map. */
DQNN_ALWAYS_INLINE three row_inside(const layer *l, const set *s, uint32_t i, const uint32_t *cell, uint32_t across,
                                    uint32x4_t places, int apart, int whole) {
  RELOAD(s);
  const uint32_t(*w)[LANES] = s->weights + SIDE * i;
  if (!whole && !cell) {
    return row_outside(l, w);
  }
  const uint32x4_t a = difference(cell, places, w[0], apart), b = difference(cell + across, places, w[1], apart),
                   c = difference(cell + 2 * across, places, w[2], apart);
  return sum_three(a, b, c);
}

DQNN_ALWAYS_INLINE const uint32_t *further(const uint32_t *cell, uint32_t words, int whole) {
  return whole || cell ? cell + words : NULL;
}

DQNN_ALWAYS_INLINE void run_vectors(const layer *l, const set *s, const rows *r, uint32_t *out, int apart, int whole) {
  const uint32_t across = l->across, step = l->columns * l->words, next = LANES * l->sets;
  const uint32_t at = (s->column[0] + s->first * l->columns) * l->words + (apart ? 0 : s->word[0]);
  const uint32x4_t places = vmlaq_n_u32(vld1q_u32(s->word), vsubq_n_u32(vld1q_u32(s->column), s->column[0]), l->words);
  const uint32_t *a = further(r->at[0], at, whole), *b = further(r->at[1], at, whole),
                 *c = further(r->at[2], at, whole);
  out += s->first * next;
  for (uint32_t count = s->end - s->first; count; count--, out += next) {
    const three low = row_inside(l, s, 0, a, across, places, apart, whole),
                middle = row_inside(l, s, 1, b, across, places, apart, whole),
                high = row_inside(l, s, 2, c, across, places, apart, whole);
    vst1q_u32(out, signs(s, sum_rows(low, middle, high)));
    a = further(a, step, whole);
    b = further(b, step, whole);
    c = further(c, step, whole);
  }
}

/* All rows of outputs. apart, a constant: cells of neighbouring outputs are no neighbours. */
DQNN_ALWAYS_INLINE void run_inside(const layer *l, set *s, int apart) {
  uint32_t *out = (uint32_t *)l->call->out + LANES * s->number, inside = SIDE + 1;
  int32_t y = -l->shape.pad_top;
  for (int32_t row = l->shape.out_height; row;
       row--, y += l->shape.stride_h, out += (uint32_t)l->shape.out_width * l->words) {
    const rows r = rows_at(l, y);
    const uint32_t found = rows_inside(&r);
    if (l->skips && found != inside) {
      count_outside(l, vdupq_n_u32(SIDE), found, s);
      inside = found;
    }
    if (found == SIDE) {
      run_vectors(l, s, &r, out, apart, 1);
    } else {
      run_vectors(l, s, &r, out, 1, 0);
    }
  }
}

DQNN_NOINLINE void run_neighbours(const layer *l, set *s) {
  run_inside(l, s, 0);
}
DQNN_NOINLINE void run_apart(const layer *l, set *s) {
  run_inside(l, s, 1);
}

/* ---- windows anywhere ---- */

/* Columns of taps of four windows: which lie in the map, and their cells, from the first one of a row of it. */
typedef struct {
  uint32x4_t inside[SIDE], cell[SIDE];
} columns;

/* Returns how many lie in the map. */
static uint32x4_t find_columns(const layer *l, const set *s, uint32_t x, columns *c) {
  const uint32x4_t width = vdupq_n_u32((uint32_t)l->shape.width), zero = vdupq_n_u32(0);
  uint32x4_t found = zero;
  for (uint32_t k = 0; k < SIDE; k++, x += (uint32_t)l->shape.dilation_w) {
    const uint32x4_t column = vaddq_n_u32(vld1q_u32(s->column), x);
    const uint32x4_t inside = vpselq_u32(vdupq_n_u32(~0u), zero, vcmphiq_u32(width, column));
    c->inside[k] = inside;
    c->cell[k] = vandq_u32(vmlaq_n_u32(vld1q_u32(s->word), column, l->words), inside);
    found = vsubq_u32(found, inside);
  }
  return found;
}

/* skips, a constant: taps outside differ nowhere. */
DQNN_ALWAYS_INLINE uint32x4_t tap_anywhere(const columns *c, uint32_t k, uint32x4_t pad, const uint32_t *row,
                                           const uint32_t *weights, int skips) {
  const uint32x4_t inside = c->inside[k], w = vld1q_u32(weights);
  const uint32x4_t x = vldrwq_gather_shifted_offset_u32(row, c->cell[k]);
  return skips ? vandq_u32(veorq_u32(x, w), inside)
               : veorq_u32(vandq_u32(x, inside), veorq_u32(w, vbicq_u32(pad, inside)));
}

DQNN_ALWAYS_INLINE three row_anywhere(const layer *l, const set *s, uint32_t i, const columns *c, const uint32_t *row,
                                      int skips) {
  RELOAD(s);
  RELOAD(c);
  const uint32_t(*w)[LANES] = s->weights + SIDE * i;
  if (!row) {
    return row_outside(l, w);
  }
  const uint32x4_t pad = vdupq_n_u32(l->pad_word);
  const uint32x4_t a = tap_anywhere(c, 0, pad, row, w[0], skips), b = tap_anywhere(c, 1, pad, row, w[1], skips),
                   d = tap_anywhere(c, 2, pad, row, w[2], skips);
  return sum_three(a, b, d);
}

/* Vector i of the set, in all rows of outputs. */
DQNN_ALWAYS_INLINE void run_border(const layer *l, set *s, uint32_t i, int skips) {
  const uint32_t count = (uint32_t)l->shape.out_width * l->words, at = LANES * (s->number + i * l->sets);
  uint32_t *out = (uint32_t *)l->call->out + at, inside = SIDE + 1;
  int32_t y = -l->shape.pad_top;
  columns c;
  const uint32x4_t found = find_columns(l, s, i * l->columns, &c);
  for (int32_t row = l->shape.out_height; row; row--, y += l->shape.stride_h, out += count) {
    const rows r = rows_at(l, y);
    if (skips && rows_inside(&r) != inside) {
      inside = rows_inside(&r);
      count_outside(l, found, inside, s);
    }
    const three low = row_anywhere(l, s, 0, &c, r.at[0], skips), middle = row_anywhere(l, s, 1, &c, r.at[1], skips),
                high = row_anywhere(l, s, 2, &c, r.at[2], skips);
    vst1q_p_u32(out, signs(s, sum_rows(low, middle, high)), vctp32q(count - at));
  }
}

DQNN_NOINLINE void run_padded(const layer *l, set *s, uint32_t i) {
  run_border(l, s, i, 0);
}
DQNN_NOINLINE void run_skipped(const layer *l, set *s, uint32_t i) {
  run_border(l, s, i, 1);
}

static void run_set(const layer *l, set *s) {
  if (s->first < s->end) {
    l->shape.stride_w == 1 ? run_neighbours(l, s) : run_apart(l, s);
  }
  for (uint32_t i = 0; i < s->vectors; i++) {
    if (i < s->first || i >= s->end) {
      l->skips ? run_skipped(l, s, i) : run_padded(l, s, i);
    }
  }
}

/* ---- set-up ---- */

/* Do all windows of a vector lie between the left and the right side of the map? */
static int is_inside(const layer *l, const set *s, uint32_t vector) {
  const uint32_t x = vector * l->columns;
  return (int32_t)(s->column[0] + x) >= 0 &&
         (int32_t)(s->column[LANES - 1] + x) + (SIDE - 1) * l->shape.dilation_w < l->shape.width;
}

DQNN_NOINLINE void set_up(const layer *l, uint32_t number, set *s) {
  const uint32_t count = (uint32_t)l->shape.out_width * l->words, whole = count / LANES,
                 vectors = (count + LANES - 1) / LANES;
  uint32_t pixel = LANES * number / l->words, word = LANES * number - pixel * l->words;
  for (uint32_t lane = 0; lane < LANES; lane++) {
    s->word[lane] = word;
    s->column[lane] = pixel * (uint32_t)l->shape.stride_w - (uint32_t)l->shape.pad_left;
    if (++word == l->words) {
      word = 0;
      pixel++;
    }
  }
  const uint32x4_t first = vmulq_n_u32(vld1q_u32(s->word), TAPS);
  for (uint32_t t = 0; t < TAPS; t++) {
    vst1q_u32(s->weights[t], vldrwq_gather_shifted_offset_u32((const uint32_t *)l->call->constants[0] + t, first));
  }
  if (!l->skips) {
    read_presets(l, vdupq_n_u32(0), s);
  }
  s->number = number;
  s->vectors = number < vectors ? (vectors - number + l->sets - 1) / l->sets : 0;
  s->first = 0;
  s->end = number < whole ? (whole - number + l->sets - 1) / l->sets : 0;
  while (s->first < s->end && !is_inside(l, s, s->first)) {
    s->first++;
  }
  while (s->first < s->end && !is_inside(l, s, s->end - 1)) {
    s->end--;
  }
}

DQNN_NOINLINE void prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_geometry *g = &l->shape;
  l->call = call;
  dqnn_read_geometry(call, &l->shape);
  l->words = dqnn_words(g->channels);
  l->sets = l->words % 4 == 0 ? l->words / 4 : l->words % 2 == 0 ? l->words / 2 : l->words;
  l->columns = LANES * l->sets / l->words * p->stride_w;
  l->across = p->dilation_w * l->words;
  l->pitch = (uint32_t)g->width * l->words;
  l->down = p->dilation_h * l->pitch;
  l->skips = p->pad_value == 0.0f;
  l->pad_word = p->pad_value < 0.0f ? ~0u : 0u;
}

void dqnn_depthwise_nine_mve(const dqnn_call *call) {
  layer l;
  set s;
  prepare(call, &l);
  for (uint32_t number = 0; number < l.sets; number++) {
    set_up(&l, number, &s);
    run_set(&l, &s);
  }
}
#endif
