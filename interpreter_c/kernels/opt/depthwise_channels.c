/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_* and depthwisez_s8_s8_* with dense windows up to 5x5, stride 1 or 2: a channel at a time,
 * straight from the map (isa/depthwise_channel.h). Windows of 3x3 have code of their own; for all others, which take
 * every column where the stride is 2, too, the time is that of 5x5.
 *
 * A line is a row of the map, or a column where those are longer, as long walks cost less. Lines of outputs that miss
 * no line of the map go together. At its first and last line the window moves inside and its weights move the other
 * way: they stand in columns between zeros. Sums wait until there are many, and all follow the output rule at once.
 *
 * Scratch: the sums of 3x3 windows (dqnn_channels_scratch). Without it there is room for few of them, and lines go in
 * parts. */
#include "depthwise_channels.h"

#include "../../isa/depthwise_channel.h"
#include "emit_quad.h"
#include "geometry.h"

#if DQNN_HAVE_PORTABLE

enum { TAPS = DQNN_CHANNEL_TAPS, COLUMN = DQNN_CHANNEL_COLUMN, FIVE = DQNN_FIVE, WARM = DQNN_FIVE - 1, FOUR = 4 };

/* Along a line, or across lines. */
typedef struct {
  int32_t size, pad, taps; /* of the input; of a window */
  int32_t outputs;
  uint32_t in_step, out_step; /* bytes; elements (s1: words) */
} axis;

typedef struct {
  const dqnn_call *call;
  axis along, across;
  int32_t stride, last; /* the last line where a window lies inside */
  uint32_t channels;
  uint8_t fives, transposed, half_weights, weights; /* weights: dqnn_depthwise_kind */
#if DQNN_HAVE_PACKED
  dqnn_depthwise_unpack unpack; /* NULL: not needed */
#endif
  int32_t zero_point; /* of the input */
  dqnn_quad_kind kind;
  dqnn_epilogue epilogue;
  int32_t *sums;
  uint32_t room;                    /* sums */
  int32_t few[DQNN_CHANNELS_LOCAL]; /* sums without scratch */
} layer;

/* Outputs of all lines from position `first` to first + count - 1: all of a line, if there is room for their sums. The
 * plans have all that does not depend on the channel. */
typedef struct {
  int32_t first, count;
  int32_t inside, lines; /* outputs from here on miss no lines before the map; that have room at a time */
  uint8_t joined;        /* outputs of a line follow those of the line before, `along.out_step` further */
  union {
    dqnn_channel_plan plan;
    dqnn_five_plan five;
  };
  dqnn_channel_output output;
  int32_t start, pad, shift; /* fives: as in dqnn_channel_plan; how far their weights are moved down */
  int32_t warm, walked;      /* fives: outputs that end before the first; sums of a line, with those between outputs */
  int16_t weights[WARM + FIVE * DQNN_FIVE_COLUMN]; /* of a channel, column by column, each between zeros */
} part;

/* ---- weights ---- */

#if DQNN_HAVE_PACKED
#define UNPACKED(l) ((l)->unpack != NULL)
#else
#define UNPACKED(l) 0
#endif

/* Bytes of the taps of a channel, step_of() apart: in the file, or among four unpacked ones, which take the place of
 * sums without scratch: there is more. */
DQNN_INLINE const int8_t *bytes_of(const layer *l, uint32_t c) {
  return UNPACKED(l) ? (const int8_t *)l->few + c % FOUR : (const int8_t *)l->call->constants[0] + c;
}

DQNN_INLINE uint32_t step_of(const layer *l) {
  return UNPACKED(l) ? FOUR : l->channels;
}

/* Columns of weights, `pitch` apart; returns their sum. A half weight w stands for w + 1/2, and sums count halves. */
DQNN_NOINLINE int32_t read_any(const layer *l, uint32_t c, uint32_t pitch, int16_t *to) {
  const uint32_t columns = (uint32_t)l->along.taps, lines = (uint32_t)l->across.taps, step = step_of(l);
  const uint32_t right = l->transposed ? lines : 1, down = l->transposed ? 1 : columns,
                 binary = l->weights & DQNN_DEPTHWISE_SIGNS;
  const int32_t zero_point = l->weights & DQNN_DEPTHWISE_ZERO_POINTS ? ((const int8_t *)l->call->constants[1])[c] : 0;
  const int32_t factor = l->half_weights ? 2 : 1, add = factor - 1 - zero_point; /* never both */
  const int8_t *bytes = bytes_of(l, c);
  const uint32_t *bits = (const uint32_t *)l->call->constants[0] + (c >> 5) * columns * lines;
  int32_t sum = 0;
  for (uint32_t x = 0; x < columns; x++, to += pitch) {
    uint32_t tap = right * x;
    for (uint32_t y = 0; y < lines; y++, tap += down) {
      const int32_t weight = binary ? 1 - 2 * (int32_t)(bits[tap] >> (c & 31u) & 1u) : bytes[tap * step] * factor + add;
      sum += weight;
      to[y] = (int16_t)weight;
    }
  }
  return sum;
}

DQNN_INLINE int32_t read_column(const int8_t *from, uint32_t below, int16_t *to) {
  const int32_t a = (int32_t)from[0], b = (int32_t)from[below], c = (int32_t)from[2 * below];
  to[0] = (int16_t)a;
  to[1] = (int16_t)b;
  to[2] = (int16_t)c;
  return a + b + c;
}

static int32_t read_weights(const layer *l, uint32_t c, int16_t *to) {
  if (l->weights != DQNN_DEPTHWISE_BYTES || l->half_weights) {
    return read_any(l, c, COLUMN, to);
  }
  const uint32_t right = l->transposed ? TAPS : 1, down = l->transposed ? 1 : TAPS;
  const int8_t *from = bytes_of(l, c);
  const uint32_t step = step_of(l), next = right * step, below = down * step;
  int32_t sum = read_column(from, below, to);
  sum += read_column(from + next, below, to + COLUMN);
  return sum + read_column(from + 2 * next, below, to + 2 * COLUMN);
}

/* ---- outputs ---- */

static void put_f32(const layer *l, const int32_t *sums, uint32_t c, uint32_t count, float *out) {
  for (uint32_t i = 0; i < count; i++, out += l->along.out_step) {
    dqnn_emit_f32(&l->epilogue, sums + i, c, 1, out);
  }
}

static void put_s1(const layer *l, const int32_t *sums, uint32_t c, uint32_t count, uint32_t *out) {
  const dqnn_call *call = l->call;
  const int32_t threshold = ((const int32_t *)call->constants[1])[c];
  const uint32_t flip = call->constant_count > 2 ? dqnn_read_bits((const uint32_t *)call->constants[2], c, 1) : 0;
  for (uint32_t i = 0; i < count; i++, out += l->along.out_step) {
    *out |= ((uint32_t)(sums[i] < threshold) ^ flip) << (c & 31u);
  }
}

static void put_s8(const layer *l, const int32_t *sums, uint32_t c, uint32_t count, int8_t *out) {
  for (uint32_t i = 0; i < count; i++, out += l->along.out_step) {
    dqnn_emit_s8(&l->epilogue, sums + i, c, 1, out);
  }
}

/* `at`: where the first of them stands, channel 0. */
DQNN_NOINLINE void put_others(const layer *l, const int32_t *sums, uint32_t c, uint32_t count, uint32_t at) {
  void *out = l->call->out;
  if (l->call->out_def->dtype == DQNN_F32) {
    put_f32(l, sums, c, count, (float *)out + at + c);
  } else if (l->call->out_def->dtype == DQNN_S1) {
    put_s1(l, sums, c, count, (uint32_t *)out + at + (c >> 5));
  } else {
    put_s8(l, sums, c, count, (int8_t *)out + at + c);
  }
}

DQNN_NOINLINE void put_quick(const layer *l, const dqnn_channel_output *output) {
  if (l->kind == DQNN_QUAD_AFFINE) {
    dqnn_channel_affine(output);
  } else {
    dqnn_channel_fixed(output);
  }
}

/* Quick rules take four sums at least: of fewer, each goes four times to the same place. */
DQNN_NOINLINE void put_few(const layer *l, const dqnn_channel_output *output) {
  dqnn_channel_output one = *output;
  one.step = 0;
  one.count = DQNN_CHANNEL_LEAST;
  for (uint32_t i = 0; i < output->count; i++, one.out += output->step) {
    const int32_t sum = output->sums[i], four[] = {sum, sum, sum, sum};
    one.sums = four;
    put_quick(l, &one);
  }
}

DQNN_INLINE void put_run(const layer *l, part *p, const int32_t *sums, uint32_t c, uint32_t count, uint32_t at) {
  if (l->kind == DQNN_QUAD_ANY) {
    put_others(l, sums, c, count, at);
    return;
  }
  p->output.sums = sums;
  p->output.out = (int8_t *)l->call->out + at + c;
  p->output.count = count;
  if (count < DQNN_CHANNEL_LEAST) {
    put_few(l, &p->output);
  } else {
    put_quick(l, &p->output);
  }
}

/* Lines of sums that wait, of outputs from line o on. */
static void put(const layer *l, part *p, uint32_t c, int32_t o, int32_t lines) {
  const int32_t *sums = l->sums;
  uint32_t count = (uint32_t)p->count, at = (uint32_t)o * l->across.out_step + (uint32_t)p->first * l->along.out_step;
  if (p->joined) {
    count *= (uint32_t)lines;
    lines = 1;
  }
  for (; lines; lines--, sums += count, at += l->across.out_step) {
    put_run(l, p, sums, c, count, at);
  }
}

/* ---- the walk ---- */

/* Sums of lines of 3x3 windows; their weights are moved down by `shift`. */
DQNN_INLINE void sum_threes(const layer *l, part *p, const int8_t *in, int32_t shift, int32_t lines, int32_t *sums) {
  dqnn_channel_plan *plan = &p->plan;
  plan->in = in;
  plan->sums = sums;
  plan->weights = p->weights + 1 + shift;
  plan->lines = (uint32_t)lines;
  dqnn_channel_threes(plan, (uint32_t)l->stride - 1);
}

/* Weights of windows that are moved into the map, and what their columns add where they lie outside. */
static void shift_fives(part *p, int32_t shift) {
  dqnn_five_plan *plan = &p->five;
  const int16_t *column = p->weights + WARM + shift, *const last = column + FIVE - 1;
  uint32_t *pairs = plan->weights + 2 * FIVE;
  int32_t outside[FIVE], start = p->start, left, right = 0;
  for (uint32_t k = 0; k < FIVE; k++, column += DQNN_FIVE_COLUMN) {
    const int32_t a = column[0], b = column[1], c = column[2], d = column[3];
    *--pairs = dqnn_pair(c, d);
    *--pairs = dqnn_pair(a, b);
    outside[k] = p->pad * (a + b + c + d + column[4]);
    start -= outside[k];
  }
  pairs[10] = dqnn_pair(last[4 * DQNN_FIVE_COLUMN], last[3 * DQNN_FIVE_COLUMN]);
  pairs[11] = dqnn_pair(last[2 * DQNN_FIVE_COLUMN], last[DQNN_FIVE_COLUMN]);
  pairs[12] = dqnn_pair(last[0], 0);
  plan->start = left = start;
  for (uint32_t k = 0; k < WARM; k++) {
    left += outside[k];
    right += outside[FIVE - 1 - k];
    plan->before[WARM - 1 - k] = left;
    plan->behind[k] = right;
  }
  p->shift = shift;
}

/* The same of any windows up to 5x5. */
DQNN_NOINLINE void sum_fives(part *p, const int8_t *in, int32_t shift, int32_t lines, int32_t *sums) {
  dqnn_five_plan *plan = &p->five;
  if (p->shift != shift) {
    shift_fives(p, shift);
  }
  plan->in = in - (lines - 1) * plan->step;
  plan->sums = sums + (lines - 1) * p->walked - p->warm;
  plan->lines = (uint32_t)lines;
  dqnn_channel_fives(plan);
}

/* With a stride all columns end a sum: what lies between outputs goes. */
static void drop_between(const layer *l, const part *p, int32_t all) {
  int32_t *to = l->sums;
  for (int32_t line = 0; line < all; line += p->walked) {
    for (int32_t i = 0; i < p->walked; i += l->stride) {
      *to++ = l->sums[line + i];
    }
  }
}

/* Sums of outputs o to end - 1: of lines that miss some of the map one by one, all others at once; from the last on, as
 * fives want it. */
static void sum_lines(const layer *l, part *p, const int8_t *in, int32_t o, int32_t end) {
  const int32_t all = (end - o) * p->walked;
  for (int32_t top; end > o; end = top) {
    top = end - 1;
    int32_t at = top * l->stride - l->across.pad, line = at < 0 ? 0 : at > l->last ? l->last : at;
    if (line == at) {
      top = o > p->inside ? o : p->inside;
      at = line = top * l->stride - l->across.pad;
    }
    const int8_t *first = in + (uint32_t)line * l->across.in_step;
    int32_t *sums = l->sums + (top - o) * p->walked;
    if (l->fives) {
      sum_fives(p, first, line - at, end - top, sums);
    } else {
      sum_threes(l, p, first, line - at, end - top, sums);
    }
  }
  if (p->walked > p->count) {
    drop_between(l, p, all);
  }
}

static void run_channel(layer *l, part *p, const int8_t *in, uint32_t c) {
  const dqnn_epilogue *e = &l->epilogue;
  int16_t *last = p->weights + WARM + (FIVE - l->along.taps) * DQNN_FIVE_COLUMN; /* columns */
#if DQNN_HAVE_PACKED
  if (l->unpack && c % FOUR == 0) {
    l->unpack(l->call, c, FOUR, (int8_t *)l->few);
  }
#endif
  p->start = p->pad - l->zero_point;
  p->start *= l->fives ? read_any(l, c, DQNN_FIVE_COLUMN, last) : read_weights(l, c, p->weights + 1);
  if (l->kind == DQNN_QUAD_AFFINE) {
    p->output.scale = e->scale[c];
    p->output.offset = e->offset[c];
  } else if (l->kind == DQNN_QUAD_FIXED) {
    p->start += e->bias[c];
    p->output.multiplier = e->multiplier[c];
    p->output.shift = e->shift[c];
  }
  if (l->fives) {
    p->shift = DQNN_FIVE; /* of none */
  } else {
    p->plan.start = p->start;
  }
  for (int32_t o = 0, end; o < l->across.outputs; o = end) {
    end = l->across.outputs - o < p->lines ? l->across.outputs : o + p->lines;
    sum_lines(l, p, in, o, end);
    put(l, p, c, o, end - o);
  }
}

static void plan_threes(const layer *l, part *p, int32_t from) {
  const axis *along = &l->along, *across = &l->across;
  const int over = from + (p->count - 1) * l->stride + TAPS > along->size;
  p->plan.down = across->in_step;
  p->plan.next = along->in_step;
  p->plan.step = (uint32_t)l->stride * across->in_step;
  p->plan.pad = p->pad;
  p->plan.left = from < 0;
  p->plan.whole = (uint32_t)(p->count - over);
  p->plan.over = (uint32_t)over;
}

static void plan_fives(const layer *l, part *p, int32_t from) {
  const axis *along = &l->along, *across = &l->across;
  const int32_t last = from + p->walked + along->taps - 1, left = from < 0 ? -from : 0;
  const int32_t columns = (last < along->size ? last : along->size) - from - left;
  p->warm = along->taps - 1 - left;
  p->five.down = across->taps > 1 ? across->in_step : 0;
  p->five.down_3 = 3 * p->five.down;
  p->five.next = along->in_step;
  p->five.columns = (uint32_t)columns;
  p->five.over = (uint32_t)(p->walked + p->warm - columns);
  p->five.step = -l->stride * (int32_t)across->in_step;
  p->five.sums_step = -4 * p->walked;
}

static void run_part(layer *l, int32_t first, int32_t count) {
  const axis *along = &l->along;
  const int32_t from = first * l->stride - along->pad;
  part p = {.first = first, .count = count}; /* zeros between the weights */
  p.pad = (int32_t)((const dqnn_conv_params *)l->call->params)->pad_value;
  p.inside = (l->across.pad + l->stride - 1) / l->stride;
  p.walked = l->fives ? (count - 1) * l->stride + 1 : count;
  p.lines = (int32_t)l->room / p.walked;
  p.joined = !l->transposed && count == along->outputs;
  if (l->fives) {
    plan_fives(l, &p, from);
  } else {
    plan_threes(l, &p, from);
  }
  p.output.step = along->out_step;
  if (l->kind != DQNN_QUAD_ANY) {
    p.output.zero_point = l->epilogue.zero_point;
    DQNN_SET_BOUNDS(&p.output, l->epilogue.least + p.output.zero_point, l->epilogue.most + p.output.zero_point);
  }
  const int8_t *in = (const int8_t *)l->call->in[0] + (from > 0 ? (uint32_t)from * along->in_step : 0);
  for (uint32_t c = 0; c < l->channels; c++) {
    run_channel(l, &p, in + c, c);
  }
}

static void prepare(const dqnn_call *call, uint32_t columns, uint32_t zero_points, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry g;
  dqnn_read_geometry(call, &g);
  const uint32_t pixel = call->out_def->dtype == DQNN_S1 ? (g.channels + 31u) >> 5 : g.channels;
  const axis row = {g.width, g.pad_left, g.kernel_w, g.out_width, g.channels, pixel};
  const axis column = {
      g.height, g.pad_top, g.kernel_h, g.out_height, (uint32_t)g.width * g.channels, (uint32_t)g.out_width * pixel};
  l->call = call;
  l->channels = g.channels;
  l->stride = g.stride_h;
  l->transposed = (uint8_t)columns;
  l->along = l->transposed ? column : row;
  l->across = l->transposed ? row : column;
  l->zero_point = call->in_def[0]->zero_point;
  l->last = l->across.size - (!l->fives ? TAPS : l->across.taps > 1 ? FIVE : 1);
  l->half_weights = p->half_weights;
  l->kind = DQNN_QUAD_ANY;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1 + zero_points, &l->epilogue);
  }
  if (call->out_def->dtype == DQNN_S8) {
    l->kind = dqnn_quad_kind_of(&l->epilogue, g.outputs, FIVE * FIVE);
  }
}

void dqnn_run_depthwise_channels(const dqnn_call *call, uint32_t path,
                                 dqnn_depthwise_kind kind DQNN_IF_PACKED(dqnn_depthwise_unpack unpack)) {
  layer l;
  l.fives = (uint8_t)(path & DQNN_CHANNELS_FIVES);
  l.weights = (uint8_t)kind;
  prepare(call, path / DQNN_CHANNELS_COLUMNS, kind & DQNN_DEPTHWISE_ZERO_POINTS, &l);
#if DQNN_HAVE_PACKED
  l.unpack = unpack;
#endif
  const int enough = call->scratch_bytes > sizeof l.few;
  const uint32_t margin = l.fives ? WARM : 0;
  l.sums = (enough ? (int32_t *)call->scratch : l.few) + margin;
  l.room = (enough ? call->scratch_bytes / 4 : DQNN_CHANNELS_LOCAL) - margin;
  const uint32_t pixels = (uint32_t)l.along.outputs * (uint32_t)l.across.outputs;
  if (call->out_def->dtype == DQNN_S1) {
    memset(call->out, 0, (size_t)4 * pixels * ((l.channels + 31u) >> 5)); /* bits come one by one */
  }
  const int32_t most = l.fives ? ((int32_t)l.room - 1) / l.stride + 1 : (int32_t)l.room;
  for (int32_t first = 0, count; first < l.along.outputs; first += count) { /* alike, so that none is short */
    const int32_t left = l.along.outputs - first, parts = (left + most - 1) / most;
    count = (left + parts - 1) / parts;
    run_part(&l, first, count);
  }
  if (!DQNN_RULES_CLAMP && call->out_def->dtype == DQNN_S8 && dqnn_quad_narrow(&l.epilogue, l.kind)) {
    dqnn_clamp_row(&l.epilogue, (int8_t *)call->out, pixels * l.channels);
  }
}
#endif
