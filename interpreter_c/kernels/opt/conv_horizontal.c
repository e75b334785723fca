/* convh_s1_s1_{s1,s8,f32}: binary convolution output by output, for few outputs, constant time and input dilation.
 *
 * The words under a window are gathered once, in the order of the weights; then each output counts the bits in which
 * they differ from its weights (dqnn_count_nines). Time does not depend on the values.
 *
 * Cells that do not count (outside with pad value 0, holes of an up-sampled input) are gathered as 0 and listed; what
 * their weights add is subtracted again. */
#include "kernels/opt/conv_horizontal.h"

#include "kernels/opt/epilogue.h"
#include "kernels/opt/geometry.h"

struct layer;
/* Takes the accumulators of one group to an output pixel. */
typedef void (*emit_fn)(const struct layer *l, uint32_t channel, uint8_t *pixel);

typedef struct layer {
  emit_fn emit;
  dqnn_geometry shape;
  const uint32_t *image, *weights, *flip;
  const int32_t *thresholds;
  uint32_t pixel_words;       /* of an input pixel */
  uint32_t cell_words, words; /* of one cell of one group; of a window */
  uint32_t steps;             /* of nine words */
  int32_t up_h, up_w;
  int32_t last_y, last_x;        /* last position of the dilated input */
  uint32_t pad_word, pad_counts; /* bits outside the map; 0: pad value 0 */
  uint32_t out_pixel_bytes;
  uint32_t side_by_side; /* the cells of a kernel row are neighbours in memory: one group, no dilation of either kind */
  int32_t last_inside_y, last_inside_x; /* last positions of a window without a cell outside */
  uint32_t row_pitch;                   /* words between the rows of a window */
  int32_t taps;
  uint32_t *gathered;
  int32_t *acc; /* of a group; twice with a fused pool */
  uint32_t *excluded;
  dqnn_epilogue epilogue;
} layer;

typedef struct {
  uint32_t excluded_words;
  int32_t inside; /* taps that count */
} window;

/* ---- counting ---- */

/* Bits in which the words of one output differ from the gathered ones from word `first` on; excluded words count
 * negative. */
static uint32_t count_rest(const layer *l, const window *at, const uint32_t *w, uint32_t first) {
  uint32_t count = 0;
  for (; first + 3 <= l->words; first += 3) {
    const uint32_t *x = l->gathered + first, *v = w + first;
    count = dqnn_add_bytes(count, dqnn_sum_of_three(x[0] ^ v[0], x[1] ^ v[1], x[2] ^ v[2]));
  }
  for (; first < l->words; first++) {
    count += dqnn_popcount(l->gathered[first] ^ w[first]);
  }
  for (uint32_t i = 0; i < at->excluded_words; i++) {
    count -= dqnn_popcount(w[l->excluded[i]]);
  }
  return count;
}

/* acc[o] = accumulator of output o. */
static void accumulate(const layer *l, const window *at, const uint32_t *w, int32_t *acc) {
  dqnn_count_plan plan = {at->inside, l->shape.out_group, l->steps, l->words - 9 * l->steps};
  if (l->steps > 0) {
    dqnn_count_nines(l->gathered, w, &plan, acc);
  }
  if (l->steps > 0 && plan.skip == 0 && at->excluded_words == 0) {
    return;
  }
  for (uint32_t o = 0; o < plan.outputs; o++, w += l->words) {
    int32_t before = l->steps > 0 ? acc[o] : at->inside;
    acc[o] = before - 2 * (int32_t)count_rest(l, at, w, 9 * l->steps);
  }
}

/* ---- gathering ---- */

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
static cell_kind locate_cell(const layer *l, int32_t *y, int32_t *x) {
  cell_kind row = locate(y, l->last_y, l->up_h, l->pad_counts), column = locate(x, l->last_x, l->up_w, l->pad_counts);
  if (row == CELL_PADDED || column == CELL_PADDED) {
    return CELL_PADDED;
  }
  return row == CELL_EXCLUDED ? CELL_EXCLUDED : column;
}

static uint32_t *gather_cell(const layer *l, uint32_t *out, const uint32_t *pixel, uint32_t group) {
  uint32_t left = l->shape.in_group, first = group * left;
  if ((first & 31u) == 0 && (left & 31u) == 0) {
    for (const uint32_t *p = pixel + first / 32; left > 0; left -= 32) {
      *out++ = *p++;
    }
    return out;
  }
  for (uint32_t n; left > 0; left -= n, first += n) {
    n = left < 32 ? left : 32;
    *out++ = dqnn_read_bits(pixel, first, n);
  }
  return out;
}

static uint32_t *fill_cell(const layer *l, uint32_t *out, uint32_t word) {
  uint32_t left = l->shape.in_group;
  for (; left > 32; left -= 32) {
    *out++ = word;
  }
  *out++ = word & dqnn_low_bits(left);
  return out;
}

/* A cell that is not inside: padding, or left out of the sum. */
static uint32_t *gather_other(const layer *l, uint32_t *out, cell_kind kind, window *at) {
  uint32_t *end = fill_cell(l, out, kind == CELL_PADDED ? l->pad_word : 0);
  if (kind == CELL_PADDED) {
    return end;
  }
  at->inside -= (int32_t)l->shape.in_group;
  for (; out < end; out++) {
    l->excluded[at->excluded_words++] = (uint32_t)(out - l->gathered);
  }
  return end;
}

static uint32_t *gather_row(const layer *l, uint32_t *out, int32_t y, int32_t x, uint32_t group, window *at) {
  for (int32_t kx = 0; kx < l->shape.kernel_w; kx++, x += l->shape.dilation_w) {
    int32_t cell_y = y, cell_x = x;
    cell_kind kind = locate_cell(l, &cell_y, &cell_x);
    if (kind == CELL_INSIDE) {
      out = gather_cell(l, out, l->image + (uint32_t)(cell_y * l->shape.width + cell_x) * l->pixel_words, group);
    } else {
      out = gather_other(l, out, kind, at);
    }
  }
  return out;
}

/* A window whose rows lie side by side in the map, first cell at *in: nothing else to do for most positions. */
static void copy_window(const uint32_t *in, uint32_t *out, uint32_t rows, uint32_t row_words, uint32_t pitch) {
  for (; rows > 0; rows--, in += pitch) {
    for (uint32_t i = 0; i < row_words; i++) {
      *out++ = in[i];
    }
  }
}

static void gather_window(const layer *l, int32_t y, int32_t x, uint32_t group, window *at) {
  const dqnn_geometry *s = &l->shape;
  at->excluded_words = 0;
  at->inside = l->taps;
  if (l->side_by_side && x >= 0 && x <= l->last_inside_x && y >= 0 && y <= l->last_inside_y) {
    const uint32_t *in = l->image + (uint32_t)(y * s->width + x) * l->pixel_words;
    copy_window(in, l->gathered, (uint32_t)s->kernel_h, (uint32_t)s->kernel_w * l->pixel_words, l->row_pitch);
    return;
  }
  uint32_t *out = l->gathered;
  for (int32_t ky = 0; ky < s->kernel_h; ky++, y += s->dilation_h) {
    out = gather_row(l, out, y, x, group, at);
  }
}

/* ---- the walk ---- */

/* Accumulators of one group at one position; a later position of a pooling window leaves the maxima. */
static void run_window(const layer *l, int32_t y, int32_t x, uint32_t group, int later) {
  window at;
  uint32_t outputs = l->shape.out_group;
  int32_t *acc = later ? l->acc + outputs : l->acc;
  gather_window(l, y, x, group, &at);
  accumulate(l, &at, l->weights + group * outputs * l->words, acc);
  for (uint32_t o = 0; later && o < outputs; o++) {
    if (acc[o] > l->acc[o]) {
      l->acc[o] = acc[o];
    }
  }
}

static void run_pixel(const layer *l, int32_t y, int32_t x, uint8_t *pixel) {
  const dqnn_geometry *s = &l->shape;
  for (uint32_t group = 0; group < s->groups; group++) {
    for (int32_t py = 0; py < s->pool_h; py++) {
      for (int32_t px = 0; px < s->pool_w; px++) {
        run_window(l, y + py * s->stride_h, x + px * s->stride_w, group, px | py);
      }
    }
    l->emit(l, group * s->out_group, pixel);
  }
}

static void run_image(const layer *l, uint8_t *out) {
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

static uint32_t accumulator_rows(const dqnn_geometry *s) {
  return s->pool_h * s->pool_w > 1 ? 2 : 1;
}

static void set_up(layer *l, const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry *s = &l->shape;
  dqnn_read_geometry(call, s);
  l->image = (const uint32_t *)call->in[0];
  l->weights = (const uint32_t *)call->constants[0];
  l->pixel_words = (s->channels + 31) / 32;
  l->cell_words = (s->in_group + 31) / 32;
  l->words = (uint32_t)(s->kernel_h * s->kernel_w) * l->cell_words;
  l->steps = l->words / 9;
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->side_by_side = s->groups == 1 && s->dilation_w == 1 && p->up_h == 1 && p->up_w == 1;
  l->last_inside_y = s->height - (s->kernel_h - 1) * s->dilation_h - 1;
  l->last_inside_x = s->width - s->kernel_w;
  l->row_pitch = (uint32_t)(s->dilation_h * s->width) * l->pixel_words;
  l->taps = s->kernel_h * s->kernel_w * (int32_t)s->in_group;
  l->last_y = (s->height - 1) * p->up_h;
  l->last_x = (s->width - 1) * p->up_w;
  l->pad_counts = p->pad_value != 0.0f;
  l->pad_word = p->pad_value < 0.0f ? ~0u : 0u;
  l->gathered = (uint32_t *)call->scratch;
  l->acc = (int32_t *)(void *)(l->gathered + l->words);
  l->excluded = (uint32_t *)(void *)(l->acc + s->out_group * accumulator_rows(s));
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
