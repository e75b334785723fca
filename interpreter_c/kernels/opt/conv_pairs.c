/* conv_{s8,s1}_s8_{s1,s8,f32}: 8-bit weights and integer sums, four output pixels and two channels at a time.
 *
 * The window of a pixel is gathered once as a column of halfword pairs (input minus its zero point; +1, -1 for s1), in the order of the
 * weights (SPEC.md 3.3). Four columns stand interleaved, so that one weight word (two taps of two channels) meets four pixels: 16 products
 * for 17 cycles on a Cortex-M4. All channels then share the columns, their sums wait in `totals` until a pixel is complete.
 *
 * Scratch: columns (16 bytes per pair), one kernel row of halfwords, totals; dqnn_conv_pairs_scratch in the plan. */
#include "kernels/opt/conv_pairs.h"

#include "isa/isa_pairs.h"
#include "kernels/opt/epilogue.h"
#include "kernels/opt/quads.h"

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const uint8_t *image;
  const uint32_t *weights;     /* of the group at work */
  uint32_t pixel_bytes;        /* of the input */
  uint32_t first_channel;      /* of the group at work, input side */
  uint32_t first_output;
  uint32_t row_taps, pairs;    /* elements of a kernel row; pairs of a column */
  uint32_t lanes;              /* pixels interleaved in a column: 4 or 1 */
  int32_t up_h, up_w;
  int32_t zero_point, outside; /* of the input; value of cells outside the map, zero point removed */
  uint8_t binary, half_weights;
  uint32_t *columns;
  int16_t *row;
  int32_t *totals;             /* [pixel][channel of the group] */
  int32_t sums[4];             /* of each column, for half weights */
} layer;

/* ---- gathering ---- */

/* Pairs of `count` (rounded down to even) halfwords into one lane of the columns. */
static void put_pairs(const int16_t *from, uint32_t count, uint32_t *column, uint32_t lanes) {
  for (uint32_t i = count >> 1; i; i--, from += 2, column += lanes) memcpy(column, from, 4);
}

/* The same from s8 cells in memory. */
static void put_s8(const int8_t *from, uint32_t count, int32_t zero_point, uint32_t *column, uint32_t lanes) {
  uint32_t add = dqnn_pair(-zero_point, -zero_point), bytes, pairs[2];
  for (; count >= 4; count -= 4, from += 4, column += 2 * lanes) {
    memcpy(&bytes, from, 4);
    dqnn_widen_s8(bytes, add, pairs);
    column[0] = pairs[0];
    column[lanes] = pairs[1];
  }
  if (count >= 2) *column = dqnn_pair(from[0] - zero_point, from[1] - zero_point);
}

/* The channels of one cell of the map as halfwords. */
static void read_cell(const layer *l, uint32_t y, uint32_t x, int16_t *to) {
  const uint8_t *cell = l->image + (y * (uint32_t)l->shape.width + x) * l->pixel_bytes;
  uint32_t count = l->shape.in_group;
  if (!l->binary) {
    const int8_t *from = (const int8_t *)cell + l->first_channel;
    for (uint32_t i = 0; i < count; i++) to[i] = (int16_t)(from[i] - l->zero_point);
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = l->first_channel + i, word;
    memcpy(&word, cell + 4 * (at >> 5), 4);
    to[i] = (int16_t)(1 - 2 * (int32_t)(word >> (at & 31u) & 1u));
  }
}

static void fill(int16_t *to, uint32_t count, int32_t value) {
  for (; count; count--) *to++ = (int16_t)value;
}

/* One kernel row of a window, tap by tap: borders, groups, dilation, s1. */
static void read_row(const layer *l, int32_t y, int32_t x) {
  const dqnn_geometry *g = &l->shape;
  int32_t row = dqnn_input_index(y, g->height, l->up_h);
  int16_t *to = l->row;
  for (int32_t kx = 0; kx < g->kernel_w; kx++, x += g->dilation_w, to += g->in_group) {
    int32_t column = dqnn_input_index(x, g->width, l->up_w);
    if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
      fill(to, g->in_group, l->outside);
    } else if (row < 0 || column < 0) {
      fill(to, g->in_group, 0);
    } else {
      read_cell(l, (uint32_t)row, (uint32_t)column, to);
    }
  }
}

/* The kernel row lies in memory as one run of s8 cells. */
static const int8_t *direct_row(const layer *l, int32_t y, int32_t x) {
  const dqnn_geometry *g = &l->shape;
  int plain = !l->binary && g->groups == 1 && g->dilation_w == 1 && l->up_h == 1 && l->up_w == 1;
  if (!plain || y < 0 || y >= g->height || x < 0 || x + g->kernel_w > g->width) return NULL;
  return (const int8_t *)l->image + ((uint32_t)y * (uint32_t)g->width + (uint32_t)x) * g->channels;
}

/* The window of one pixel into lane `lane`. The last element of an odd kernel row goes to the pairs after all rows. */
static void gather(const layer *l, dqnn_origin at, uint32_t lane) {
  const dqnn_geometry *g = &l->shape;
  uint32_t taps = l->row_taps, lanes = l->lanes, step = (taps >> 1) * lanes;
  uint32_t *column = l->columns + lane, *odd = column + (uint32_t)g->kernel_h * step;
  for (int32_t ky = 0; ky < g->kernel_h; ky++, at.y += g->dilation_h, column += step) {
    const int8_t *run = direct_row(l, at.y, at.x);
    int32_t last;
    if (run) {
      put_s8(run, taps, l->zero_point, column, lanes);
      last = run[taps - 1] - l->zero_point;
    } else {
      read_row(l, at.y, at.x);
      put_pairs(l->row, taps, column, lanes);
      last = l->row[taps - 1];
    }
    if (!(taps & 1u)) continue;
    uint32_t *pair = odd + ((uint32_t)ky >> 1) * lanes;
    *pair = ky & 1 ? (*pair & 0xffffu) | (uint32_t)last << 16 : (uint32_t)last & 0xffffu;
  }
}

static int32_t column_sum(const layer *l, uint32_t lane) {
  int32_t sum = 0;
  const uint32_t *column = l->columns + lane;
  for (uint32_t i = 0; i < l->pairs; i++, column += l->lanes) sum += dqnn_half(*column, 0) + dqnn_half(*column, 1);
  return sum;
}

/* ---- sums ---- */

/* With half weights a weight w stands for w + 1/2 and sums count halves. */
static int32_t finish_sum(const layer *l, int32_t acc, uint32_t lane) { return l->half_weights ? 2 * acc + l->sums[lane] : acc; }

/* All channels of the four gathered pixels: totals[pixel][channel]. */
static void sum_4(const layer *l) {
  const uint32_t *w = l->weights;
  uint32_t count = l->shape.out_group;
  int32_t acc[8], *total = l->totals;
  for (uint32_t c = 0; c < count; c += 2, w += l->pairs, total += 2) {
    dqnn_dot_4x2(w, l->columns, l->pairs, acc);
    for (uint32_t p = 0; p < 4; p++) {
      total[p * count] = finish_sum(l, acc[p], p);
      if (c + 1 < count) total[p * count + 1] = finish_sum(l, acc[4 + p], p);
    }
  }
}

/* The largest of the four pixels into totals[0][channel]; later groups of a window only raise it. */
static void max_4(const layer *l, int first) {
  const uint32_t *w = l->weights;
  uint32_t count = l->shape.out_group;
  int32_t acc[8], *total = l->totals;
  for (uint32_t c = 0; c < count; c += 2, w += l->pairs) {
    dqnn_dot_4x2(w, l->columns, l->pairs, acc);
    for (uint32_t i = 0; i < 2 && c + i < count; i++, total++) {
      int32_t most = first ? INT32_MIN : *total;
      for (uint32_t p = 0; p < 4; p++) {
        int32_t value = finish_sum(l, acc[4 * i + p], p);
        most = most < value ? value : most;
      }
      *total = most;
    }
  }
}

/* All channels of one pixel. An odd number of channel pairs reads the last pair twice. */
static void sum_1(const layer *l) {
  const uint32_t *w = l->weights;
  uint32_t count = l->shape.out_group;
  int32_t acc[4];
  for (uint32_t c = 0; c < count; c += 4, w += 2 * l->pairs) {
    dqnn_dot_1x4(w, c + 2 < count ? w + l->pairs : w, l->columns, l->pairs, acc);
    for (uint32_t i = 0; i < 4 && c + i < count; i++) l->totals[c + i] = finish_sum(l, acc[i], 0);
  }
}

/* ---- output ---- */

static void emit_s1(const dqnn_call *call, const int32_t *total, uint32_t channel, uint32_t count, uint32_t *out) {
  const int32_t *threshold = (const int32_t *)call->constants[1] + channel;
  const uint32_t *flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
  while (count) {
    uint32_t n = count < 32 ? count : 32, bits = 0;
    for (uint32_t i = 0; i < n; i++) bits |= (uint32_t)(total[i] < threshold[i]) << i;
    if (flip) bits ^= dqnn_read_bits(flip, channel, n);
    dqnn_append_bits(out, channel, n, bits);
    total += n;
    threshold += n;
    channel += n;
    count -= n;
  }
}

static void emit(const layer *l, const int32_t *total, uint32_t pixel) {
  const dqnn_call *call = l->call;
  uint32_t outputs = l->shape.outputs, count = l->shape.out_group, channel = l->first_output;
  if (call->out_def->dtype == DQNN_S1) {
    emit_s1(call, total, channel, count, (uint32_t *)call->out + pixel * ((outputs + 31u) >> 5));
  } else if (call->out_def->dtype == DQNN_S8) {
    dqnn_emit_s8(&l->epilogue, total, channel, count, (int8_t *)call->out + pixel * outputs + channel);
  } else {
    dqnn_emit_f32(&l->epilogue, total, channel, count, (float *)call->out + pixel * outputs + channel);
  }
}

static void quad_gather(void *state, dqnn_origin at, uint32_t lane) {
  layer *l = (layer *)state;
  gather(l, at, lane);
  if (l->half_weights) l->sums[lane] = column_sum(l, lane);
}

static void quad_sum(void *state, uint32_t lanes) {
  const layer *l = (const layer *)state;
  if (lanes == 4) {
    sum_4(l);
  } else {
    sum_1(l);
  }
}

static void quad_maximum(void *state, int first) { max_4((const layer *)state, first); }

static void quad_emit(void *state, uint32_t lane, uint32_t pixel) {
  const layer *l = (const layer *)state;
  emit(l, l->totals + lane * l->shape.out_group, pixel);
}

static const dqnn_quad_ops quad_ops = {quad_gather, quad_sum, quad_maximum, quad_emit};

static void prepare(const dqnn_call *call, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  l->call = call;
  dqnn_read_geometry(call, g);
  l->binary = in->dtype == DQNN_S1;
  l->half_weights = p->half_weights;
  l->up_h = p->up_h;
  l->up_w = p->up_w;
  l->image = (const uint8_t *)call->in[0];
  l->pixel_bytes = l->binary ? (g->channels + 31u) / 32u * 4u : g->channels;
  l->zero_point = l->binary ? 0 : in->zero_point;
  l->outside = (int32_t)p->pad_value - l->zero_point;
  l->row_taps = (uint32_t)g->kernel_w * g->in_group;
  l->pairs = ((uint32_t)g->kernel_h * l->row_taps + 1) >> 1;
  l->lanes = dqnn_quad_lanes(g);
  l->columns = (uint32_t *)call->scratch;
  l->totals = (int32_t *)(l->columns + 4 * l->pairs);
  l->row = (int16_t *)(l->totals + 4 * g->out_group);
  if (call->out_def->dtype != DQNN_S1) dqnn_read_epilogue(call, 1, &l->epilogue);
}

static void run(const dqnn_call *call) {
  layer l;
  prepare(call, &l);
  const dqnn_geometry *g = &l.shape;
  uint32_t group_words = (g->out_group + 1) / 2 * l.pairs;
  for (uint32_t group = 0; group < g->groups; group++) {
    l.weights = (const uint32_t *)call->constants[0] + group * group_words;
    l.first_channel = group * g->in_group;
    l.first_output = group * g->out_group;
    dqnn_quads_run(g, &quad_ops, &l);
  }
}

void dqnn_run_conv_s8_s8_s1_portable(const dqnn_call *call) { run(call); }
void dqnn_run_conv_s8_s8_s8_portable(const dqnn_call *call) { run(call); }
void dqnn_run_conv_s8_s8_f32_portable(const dqnn_call *call) { run(call); }
void dqnn_run_conv_s1_s8_s1_portable(const dqnn_call *call) { run(call); }
void dqnn_run_conv_s1_s8_s8_portable(const dqnn_call *call) { run(call); }
void dqnn_run_conv_s1_s8_f32_portable(const dqnn_call *call) { run(call); }
