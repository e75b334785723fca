/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_* and depthwisez_s8_s8_* with dense 3x3 windows, stride 1 or 2: a channel at a time, straight
 * from the map (isa/depthwise_channel.h).
 *
 * A line is a row of the map, or a column where those are longer, as long walks cost less. Lines of outputs that miss
 * no line of the map go together. At its first and last line the window moves inside and its weights move the other
 * way: they stand in columns between zeros. Sums wait until there are many, and all follow the output rule at once.
 *
 * Scratch: the sums (dqnn_channels_scratch). Without it there is room for few of them, and lines go in parts. */
#include "depthwise_channels.h"

#include "../../isa/depthwise_channel.h"
#include "emit_quad.h"
#include "geometry.h"

#if DQNN_HAVE_PORTABLE

enum { TAPS = DQNN_CHANNEL_TAPS, COLUMN = DQNN_CHANNEL_COLUMN };

/* Along a line, or across lines. */
typedef struct {
  int32_t size, pad; /* of the input */
  int32_t outputs;
  uint32_t in_step, out_step; /* bytes; elements (s1: words) */
} axis;

typedef struct {
  const dqnn_call *call;
  axis along, across;
  int32_t stride, last; /* the last line where a window lies inside */
  uint32_t channels;
  uint8_t transposed, binary_weights, half_weights;
  const int8_t *weight_zero_points; /* NULL: 0 */
  int32_t zero_point;               /* of the input */
  dqnn_quad_kind kind;
  dqnn_epilogue epilogue;
  int32_t *sums;
  uint32_t room; /* sums */
} layer;

/* Outputs of all lines from position `first` to first + count - 1: all of a line, if there is room for their sums. The
 * plans have all that does not depend on the channel. */
typedef struct {
  int32_t first, count;
  int32_t inside, lines; /* outputs from here on miss lines behind the map; that have room at a time */
  uint8_t joined;        /* outputs of a line follow those of the line before, `along.out_step` further */
  dqnn_channel_plan plan;
  dqnn_channel_output output;
  int16_t weights[TAPS * COLUMN]; /* of a channel, column by column, each between zeros */
} part;

/* ---- weights ---- */

static int32_t weight_of(const layer *l, uint32_t tap, uint32_t c) {
  if (l->binary_weights) {
    const uint32_t *word = (const uint32_t *)l->call->constants[0] + (c >> 5) * TAPS * TAPS + tap;
    return 1 - 2 * (int32_t)(*word >> (c & 31u) & 1u);
  }
  const int32_t weight = (int32_t)((const int8_t *)l->call->constants[0])[tap * l->channels + c];
  return l->half_weights ? 2 * weight + 1 : weight; /* w stands for w + 1/2, sums count halves */
}

/* Columns of weights; returns their sum. */
DQNN_NOINLINE int32_t read_any(const layer *l, uint32_t c, uint32_t right, uint32_t down, int16_t *to) {
  const int32_t zero_point = l->weight_zero_points ? (int32_t)l->weight_zero_points[c] : 0;
  int32_t sum = 0;
  for (uint32_t x = 0; x < TAPS; x++, to += COLUMN) {
    for (uint32_t y = 0; y < TAPS; y++) {
      const int32_t weight = weight_of(l, right * x + down * y, c) - zero_point;
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
  const uint32_t right = l->transposed ? TAPS : 1, down = l->transposed ? 1 : TAPS;
  if (l->binary_weights || l->half_weights || l->weight_zero_points) {
    return read_any(l, c, right, down, to);
  }
  const int8_t *from = (const int8_t *)l->call->constants[0] + c;
  const uint32_t next = right * l->channels, below = down * l->channels;
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

static void put_quick(const layer *l, const dqnn_channel_output *output) {
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
    const int32_t sum = output->sums[i], four[DQNN_CHANNEL_LEAST] = {sum, sum, sum, sum};
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
  const uint32_t count = (uint32_t)p->count;
  uint32_t at = (uint32_t)o * l->across.out_step + (uint32_t)p->first * l->along.out_step;
  if (p->joined) {
    put_run(l, p, sums, c, (uint32_t)lines * count, at);
    return;
  }
  for (; lines; lines--, sums += count, at += l->across.out_step) {
    put_run(l, p, sums, c, count, at);
  }
}

/* ---- the walk ---- */

/* Sums of outputs o to end - 1: of lines that miss some of the map one by one, all others at once. */
static void sum_lines(const layer *l, part *p, const int8_t *in, int32_t o, int32_t end) {
  dqnn_channel_plan *plan = &p->plan;
  plan->sums = l->sums;
  for (int32_t lines; o < end; o += lines) {
    const int32_t at = o * l->stride - l->across.pad, line = at < 0 ? 0 : at > l->last ? l->last : at;
    lines = line != at ? 1 : (end < p->inside ? end : p->inside) - o;
    plan->in = in + (uint32_t)line * plan->down;
    plan->weights = p->weights + 1 + (line - at);
    plan->lines = (uint32_t)lines;
    if (l->stride == 1) {
      dqnn_channel_dense(plan);
    } else {
      dqnn_channel_strided(plan);
    }
    plan->sums += lines * p->count;
  }
}

static void run_channel(const layer *l, part *p, const int8_t *in, uint32_t c) {
  const dqnn_epilogue *e = &l->epilogue;
  p->plan.start = (p->plan.pad - l->zero_point) * read_weights(l, c, p->weights + 1);
  if (l->kind == DQNN_QUAD_AFFINE) {
    p->output.scale = e->scale[c];
    p->output.offset = e->offset[c];
  } else if (l->kind == DQNN_QUAD_FIXED) {
    p->plan.start += e->bias[c];
    p->output.multiplier = e->multiplier[c];
    p->output.shift = e->shift[c];
  }
  for (int32_t o = 0, end; o < l->across.outputs; o = end) {
    end = l->across.outputs - o < p->lines ? l->across.outputs : o + p->lines;
    sum_lines(l, p, in, o, end);
    put(l, p, c, o, end - o);
  }
}

static void run_part(const layer *l, int32_t first, int32_t count) {
  const axis *along = &l->along, *across = &l->across;
  const int32_t from = first * l->stride - along->pad;
  const int left = from<0, over = from + (count - 1) * l->stride + TAPS> along->size;
  part p = {.first = first, .count = count};
  p.inside = (l->last + across->pad) / l->stride + 1;
  p.lines = (int32_t)l->room / count;
  p.joined = !l->transposed && count == along->outputs;
  p.plan.down = across->in_step;
  p.plan.next = along->in_step;
  p.plan.step = (uint32_t)l->stride * across->in_step;
  p.plan.pad = (int32_t)((const dqnn_conv_params *)l->call->params)->pad_value;
  p.plan.left = (uint32_t)left;
  p.plan.whole = (uint32_t)(count - over);
  p.plan.over = (uint32_t)over;
  p.output.step = along->out_step;
  p.output.zero_point = l->epilogue.zero_point;
  const int8_t *in = (const int8_t *)l->call->in[0] + (uint32_t)(from + left) * along->in_step;
  for (uint32_t c = 0; c < l->channels; c++) {
    run_channel(l, &p, in + c, c);
  }
}

static void prepare(const dqnn_call *call, uint32_t zero_points, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry g;
  dqnn_read_geometry(call, &g);
  const uint32_t pixel = call->out_def->dtype == DQNN_S1 ? (g.channels + 31u) >> 5 : g.channels;
  axis row = {g.width, g.pad_left, g.out_width, g.channels, pixel};
  axis column = {g.height, g.pad_top, g.out_height, (uint32_t)g.width * g.channels, (uint32_t)g.out_width * pixel};
  l->call = call;
  l->channels = g.channels;
  l->stride = g.stride_h;
  l->transposed = (uint8_t)dqnn_walks_columns(g.height, g.width);
  l->along = l->transposed ? column : row;
  l->across = l->transposed ? row : column;
  l->zero_point = call->in_def[0]->zero_point;
  l->last = l->across.size - TAPS;
  l->half_weights = p->half_weights;
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->kind = DQNN_QUAD_ANY;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1 + zero_points, &l->epilogue);
  }
  if (call->out_def->dtype == DQNN_S8) {
    l->kind = dqnn_quad_kind_of(&l->epilogue, g.outputs, TAPS * TAPS);
  }
}

void dqnn_run_depthwise_channels(const dqnn_call *call, int binary_weights, uint32_t zero_points) {
  int32_t few[DQNN_CHANNELS_LOCAL];
  layer l;
  prepare(call, zero_points, &l);
  l.binary_weights = (uint8_t)binary_weights;
  const int enough = call->scratch_bytes > sizeof few;
  l.sums = enough ? (int32_t *)call->scratch : few;
  l.room = enough ? call->scratch_bytes / 4 : DQNN_CHANNELS_LOCAL;
  const uint32_t pixels = (uint32_t)l.along.outputs * (uint32_t)l.across.outputs;
  if (call->out_def->dtype == DQNN_S1) {
    memset(call->out, 0, (size_t)4 * pixels * ((l.channels + 31u) >> 5)); /* bits come one by one */
  }
  const int32_t outputs = l.along.outputs, room = (int32_t)l.room;
  for (int32_t first = 0; first < outputs; first += room) {
    run_part(&l, first, outputs - first < room ? outputs - first : room);
  }
  if (call->out_def->dtype == DQNN_S8 && dqnn_quad_narrow(&l.epilogue, l.kind)) {
    dqnn_clamp_row(&l.epilogue, (int8_t *)call->out, pixels * l.channels);
  }
}
#endif
