/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{s8,s1}_s8_{s1,s8,f32} and convz_s8_s8_{s8,f32} with the byte products of AVX-512 VNNI, for maps of many pixels:
 * sixteen channels side by side, so that no sum is taken across a register.
 *
 * The weights of a block of channels are sorted once into columns: of four taps, sixteen channels. Four inputs, which
 * count as unsigned bytes (stored + 128), go to all of them. What that and the zero point add is a number per channel,
 * which the sums begin with. Windows inside the map are read where they are.
 *
 * Columns and gathered windows stand on the stack. Layers with few pixels, whose columns would not pay, and with
 * windows too long for them stay with conv_pairs_vnni.c. */
#include "conv_columns.h"

#if DQNN_HAVE_VNNI
#include <stdint.h>
#include <string.h>

typedef int8_t element;
#define DQNN_FLOAT_SUMS 0
#define DQNN_ADDED(zero_point) 0
#define DQNN_PAIRS 1
#define DQNN_STORED 1
#include "conv.inc.h"

enum { COLUMN = 64 /* bytes */, TAPS = 4, CHANNELS = 16, BLOCK_CHANNELS = 256 };
enum { BLOCK_BYTES = DQNN_COLUMNS_TAPS * 2 * CHANNELS };

/* A block of output channels; begins with the layer. */
typedef struct {
  layer l;
  uint32_t rows, row_columns, columns; /* of a window; rows: runs of inputs; columns = rows * row_columns */
  int32_t start[BLOCK_CHANNELS];
  uint8_t weights[BLOCK_BYTES]; /* [16 channels][column] */
} block;

static void finish_copy(const layer *l, element *copy) {
  for (uint32_t i = l->window_taps; i < l->copy_elements; i++) {
    copy[i] = 0; /* these have no weights */
  }
}

/* ---- columns ---- */

/* Eight words, four taps of two channels each, of each of eight pairs: to columns. */
static void store_columns(__m512i pair[8], uint32_t count, uint8_t *to) {
  __m512i x[8], y[8];
  for (unsigned i = 0; i < 8; i += 2) {
    x[i] = _mm512_unpacklo_epi64(pair[i], pair[i + 1]); /* columns 0, 2, 4, 6 of two pairs */
    x[i + 1] = _mm512_unpackhi_epi64(pair[i], pair[i + 1]);
  }
  for (unsigned odd = 0; odd < 2; odd++) {
    __m512i a = _mm512_shuffle_i32x4(x[odd], x[odd + 2], 0x88), b = _mm512_shuffle_i32x4(x[odd], x[odd + 2], 0xdd),
            c = _mm512_shuffle_i32x4(x[odd + 4], x[odd + 6], 0x88),
            d = _mm512_shuffle_i32x4(x[odd + 4], x[odd + 6], 0xdd);
    y[odd] = _mm512_shuffle_i32x4(a, c, 0x88);
    y[odd + 4] = _mm512_shuffle_i32x4(a, c, 0xdd);
    y[odd + 2] = _mm512_shuffle_i32x4(b, d, 0x88);
    y[odd + 6] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
  for (uint32_t i = 0; i < count; i++) {
    _mm512_storeu_si512(to + i * COLUMN, y[i]);
  }
}

DQNN_INLINE uint32_t pair_bytes(const layer *l) {
  return (l->window_taps + 1) / 2 * 4;
}

/* Sixteen channels from `channel` of the group on, those beyond the last pair repeat it. */
static void sort_weights(const block *b, uint32_t channel, uint8_t *to) {
  const __m512i apart = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15));
  const layer *l = &b->l;
  uint32_t bytes = pair_bytes(l), last = (l->shape.out_group - 1) / 2, taken = 2 * l->window_taps;
  for (uint32_t at = 0, column = 0; column < b->columns; column += 8, at += COLUMN) {
    uint32_t left = at < taken ? taken - at : 0; /* an odd tap has a weight behind it, which may be anything */
    __mmask64 mask = left >= COLUMN ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
    __m512i pair[8];
    for (uint32_t i = 0; i < 8; i++) {
      uint32_t p = channel / 2 + i < last ? channel / 2 + i : last;
      pair[i] = _mm512_shuffle_epi8(_mm512_maskz_loadu_epi8(mask, l->weights + p * bytes + at), apart);
    }
    store_columns(pair, b->columns - column < 8 ? b->columns - column : 8, to + column * COLUMN);
  }
}

/* What the sums begin with: they take inputs for stored + 128, where they should be stored - zero point. */
static void start_sums(const block *b, const uint8_t *weights, int32_t *start) {
  __m512i sum = _mm512_setzero_si512();
  for (uint32_t i = 0; i < b->columns; i++) {
    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_loadu_si512(weights + i * COLUMN));
  }
  _mm512_storeu_si512(start, _mm512_mullo_epi32(sum, _mm512_set1_epi32(-128 - b->l.hole)));
}

/* ---- sums ---- */

/* Four inputs, for sixteen channels. */
DQNN_INLINE __m512i load_inputs(const int8_t *from) {
  int32_t four;
  memcpy(&four, from, sizeof four);
  return _mm512_xor_si512(_mm512_set1_epi32(four), _mm512_set1_epi8(INT8_MIN));
}

typedef struct {
  __m512i of[PIXELS][2];
} counters;

/* A column of one or two tiles of sixteen channels, with the inputs of PIXELS windows. */
DQNN_INLINE void add_column(const int8_t *const *x, const uint8_t *const *w, uint32_t column, uint32_t tiles,
                            counters *z) {
  __m512i first = _mm512_loadu_si512(w[0] + column * COLUMN), second = first;
  if (tiles > 1) {
    second = _mm512_loadu_si512(w[1] + column * COLUMN);
  }
  for (uint32_t p = 0; p < PIXELS; p++) {
    __m512i inputs = load_inputs(x[p] + TAPS * column);
    z->of[p][0] = _mm512_dpbusd_epi32(z->of[p][0], inputs, first);
    if (tiles > 1) {
      z->of[p][1] = _mm512_dpbusd_epi32(z->of[p][1], inputs, second);
    }
  }
}

/* tiles is a constant. */
DQNN_INLINE void add_columns(const block *b, uint32_t channel, uint32_t tiles, number (*sums)[TILE]) {
  const uint8_t *weights = b->weights + channel / CHANNELS * b->columns * COLUMN;
  const int32_t *start = b->start + channel;
  uint32_t row_bytes = b->row_columns * COLUMN, tile_bytes = b->columns * COLUMN;
  counters z;
  for (uint32_t i = 0; i < PIXELS * tiles; i++) {
    z.of[i / tiles][i % tiles] = _mm512_loadu_si512(start + i % tiles * CHANNELS);
  }
  for (uint32_t row = 0; row < b->rows; row++, weights += row_bytes) {
    const uint8_t *w[2] = {weights, tiles > 1 ? weights + tile_bytes : weights};
    const int8_t *x[PIXELS];
    for (uint32_t p = 0; p < PIXELS; p++) {
      x[p] = b->l.windows[p].at + row * b->l.windows[p].pitch;
    }
    for (uint32_t column = 0; column < b->row_columns; column++) {
      add_column(x, w, column, tiles, &z);
    }
  }
  for (uint32_t i = 0; i < PIXELS * tiles; i++) {
    _mm512_storeu_si512(sums[i / tiles] + i % tiles * CHANNELS, z.of[i / tiles][i % tiles]);
  }
}

DQNN_NOINLINE void add_two_tiles(const block *b, uint32_t channel, number (*sums)[TILE]) {
  add_columns(b, channel, 2, sums);
}
DQNN_NOINLINE void add_a_tile(const block *b, uint32_t channel, number (*sums)[TILE]) {
  add_columns(b, channel, 1, sums);
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  const block *b = (const block *)l;
  (void)pixels; /* few go to conv_pairs_vnni.c */
  if (count > CHANNELS) {
    add_two_tiles(b, channel, sums);
  } else {
    add_a_tile(b, channel, sums);
  }
}

/* ---- layers ---- */

/* Rows of a window that are whole columns are read one by one, others were gathered as one. */
static void set_rows(block *b) {
  layer *l = &b->l;
  int whole = l->row_taps % TAPS == 0;
  b->rows = whole ? (uint32_t)l->shape.kernel_h : 1;
  b->row_columns = whole ? l->row_taps / TAPS : (l->window_taps + TAPS - 1) / TAPS;
  b->columns = b->rows * b->row_columns;
  l->stored = l->type == DQNN_S8 && whole && !l->by_inputs;
}

/* A block of outputs takes the place of a group. */
static void run_blocks(layer *l) {
  block *b = (block *)l;
  dqnn_geometry *g = &l->shape;
  const uint8_t *weights = l->weights;
  uint32_t outputs = g->out_group, first = l->first_output, tile_bytes = b->columns * COLUMN,
           most = BLOCK_BYTES / tile_bytes / 2 * 2 * CHANNELS; /* bits of s1 outputs go on with a word */
  most = most < BLOCK_CHANNELS ? most : BLOCK_CHANNELS;
  for (uint32_t done = 0; done < outputs; done += g->out_group) {
    g->out_group = outputs - done < most ? outputs - done : most;
    l->weights = weights + done / 2 * pair_bytes(l);
    l->first_output = first + done;
    for (uint32_t c = 0; c < g->out_group; c += CHANNELS) {
      uint8_t *to = b->weights + c / CHANNELS * tile_bytes;
      sort_weights(b, c, to);
      start_sums(b, to, b->start + c);
    }
    run_quads(l);
  }
  g->out_group = outputs;
}

void dqnn_run_columns_vnni(const dqnn_call *call, uint32_t zero_points) {
  block b;
  layer *l = &b.l;
  element copies[PIXELS * DQNN_COLUMNS_TAPS];
  prepare_layer(call, zero_points, l);
  l->copies = copies;
  l->copy_elements = (l->window_taps + TAPS - 1) / TAPS * TAPS;
  set_rows(&b);
  run_groups(call, l, (l->shape.out_group + 1) / 2 * pair_bytes(l), run_blocks);
}
#endif
