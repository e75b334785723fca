/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s1_s1_{s1,s8,f32}: each of 32 channels in the bits of a word counts the taps where input and weight differ.
 *
 * s1 output: with N taps, z = 2 * differing + outside + preset (SPEC.md 3.4) is negative exactly where the bit is 0. A
 * carry-save tree adds the words of a 3x3 or 5x5 window, and since only the sign of z is wanted, the last addition
 * needs only its carries. Taps outside a map with pad value 0 differ nowhere; their number is added to the preset.
 * Other sizes and outputs count pairs of taps into planes one after the other.
 *
 * With a depth multiplier the bits of the input are spread first, each to its `multiplier` outputs. No scratch. */
#include "epilogue.h"
#include "geometry.h"
#include "planes.h"

#if DQNN_HAVE_PORTABLE

enum {
  NINE = 9,
  NINE_PLANES = DQNN_NINE_PLANES,
  FIVE = 5,
  FIVE_PLANES = DQNN_25_PLANES,
  MOST_PLANES = 32,
  ROW_WORDS = 4 /* of a pixel, to keep presets for */
};

typedef struct {
  dqnn_geometry shape;
  const uint32_t *image, *weights, *presets, *flip;
  uint32_t pixel_words, out_words, multiplier;
  uint32_t taps, planes;
  uint32_t nine, five; /* a 3x3 or a 5x5 window, no multiplier */
  uint32_t pad_word, pad_skips;
  dqnn_epilogue epilogue;
} layer;

/* A window: its first cell and the taps of it that lie inside. */
typedef struct {
  int32_t y, x;
  dqnn_taps rows, columns;
  uint32_t outside; /* taps that do not count */
} window;

/* A row of 5x5 windows. */
typedef struct {
  dqnn_taps inside; /* rows */
  int32_t y;
  const uint32_t *presets; /* the layer's, or planes */
  uint32_t planes[ROW_WORDS * FIVE_PLANES];
} row;

static dqnn_taps rows_at(const layer *l, int32_t y) {
  return dqnn_taps_inside(y, l->shape.kernel_h, l->shape.dilation_h, l->shape.height);
}

static window window_at(const layer *l, int32_t y, dqnn_taps rows, int32_t x) {
  const dqnn_geometry *s = &l->shape;
  window w = {y, x, rows, dqnn_taps_inside(x, s->kernel_w, s->dilation_w, s->width), 0};
  if (l->pad_skips) {
    w.outside = l->taps - (uint32_t)((w.rows.end - w.rows.first) * (w.columns.end - w.columns.first));
  }
  return w;
}

/* ---- differences ---- */

/* Word `word` of the outputs' view of an input pixel: every bit repeated `multiplier` times. */
DQNN_NOINLINE uint32_t spread_word(const layer *l, const uint32_t *pixel, uint32_t word) {
  uint32_t output = 32 * word, channel = output / l->multiplier, phase = output - channel * l->multiplier, bits = 0;
  for (uint32_t i = 0; i < 32 && channel < l->shape.channels; i++) {
    bits |= (pixel[channel >> 5] >> (channel & 31u) & 1u) << i;
    if (++phase == l->multiplier) {
      phase = 0;
      channel++;
    }
  }
  return bits;
}

/* The input pixel under a tap; NULL outside the map. */
DQNN_INLINE const uint32_t *cell_at(const layer *l, const window *w, int32_t ky, int32_t kx) {
  const dqnn_geometry *s = &l->shape;
  if (ky < w->rows.first || ky >= w->rows.end || kx < w->columns.first || kx >= w->columns.end) {
    return NULL;
  }
  int32_t y = w->y + ky * s->dilation_h, x = w->x + kx * s->dilation_w;
  return l->image + dqnn_cell_index(s, y, x) * l->pixel_words;
}

/* Where the cell of a tap differs from its weight; nowhere if it does not count. */
DQNN_INLINE uint32_t difference(const layer *l, const uint32_t *cell, uint32_t weight, uint32_t word) {
  if (cell) {
    return weight ^ (l->multiplier == 1 ? cell[word] : spread_word(l, cell, word));
  }
  return l->pad_skips ? 0 : weight ^ l->pad_word;
}

/* ---- counting ---- */

/* sum = planes + scalar, the same for all lanes. */
static void add_scalar(uint32_t *sum, const uint32_t *planes, uint32_t count, uint32_t scalar) {
  uint32_t carry = 0;
  for (uint32_t p = 0; p < count; p++, scalar >>= 1) {
    uint32_t x = planes[p];
    sum[p] = x ^ carry ^ (0u - (scalar & 1u));
    carry = scalar & 1u ? carry | x : carry & x;
  }
}

/* Adds every tap to planes[first] and up. */
static void count_taps(const layer *l, const window *w, uint32_t word, uint32_t *planes, uint32_t first) {
  const uint32_t *weight = l->weights + word * l->taps;
  uint32_t waiting = 0, have = 0;
  for (int32_t ky = 0; ky < l->shape.kernel_h; ky++) {
    for (int32_t kx = 0; kx < l->shape.kernel_w; kx++, have ^= 1u) {
      uint32_t differs = difference(l, cell_at(l, w, ky, kx), *weight++, word);
      if (!have) {
        waiting = differs;
        continue;
      }
      uint32_t carry = dqnn_full_add(&planes[first], waiting, differs);
      for (uint32_t p = first + 1; carry; p++) {
        carry = dqnn_half_add(&planes[p], carry);
      }
    }
  }
  for (uint32_t p = first, carry = have ? waiting : 0; carry; p++) {
    carry = dqnn_half_add(&planes[p], carry);
  }
}

/* ---- s1 output ---- */

/* `pixels` neighbouring outputs whose 3x3 or 5x5 windows lie inside the map, but for rows of 5x5 ones. */
static void run_inside(const layer *l, const row *r, int32_t x, int32_t pixels, uint32_t *out) {
  const dqnn_geometry *s = &l->shape;
  const uint32_t pixel = 4 * l->pixel_words, map_row = (uint32_t)s->width * pixel;
  dqnn_nine_plan plan = {l->weights,
                         l->presets,
                         (uint32_t)s->dilation_w * pixel,
                         (uint32_t)s->dilation_h * map_row,
                         pixel,
                         (uint32_t)s->stride_w * pixel,
                         0,
                         0};
  const uint32_t *cell = l->image + dqnn_cell_index(s, r->y + r->inside.first * s->dilation_h, x) * l->pixel_words;
  if (l->nine) {
    dqnn_nine_signs(&plan, cell, out, (uint32_t)pixels);
  } else {
    plan.weights += FIVE * r->inside.first;
    plan.presets = r->presets;
    plan.rows = (uint32_t)(r->inside.end - r->inside.first);
    plan.skip = 4 * FIVE * (FIVE - plan.rows);
    dqnn_25_signs(&plan, cell, out, (uint32_t)pixels);
  }
}

/* Twice the taps of some rows outside a map that counts, of one word. */
static void add_outside(const layer *l, const uint32_t *weight, int32_t rows, uint32_t *planes) {
  for (const uint32_t *end = weight + FIVE * rows; weight < end;) {
    uint32_t carry = *weight++ ^ l->pad_word;
    for (uint32_t p = 1; p < FIVE_PLANES; p++) {
      carry = dqnn_half_add(&planes[p], carry);
    }
  }
}

/* What the taps of 5x5 windows in rows outside the map add goes into presets of the row. */
DQNN_NOINLINE void count_outside(const layer *l, row *r) {
  const uint32_t *preset = l->presets, *weight = l->weights;
  const int32_t before = l->pad_skips ? 0 : r->inside.first, behind = l->pad_skips ? 0 : FIVE - r->inside.end;
  const uint32_t outside = l->pad_skips ? FIVE * (uint32_t)(FIVE - (r->inside.end - r->inside.first)) : 0;
  uint32_t *planes = r->planes;
  r->presets = planes;
  for (uint32_t word = 0; word < l->out_words; word++, preset += FIVE_PLANES, planes += FIVE_PLANES) {
    add_scalar(planes, preset, FIVE_PLANES, outside);
    add_outside(l, weight, before, planes);
    weight += FIVE * FIVE;
    add_outside(l, weight - FIVE * behind, behind, planes);
  }
}

/* One plane of planes + scalar; returns the carry. */
DQNN_INLINE uint32_t add_bit(uint32_t *sum, uint32_t plane, uint32_t scalar, uint32_t bit, uint32_t carry) {
  uint32_t mask = 0u - (scalar >> bit & 1u);
  *sum = plane ^ mask ^ carry;
  return dqnn_majority(plane, mask, carry);
}

/* The same as add_scalar for the six planes of a 3x3 window; written out. */
DQNN_INLINE void add_to_nine(uint32_t sum[NINE_PLANES], const uint32_t *planes, uint32_t scalar) {
  uint32_t carry = planes[0] & (0u - (scalar & 1u));
  sum[0] = 0; /* not looked at */
  carry = add_bit(&sum[1], planes[1], scalar, 1, carry);
  carry = add_bit(&sum[2], planes[2], scalar, 2, carry);
  carry = add_bit(&sum[3], planes[3], scalar, 3, carry);
  sum[4] = planes[4] ^ carry; /* at most nine taps are outside */
  sum[5] = planes[5] ^ (planes[4] & carry);
}

/* The word of the first cell inside, or any. */
static const uint32_t *first_inside(const layer *l, const window *w) {
  const dqnn_geometry *s = &l->shape;
  int32_t y = w->y + w->rows.first * s->dilation_h, x = w->x + w->columns.first * s->dilation_w;
  return w->rows.end > 0 && w->columns.end > 0 ? l->image + dqnn_cell_index(s, y, x) * l->pixel_words : l->image;
}

/* Differences at the taps inside, one word of the pixels; d + 3 * ky + kx for each. cell: that word of the first cell
 * inside. */
DQNN_INLINE void inside_differences(const layer *l, const window *w, const uint32_t *cell, const uint32_t *weight,
                                    uint32_t d[NINE]) {
  uint32_t row_words = dqnn_row_step(&l->shape, w->rows.end - w->rows.first) * l->pixel_words;
  uint32_t column_words = (uint32_t)l->shape.dilation_w * l->pixel_words;
  for (int32_t ky = w->rows.first; ky < w->rows.end; ky++, cell += row_words) {
    const uint32_t *at = cell;
    for (int32_t t = 3 * ky + w->columns.first; t < 3 * ky + w->columns.end; t++, at += column_words) {
      d[t] = *at ^ weight[t];
    }
  }
}

/* Any 3x3 window. keep: see signs. */
static void nine_anywhere(const layer *l, const window *w, uint32_t *out, uint32_t keep) {
  const uint32_t *cell = first_inside(l, w), *weight = l->weights, *preset = l->presets;
  uint32_t d[NINE];
  d[0] = d[1] = d[2] = d[3] = d[4] = d[5] = d[6] = d[7] = d[8] =
      0; /* taps that do not count stay 0; no call of memset */
  for (uint32_t word = 0; word < l->out_words; word++, weight += NINE, preset += NINE_PLANES) {
    uint32_t sum[4], planes[NINE_PLANES];
    for (uint32_t t = 0; !l->pad_skips && t < NINE; t++) {
      d[t] = weight[t] ^ l->pad_word;
    }
    inside_differences(l, w, cell + word, weight, d);
    add_to_nine(planes, preset, w->outside);
    dqnn_sum_nine(d, sum);
    out[word] = dqnn_sign_of_nine(sum, planes) & (out[word] | keep);
  }
}

/* Any 5x5 window: its words are gathered first, those that do not count as what their weights are. */
static void five_anywhere(const layer *l, const window *w, uint32_t *out, uint32_t keep) {
  const dqnn_geometry *s = &l->shape;
  const uint32_t *cell = first_inside(l, w), *weight = l->weights, *preset = l->presets;
  const uint32_t row_words = dqnn_row_step(s, w->rows.end - w->rows.first) * l->pixel_words;
  const uint32_t column_words = (uint32_t)s->dilation_w * l->pixel_words;
  uint32_t taps[FIVE * FIVE], planes[FIVE_PLANES];
  for (uint32_t t = 0; t < FIVE * FIVE; t++) {
    taps[t] = l->pad_word;
  }
  for (uint32_t word = 0; word < l->out_words; word++, weight += FIVE * FIVE, preset += FIVE_PLANES, cell++) {
    dqnn_nine_plan plan = {weight, preset, 4, 4 * FIVE, 4, 4, FIVE, 0};
    if (w->outside) {
      (void)dqnn_copy_words(taps, weight, FIVE * FIVE);
      plan.presets = planes;
      add_scalar(planes, preset, FIVE_PLANES, w->outside);
    }
    const uint32_t *first = cell;
    for (int32_t ky = w->rows.first; ky < w->rows.end; ky++, first += row_words) {
      const uint32_t *at = first;
      for (uint32_t *to = taps + FIVE * ky + w->columns.first, *end = taps + FIVE * ky + w->columns.end; to < end;
           at += column_words) {
        *to++ = *at;
      }
    }
    uint32_t bits;
    dqnn_25_signs(&plan, taps, &bits, 1);
    out[word] = bits & (out[word] | keep);
  }
}

static void any_size(const layer *l, const window *w, uint32_t *out, uint32_t keep) {
  const uint32_t *preset = l->presets;
  for (uint32_t word = 0; word < l->out_words; word++, preset += l->planes) {
    uint32_t planes[MOST_PLANES];
    for (uint32_t p = l->planes; p < MOST_PLANES; p++) {
      planes[p] = 0;
    }
    add_scalar(planes, preset, l->planes, w->outside);
    count_taps(l, w, word, planes, 1);
    out[word] = ~planes[l->planes - 1] & (out[word] | keep);
  }
}

/* keep: 0 to combine with the earlier positions of a pooling window (all must be below their threshold), else all ones.
 */
static void signs(const layer *l, const window *w, uint32_t *out, uint32_t keep) {
  if (l->nine) {
    nine_anywhere(l, w, out, keep);
  } else if (l->five) {
    five_anywhere(l, w, out, keep);
  } else {
    any_size(l, w, out, keep);
  }
}

static void flip_row(const layer *l, uint32_t *out, int32_t pixels) {
  const uint32_t words = l->out_words;
  for (uint32_t word = 0; word < words; word++, out++) {
    uint32_t flip = l->flip[word], *end = out + (uint32_t)pixels * words;
    for (uint32_t *at = out; flip && at < end; at += words) {
      *at ^= flip;
    }
  }
}

/* A row of outputs without pooling; y: first row of the windows. */
static void run_row_s1(const layer *l, int32_t y, uint32_t *out) {
  const dqnn_geometry *s = &l->shape;
  int32_t x = -s->pad_left, last_x = s->width - 1 - (s->kernel_w - 1) * s->dilation_w;
  const dqnn_taps rows = rows_at(l, y);
  const int whole = rows.end - rows.first == s->kernel_h,
            fast = whole ? l->nine || l->five : l->five && rows.end > rows.first && l->out_words <= ROW_WORDS;
  row r;
  r.inside = rows;
  r.y = y;
  r.presets = l->presets;
  if (fast && !whole) {
    count_outside(l, &r);
  }
  for (int32_t ox = 0; ox < s->out_width; ox++, x += s->stride_w) {
    if (fast && x >= 0 && x <= last_x) {
      int32_t run = s->out_width - ox, more = (last_x - x) / s->stride_w; /* a division per row, not per pixel */
      if (run > more + 1) {
        run = more + 1;
      }
      run_inside(l, &r, x, run, out);
      out += (uint32_t)run * l->out_words;
      ox += run - 1;
      x += (run - 1) * s->stride_w;
      continue;
    }
    window w = window_at(l, y, rows, x);
    signs(l, &w, out, ~0u);
    out += l->out_words;
  }
}

/* A row of pooled outputs. */
static void run_pooled_row_s1(const layer *l, int32_t y, uint32_t *out) {
  const dqnn_geometry *s = &l->shape;
  int32_t x = -s->pad_left;
  for (int32_t ox = 0; ox < s->pooled_width; ox++, x += s->pool_w * s->stride_w, out += l->out_words) {
    for (int32_t py = 0; py < s->pool_h; py++) {
      int32_t at = y + py * s->stride_h;
      dqnn_taps rows = rows_at(l, at);
      for (int32_t px = 0; px < s->pool_w; px++) {
        window w = window_at(l, at, rows, x + px * s->stride_w);
        signs(l, &w, out, py | px ? 0 : ~0u);
      }
    }
  }
}

static void run_image_s1(const layer *l, uint32_t *out) {
  const dqnn_geometry *s = &l->shape;
  int32_t y = -s->pad_top;
  for (int32_t oy = 0; oy < s->out_height; oy += s->pool_h, y += s->pool_h * s->stride_h) {
    if (s->pool_cells > 1) {
      run_pooled_row_s1(l, y, out);
    } else {
      run_row_s1(l, y, out);
    }
    if (l->flip) {
      flip_row(l, out, s->pooled_width);
    }
    out += (uint32_t)s->pooled_width * l->out_words;
  }
}

/* ---- s8 and f32 output ---- */

/* For more taps than 16 bits can count. */
DQNN_NOINLINE void many_planes_to_acc(const uint32_t *planes, uint32_t taps, int32_t *acc) {
  uint32_t differing[32] = {0};
  for (uint32_t lane = 0; lane < 32; lane++) {
    for (uint32_t p = 0; p < MOST_PLANES; p++) {
      differing[lane] |= (planes[p] >> lane & 1u) << p;
    }
  }
  for (uint32_t lane = 0; lane < 32; lane++) {
    acc[lane] = (int32_t)(taps - 2 * differing[lane]);
  }
}

/* Counted taps - 2 * differing ones, in place of the planes. */
static const int32_t *planes_to_acc(uint32_t *planes, uint32_t taps) {
  int32_t *acc = (int32_t *)planes;
  if (taps < 0x8000) {
    dqnn_planes_to_int(planes, (int32_t)taps, -2, acc);
  } else {
    many_planes_to_acc(planes, taps, acc);
  }
  return acc;
}

/* Accumulators of a word: the maxima over the pooling window that begins at y, x. */
static void accumulate_word(const layer *l, int32_t y, int32_t x, uint32_t word, int32_t most[32]) {
  const dqnn_geometry *s = &l->shape;
  for (int32_t py = 0; py < s->pool_h; py++) {
    for (int32_t px = 0; px < s->pool_w; px++) {
      uint32_t planes[MOST_PLANES] = {0};
      window w = window_at(l, y + py * s->stride_h, rows_at(l, y + py * s->stride_h), x + px * s->stride_w);
      count_taps(l, &w, word, planes, 0);
      const int32_t *acc = planes_to_acc(planes, l->taps - w.outside);
      for (uint32_t i = 0; i < 32; i++) {
        if (!(py | px) || most[i] < acc[i]) {
          most[i] = acc[i];
        }
      }
    }
  }
}

static void run_pixel_int(const layer *l, int32_t y, int32_t x, uint8_t *out, int is_s8) {
  int32_t acc[32];
  uint32_t outputs = l->shape.outputs;
  for (uint32_t channel = 0; channel < outputs; channel += 32) {
    uint32_t count = outputs - channel < 32 ? outputs - channel : 32;
    accumulate_word(l, y, x, channel / 32, acc);
    if (is_s8) {
      dqnn_emit_s8(&l->epilogue, acc, channel, count, (int8_t *)out + channel);
    } else {
      dqnn_emit_f32(&l->epilogue, acc, channel, count, (float *)(void *)out + channel);
    }
  }
}

/* ---- the walk and set-up ---- */

static void run_image_int(const layer *l, uint8_t *out, uint32_t pixel_bytes, int is_s8) {
  const dqnn_geometry *s = &l->shape;
  int32_t y = -s->pad_top;
  for (int32_t oy = 0; oy < s->out_height; oy += s->pool_h, y += s->pool_h * s->stride_h) {
    int32_t x = -s->pad_left;
    for (int32_t ox = 0; ox < s->out_width; ox += s->pool_w, x += s->pool_w * s->stride_w, out += pixel_bytes) {
      run_pixel_int(l, y, x, out, is_s8);
    }
  }
}

static void set_up(layer *l, const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry *s = &l->shape;
  dqnn_read_geometry(call, s);
  l->image = (const uint32_t *)call->in[0];
  l->weights = (const uint32_t *)call->constants[0];
  l->presets = l->flip = NULL;
  l->pixel_words = (s->channels + 31) / 32;
  l->out_words = (s->outputs + 31) / 32;
  l->multiplier = p->multiplier;
  l->taps = dqnn_kernel_cells(s);
  const int32_t plain = p->multiplier == 1 && s->kernel_h == s->kernel_w ? s->kernel_h : 0;
  l->nine = plain == 3;
  l->five = plain == FIVE;
  l->pad_skips = p->pad_value == 0.0f;
  l->pad_word = p->pad_value < 0.0f ? ~0u : 0u;
  for (l->planes = 1; (UINT64_C(1) << (l->planes - 1)) < 2 * (uint64_t)l->taps + 1;) {
    l->planes++;
  }
}

void dqnn_run_depthwise_s1_s1_s1_portable(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  l.presets = (const uint32_t *)call->constants[1];
  if (call->constant_count > 2) {
    l.flip = (const uint32_t *)call->constants[2];
  }
  run_image_s1(&l, (uint32_t *)call->out);
}

void dqnn_run_depthwise_s1_s1_s8_portable(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  dqnn_read_epilogue(call, 1, &l.epilogue);
  run_image_int(&l, (uint8_t *)call->out, l.shape.outputs, 1);
}

void dqnn_run_depthwise_s1_s1_f32_portable(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  dqnn_read_epilogue(call, 1, &l.epilogue);
  run_image_int(&l, (uint8_t *)call->out, 4 * l.shape.outputs, 0);
}
#endif
