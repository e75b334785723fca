/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* convh_s1_s1_{s1,s8,f32}: binary convolution output by output, for few outputs, constant time and input dilation.
 *
 * The words under a window are gathered once, in the order of the weights; then each output counts the bits in which
 * they differ from its weights (dqnn_count_nines). Time does not depend on the values.
 *
 * Cells that do not count (outside with pad value 0, holes of an up-sampled input) are gathered as -1. Half the
 * difference to the accumulators with +1 in their place is what they add wrongly: a number per output, which is kept
 * for other windows that leave out the same cells. */
#include "conv_horizontal.h"

#include "epilogue.h"
#include "geometry.h"

#if DQNN_HAVE_PORTABLE

struct layer;
/* Takes the accumulators of one group to an output pixel. */
typedef void (*emit_fn)(const struct layer *l, uint32_t channel, uint8_t *pixel);

/* A window: its first cell, and the taps inside the map, of no use where the input is up-sampled. */
typedef struct {
  uint32_t group;
  int32_t y, x;
  int whole;               /* no tap is outside the map */
  dqnn_taps rows, columns; /* set where some are */
} window;

typedef struct layer {
  emit_fn emit;
  dqnn_geometry shape;
  const uint32_t *image, *weights, *flip;
  const int32_t *thresholds;
  uint32_t pixel_words;       /* of an input pixel */
  uint32_t cell_words, words; /* of one cell of one group; of a window */
  uint32_t last_bits;         /* bits of a cell in its last word */
  dqnn_count_plan plan;       /* of the steps of nine words */
  int32_t up_h, up_w;
  uint32_t up_sampled;
  int32_t last_y, last_x;        /* last position of the dilated input */
  uint32_t pad_word, pad_counts; /* bits outside the map; 0: pad value 0 */
  uint32_t out_pixel_bytes;
  uint32_t side_by_side; /* the cells of a kernel row are neighbours in memory: one group, no dilation of either kind */
  int32_t last_y_inside, last_x_inside; /* where the last window without a cell outside begins */
  uint32_t row_pitch;                   /* words between the rows of a window inside the map */
  uint32_t *gathered;
  int32_t *acc;   /* of a group; twice with a fused pool */
  int32_t *wrong; /* what cells that do not count add, of a group, for each window kept */
  uint32_t keeps;
  window kept[DQNN_HORIZONTAL_KEEPS];
  dqnn_epilogue epilogue;
} layer;

/* ---- counting ---- */

/* Bits in which the words of one output differ from the gathered ones from word `first` on. */
DQNN_NOINLINE uint32_t count_rest(const layer *l, const uint32_t *w, uint32_t first) {
  uint32_t count = 0;
  for (; first + 3 <= l->words; first += 3) {
    const uint32_t *x = l->gathered + first, *v = w + first;
    count = dqnn_add_bytes(count, dqnn_sum_of_three(x[0] ^ v[0], x[1] ^ v[1], x[2] ^ v[2]));
  }
  for (; first < l->words; first++) {
    count += dqnn_popcount(l->gathered[first] ^ w[first]);
  }
  return count;
}

/* Words that make no nine. */
DQNN_NOINLINE void count_rests(const layer *l, const uint32_t *w, int32_t *acc) {
  uint32_t steps = l->plan.steps;
  for (uint32_t o = 0; o < l->plan.outputs; o++, w += l->words) {
    int32_t before = steps > 0 ? acc[o] : l->plan.base;
    acc[o] = before - 2 * (int32_t)count_rest(l, w, 9 * steps);
  }
}

/* acc[o] = accumulator of output o as if every cell counted. */
DQNN_INLINE void accumulate(const layer *l, const uint32_t *w, int32_t *acc) {
  if (l->plan.steps > 0) {
    dqnn_count_nines(l->gathered, w, &l->plan, acc);
  }
  if (l->plan.skip > 0) {
    count_rests(l, w, acc);
  }
}

/* ---- cells ---- */

typedef enum { CELL_INSIDE, CELL_PADDED, CELL_EXCLUDED } cell_kind;

/* Turns a position of the dilated input into one of the input. */
DQNN_INLINE cell_kind locate(int32_t *at, int32_t last, int32_t up, uint32_t pad_counts) {
  if (*at < 0 || *at > last) {
    return pad_counts ? CELL_PADDED : CELL_EXCLUDED;
  }
  if (up == 1) {
    return CELL_INSIDE;
  }
  int32_t whole = *at / up, hole = *at != whole * up;
  *at = whole;
  return hole ? CELL_EXCLUDED : CELL_INSIDE;
}

/* A hole on either axis excludes a cell inside the map; outside on either axis is outside. */
DQNN_NOINLINE cell_kind locate_cell(const layer *l, int32_t *y, int32_t *x) {
  cell_kind row = locate(y, l->last_y, l->up_h, l->pad_counts), column = locate(x, l->last_x, l->up_w, l->pad_counts);
  if (row == CELL_PADDED || column == CELL_PADDED) {
    return CELL_PADDED;
  }
  return row == CELL_EXCLUDED ? CELL_EXCLUDED : column;
}

/* ---- gathering ---- */

static uint32_t *gather_cell(const layer *l, uint32_t *out, const uint32_t *pixel, uint32_t group) {
  uint32_t left = l->shape.in_group, first = group * left;
  for (uint32_t n; left > 0; left -= n, first += n) {
    n = left < 32 ? left : 32;
    *out++ = dqnn_read_bits(pixel, first, n);
  }
  return out;
}

/* Cells that are not inside. */
DQNN_INLINE uint32_t *fill_cells(const layer *l, uint32_t *out, int32_t cells, uint32_t word) {
  const uint32_t words = l->cell_words, last = word & l->last_bits;
  for (; cells > 0; cells--) {
    for (uint32_t i = 1; i < words; i++) {
      *out++ = word;
    }
    *out++ = last;
  }
  return out;
}

/* excluded: bits of cells that do not count. */
DQNN_NOINLINE void gather_any(const layer *l, const window *w, uint32_t excluded) {
  uint32_t *out = l->gathered;
  int32_t y = w->y;
  for (int32_t ky = 0; ky < l->shape.kernel_h; ky++, y += l->shape.dilation_h) {
    int32_t x = w->x;
    for (int32_t kx = 0; kx < l->shape.kernel_w; kx++, x += l->shape.dilation_w) {
      int32_t cell_y = y, cell_x = x;
      cell_kind kind = locate_cell(l, &cell_y, &cell_x);
      if (kind == CELL_INSIDE) {
        out = gather_cell(l, out, l->image + dqnn_cell_index(&l->shape, cell_y, cell_x) * l->pixel_words, w->group);
      } else {
        out = fill_cells(l, out, 1, kind == CELL_PADDED ? l->pad_word : excluded);
      }
    }
  }
}

/* The same where the cells of a row lie side by side in the map. */
DQNN_NOINLINE void gather_border(const layer *l, const window *w, uint32_t outside) {
  const dqnn_geometry *s = &l->shape;
  dqnn_taps rows = w->rows, columns = w->columns;
  uint32_t words = rows.end > 0 ? (uint32_t)(columns.end - columns.first) * l->cell_words : 0,
           pitch = dqnn_row_step(s, rows.end - rows.first) * l->pixel_words;
  uint32_t *out = l->gathered;
  int32_t y = w->y + rows.first * s->dilation_h, x = w->x + columns.first;
  const uint32_t *in = words > 0 ? l->image + dqnn_cell_index(s, y, x) * l->pixel_words : l->image;
  for (int32_t ky = 0; ky < s->kernel_h; ky++) {
    int inside = ky >= rows.first && ky < rows.end;
    out = fill_cells(l, out, inside ? columns.first : s->kernel_w, outside);
    if (inside) {
      out = dqnn_copy_words(out, in, words);
      out = fill_cells(l, out, s->kernel_w - columns.end, outside);
      in += pitch;
    }
  }
}

static void gather(const layer *l, const window *w, uint32_t excluded) {
  if (!l->side_by_side) {
    gather_any(l, w, excluded);
  } else if (!w->whole) {
    gather_border(l, w, l->pad_counts ? l->pad_word : excluded);
  } else {
    uint32_t *out = l->gathered, words = (uint32_t)l->shape.kernel_w * l->cell_words, pitch = l->row_pitch;
    const uint32_t *in = l->image + dqnn_cell_index(&l->shape, w->y, w->x) * l->pixel_words;
    for (int32_t rows = l->shape.kernel_h; rows > 0; rows--, in += pitch) {
      out = dqnn_copy_words(out, in, words);
    }
  }
}

/* ---- cells that do not count ---- */

/* Corrects the accumulators of a window with cells that do not count. Walking along rows, windows at the left border,
 * at the right one and between them return again and again: the last of each is kept. */
DQNN_NOINLINE void exclude(layer *l, const window *w, const uint32_t *weights, int32_t *acc) {
  uint32_t outputs = l->shape.out_group;
  uint32_t keep = l->keeps == 1 || w->whole ? 0 : w->columns.first > 0 ? 1 : w->columns.end < l->shape.kernel_w ? 2 : 0;
  window *kept = l->kept + keep;
  int32_t *wrong = l->wrong + keep * outputs;
  if (l->up_sampled || kept->group != w->group || !dqnn_same_taps(kept->rows, w->rows) ||
      !dqnn_same_taps(kept->columns, w->columns)) {
    gather(l, w, ~0u);
    accumulate(l, weights, wrong);
    for (uint32_t o = 0; o < outputs; o++) {
      wrong[o] = (acc[o] - wrong[o]) / 2;
    }
    *kept = *w;
  }
  for (uint32_t o = 0; o < outputs; o++) {
    acc[o] -= wrong[o];
  }
}

/* ---- the walk ---- */

DQNN_NOINLINE void find_taps(const dqnn_geometry *s, window *w) {
  w->rows = dqnn_taps_inside(w->y, s->kernel_h, s->dilation_h, s->height);
  w->columns = dqnn_taps_inside(w->x, s->kernel_w, s->dilation_w, s->width);
}

/* Accumulators of one group at one position; a later position of a pooling window leaves the maxima. */
static void run_window(layer *l, const window *w, int later) {
  uint32_t outputs = l->shape.out_group;
  const uint32_t *weights = l->weights + w->group * outputs * l->words;
  int32_t *acc = later ? l->acc + outputs : l->acc;
  gather(l, w, 0);
  accumulate(l, weights, acc);
  if (l->up_sampled || !(l->pad_counts || w->whole)) {
    exclude(l, w, weights, acc);
  }
  for (uint32_t o = 0; later && o < outputs; o++) {
    if (acc[o] > l->acc[o]) {
      l->acc[o] = acc[o];
    }
  }
}

static void run_pixel(layer *l, int32_t y, int32_t x, uint8_t *pixel) {
  const dqnn_geometry *s = &l->shape;
  window w;
  for (w.group = 0; w.group < s->groups; w.group++) {
    w.y = y;
    for (int32_t py = 0; py < s->pool_h; py++, w.y += s->stride_h) {
      w.x = x;
      for (int32_t px = 0; px < s->pool_w; px++, w.x += s->stride_w) {
        w.whole = w.x >= 0 && w.x <= l->last_x_inside && w.y >= 0 && w.y <= l->last_y_inside;
        if (!w.whole) {
          find_taps(s, &w);
        }
        run_window(l, &w, px | py);
      }
    }
    l->emit(l, w.group * s->out_group, pixel);
  }
}

static void run_image(layer *l, uint8_t *out) {
  const dqnn_geometry *s = &l->shape;
  int32_t y = -s->pad_top;
  for (int32_t oy = 0; oy < s->out_height; oy += s->pool_h, y += s->pool_h * s->stride_h) {
    int32_t x = -s->pad_left;
    for (int32_t ox = 0; ox < s->out_width; ox += s->pool_w, x += s->pool_w * s->stride_w, out += l->out_pixel_bytes) {
      run_pixel(l, y, x, out);
    }
  }
}

/* ---- outputs and set-up ---- */

static void emit_s1(const layer *l, uint32_t channel, uint8_t *pixel) {
  dqnn_emit_s1(l->thresholds, l->flip, l->acc, channel, l->shape.out_group, (uint32_t *)(void *)pixel);
}

static void emit_s8(const layer *l, uint32_t channel, uint8_t *pixel) {
  dqnn_emit_s8(&l->epilogue, l->acc, channel, l->shape.out_group, (int8_t *)pixel + channel);
}

static void emit_f32(const layer *l, uint32_t channel, uint8_t *pixel) {
  dqnn_emit_f32(&l->epilogue, l->acc, channel, l->shape.out_group, (float *)(void *)pixel + channel);
}

static void set_up(layer *l, const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry *s = &l->shape;
  dqnn_read_geometry(call, s);
  l->image = (const uint32_t *)call->in[0];
  l->weights = (const uint32_t *)call->constants[0];
  l->pixel_words = (s->channels + 31) / 32;
  l->cell_words = (s->in_group + 31) / 32;
  l->last_bits = dqnn_low_bits(s->in_group - 32 * (l->cell_words - 1));
  l->words = dqnn_kernel_cells(s) * l->cell_words;
  l->plan =
      (dqnn_count_plan){s->kernel_h * s->kernel_w * (int32_t)s->in_group, s->out_group, l->words / 9, l->words % 9};
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->up_sampled = p->up_h > 1 || p->up_w > 1;
  l->side_by_side = s->groups == 1 && s->dilation_w == 1 && !l->up_sampled;
  l->last_y_inside = s->height - (s->kernel_h - 1) * s->dilation_h - 1;
  l->last_x_inside = s->width - (s->kernel_w - 1) * s->dilation_w - 1;
  l->row_pitch = dqnn_row_step(s, s->kernel_h) * l->pixel_words;
  l->last_y = (s->height - 1) * p->up_h;
  l->last_x = (s->width - 1) * p->up_w;
  l->pad_counts = p->pad_value != 0.0f;
  l->pad_word = p->pad_value < 0.0f ? ~0u : 0u;
  l->gathered = (uint32_t *)call->scratch;
  l->acc = (int32_t *)(void *)(l->gathered + l->words);
  l->wrong = l->acc + s->out_group * (s->pool_cells > 1 ? 2 : 1);
  l->keeps = dqnn_conv_horizontal_keeps(s->out_group);
  for (uint32_t i = 0; i < DQNN_HORIZONTAL_KEEPS; i++) {
    l->kept[i].group = s->groups; /* none */
  }
}

void dqnn_run_convh_s1_s1_s1_portable(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  l.thresholds = (const int32_t *)call->constants[1];
  l.flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
  l.emit = emit_s1;
  l.out_pixel_bytes = (l.shape.outputs + 31) / 32 * 4;
  run_image(&l, (uint8_t *)call->out);
}

void dqnn_run_convh_s1_s1_s8_portable(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  dqnn_read_epilogue(call, 1, &l.epilogue);
  l.emit = emit_s8;
  l.out_pixel_bytes = l.shape.outputs;
  run_image(&l, (uint8_t *)call->out);
}

void dqnn_run_convh_s1_s1_f32_portable(const dqnn_call *call) {
  layer l;
  set_up(&l, call);
  dqnn_read_epilogue(call, 1, &l.epilogue);
  l.emit = emit_f32;
  l.out_pixel_bytes = 4 * l.shape.outputs;
  run_image(&l, (uint8_t *)call->out);
}
#endif
