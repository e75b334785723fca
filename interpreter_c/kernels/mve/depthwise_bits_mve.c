/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s1_s1_s1: four words of a row of outputs at a time, 128 outputs, whatever pixels and channels they are; the
 * window's cells and weights are gathered by lane. Windows of up to 63 taps, any stride and dilation; those of 3x3 have
 * a file of their own, pools and depth multipliers are left to the 32-bit code. No scratch.
 *
 * Differing bits are counted in planes, and z = 2 * differing + outside + preset (SPEC.md 3.4) is negative exactly
 * where the bit is 0; `outside`, taps that do not count (pad value 0), is a number per lane. */
#include "../../src/kernel.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../../isa/mve.h"
#include "../opt/geometry.h"
#include "depthwise_nine_mve.h"

enum { LANES = 4, TAPS = 4 /* at a time */, PLANES = 6, MOST_TAPS = (1 << PLANES) - 1 };

typedef struct {
  dqnn_geometry shape;
  const uint32_t *image, *weights, *presets, *flip; /* flip: NULL: none */
  uint32_t words;                                   /* of a pixel */
  uint32_t taps, planes;                            /* planes: of a preset */
  uint32_t step, back, down; /* words to the next tap; columns back to the first one; words to the next row */
  uint32_t pad_word;
  uint8_t pad_skips;
} layer;

/* Where four words of outputs look: the first column of their windows and the word of a pixel, and that word of the
 * first cell, counted from the first one of its row. */
typedef struct {
  int32x4_t x;
  uint32x4_t word, cell;
  int32_t last_x; /* of the last lane; the first one has the least x */
  int32_t first_x;
} place;

/* The taps of four windows, one after the other. */
typedef struct {
  const uint32_t *row, *weights;
  uint32x4_t x, cell, first; /* first: of the weights of each word */
  int32_t y, column;
} walk;

/* What is counted: differing bits in planes, and taps that do not count. */
typedef struct {
  uint32x4_t planes[PLANES], outside;
} counts;

DQNN_ALWAYS_INLINE uint32x4_t zero(void) {
  return vdupq_n_u32(0);
}

DQNN_ALWAYS_INLINE uint32x4_t half_add(uint32x4_t *plane, uint32x4_t carry) {
  const uint32x4_t x = *plane;
  *plane = veorq_u32(x, carry);
  return vandq_u32(x, carry);
}

static void next_tap(const layer *l, walk *w) {
  const dqnn_geometry *g = &l->shape;
  w->weights++;
  if (++w->column < g->kernel_w) {
    w->x = vaddq_n_u32(w->x, (uint32_t)g->dilation_w);
    w->cell = vaddq_n_u32(w->cell, l->step);
    return;
  }
  w->column = 0;
  w->x = vsubq_n_u32(w->x, l->back);
  w->cell = vsubq_n_u32(w->cell, l->back * l->words);
  w->y += g->dilation_h;
  w->row += l->down;
}

/* Where the cells of a tap differ from its weights. inside: all windows lie in the map. */
DQNN_ALWAYS_INLINE uint32x4_t difference(const layer *l, walk *w, counts *c, int inside) {
  const uint32x4_t weights = vldrwq_gather_shifted_offset_u32(w->weights, w->first);
  if (inside) {
    return veorq_u32(vldrwq_gather_shifted_offset_u32(w->row, w->cell), weights);
  }
  const uint32_t width = w->y >= 0 && w->y < l->shape.height ? (uint32_t)l->shape.width : 0;
  const mve_pred16_t lanes = vcmphiq_u32(vdupq_n_u32(width), w->x);
  const uint32x4_t cells = vldrwq_gather_shifted_offset_z_u32(w->row, w->cell, lanes);
  if (!l->pad_skips) {
    return veorq_u32(vpselq_u32(cells, vdupq_n_u32(l->pad_word), lanes), weights);
  }
  c->outside = vpselq_u32(c->outside, vaddq_n_u32(c->outside, 1), lanes);
  return vpselq_u32(veorq_u32(cells, weights), zero(), lanes);
}

/* Four taps at a time. */
DQNN_ALWAYS_INLINE void count_taps(const layer *l, walk w, counts *c, int inside) {
  uint32x4_t one = zero(), two = zero(), four = zero(), eight = zero(), high = zero(), top = zero();
  for (uint32_t left = l->taps; left;) {
    uint32x4_t d[TAPS] = {zero(), zero(), zero(), zero()};
    for (uint32_t i = 0; i < TAPS && left; i++, left--, next_tap(l, &w)) {
      d[i] = difference(l, &w, c, inside);
    }
    const uint32x4_t a = dqnn_full_add_4(&one, d[0], d[1]), b = dqnn_full_add_4(&one, d[2], d[3]);
    uint32x4_t carry = half_add(&four, dqnn_full_add_4(&two, a, b));
    carry = half_add(&eight, carry);
    carry = half_add(&high, carry);
    top = veorq_u32(top, carry);
  }
  c->planes[0] = one, c->planes[1] = two, c->planes[2] = four;
  c->planes[3] = eight, c->planes[4] = high, c->planes[5] = top;
}

DQNN_NOINLINE void count_inside(const layer *l, const walk *w, counts *c) {
  count_taps(l, *w, c, 1);
}
DQNN_NOINLINE void count_anywhere(const layer *l, const walk *w, counts *c) {
  count_taps(l, *w, c, 0);
}

/* The sign of z, inverted. */
DQNN_NOINLINE uint32x4_t signs(const layer *l, uint32x4_t word, const counts *c) {
  const uint32x4_t first = vmulq_n_u32(word, l->planes);
  uint32x4_t sum = zero(), carry = zero(), more = zero(), outside = c->outside;
  for (uint32_t p = 0; p < l->planes; p++) {
    sum = vldrwq_gather_shifted_offset_u32(l->presets + p, first);
    if (l->pad_skips) {
      more = dqnn_full_add_4(&sum, vsubq_u32(zero(), vandq_u32(outside, vdupq_n_u32(1))), more);
      outside = vshrq_n_u32(outside, 1);
    }
    carry = dqnn_full_add_4(&sum, p >= 1 && p <= PLANES ? c->planes[p - 1] : zero(), carry);
  }
  return vmvnq_u32(sum);
}

/* Four words from column x, word `word` on, which become those behind. */
static place next_place(const layer *l, int32_t *x, uint32_t *word) {
  int32_t columns[LANES];
  uint32_t words[LANES];
  for (uint32_t i = 0; i < LANES; i++) {
    columns[i] = *x;
    words[i] = *word;
    if (++*word == l->words) {
      *word = 0;
      *x += l->shape.stride_w;
    }
  }
  place at = {.x = vld1q_s32(columns), .word = vld1q_u32(words), .first_x = columns[0], .last_x = columns[LANES - 1]};
  at.cell = vmlaq_n_u32(at.word, vreinterpretq_u32_s32(at.x), l->words);
  return at;
}

static void run_row(const layer *l, int32_t y, uint32_t *out) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t count = (uint32_t)g->out_width * l->words;
  const int rows = y >= 0 && y + (g->kernel_h - 1) * g->dilation_h < g->height;
  int32_t x = -g->pad_left;
  uint32_t word = 0;
  for (uint32_t i = 0; i < count; i += LANES) {
    const place at = next_place(l, &x, &word);
    const walk w = {.row = l->image + (uint32_t)y * (uint32_t)g->width * l->words,
                    .weights = l->weights,
                    .x = vreinterpretq_u32_s32(at.x),
                    .cell = at.cell,
                    .first = vmulq_n_u32(at.word, l->taps),
                    .y = y,
                    .column = 0};
    counts c = {.outside = zero()};
    if (rows && at.first_x >= 0 && at.last_x + (g->kernel_w - 1) * g->dilation_w < g->width) {
      count_inside(l, &w, &c);
    } else {
      count_anywhere(l, &w, &c);
    }
    uint32x4_t bits = signs(l, at.word, &c);
    if (l->flip) {
      bits = veorq_u32(bits, vldrwq_gather_shifted_offset_u32(l->flip, at.word));
    }
    vst1q_p_u32(out + i, bits, vctp32q(count - i));
  }
}

/* Returns 0 for what goes another way. */
static int prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry *g = &l->shape;
  dqnn_read_geometry(call, g);
  l->image = (const uint32_t *)call->in[0];
  l->weights = (const uint32_t *)call->constants[0];
  l->presets = (const uint32_t *)call->constants[1];
  l->flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
  l->words = (g->channels + 31u) / 32;
  l->taps = dqnn_kernel_cells(g);
  l->step = (uint32_t)g->dilation_w * l->words;
  l->back = (uint32_t)(g->kernel_w - 1) * (uint32_t)g->dilation_w;
  l->down = (uint32_t)g->dilation_h * (uint32_t)g->width * l->words;
  l->pad_skips = p->pad_value == 0.0f;
  l->pad_word = p->pad_value < 0.0f ? ~0u : 0u;
  for (l->planes = 1; 1u << (l->planes - 1) < 2 * l->taps + 1 && l->planes < 31;) {
    l->planes++;
  }
  return l->taps <= MOST_TAPS;
}

DQNN_NOINLINE int run_lanes(const dqnn_call *call) {
  layer l;
  if (!prepare(call, &l)) {
    return 0;
  }
  uint32_t *out = (uint32_t *)call->out;
  int32_t y = -l.shape.pad_top;
  for (int32_t row = l.shape.out_height; row; row--, y += l.shape.stride_h) {
    run_row(&l, y, out);
    out += (uint32_t)l.shape.out_width * l.words;
  }
  return 1;
}

void dqnn_run_depthwise_s1_s1_s1_mve(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const int plain = p->multiplier == 1 && dqnn_pool_cells(p) == 1;
  if (plain && p->kernel_h == 3 && p->kernel_w == 3) {
    dqnn_depthwise_nine_mve(call);
  } else if (!plain || !run_lanes(call)) {
    dqnn_run_depthwise_s1_s1_s1_portable(call);
  }
}
#endif
