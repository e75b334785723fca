/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s8_s8_{s1,s8,f32}, 3x3 with stride 1, weights of 8, 4 or 2 bits, by Winograd's F(4x4, 3x3): 36 products for what
 * the direct sum takes 144. Exact: everything is counted in integers, modulo 2^32, and plan() has made sure that the
 * last number fits.
 *
 * A tile of 6x6 cells d (input minus zero point) becomes V = B^T d B, the weights become U = G w G^T with G three times
 * an integer, and for each of the 36 coordinates the products are summed over the input channels: M. Y = A^T M A is
 * then 576 / 2^(e_i + e_k) times the sums of the 4x4 outputs, e = 0, 1, 2, 2. 576 = 9 * 64: a product with 1/9 modulo
 * 2^32 takes the 9 away, a shift the rest. So 64 times a sum has to fit 32 bits, nothing else: |V| <= 17340 and |U| <=
 * 6272 fit their halfwords, M may wrap around.
 *
 * Two tiles side by side and four outputs at a time. Words hold two channels: of four neighbours the first and third,
 * or the second and fourth. Slots are the coordinates of a tile, row by row, in each row the columns 1, 2, 3, 4, 0, 5;
 * the products of an odd slot are added to those of the even one, which saves additions at the end.
 *
 * Scratch decides how often the input is transformed: conv_winograd.h. */
#include "conv_winograd.h"

#if DQNN_HAVE_WINOGRAD

#include "../../isa/affine.h"
#include "../../isa/winograd.h"
#include "emit_quad.h"
#include "geometry.h"

enum {
  TILE = 4,                               /* outputs of a tile on a side */
  CELLS_H = 6,                            /* of a tile */
  CELLS_W = 10,                           /* of two */
  ROW = 2 * TILE * DQNN_WINOGRAD_OUTPUTS, /* values of a row of outputs of two tiles */
  PAIR_V = 2 * DQNN_WINOGRAD_SLOTS,       /* words of V for a pair of channels */
  PAIR_U = 4 * DQNN_WINOGRAD_SLOTS,       /* of U */
  NINTH = 954437177                       /* 9 * NINTH = 1 modulo 2^32 */
};

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  dqnn_quad_kind kind; /* s8 outputs without a pool: affine or fixed point by four sums at a time; else any */
  uint8_t narrow;      /* those are clamped to less than an int8 afterwards */
  uint8_t whole;       /* the whole input stands transformed */
  uint8_t weight_bits; /* 0: 8 */
  uint32_t quads;      /* of input channels */
  uint32_t zero;       /* minus the zero point of the input, in both halves */
  uint32_t outside;    /* a cell outside the map: four bytes as stored */
  uint32_t block;      /* outputs whose weights stand transformed */
  int32_t *products;   /* M; between two uses of it, what the transforms hold on the way */
  int32_t *sums;       /* [4 rows][8 columns][4 outputs] of two tiles; bytes for quick rules */
  uint32_t *v, *u, *patch;
} layer;

/* ---- input ---- */

/* Six words to places `step` apart. Loops are written out, so that the words stay in registers at -Os as well. */
DQNN_ALWAYS_INLINE void put_six(uint32_t *to, uint32_t step, const uint32_t o[6]) {
  to[0] = o[0];
  to[step] = o[1];
  to[2 * step] = o[2];
  to[3 * step] = o[3];
  to[4 * step] = o[4];
  to[5 * step] = o[5];
}

/* The same in the order of the slots of a row. */
DQNN_ALWAYS_INLINE void put_slots(uint32_t *to, uint32_t step, const uint32_t o[6]) {
  to[0] = o[1];
  to[step] = o[2];
  to[2 * step] = o[3];
  to[3 * step] = o[4];
  to[4 * step] = o[0];
  to[5 * step] = o[5];
}

/* B^T for six words. */
DQNN_ALWAYS_INLINE void transform_cells(const uint32_t d[6], uint32_t o[6]) {
  uint32_t e = dqnn_sub_halves(d[4], d[2]), f = dqnn_sub_halves(d[3], d[1]), g = dqnn_sub_halves(d[0], d[2]);
  uint32_t a = dqnn_add_halves(d[2], d[2]), b = dqnn_add_halves(d[1], d[1]);
  f = dqnn_add_halves(f, f);
  g = dqnn_add_halves(g, g);
  a = dqnn_sub_halves(dqnn_add_halves(a, a), d[4]);
  b = dqnn_sub_halves(dqnn_add_halves(b, b), d[3]);
  o[0] = dqnn_add_halves(dqnn_add_halves(g, g), e);
  o[1] = dqnn_add_halves(a, b);
  o[2] = dqnn_sub_halves(a, b);
  o[3] = dqnn_add_halves(e, f);
  o[4] = dqnn_sub_halves(e, f);
  o[5] = dqnn_sub_halves(dqnn_sub_halves(d[5], d[3]), dqnn_add_halves(f, f));
}

/* A word of each of six cells below each other. */
DQNN_ALWAYS_INLINE void read_column(const int8_t *from, uint32_t pitch, uint32_t x[6]) {
  memcpy(x, from, 4);
  memcpy(x + 1, from + pitch, 4);
  from += 2 * pitch;
  memcpy(x + 2, from, 4);
  memcpy(x + 3, from + pitch, 4);
  from += 2 * pitch;
  memcpy(x + 4, from, 4);
  memcpy(x + 5, from + pitch, 4);
}

/* V of two tiles whose 6x10 cells begin at `from`. */
DQNN_NOINLINE void transform_tiles(const layer *l, const int8_t *from, uint32_t cell, uint32_t pitch, uint32_t *v) {
  uint32_t *t = (uint32_t *)l->products, zero = l->zero;
  for (uint32_t quads = l->quads; quads; quads--, from += 4) {
    const int8_t *column = from;
    for (uint32_t *to = t; to < t + CELLS_W; to++, column += cell) {
      uint32_t x[6], o[6];
      read_column(column, pitch, x);
      const uint32_t even[6] = {dqnn_add_even_bytes(zero, x[0]), dqnn_add_even_bytes(zero, x[1]),
                                dqnn_add_even_bytes(zero, x[2]), dqnn_add_even_bytes(zero, x[3]),
                                dqnn_add_even_bytes(zero, x[4]), dqnn_add_even_bytes(zero, x[5])};
      transform_cells(even, o);
      put_six(to, CELLS_W, o);
      const uint32_t odd[6] = {dqnn_add_odd_bytes(zero, x[0]), dqnn_add_odd_bytes(zero, x[1]),
                               dqnn_add_odd_bytes(zero, x[2]), dqnn_add_odd_bytes(zero, x[3]),
                               dqnn_add_odd_bytes(zero, x[4]), dqnn_add_odd_bytes(zero, x[5])};
      transform_cells(odd, o);
      put_six(to + CELLS_H * CELLS_W, CELLS_W, o);
    }
    for (const uint32_t *row = t, *end = t + 2 * CELLS_H * CELLS_W; row < end; row += CELLS_W - 2 * TILE, v += 10) {
      for (uint32_t tile = 0; tile < 2; tile++, row += TILE, v++) {
        uint32_t o[6];
        transform_cells(row, o);
        put_slots(v, 2, o);
      }
    }
  }
}

DQNN_ALWAYS_INLINE uint32_t *fill_words(uint32_t *to, uint32_t count, uint32_t word) {
  for (; count; count--) {
    *to++ = word;
  }
  return to;
}

/* The cells of two tiles that begin at (y, x), those outside the map filled in. */
DQNN_NOINLINE void copy_cells(const layer *l, int32_t y, int32_t x) {
  const dqnn_geometry *g = &l->shape;
  uint32_t *to = l->patch, quads = l->quads, outside = l->outside;
  for (int32_t last = y + CELLS_H; y < last; y++) {
    dqnn_taps in = {0, 0};
    if (y >= 0 && y < g->height) {
      in = dqnn_taps_inside(x, CELLS_W, 1, g->width);
    }
    to = fill_words(to, (uint32_t)in.first * quads, outside);
    if (in.first < in.end) {
      const int8_t *from = (const int8_t *)l->call->in[0] + dqnn_cell_index(g, y, x + in.first) * g->channels;
      for (uint32_t words = (uint32_t)(in.end - in.first) * quads; words; words--, from += 4) {
        memcpy(to++, from, 4);
      }
    }
    to = fill_words(to, (uint32_t)(CELLS_W - in.end) * quads, outside);
  }
}

/* Tile (row, column) and its right neighbour. */
static void make_tiles(const layer *l, int32_t row, int32_t column, uint32_t *v) {
  const dqnn_geometry *g = &l->shape;
  int32_t y = TILE * row - g->pad_top, x = TILE * column - g->pad_left;
  if (y >= 0 && x >= 0 && y + CELLS_H <= g->height && x + CELLS_W <= g->width) {
    const int8_t *from = (const int8_t *)l->call->in[0] + dqnn_cell_index(g, y, x) * g->channels;
    transform_tiles(l, from, g->channels, (uint32_t)g->width * g->channels, v);
    return;
  }
  copy_cells(l, y, x);
  transform_tiles(l, (const int8_t *)l->patch, 4 * l->quads, CELLS_W * 4 * l->quads, v);
}

/* ---- weights ---- */

/* 3 G for three words. */
DQNN_ALWAYS_INLINE void transform_taps(uint32_t x, uint32_t y, uint32_t z, uint32_t o[6]) {
  uint32_t s = dqnn_add_halves(x, z), y2 = dqnn_add_halves(y, y), z2 = dqnn_add_halves(z, z);
  uint32_t w = dqnn_add_halves(x, dqnn_add_halves(z2, z2));
  o[0] = dqnn_add_halves(dqnn_add_halves(x, x), x);
  o[1] = dqnn_add_halves(s, y);
  o[2] = dqnn_sub_halves(s, y);
  o[3] = dqnn_add_halves(w, y2);
  o[4] = dqnn_sub_halves(w, y2);
  o[5] = dqnn_add_halves(z2, z);
}

/* The three words of a row into slots. */
DQNN_ALWAYS_INLINE void transform_row(const uint32_t *row, uint32_t *u) {
  uint32_t o[6];
  transform_taps(row[0], row[1], row[2], o);
  put_slots(u, 4, o);
}

/* Of a quad of channels. */
DQNN_INLINE void transform_rows(const uint32_t *t, uint32_t *u) {
  for (const uint32_t *row = t; row < t + 36; row += 6, u += 48) {
    transform_row(row, u);
    transform_row(row + 3, u + 24);
  }
}

/* U of one output: of two, whose weights stand side by side (SPEC.md 3.3), the one whose bytes are `shift` bits up. */
DQNN_NOINLINE void transform_weights(const layer *l, const uint32_t *weights, uint32_t shift, uint32_t *u) {
  uint32_t *t = (uint32_t *)l->products, pitch = 2 * l->quads; /* words of a tap */
  for (uint32_t quads = l->quads; quads; quads--, weights += 2) {
    const uint32_t *w = weights;
    for (uint32_t *to = t; to < t + 3; to++, w += pitch) {
      uint32_t o[6], a[3], b[3];
      a[0] = dqnn_add_even_bytes(0, w[0] >> shift);
      b[0] = dqnn_add_even_bytes(0, w[1] >> shift);
      a[1] = dqnn_add_even_bytes(0, w[3 * pitch] >> shift);
      b[1] = dqnn_add_even_bytes(0, w[3 * pitch + 1] >> shift);
      a[2] = dqnn_add_even_bytes(0, w[6 * pitch] >> shift);
      b[2] = dqnn_add_even_bytes(0, w[6 * pitch + 1] >> shift);
      transform_taps(dqnn_low_halves(a[0], b[0]), dqnn_low_halves(a[1], b[1]), dqnn_low_halves(a[2], b[2]), o);
      put_six(to, 3, o);
      transform_taps(dqnn_high_halves(a[0], b[0]), dqnn_high_halves(a[1], b[1]), dqnn_high_halves(a[2], b[2]), o);
      put_six(to + 18, 3, o);
    }
    transform_rows(t, u);
    u += 6 * 48;
  }
}

#if DQNN_PACKED_WEIGHTS
/* U of output c of four, whose pairs of taps stand side by side (SPEC.md 3.3): those of four channels are the words
 * that are wanted. */
DQNN_NOINLINE void transform_packed(const layer *l, const uint32_t *weights, uint32_t c, uint32_t *u) {
  uint32_t *t = (uint32_t *)l->products;
  const uint32_t bits = l->weight_bits, fields = bits == 4 ? 0x000f000fu : 0x00030003u,
                 half = bits == 4 ? 0x00080008u : 0x00020002u, more = bits == 2, tap = 2 * l->quads;
  for (uint32_t pair = 0; pair < tap; pair++) {
    for (uint32_t x = 0; x < 3; x++) {
      uint32_t w[3], o[6];
      for (uint32_t y = 0; y < 3; y++) {
        const uint32_t at = (3 * y + x) * tap + pair;
        w[y] = weights[at >> more] >> (8 * (at & more) + bits * c) & fields;
        w[y] = dqnn_sub_halves(w[y], half);
      }
      transform_taps(w[0], w[1], w[2], o);
      put_six(t + 18 * (pair & 1u) + x, 3, o);
    }
    if (pair & 1u) {
      transform_rows(t, u);
      u += 6 * 48;
    }
  }
}
#endif

/* Weights of outputs first .. end - 1, first a multiple of four. What is missing of the last four stays as it is:
 * nobody looks at its sums. */
static void make_weights(const layer *l, uint32_t first, uint32_t end) {
  const uint32_t *weights = (const uint32_t *)l->call->constants[0];
  uint32_t pair_words = 18 * l->quads; /* of two outputs */
  for (uint32_t c = first; c < end; c++) {
    uint32_t *u = l->u + (c - first) / 4 * 2 * PAIR_U * l->quads + c % 4;
#if DQNN_PACKED_WEIGHTS
    if (l->weight_bits != 0) {
      transform_packed(l, weights + c / 4 * (pair_words * l->weight_bits / 4), c % 4, u);
      continue;
    }
#endif
    transform_weights(l, weights + c / 2 * pair_words, c % 2 * 8, u);
  }
}

/* ---- output ---- */

/* The numbers of one channel that a quick rule takes; others are 0. */
typedef struct {
  float scale, offset;
  int32_t bias, multiplier, shift, zero_point;
} channel_rule;

DQNN_INLINE channel_rule rule_of(const dqnn_epilogue *e, dqnn_quad_kind kind, uint32_t channel) {
  channel_rule rule = {0.0f, 0.0f, 0, 0, -1, kind == DQNN_QUAD_ANY ? 0 : e->zero_point};
  if (kind == DQNN_QUAD_AFFINE) {
    rule.scale = e->scale[channel];
    rule.offset = e->offset[channel];
  } else if (kind == DQNN_QUAD_FIXED) {
    rule.bias = e->bias[channel];
    rule.multiplier = e->multiplier[channel];
    rule.shift = e->shift[channel];
  }
  return rule;
}

DQNN_ALWAYS_INLINE void put_sums(const int32_t x[4], int32_t *to) {
  to[0] = x[0];
  to[ROW] = x[1];
  to[2 * ROW] = x[2];
  to[3 * ROW] = x[3];
}

DQNN_ALWAYS_INLINE void put_bytes(const int32_t x[4], int8_t *to) {
  to[0] = (int8_t)x[0];
  to[ROW] = (int8_t)x[1];
  to[2 * ROW] = (int8_t)x[2];
  to[3 * ROW] = (int8_t)x[3];
}

/* A^T M A of a tile and a channel, whose numbers in M begin at m: as sums, or as bytes by a quick rule. step: bytes
 * from a column of the tile to the next. */
DQNN_NOINLINE void transform_products(const uint32_t *m, const channel_rule *rule, dqnn_quad_kind kind, uint8_t *to,
                                      uint32_t step) {
  uint32_t z[TILE][6], ninth = NINTH;
  for (uint32_t i = 0; i < 6; i++, m += 6 * DQNN_WINOGRAD_COLUMN) {
    uint32_t x[6];
    dqnn_winograd_row(m, x); /* columns 1, 1 + 2, 3, 3 + 4, 0, 0 + 5 */
    uint32_t p = x[1], q = x[3], r = 2 * x[0] - p, s = 2 * x[2] - q;
    z[0][i] = q + 4 * p + 2 * x[4];
    z[1][i] = s + 2 * r;
    z[2][i] = p + q;
    z[3][i] = r + 2 * (s + x[5] - x[4]);
  }
  const channel_rule own = *rule;
  const uint32_t *k = z[0];
  for (uint32_t j = 0; j < TILE; j++, k += 6, to += step) {
    uint32_t p = k[1] + k[2], r = k[1] - k[2], q = k[3] + k[4], s = k[3] - k[4];
    int32_t x[4] = {(int32_t)((q + 4 * p + 2 * k[0]) * ninth) >> 6, (int32_t)((s + 2 * r) * ninth) >> 5,
                    (int32_t)((p + q) * ninth) >> 4, (int32_t)((r + 2 * (s + k[5])) * ninth) >> 4};
    if (kind == DQNN_QUAD_AFFINE) {
      dqnn_affine_values(x, own.scale, own.offset, own.zero_point);
      put_bytes(x, (int8_t *)to);
    } else if (kind == DQNN_QUAD_FIXED) {
      dqnn_fixed_4(x, own.bias, own.multiplier, own.shift, own.zero_point);
      put_bytes(x, (int8_t *)to);
    } else {
      put_sums(x, (int32_t *)(void *)to);
    }
    ninth <<= j < 2; /* columns 1, 2 and 3 count 2, 4 and 4 times less */
  }
}

/* Bytes of n channels to the outputs of two tiles. */
DQNN_NOINLINE void store_bytes(const layer *l, int32_t y, int32_t x, uint32_t channel, uint32_t n) {
  const dqnn_geometry *g = &l->shape;
  int8_t *bytes = (int8_t *)l->sums;
  if (l->narrow) {
    dqnn_clamp_row(&l->epilogue, bytes, TILE * ROW);
  }
  uint32_t outputs = g->outputs;
  int32_t columns = g->out_width - x < 2 * TILE ? g->out_width - x : 2 * TILE;
  for (int32_t i = 0; i < TILE && y + i < g->out_height; i++, bytes += ROW) {
    const int8_t *from = bytes;
    uint32_t pixel = (uint32_t)(y + i) * (uint32_t)g->out_width + (uint32_t)x;
    int8_t *to = (int8_t *)l->call->out + pixel * outputs + channel;
    if (n == DQNN_WINOGRAD_OUTPUTS) {
      for (int32_t j = columns; j; j--, from += DQNN_WINOGRAD_OUTPUTS, to += outputs) {
        memcpy(to, from, DQNN_WINOGRAD_OUTPUTS);
      }
    } else {
      for (int32_t j = columns; j; j--, from += DQNN_WINOGRAD_OUTPUTS, to += outputs) {
        memcpy(to, from, n);
      }
    }
  }
}

/* The largest sums of n channels in the pooling window that begins at `sums`. */
DQNN_INLINE void pool_sums(const dqnn_geometry *g, const int32_t *sums, uint32_t n,
                           int32_t most[DQNN_WINOGRAD_OUTPUTS]) {
  memcpy(most, sums, DQNN_WINOGRAD_OUTPUTS * sizeof *most);
  for (int32_t k = 1; k < g->pool_h * g->pool_w; k++) {
    const int32_t *at = sums + (k / g->pool_w * ROW + k % g->pool_w * DQNN_WINOGRAD_OUTPUTS);
    for (uint32_t c = 0; c < n; c++) {
      most[c] = at[c] > most[c] ? at[c] : most[c];
    }
  }
}

/* Sums of n channels, or the largest of each pooling window, to the output whatever its type. */
DQNN_NOINLINE void emit_sums(const layer *l, int32_t y, int32_t x, uint32_t channel, uint32_t n) {
  const dqnn_geometry *g = &l->shape;
  int32_t most[DQNN_WINOGRAD_OUTPUTS];
  for (int32_t i = 0; i < TILE && y + i < g->out_height; i += g->pool_h) {
    for (int32_t j = 0; j < 2 * TILE && x + j < g->out_width; j += g->pool_w) {
      pool_sums(g, l->sums + i * ROW + j * DQNN_WINOGRAD_OUTPUTS, n, most);
      int32_t pixel = (y + i) / g->pool_h * g->pooled_width + (x + j) / g->pool_w;
      dqnn_emit(l->call, &l->epilogue, most, channel, n, (uint32_t)pixel);
    }
  }
}

/* Outputs channel .. channel + 3, as far as there are any, of two tiles whose products stand in M. */
DQNN_NOINLINE void finish(const layer *l, int32_t y, int32_t x, uint32_t channel) {
  uint32_t left = l->shape.outputs - channel, n = left < DQNN_WINOGRAD_OUTPUTS ? left : DQNN_WINOGRAD_OUTPUTS;
  dqnn_quad_kind kind = l->kind;
  uint32_t bytes = kind == DQNN_QUAD_ANY ? sizeof(int32_t) : 1, step = DQNN_WINOGRAD_OUTPUTS * bytes;
  for (uint32_t c = 0; c < n; c++) {
    const channel_rule rule = rule_of(&l->epilogue, kind, channel + c);
    for (uint32_t tile = 0; tile < 2; tile++) {
      const uint32_t *m = (const uint32_t *)l->products + 2 * c + tile;
      transform_products(m, &rule, kind, (uint8_t *)l->sums + c * bytes + tile * TILE * step, step);
    }
  }
  if (kind == DQNN_QUAD_ANY) {
    emit_sums(l, y, x, channel, n);
  } else {
    store_bytes(l, y, x, channel, n);
  }
}

/* ---- the walk ---- */

static void prepare(const dqnn_call *call, layer *l) {
  dqnn_geometry *g = &l->shape;
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  int32_t zero_point = call->in_def[0]->zero_point;
  l->call = call;
  l->weight_bits = p->weight_bits;
  dqnn_read_geometry(call, g);
  l->quads = g->channels / 4;
  l->zero = dqnn_pair(-zero_point, -zero_point);
  l->outside = dqnn_every_byte((int32_t)p->pad_value);
  l->kind = DQNN_QUAD_ANY;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l->epilogue);
  }
  if (call->out_def->dtype == DQNN_S8) {
    l->kind = dqnn_quad_kind_of(&l->epilogue, g->outputs, 9 * g->channels);
  }
  if (g->pool_cells > 1) {
    l->kind = DQNN_QUAD_ANY;
  }
  l->narrow = l->kind != DQNN_QUAD_ANY && dqnn_quad_narrow(&l->epilogue, l->kind);
  dqnn_conv v = dqnn_conv_of(call, 0);
  uint32_t pairs = dqnn_winograd_pairs(&v), channels = g->channels;
  uint8_t *scratch = (uint8_t *)call->scratch;
  scratch += -(uintptr_t)scratch & 63u;
  l->products = (int32_t *)(void *)scratch;
  l->sums = l->products + DQNN_WINOGRAD_SLOTS * DQNN_WINOGRAD_COLUMN;
  l->v = (uint32_t *)(l->sums + TILE * ROW);
  l->whole = dqnn_winograd_map_bytes(channels, pairs) <= call->scratch_bytes;
  if (l->whole) {
    l->block = 4;
    l->patch = l->u = l->v + pairs * (DQNN_WINOGRAD_TILE_BYTES / 4) * channels;
  } else {
    uint64_t spare = call->scratch_bytes - dqnn_winograd_block_bytes(channels, 0);
    l->block = 4 * ((uint32_t)spare / (DQNN_WINOGRAD_WEIGHT_BYTES * channels));
    l->patch = l->v + DQNN_WINOGRAD_TILE_BYTES / 4 * channels;
    l->u = l->patch + DQNN_WINOGRAD_PATCH_BYTES / 4 * channels;
  }
}

/* All tiles for the outputs first .. end - 1. */
static void run_block(const layer *l, uint32_t first, uint32_t end) {
  const dqnn_geometry *g = &l->shape;
  uint32_t *v = l->v;
  for (int32_t y = 0; y < g->out_height; y += TILE) {
    for (int32_t x = 0; x < g->out_width; x += 2 * TILE) {
      const uint32_t *u = l->u;
      if (!l->whole) {
        make_tiles(l, y / TILE, x / TILE, v);
      }
      for (uint32_t c = first; c < end; c += 4, u += 2 * PAIR_U * l->quads) {
        dqnn_winograd_multiply(v, u, l->products, 2 * l->quads);
        finish(l, y, x, c);
      }
      v += l->whole ? 2 * PAIR_V * l->quads : 0;
    }
  }
}

static void run(const dqnn_call *call) {
  layer l;
  prepare(call, &l);
  const dqnn_geometry *g = &l.shape;
  uint32_t *v = l.v;
  for (int32_t y = 0; l.whole && y < g->out_height; y += TILE) {
    for (int32_t x = 0; x < g->out_width; x += 2 * TILE, v += 2 * PAIR_V * l.quads) {
      make_tiles(&l, y / TILE, x / TILE, v);
    }
  }
  for (uint32_t first = 0; first < g->outputs; first += l.block) {
    uint32_t end = g->outputs - first < l.block ? g->outputs : first + l.block;
    make_weights(&l, first, end);
    run_block(&l, first, end);
  }
}

void dqnn_run_conv_s8_s8_s1_winograd(const dqnn_call *call) {
  run(call);
}
DQNN_SAME_RUN(dqnn_run_conv_s8_s8_s8_winograd, dqnn_run_conv_s8_s8_s1_winograd)
DQNN_SAME_RUN(dqnn_run_conv_s8_s8_f32_winograd, dqnn_run_conv_s8_s8_s1_winograd)
#endif
