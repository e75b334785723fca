/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_* and depthwisez_s8_s8_* with dense 3x3 windows: four channels at a time are spread into pairs
 * of lines of halfwords (dqnn_depthwise_lines), each channel is then a convolution of one channel with its nine weights
 * in six registers.
 *
 * A line is a row of the map, or a column where those are longer, as long walks cost less. A pair of lines of outputs
 * reads two pairs of lines of inputs; the further one is the nearer one of the next walk, so that each cell is spread
 * once. Cells outside the map hold the pad value. The last four channels overlap the ones before where the channels
 * are no multiple of four. Groups of four sums that reach beyond the map store to the first of them, which comes last.
 *
 * Scratch: dqnn_planes_scratch. */
#include "depthwise_planes.h"

#include "../../isa/depthwise_lines.h"
#include "../../isa/halves.h"
#include "emit_quad.h"
#include "geometry.h"

#if DQNN_HAVE_PORTABLE

enum { LANES = DQNN_LANES, WEIGHTS = 6 };

/* Along a line, or across lines. */
typedef struct {
  int32_t size, pad; /* of the input */
  uint32_t outputs;
  uint32_t in_step, out_step; /* bytes, pixels */
} axis;

typedef struct {
  const dqnn_call *call;
  axis along, across;
  uint32_t channels, stride;
  uint32_t words, blocks;      /* of a walk */
  uint32_t per_block;          /* outputs of a line for four sums */
  uint32_t whole, rest;        /* groups of four sums, outputs of the last one */
  uint32_t out_step, out_down; /* along, across, in elements (s1: words) */
  uint32_t add;                /* minus the zero point, in both halves */
  uint32_t outside;            /* four bytes of a cell outside the map */
  uint32_t margin, inside;     /* words before the map and in it */
  uint8_t transposed, binary_weights, half_weights;
  const int8_t *weight_zero_points; /* NULL: 0 */
  dqnn_quad_kind kind;
  dqnn_epilogue epilogue;
  uint32_t *weights; /* [4 channels][WEIGHTS] */
  uint32_t *pairs;   /* [2][4 channels][words] */
  int32_t *sums;     /* [blocks][4 outputs][4 channels] */
} layer;

/* ---- weights ---- */

/* Four channels of a tap as bytes. */
static uint32_t weight_bytes(const layer *l, uint32_t row, uint32_t column, uint32_t first) {
  const uint32_t tap = l->transposed ? 3 * column + row : 3 * row + column, shift = first & 31u;
  uint32_t bytes;
  if (!l->binary_weights) {
    memcpy(&bytes, (const int8_t *)l->call->constants[0] + tap * l->channels + first, 4);
    return bytes;
  }
  const uint32_t *word = (const uint32_t *)l->call->constants[0] + 9 * (first >> 5) + tap;
  return dqnn_spread_signs(*word >> shift | (shift > 28 ? word[9] << (32 - shift) : 0));
}

DQNN_NOINLINE void read_weights(const layer *l, uint32_t first) {
  uint32_t *to = l->weights;
  for (uint32_t k = 0; k < 3; k++, to += 2) {
    const uint32_t row[3] = {weight_bytes(l, 0, k, first), weight_bytes(l, 1, k, first), weight_bytes(l, 2, k, first)};
    const dqnn_spread_plan plan = {(const uint8_t *)&row[0], (const uint8_t *)&row[1], 4, 4, 0, to, WEIGHTS, 2};
    dqnn_spread_lines(&plan);
  }
  to = l->weights;
  for (uint32_t i = 0; l->half_weights && i < LANES * WEIGHTS; i++) { /* w stands for w + 1/2, sums count halves */
    to[i] = dqnn_add_halves(dqnn_add_halves(to[i], to[i]), dqnn_both_halves(1));
  }
  for (uint32_t i = 0; l->weight_zero_points && i < LANES * WEIGHTS; i++) {
    to[i] = dqnn_add_halves(to[i], dqnn_both_halves(-l->weight_zero_points[first + i / WEIGHTS]));
  }
}

/* ---- inputs ---- */

/* Where line `line` begins and how far its cells are apart. A line outside the map is one cell, again and again. */
DQNN_INLINE const uint8_t *line_at(const layer *l, int32_t line, uint32_t first, uint32_t *step) {
  if (line < 0 || line >= l->across.size) {
    *step = 0;
    return (const uint8_t *)&l->outside;
  }
  *step = l->along.in_step;
  return (const uint8_t *)l->call->in[0] + (uint32_t)line * l->across.in_step + first;
}

/* Lines `line` and line + 1 of four channels; margins stay as they are. */
DQNN_NOINLINE void spread(const layer *l, int32_t line, uint32_t first, uint32_t *to) {
  dqnn_spread_plan plan = {NULL, NULL, 0, 0, l->add, to + l->margin, l->words, l->inside};
  plan.low = line_at(l, line, first, &plan.low_step);
  plan.high = line_at(l, line + 1, first, &plan.high_step);
  if (plan.words) {
    dqnn_spread_lines(&plan);
  }
}

/* ---- outputs ---- */

/* Where groups of four sums go: the output of the last sum, counted in elements, and how far the others lie behind it
 * (0: it is outside the map). */
typedef struct {
  const int32_t *sums;
  uint32_t at, offset[3], step, blocks;
  dqnn_lines_output quick; /* the same for quick rules */
} places;

static void set_offsets(const layer *l, uint32_t lower, uint32_t count, places *p) {
  const uint32_t step = l->out_step, next = count > 1 ? step : 0;
  if (l->stride == 1) {
    p->offset[2] = lower;
    p->offset[1] = next;
    p->offset[0] = next + lower;
  } else {
    p->offset[2] = next;
    p->offset[1] = count > 2 ? 2 * step : 0;
    p->offset[0] = count > 3 ? 3 * step : 0;
  }
  p->quick.offset[0] = p->offset[0];
  p->quick.offset[1] = p->offset[1];
  p->quick.offset[2] = p->offset[2];
}

/* `blocks` groups of the first line of outputs, from position `from` of the walk on. */
static void find_places(const layer *l, uint32_t first, uint32_t from, uint32_t blocks, places *p) {
  const dqnn_epilogue *e = &l->epilogue;
  const int affine = l->kind == DQNN_QUAD_AFFINE;
  p->sums = l->sums + from / l->per_block * 16;
  p->at = from * l->out_step;
  p->step = l->per_block * l->out_step;
  p->blocks = blocks;
  if (l->kind == DQNN_QUAD_ANY) {
    return;
  }
  p->quick = (dqnn_lines_output){p->sums,
                                 (int8_t *)l->call->out + p->at + first,
                                 {0, 0, 0},
                                 p->step,
                                 e->zero_point,
                                 ((uint32_t)(e->least + e->zero_point) & 0xffu) * 0x01010101u,
                                 ((uint32_t)(e->most + e->zero_point) & 0xffu) * 0x01010101u,
                                 blocks,
                                 affine ? e->scale + first : NULL,
                                 affine ? e->offset + first : NULL,
                                 affine ? NULL : e->bias + first,
                                 affine ? NULL : e->multiplier + first,
                                 affine ? NULL : e->shift + first};
}

DQNN_INLINE float between(float y, float low, float high) {
  return y < low ? low : y > high ? high : y;
}

/* The other types go output by output, all four channels. */
static void put_f32(const layer *l, uint32_t first, const int32_t *sums, const places *p) {
  const dqnn_epilogue *e = &l->epilogue;
  const float *scale = e->scale + first, *offset = e->offset + first;
  const float s0 = scale[0], s1 = scale[1], s2 = scale[2], s3 = scale[3], low = e->low, high = e->high;
  const float t0 = offset[0], t1 = offset[1], t2 = offset[2], t3 = offset[3];
  float *out = (float *)l->call->out + p->at + first;
  for (uint32_t i = 0; i < 4 * p->blocks; i++, sums += LANES) {
    uint32_t which = i & 3u;
    float *to = which < 3 ? out + p->offset[which] : out;
    float a = (float)sums[0] * s0, b = (float)sums[1] * s1, c = (float)sums[2] * s2, d = (float)sums[3] * s3;
    a += t0;
    b += t1;
    c += t2;
    d += t3;
    to[0] = between(a, low, high);
    to[1] = between(b, low, high);
    to[2] = between(c, low, high);
    to[3] = between(d, low, high);
    out += which < 3 ? 0 : p->step;
  }
}

static void put_s1(const layer *l, uint32_t first, const int32_t *sums, const places *p) {
  const dqnn_call *call = l->call;
  const int32_t *threshold = (const int32_t *)call->constants[1] + first;
  const int32_t t0 = threshold[0], t1 = threshold[1], t2 = threshold[2], t3 = threshold[3];
  const uint32_t shift = first & 31u, mask = 15u << shift, over = shift > 28 ? 15u >> (32 - shift) : 0;
  uint32_t flips = call->constant_count > 2 ? dqnn_read_bits((const uint32_t *)call->constants[2], first, LANES) : 0;
  uint32_t *out = (uint32_t *)call->out + p->at + (first >> 5);
  for (uint32_t i = 0; i < 4 * p->blocks; i++, sums += LANES) {
    uint32_t which = i & 3u, *word = which < 3 ? out + p->offset[which] : out;
    uint32_t bits = dqnn_push_less(dqnn_push_less(0, sums[0], t0), sums[1], t1);
    bits = dqnn_push_less(dqnn_push_less(bits, sums[2], t2), sums[3], t3) >> 28 ^ flips;
    *word = (*word & ~mask) | bits << shift;
    if (over) {
      word[1] = (word[1] & ~over) | bits >> (32 - shift);
    }
    out += which < 3 ? 0 : p->step;
  }
}

static void put_s8(const layer *l, uint32_t first, const int32_t *sums, const places *p) {
  int8_t *out = (int8_t *)l->call->out + p->at + first;
  for (uint32_t i = 0; i < 4 * p->blocks; i++, sums += LANES) {
    uint32_t which = i & 3u;
    dqnn_emit_s8(&l->epilogue, sums, first, LANES, which < 3 ? out + p->offset[which] : out);
    out += which < 3 ? 0 : p->step;
  }
}

DQNN_NOINLINE void put_others(const layer *l, uint32_t first, const places *p) {
  if (l->call->out_def->dtype == DQNN_F32) {
    put_f32(l, first, p->sums, p);
  } else if (l->call->out_def->dtype == DQNN_S1) {
    put_s1(l, first, p->sums, p);
  } else {
    put_s8(l, first, p->sums, p);
  }
}

/* The sums of one walk; the next one is for the lines `down` further. */
static void put(const layer *l, uint32_t first, uint32_t down, places *p) {
  if (!p->blocks) {
    return;
  }
  if (l->kind == DQNN_QUAD_ANY) {
    put_others(l, first, p);
  } else {
    if (l->kind == DQNN_QUAD_AFFINE) {
      dqnn_lines_affine(&p->quick);
    } else {
      dqnn_lines_fixed(&p->quick);
    }
    p->quick.out += down;
  }
  p->at += down;
}

/* ---- the walk ---- */

/* All lines of channels first to first + 3. */
static void run_lanes(const layer *l, uint32_t first) {
  const uint32_t lines = l->stride == 1 ? 2 : 1, down = lines * l->out_down;
  dqnn_lines_plan plan = {l->pairs, l->pairs + LANES * l->words, l->weights, l->sums, l->words, l->blocks};
  uint32_t *near = l->pairs, *far = l->pairs + LANES * l->words;
  int32_t line = -l->across.pad;
  places whole = {0}, rest = {0}; /* groups of sums that lie inside the map; the last one if it does not */
  find_places(l, first, 0, l->whole, &whole);
  find_places(l, first, l->whole * l->per_block, l->rest ? 1 : 0, &rest);
  read_weights(l, first);
  spread(l, line, first, near);
  for (uint32_t o = 0; o < l->across.outputs; o += lines) {
    line += 2;
    spread(l, line, first, far);
    plan.near = near;
    plan.far = far;
    if (l->stride == 1) {
      dqnn_depthwise_lines(&plan);
    } else {
      dqnn_depthwise_strided(&plan);
    }
    if (o == 0 || o + 1 == l->across.outputs) {
      uint32_t lower = o + 1 < l->across.outputs ? l->out_down : 0;
      set_offsets(l, lower, l->per_block, &whole);
      set_offsets(l, lower, l->rest, &rest);
    }
    put(l, first, down, &whole);
    put(l, first, down, &rest);
    uint32_t *swap = near;
    near = far;
    far = swap;
  }
}

static void prepare(const dqnn_call *call, uint32_t zero_points, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_geometry g;
  dqnn_read_geometry(call, &g);
  l->call = call;
  l->channels = g.channels;
  l->stride = (uint32_t)g.stride_h;
  uint32_t width = (uint32_t)g.width * g.channels;
  axis row = {g.width, g.pad_left, (uint32_t)g.out_width, g.channels, 1};
  axis column = {g.height, g.pad_top, (uint32_t)g.out_height, width, (uint32_t)g.out_width};
  l->transposed = g.out_height > g.out_width;
  l->along = l->transposed ? column : row;
  l->across = l->transposed ? row : column;
  l->per_block = l->stride == 1 ? 2 : 4;
  l->whole = l->along.outputs / l->per_block;
  l->rest = l->along.outputs % l->per_block;
  const uint32_t pixel = call->out_def->dtype == DQNN_S1 ? (g.channels + 31u) >> 5 : g.channels;
  l->out_step = l->along.out_step * pixel;
  l->out_down = l->across.out_step * pixel;
  l->blocks = (uint32_t)dqnn_planes_blocks(l->along.outputs, g.stride_h);
  l->words = (uint32_t)dqnn_planes_words(l->along.outputs, g.stride_h);
  l->margin = (uint32_t)l->along.pad < l->words ? (uint32_t)l->along.pad : l->words;
  l->inside = l->words - l->margin < (uint32_t)l->along.size ? l->words - l->margin : (uint32_t)l->along.size;
  int32_t zero_point = call->in_def[0]->zero_point;
  l->add = dqnn_pair(-zero_point, -zero_point);
  l->outside = ((uint32_t)(int32_t)p->pad_value & 0xffu) * 0x01010101u;
  l->half_weights = p->half_weights;
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->weights = (uint32_t *)call->scratch;
  l->pairs = l->weights + LANES * WEIGHTS;
  l->sums = (int32_t *)(l->pairs + 2 * LANES * l->words);
  const int32_t outside = (int32_t)p->pad_value - zero_point;
  for (uint32_t i = 0; i < 2 * LANES * l->words; i++) {
    l->pairs[i] = dqnn_pair(outside, outside);
  }
  l->kind = DQNN_QUAD_ANY;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1 + zero_points, &l->epilogue);
  }
  if (call->out_def->dtype == DQNN_S8) {
    l->kind = dqnn_quad_kind_of(&l->epilogue, g.outputs, 9);
  }
}

void dqnn_run_depthwise_planes(const dqnn_call *call, int binary_weights, uint32_t zero_points) {
  layer l;
  prepare(call, zero_points, &l);
  l.binary_weights = (uint8_t)binary_weights;
  uint32_t pixels = l.along.outputs * l.across.outputs;
  if (call->out_def->dtype == DQNN_S1) {
    memset(call->out, 0, (size_t)4 * pixels * ((l.channels + 31u) >> 5)); /* bits come one by one */
  }
  for (uint32_t first = 0; first < l.channels; first += LANES) {
    run_lanes(&l, first + LANES <= l.channels ? first : l.channels - LANES);
  }
  if (call->out_def->dtype == DQNN_S8 && l.kind != DQNN_QUAD_AFFINE && dqnn_quad_narrow(&l.epilogue, l.kind)) {
    dqnn_clamp_row(&l.epilogue, (int8_t *)call->out, pixels * l.channels);
  }
}
#endif
