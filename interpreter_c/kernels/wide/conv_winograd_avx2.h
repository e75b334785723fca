/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions of 3x3 in columns by Winograd's F(2x2, 3x3): a tile of four outputs takes 16 products of a channel in
 * place of 36. Everything is exact in integers: what is made of the weights is four times too large, so that it has no
 * fractions, and so are the sums, whose last two bits are 0.
 *
 * Four neighbouring tiles of a row at a time: from their inputs in the patch 16 coordinates of each are made, which
 * take the place of windows; weights of a coordinate stand in columns of two input channels.
 *
 * A part of conv_columns_avx2.c. Inputs less their zero point have 9 bits, their coordinates 11, those of weights 12.
 */
#ifndef DQNN_WIDE_CONV_WINOGRAD_AVX2_H
#define DQNN_WIDE_CONV_WINOGRAD_AVX2_H

enum {
  SIDE = 4, /* of a tile's inputs */
  COORDINATES = SIDE * SIDE,
  MOST_CHANNELS = 96, /* their columns and coordinates fit the stack */
  LEAST_PIXELS = 36,  /* for which weights are transformed */
  VECTOR = 16,        /* inputs */
  SPAN = 2 * PIXELS   /* outputs of a row of four tiles */
};

typedef struct {
  _Alignas(64) element coordinates[COORDINATES * PIXELS * MOST_CHANNELS]; /* [coordinate][tile][channel] */
  _Alignas(64) int32_t sums[COORDINATES][PIXELS][2 * CHANNELS];
  _Alignas(64) int32_t outputs[2][SPAN][2 * CHANNELS];
} tiles;

DQNN_INLINE __m256i load_register(const void *from) {
  return _mm256_loadu_si256((const __m256i *)from);
}
DQNN_INLINE void store_register(void *to, __m256i x) {
  _mm256_storeu_si256((__m256i *)to, x);
}

/* ---- weights ---- */

/* Twice G of Winograd's algorithm, for three weights in a line. */
DQNN_INLINE void spread_weights(const __m256i in[3], __m256i out[SIDE]) {
  __m256i ends = _mm256_add_epi16(in[0], in[2]);
  out[0] = _mm256_add_epi16(in[0], in[0]);
  out[1] = _mm256_add_epi16(ends, in[1]);
  out[2] = _mm256_sub_epi16(ends, in[1]);
  out[3] = _mm256_add_epi16(in[2], in[2]);
}

/* Columns of all taps of two channels, `next` apart, to columns of all coordinates, `apart` each. */
static void transform_weights(const weight_column *from, uint32_t next, weight_column *to, uint32_t apart) {
  __m256i lines[3][SIDE], column[SIDE];
  for (uint32_t y = 0; y < 3; y++) {
    const __m256i in[3] = {load_register(from + 3 * y * next), load_register(from + (3 * y + 1) * next),
                           load_register(from + (3 * y + 2) * next)};
    spread_weights(in, lines[y]);
  }
  for (uint32_t x = 0; x < SIDE; x++) {
    const __m256i in[3] = {lines[0][x], lines[1][x], lines[2][x]};
    spread_weights(in, column);
    for (uint32_t y = 0; y < SIDE; y++) {
      store_register(to + (SIDE * y + x) * apart, column[y]);
    }
  }
}

/* [coordinate][CHANNELS outputs][two inputs] of the layer's outputs; the patch serves as memory for columns of taps. */
static void make_weights(block *b) {
  const layer *l = &b->l;
  const uint32_t pairs = l->shape.in_group / 2, eights = (l->shape.out_group + CHANNELS - 1) / CHANNELS;
  weight_column *taps = (weight_column *)(void *)b->patch;
  for (uint32_t i = 0; i < eights; i++) {
    if (l->bits) {
      sort_packed(l, i * CHANNELS, taps);
    } else {
      sort_weights(b, i * CHANNELS, taps);
    }
    for (uint32_t k = 0; k < pairs; k++) {
      transform_weights(taps + k, pairs, b->weights + i * pairs + k, eights * pairs);
    }
  }
}

/* ---- inputs ---- */

DQNN_INLINE void spread_inputs(const __m256i in[SIDE], __m256i out[SIDE]) {
  out[0] = _mm256_sub_epi16(in[0], in[2]);
  out[1] = _mm256_add_epi16(in[1], in[2]);
  out[2] = _mm256_sub_epi16(in[2], in[1]);
  out[3] = _mm256_sub_epi16(in[1], in[3]);
}

/* Column x of what four tiles read, VECTOR channels, down. */
DQNN_INLINE void read_column(const element *from, uint32_t pitch, __m256i out[SIDE]) {
  __m256i in[SIDE];
  for (uint32_t y = 0; y < SIDE; y++) {
    in[y] = load_register(from + y * pitch);
  }
  spread_inputs(in, out);
}

/* from: the first input of four tiles in a row. */
static void make_coordinates(const element *from, uint32_t pitch, uint32_t channels, element *to) {
  for (uint32_t c = 0; c < channels; c += VECTOR) {
    __m256i columns[SIDE][SIDE]; /* [x][y] */
    read_column(from + c, pitch, columns[2]);
    read_column(from + c + channels, pitch, columns[3]);
    for (uint32_t tile = 0; tile < PIXELS; tile++) {
      for (uint32_t y = 0; y < SIDE; y++) {
        columns[0][y] = columns[2][y];
        columns[1][y] = columns[3][y];
      }
      read_column(from + c + (2 * tile + 2) * channels, pitch, columns[2]);
      read_column(from + c + (2 * tile + 3) * channels, pitch, columns[3]);
      for (uint32_t y = 0; y < SIDE; y++) {
        const __m256i in[SIDE] = {columns[0][y], columns[1][y], columns[2][y], columns[3][y]};
        __m256i out[SIDE];
        spread_inputs(in, out);
        for (uint32_t x = 0; x < SIDE; x++) {
          store_register(to + ((SIDE * y + x) * PIXELS + tile) * channels + c, out[x]);
        }
      }
    }
  }
}

/* ---- sums ---- */

/* Of four tiles and two or one times CHANNELS outputs, one coordinate. several is a constant. */
DQNN_INLINE void add_coordinate(const element *from, uint32_t channels, const weight_column *w, uint32_t several,
                                int32_t (*sums)[2 * CHANNELS]) {
  const element *const x[PIXELS] = {from, from + channels, from + 2 * channels, from + 3 * channels};
  counters z;
  for (uint32_t i = 0; i < PIXELS * several; i++) {
    z.of[i / several][i % several] = nothing();
  }
  for (uint32_t at = 0; at < channels; at += TAPS) {
    add_column(x, at, w++, channels / TAPS, several, &z);
  }
  for (uint32_t i = 0; i < PIXELS * several; i++) {
    store_vector(sums[i / several] + i % several * CHANNELS, z.of[i / several][i % several]);
  }
}

DQNN_NOINLINE void add_coordinates(const block *b, uint32_t channel, uint32_t count, tiles *t) {
  const uint32_t channels = b->l.shape.in_group, pairs = channels / 2,
                 all = (b->l.shape.out_group + CHANNELS - 1) / CHANNELS * pairs;
  const weight_column *w = b->weights + channel / CHANNELS * pairs;
  for (uint32_t k = 0; k < COORDINATES; k++, w += all) {
    const element *from = t->coordinates + k * PIXELS * channels;
    if (count > CHANNELS) {
      add_coordinate(from, channels, w, 2, t->sums[k]);
    } else {
      add_coordinate(from, channels, w, 1, t->sums[k]);
    }
  }
}

DQNN_INLINE void gather_sums(const __m256i in[SIDE], __m256i out[2]) {
  out[0] = _mm256_add_epi32(_mm256_add_epi32(in[0], in[1]), in[2]);
  out[1] = _mm256_sub_epi32(_mm256_sub_epi32(in[1], in[2]), in[3]);
}

/* Sums of CHANNELS outputs from c on: those of a tile's four pixels. */
DQNN_INLINE void sum_tile(const tiles *t, uint32_t tile, uint32_t c, __m256i four[2][2]) {
  __m256i rows[2][SIDE];
  for (uint32_t x = 0; x < SIDE; x++) {
    __m256i in[SIDE], two[2];
    for (uint32_t y = 0; y < SIDE; y++) {
      in[y] = load_register(t->sums[SIDE * y + x][tile] + c);
    }
    gather_sums(in, two);
    rows[0][x] = two[0];
    rows[1][x] = two[1];
  }
  gather_sums(rows[0], four[0]);
  gather_sums(rows[1], four[1]);
}

/* Of all four tiles; with a pool of 2x2, the largest of each. */
static void make_outputs(tiles *t, uint32_t count, int pooled) {
  for (uint32_t tile = 0; tile < PIXELS; tile++) {
    for (uint32_t c = 0; c < count; c += CHANNELS) {
      __m256i four[2][2];
      sum_tile(t, tile, c, four);
      if (pooled) {
        __m256i first = _mm256_max_epi32(four[0][0], four[0][1]), second = _mm256_max_epi32(four[1][0], four[1][1]);
        store_register(t->outputs[0][tile] + c, _mm256_srai_epi32(_mm256_max_epi32(first, second), 2));
        continue;
      }
      store_register(t->outputs[0][2 * tile] + c, _mm256_srai_epi32(four[0][0], 2));
      store_register(t->outputs[0][2 * tile + 1] + c, _mm256_srai_epi32(four[0][1], 2));
      store_register(t->outputs[1][2 * tile] + c, _mm256_srai_epi32(four[1][0], 2));
      store_register(t->outputs[1][2 * tile + 1] + c, _mm256_srai_epi32(four[1][1], 2));
    }
  }
}

/* ---- layers ---- */

/* Four tiles, whose first output is (y, x) of the patch and of the shape at work. */
static void run_tiles(block *b, tiles *t, uint32_t y, uint32_t x, uint32_t height, uint32_t width) {
  const layer *l = &b->l;
  const dqnn_geometry *g = &l->shape;
  const uint32_t pitch = b->reader.row_taps, channels = g->in_group, pool = (uint32_t)g->pool_w;
  const uint32_t pixels = (width - x < SPAN ? width - x : SPAN) / pool;
  make_coordinates(b->patch + y * pitch + x * channels, pitch, channels, t->coordinates);
  for (uint32_t c = 0; c < g->out_group; c += 2 * CHANNELS) {
    uint32_t count = g->out_group - c < 2 * CHANNELS ? g->out_group - c : 2 * CHANNELS;
    add_coordinates(b, c, count, t);
    make_outputs(t, count, pool > 1);
    for (uint32_t i = 0; i < 2 / pool && y + i < height; i++) {
      emit_pixels(&l->to, t->outputs[i][0], 2 * CHANNELS, ((y + i) / pool * width + x) / pool, pixels,
                  l->first_output + c, count);
    }
  }
}

/* Whole rows of tiles at a time, as many as the patch holds. */
static void run_rows(block *b) {
  dqnn_geometry *g = &b->l.shape;
  const dqnn_geometry whole = *g;
  const uint32_t width = (uint32_t)whole.out_width;
  uint8_t *out = b->l.to.out;
  tiles t;
  g->out_width = (whole.out_width + SPAN - 1) / SPAN * SPAN;
  for (int32_t y = 0; y < whole.out_height; y += (int32_t)b->tile_height) {
    uint32_t left = (uint32_t)(whole.out_height - y), height = left < b->tile_height ? left : b->tile_height;
    g->out_height = (int32_t)((height + 1) / 2 * 2);
    g->pad_top = whole.pad_top - y;
    b->l.to.out = out + (uint32_t)(y / g->pool_h) * (uint32_t)g->pooled_width * b->l.to.pixel_bytes;
    read_patch(b);
    for (uint32_t row = 0; row < height; row += 2) {
      for (uint32_t x = 0; x < width; x += SPAN) {
        run_tiles(b, &t, row, x, height, width);
      }
    }
  }
  b->l.to.out = out;
  *g = whole;
}

static void run_winograd(layer *l) {
  block *b = (block *)(void *)l;
  dqnn_geometry *g = &l->shape;
  const uint8_t *weights = l->weights;
  uint32_t outputs = g->out_group, first = l->first_output, eights = BLOCK_COLUMNS / (COORDINATES / 2 * g->in_group),
           most = (eights > 1 ? eights / 2 * 2 : eights) * CHANNELS;
  b->reader = *l;
  for (uint32_t done = 0; done < outputs; done += most) {
    g->out_group = outputs - done < most ? outputs - done : most;
    l->weights = weights + bytes_of(l, done);
    l->first_output = first + done;
    make_weights(b);
    run_rows(b);
  }
  g->out_group = outputs;
}

/* Not where transforms and outputs beyond the map take what products save. Sets how many rows of outputs a patch
 * serves. */
static int takes_winograd(block *b) {
  const layer *l = &b->l;
  const dqnn_geometry *g = &l->shape;
  if (g->kernel_h != 3 || g->kernel_w != 3 || g->stride_h != 1 || g->stride_w != 1 || g->dilation_h != 1 ||
      g->dilation_w != 1 || g->pool_h > 2 || g->pool_w != g->pool_h || l->by_inputs || g->in_group % VECTOR != 0 ||
      g->in_group > MOST_CHANNELS || g->out_group < CHANNELS) {
    return 0;
  }
  const uint64_t width = (uint32_t)g->out_width, height = (uint32_t)g->out_height, pixels = width * height,
                 spans = (width + SPAN - 1) / SPAN * SPAN, computed = spans * ((height + 1) / 2 * 2),
                 rows = PATCH_ELEMENTS / ((spans + 2) * g->in_group);
  if (5 * computed > 8 * pixels || pixels < LEAST_PIXELS || rows < SIDE) {
    return 0;
  }
  b->tile_height = (uint32_t)(rows - 2) / 2 * 2;
  b->span = 3;
  b->down = 1;
  return 1;
}

#endif
