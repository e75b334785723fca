/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Counting for conv_bitsliced.inc.h where an instruction counts the bits of bytes (CNT of 64-bit Arm). Words of the
 * file, input bit k of 32 outputs, are turned into words of 32 input bits of one output; a vector has four outputs, and
 * a word of a window meets 32 outputs in eight vectors. Counts of bytes are added up for MOST_WORDS words, then go to
 * counters of 32 bits.
 *
 * Words are turned for WIDTH windows, which takes a fifteenth of the time; vector v has outputs v, v + 8, v + 16 and
 * v + 24, as turning leaves them. */
enum { PASS = 4, VECTORS = 8, MOST_WORDS = 31 /* of 8 bits in a byte: 248 */ };

/* Of 32 outputs. */
typedef struct {
  uint32x4_t windows[WIDTH][VECTORS];
} counter;

/* Some words of all windows, and where their weights begin. */
typedef struct {
  uint32_t words;
  uint32_t at[MOST_WORDS], rows[MOST_WORDS]; /* rows: input bits in the word */
  uint32_t x[MOST_WORDS][WIDTH];
} chunk;

/* What is gathered next: bits of a kernel column from `row` on; cells: those under (ky, kx) of all windows. */
typedef struct {
  uint32_t group;
  int32_t kx;
  uint32_t row, ky; /* ky: UINT32_MAX for none */
  const uint32_t *cells[WIDTH];
} place;

/* Windows are counted in pairs. */
DQNN_INLINE uint32_t windows_for(uint32_t n) {
  return (n + 1) & ~1u;
}
DQNN_INLINE uint32_t windows_of(const windows *w) {
  return w->count;
}

/* ---- weights ---- */

/* Swaps the bits of a that `low` has not with those of b that it has, `by` places apart. */
#define SWAP_BITS(a, b, low, by)                          \
  do {                                                    \
    const uint8x16_t old_ = (a), mask_ = vdupq_n_u8(low); \
    (a) = vbslq_u8(mask_, a, vshlq_n_u8(b, by));          \
    (b) = vbslq_u8(mask_, vshrq_n_u8(old_, by), b);       \
  } while (0)

/* Bit k of 32 outputs in rows[k] to 32 bits of each output. */
DQNN_INLINE void turn_rows(const uint32_t *rows, uint32x4_t out[VECTORS]) {
  static const uint8_t bytes[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  const uint8x16_t order = vld1q_u8(bytes);
  const uint32x4x4_t low = vld4q_u32(rows), high = vld4q_u32(rows + 16); /* rows four apart */
  uint8x16_t a[VECTORS];
  for (uint32_t i = 0; i < 4; i++) { /* rows eight apart */
    a[i] = vreinterpretq_u8_u32(vuzp1q_u32(low.val[i], high.val[i]));
    a[i + 4] = vreinterpretq_u8_u32(vuzp2q_u32(low.val[i], high.val[i]));
  }
  for (uint32_t i = 0; i < 4; i++) {
    SWAP_BITS(a[i], a[i + 4], 0x0f, 4);
  }
  for (uint32_t i = 0; i < 4; i++) {
    const uint32_t at = (i & 1) + 2 * (i & 2);
    SWAP_BITS(a[at], a[at + 2], 0x33, 2);
  }
  for (uint32_t i = 0; i < VECTORS; i += 2) {
    SWAP_BITS(a[i], a[i + 1], 0x55, 1);
  }
  for (uint32_t i = 0; i < VECTORS; i++) {
    out[i] = vreinterpretq_u32_u8(vqtbl1q_u8(a[i], order));
  }
}

static void turn_weights(const chunk *c, const uint32_t *weights, uint32x4_t out[MOST_WORDS][VECTORS]) {
  for (uint32_t i = 0; i < c->words; i++) {
    const uint32_t *rows = weights + c->at[i];
    uint32_t some[32] = {0};
    if (c->rows[i] < 32) {
      memcpy(some, rows, 4 * c->rows[i]);
      rows = some;
    }
    turn_rows(rows, out[i]);
  }
}

/* A preset's planes are the low bits of 32 numbers, the last one their sign. */
static void read_preset(const layer *l, const uint32_t *planes, uint32x4_t out[VECTORS]) {
  uint32_t rows[32];
  for (uint32_t p = 0; p < 32; p++) {
    rows[p] = planes[p < l->planes ? p : l->planes - 1];
  }
  turn_rows(rows, out);
}

/* ---- windows ---- */

/* Bits first .. first + n - 1 of all cells, behind the `done` bits that x has. */
static void append_bits(const layer *l, const windows *w, const place *p, uint32_t first, uint32_t n, uint32_t done,
                        uint32_t x[WIDTH]) {
  const uint32_t outside = (l->outside & dqnn_low_bits(n)) << done;
  if (n == 32 && first % 32 == 0) {
    for (uint32_t i = 0; i < w->count; i++) {
      x[i] = p->cells[i] ? p->cells[i][first / 32] : outside;
    }
    return;
  }
  for (uint32_t i = 0; i < w->count; i++) {
    x[i] |= p->cells[i] ? dqnn_read_bits(p->cells[i], first, n) << done : outside;
  }
}

/* The next word, of at most 32 bits of a kernel column. */
static void append_word(const layer *l, const windows *w, place *p, chunk *c) {
  const uint32_t channels = l->shape.in_group, left = l->column_rows - p->row, rows = left < 32 ? left : 32;
  uint32_t *x = c->x[c->words];
  c->at[c->words] = (uint32_t)p->kx * (l->column_rows + 1) + p->row;
  c->rows[c->words++] = rows;
  for (uint32_t done = 0, n; done < rows; done += n, p->row += n) {
    const uint32_t ky = p->row / channels, channel = p->row % channels;
    if (ky != p->ky) {
      find_cells(l, w, (int32_t)ky, p->kx, p->cells);
      p->ky = ky;
    }
    n = channels - channel < rows - done ? channels - channel : rows - done;
    append_bits(l, w, p, p->group * channels + channel, n, done, x);
  }
  if (p->row == l->column_rows) {
    p->row = 0;
    p->ky = UINT32_MAX;
    p->kx++;
  }
}

static void gather(const layer *l, const windows *w, place *p, chunk *c) {
  memset(c, 0, sizeof *c);
  while (c->words < MOST_WORDS && p->kx < l->shape.kernel_w) {
    append_word(l, w, p, c);
  }
}

static void count_ones(const chunk *c, windows *w) {
  for (uint32_t i = 0; i < w->count; i += 4) {
    uint8x16_t sum = vdupq_n_u8(0);
    for (uint32_t k = 0; k < c->words; k++) {
      sum = vaddq_u8(sum, vcntq_u8(vreinterpretq_u8_u32(vld1q_u32(c->x[k] + i))));
    }
    vst1q_u32(w->ones + i, vpadalq_u16(vld1q_u32(w->ones + i), vpaddlq_u8(sum)));
  }
}

/* ---- one set of windows ---- */

/* Twice the sums of two bytes: so a bit that is 1 on both sides counts. */
DQNN_INLINE uint16x8_t twice(uint8x16_t counts) {
  return vshlq_n_u16(vpaddlq_u8(counts), 1);
}

/* Windows i and i + 1. */
static void count_pair(const chunk *c, uint32x4_t weights[MOST_WORDS][VECTORS], uint32_t i, uint32x4_t z[2][VECTORS]) {
  uint8x16_t a[VECTORS], b[VECTORS];
  for (uint32_t v = 0; v < VECTORS; v++) {
    a[v] = b[v] = vdupq_n_u8(0);
  }
  for (uint32_t k = 0; k < c->words; k++) {
    const uint8x16_t x = vreinterpretq_u8_u32(vld1q_dup_u32(c->x[k] + i)),
                     y = vreinterpretq_u8_u32(vld1q_dup_u32(c->x[k] + i + 1));
    for (uint32_t v = 0; v < VECTORS; v++) {
      if (v == VECTORS / 2) {
        __asm__ volatile("" : : : "memory"); /* or gcc loads all eight at once and runs out of registers */
      }
      const uint8x16_t bits = vreinterpretq_u8_u32(weights[k][v]);
      a[v] = vaddq_u8(a[v], vcntq_u8(vandq_u8(bits, x)));
      b[v] = vaddq_u8(b[v], vcntq_u8(vandq_u8(bits, y)));
    }
  }
  for (uint32_t v = 0; v < VECTORS; v++) {
    z[0][v] = vpadalq_u16(z[0][v], twice(a[v]));
    z[1][v] = vpadalq_u16(z[1][v], twice(b[v]));
  }
}

/* Neighbours mostly share a border class, or have one of three. */
static void start_counter(const layer *l, const windows *w, uint32_t group, uint32_t block, counter *z) {
  enum { KEPT = 4 };
  uint32x4_t presets[KEPT][VECTORS];
  uint32_t classes[KEPT] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
  for (uint32_t i = 0; i < w->count; i++) {
    const uint32_t class = w->classes[i], at = class % KEPT;
    if (classes[at] != class) {
      classes[at] = class;
      read_preset(l, l->presets + ((class * l->shape.groups + group) * l->blocks + block) * l->planes, presets[at]);
    }
    memcpy(z->windows[i], presets[at], sizeof presets[at]);
  }
}

/* Counters of blocks first .. first + count - 1 (count <= PASS). */
static void count_blocks(const layer *l, windows *w, uint32_t group, uint32_t first, uint32_t count, counter z[PASS]) {
  const uint32_t pitch = (uint32_t)l->shape.kernel_w * (l->column_rows + 1);
  const uint32_t *weights = l->weights + (group * l->blocks + first) * pitch;
  place p = {.group = group, .ky = UINT32_MAX};
  memset(w->ones, 0, sizeof w->ones);
  for (uint32_t b = 0; b < count; b++) {
    start_counter(l, w, group, first + b, z + b);
  }
  while (p.kx < l->shape.kernel_w) {
    chunk c;
    uint32x4_t turned[MOST_WORDS][VECTORS];
    gather(l, w, &p, &c);
    count_ones(&c, w);
    for (uint32_t b = 0; b < count; b++) {
      turn_weights(&c, weights + b * pitch, turned);
      for (uint32_t i = 0; i < w->count; i += 2) {
        count_pair(&c, turned, i, z[b].windows + i);
      }
    }
  }
}

/* Signs of counters - ones, a word of 32 outputs for each window. Presets are numbers of `planes` bits, and so are
 * these. */
static void signs_of(const layer *l, const windows *w, counter *counted, uint32_t signs[WIDTH]) {
  static const int32_t shifts[4] = {0, 8, 16, 24};
  const int32x4_t places = vld1q_s32(shifts), high = vdupq_n_s32(32 - (int32_t)l->planes);
  for (uint32_t i = 0; i < w->count; i++) {
    const uint32x4_t *z = counted->windows[i], ones = vdupq_n_u32(w->ones[i]);
    uint32x4_t bits = vdupq_n_u32(0);
    for (uint32_t v = 0; v < VECTORS; v++) { /* into the highest bit, what is there goes down */
      bits = vsriq_n_u32(vshlq_u32(vsubq_u32(z[v], ones), high), bits, 1);
    }
    signs[i] = vaddvq_u32(vshlq_u32(vshrq_n_u32(bits, 24), places));
  }
}

/* Accumulators of one window and block: inside - 2 * ones + 2 * z. */
static void lane_accumulators(const layer *l, const windows *w, counter *counted, uint32_t lane, int32_t acc[32]) {
  const int32_t beyond = 32 - (int32_t)l->planes;
  const int32x4_t base = vdupq_n_s32((int32_t)(w->inside[lane] - 2 * w->ones[lane])), high = vdupq_n_s32(beyond),
                  down = vdupq_n_s32(1 - beyond);
  for (uint32_t half = 0; half < 2; half++) {
    const int32x4x4_t z = vld4q_s32((const int32_t *)(counted->windows[lane] + 4 * half));
    for (uint32_t i = 0; i < 4; i++) {
      vst1q_s32(acc + 8 * i + 4 * half, vaddq_s32(base, vshlq_s32(vshlq_s32(z.val[i], high), down)));
    }
  }
}
