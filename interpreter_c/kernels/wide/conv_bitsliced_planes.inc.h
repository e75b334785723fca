/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Counting for conv_bitsliced.inc.h with nothing but bit operations. The weights stay as they lie in the file: one word
 * (row) holds input bit k of 32 outputs. A row meets WIDTH pixels at once as row & mask[k], where lane i of mask[k] is
 * all ones if bit k of pixel i is 1: 32 * WIDTH products in about seven operations. Carry-save adders count the rows in
 * bit planes, as kernels/opt/conv_bitsliced.inc.h does for one pixel; the algebra and the presets are the same (SPEC.md
 * 3.4), always in the form that sums the ones, so time does not depend on the data.
 *
 * Masks of CHUNK rows are made once for PASS blocks of 32 outputs. */
typedef uint32_t vec __attribute__((vector_size(4 * WIDTH)));
typedef int32_t signed_vec __attribute__((vector_size(4 * WIDTH)));

enum { CHUNK = 128, PASS = 8, PLANES = DQNN_MOST_PLANES, STEP = 32 };

/* What 32 outputs of WIDTH windows have counted, in bit planes. An array: within a struct, gcc 12 keeps fewer of them
 * in registers. */
typedef vec counter[PLANES];

/* All lanes are counted anyway. */
DQNN_INLINE uint32_t windows_for(uint32_t n) {
  (void)n;
  return WIDTH;
}
DQNN_INLINE uint32_t windows_of(const windows *w) {
  (void)w;
  return WIDTH;
}

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
static void add_rows(vec *z, const uint32_t *w, const vec *mask, uint32_t count, uint32_t planes) {
  low_planes low;
  memcpy(&low, z + 1, sizeof low);
  for (; count >= STEP; count -= STEP, w += STEP, mask += STEP) {
    add_step(&low, z, w, mask, planes);
  }
  if (count) {
    uint32_t rest[STEP] = {0};
    memcpy(rest, w, 4 * count);
    add_step(&low, z, rest, mask, planes);
  }
  memcpy(z + 1, &low, sizeof low);
}

/* Signs of counters - ones, a word of 32 outputs for each window. */
static void signs_of(const layer *l, const windows *w, counter *counted, uint32_t signs[WIDTH]) {
  const uint32_t last = l->planes - 1;
  const vec *z = *counted;
  vec scalar, carry = {0}, bit;
  memcpy(&scalar, w->ones, sizeof scalar);
  scalar = (vec){0} - scalar;
  for (uint32_t p = 0; p < last; p++) {
    bit = (vec){0} - ((scalar >> p) & 1u);
    carry = (z[p] & bit) | (carry & (z[p] | bit));
  }
  bit = (vec){0} - ((scalar >> last) & 1u);
  carry ^= z[last] ^ bit;
  memcpy(signs, &carry, sizeof carry);
}

/* ---- masks ---- */

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
static void count_blocks(const layer *l, windows *w, uint32_t group, uint32_t first, uint32_t count, counter z[PASS]) {
  vec mask[CHUNK + STEP];
  uint32_t rows = l->column_rows, pitch = (uint32_t)l->shape.kernel_w * (rows + 1);
  const uint32_t *weights = l->weights + (group * l->blocks + first) * pitch;
  memset(w->ones, 0, sizeof w->ones);
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
static void lane_accumulators(const layer *l, const windows *w, counter *counted, uint32_t lane, int32_t acc[32]) {
  const vec *z = *counted;
  thirty_two_ints sum;
  set_all(sum, (int32_t)w->inside[lane] - 2 * (int32_t)w->ones[lane]);
  uint32_t last = l->planes - 1;
  for (uint32_t p = 0; p < last; p++) {
    add_weight(sum, z[p][lane], (int32_t)(2u << p));
  }
  add_weight(sum, z[last][lane], -(int32_t)(2u << last));
  memcpy(acc, sum, sizeof sum);
}
