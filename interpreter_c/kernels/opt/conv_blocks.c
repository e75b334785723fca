/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_f32_s1_*: binary weights, float inputs.
 *
 * Four inputs under four signs have sixteen sums. They are tabulated for each chunk of four inputs of a kernel row
 * (SPEC.md 3.1 gives the order: blocks of eight channels, kernel rows, chunks), for four output pixels side by side;
 * then all outputs only look up and add. First layers of one channel have a kernel of their own (conv_first.c). */
#include "conv_blocks.h"

#include "conv_first.h"
#include "epilogue.h"
#include "quads.h"

#if DQNN_HAVE_PORTABLE

typedef struct {
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const dqnn_call *call;
  const float *image;
  const uint8_t *weights; /* of the group at work */
  float outside;
  int32_t up_h, up_w;
  uint32_t chunks; /* of a kernel row of a whole block, at most */
  float *tables;   /* [chunk][code][pixel] */
  float *totals;   /* [output of the group][pixel] */
  float *row;      /* the same of one pixel */
  uint32_t group;
  dqnn_origin at[DQNN_BLOCK_PIXELS];
} layer;

/* What one pass over all outputs adds: one block of channels, one kernel row. */
typedef struct {
  const uint8_t *weights; /* of the first output */
  uint32_t output_bytes;  /* from an output to the next */
  uint32_t bit, count;    /* first bit of the kernel row, and how many */
  int first;              /* nothing was added before */
} pass;

/* Input of a tap: position of the dilated input, channel of all. */
static float input_at(const layer *l, int32_t y, int32_t x, uint32_t channel) {
  int32_t cell = dqnn_cell_at(&l->shape, l->up_h, l->up_w, y, x);
  if (cell < 0) {
    return cell == DQNN_AT_HOLE ? 0 : l->outside;
  }
  return l->image[(uint32_t)cell * l->shape.channels + channel];
}

DQNN_INLINE float add_signed(float sum, uint32_t minus, float x) {
  return minus ? sum - x : sum + x;
}

/* All sums ((s0*x0 + s1*x1) + s2*x2) + s3*x3 of up to four inputs; code bit i is the sign bit of input i. */
static void fill_table(const float x[4], uint32_t count, float *table) {
  float pair[4] = {x[0] + x[1], x[1] - x[0], x[0] - x[1], -x[0] - x[1]};
  uint32_t codes = 1u << count;
  if (count == 1) {
    table[0] = x[0];
    table[DQNN_BLOCK_PIXELS] = -x[0];
    return;
  }
  for (uint32_t code = 0; code < codes; code++, table += DQNN_BLOCK_PIXELS) {
    float sum = pair[code & 3u];
    if (count > 2) {
      sum = add_signed(sum, code & 4u, x[2]);
    }
    if (count > 3) {
      sum = add_signed(sum, code & 8u, x[3]);
    }
    *table = sum;
  }
}

/* Tables of one kernel row for one pixel; y, x: its first tap. */
static void tables_of(const layer *l, int32_t y, int32_t x, uint32_t channel, uint32_t channels, float *table) {
  uint32_t count = (uint32_t)l->shape.kernel_w * channels, lane = 0, have = 0;
  float inputs[4] = {0, 0, 0, 0};
  for (uint32_t i = 0; i < count; i++) {
    inputs[have++] = input_at(l, y, x, channel + lane);
    if (++lane == channels) {
      lane = 0;
      x += l->shape.dilation_w;
    }
    if (have < 4 && i + 1 < count) {
      continue;
    }
    fill_table(inputs, have, table);
    table += 16 * DQNN_BLOCK_PIXELS;
    have = 0;
  }
}

/* Bits bit .. bit + count - 1 (at most four) of a row of bytes. */
DQNN_INLINE uint32_t code_at(const uint8_t *row, uint32_t bit, uint32_t count) {
  uint32_t shift = bit & 7u, value = (uint32_t)row[bit >> 3] >> shift;
  if (shift + count > 8) {
    value |= (uint32_t)row[(bit >> 3) + 1] << (8 - shift);
  }
  return value & ((1u << count) - 1u);
}

/* Taps that the next code has: four, or what is left. */
DQNN_INLINE uint32_t taps_of(uint32_t left) {
  return left < 4 ? left : 4;
}

static void add_pass(const layer *l, const pass *p) {
  const uint8_t *row = p->weights;
  float *total = l->totals;
  for (uint32_t o = 0; o < l->shape.out_group; o++, row += p->output_bytes, total += DQNN_BLOCK_PIXELS) {
    const float *table = l->tables;
    float a = total[0], b = total[1], c = total[2], d = total[3];
    int first = p->first;
    for (uint32_t done = 0; done < p->count; done += 4, table += 16 * DQNN_BLOCK_PIXELS) {
      uint32_t n = taps_of(p->count - done);
      const float *t = table + DQNN_BLOCK_PIXELS * code_at(row, p->bit + done, n);
      a = first ? t[0] : a + t[0];
      b = first ? t[1] : b + t[1];
      c = first ? t[2] : c + t[2];
      d = first ? t[3] : d + t[3];
      first = 0;
    }
    total[0] = a;
    total[1] = b;
    total[2] = c;
    total[3] = d;
  }
}

/* Accumulators of the gathered windows, all outputs of a group. */
static void sum_windows(const layer *l) {
  const dqnn_geometry *s = &l->shape;
  uint32_t cells = dqnn_kernel_cells(s);
  pass p = {l->weights, 0, 0, 0, 1};
  for (uint32_t channel = 0; channel < s->in_group; channel += 8) {
    uint32_t channels = s->in_group - channel < 8 ? s->in_group - channel : 8;
    p.output_bytes = (cells * channels + 7) / 8;
    p.count = (uint32_t)s->kernel_w * channels;
    p.bit = 0;
    for (int32_t ky = 0; ky < s->kernel_h; ky++, p.bit += p.count) {
      for (uint32_t i = 0; i < DQNN_BLOCK_PIXELS; i++) {
        int32_t y = l->at[i].y + ky * s->dilation_h;
        tables_of(l, y, l->at[i].x, l->group * s->in_group + channel, channels, l->tables + i);
      }
      add_pass(l, &p);
      p.first = 0;
    }
    p.weights += p.output_bytes * s->out_group;
  }
}

/* Totals of one pixel, or the maxima of `later` ones. */
static void take_pixel(const layer *l, uint32_t pixel, int later) {
  for (uint32_t o = 0; o < l->shape.out_group; o++) {
    float value = l->totals[o * DQNN_BLOCK_PIXELS + pixel];
    if (!later || l->row[o] < value) {
      l->row[o] = value;
    }
  }
}

static void gather(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  layer *l = (layer *)state;
  for (; n > 0; n--, lane++, at.x += l->shape.stride_w) {
    for (uint32_t i = lane; i < DQNN_BLOCK_PIXELS; i++) { /* also those that nobody asks for */
      l->at[i] = at;
    }
  }
}

static void put(void *state, uint32_t pixel) {
  const layer *l = (const layer *)state;
  uint32_t outputs = l->shape.out_group;
  dqnn_emit_float(l->call, &l->epilogue, l->row, l->group * outputs, outputs, pixel);
}

static void sum(void *state, uint32_t first, uint32_t n, uint32_t lanes) {
  const layer *l = (const layer *)state;
  (void)lanes;
  sum_windows(l);
  for (uint32_t i = 0; i < n; i++) {
    take_pixel(l, i, 0);
    put(state, first + i);
  }
}

static void maximum(void *state, int first) {
  const layer *l = (const layer *)state;
  sum_windows(l);
  for (uint32_t i = 0; i < DQNN_BLOCK_PIXELS; i++) {
    take_pixel(l, i, !first || i > 0);
  }
}

static const dqnn_quad_ops ops = {gather, sum, maximum, put};

DQNN_NOINLINE void run(const dqnn_call *call) {
  layer l;
  dqnn_read_geometry(call, &l.shape);
  const dqnn_geometry *s = &l.shape;
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  uint32_t cells = dqnn_kernel_cells(s), rest = s->in_group & 7u;
  uint32_t group_bytes = s->out_group * (s->in_group / 8 * cells + (cells * rest + 7) / 8);
  l.image = (const float *)call->in[0];
  l.up_h = p->up_h;
  l.up_w = p->up_w;
  l.outside = p->pad_value;
  l.chunks = dqnn_block_chunks((uint32_t)s->kernel_w, s->in_group);
  l.tables = (float *)call->scratch;
  l.totals = l.tables + l.chunks * 16 * DQNN_BLOCK_PIXELS;
  l.row = l.totals + s->out_group * DQNN_BLOCK_PIXELS;
  l.call = call;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l.epilogue);
  }
  for (l.group = 0; l.group < s->groups; l.group++) {
    l.weights = (const uint8_t *)call->constants[0] + l.group * group_bytes;
    dqnn_quads_run(s, &ops, &l);
  }
}

void dqnn_run_conv_f32_s1_s1_portable(const dqnn_call *call) {
  if (dqnn_blocks_path_of(call) == DQNN_BLOCKS_FIRST) {
    dqnn_run_first_f32(call);
  } else {
    run(call);
  }
}
void dqnn_run_conv_f32_s1_s8_portable(const dqnn_call *call) {
  run(call);
}
DQNN_SAME_RUN(dqnn_run_conv_f32_s1_f32_portable, dqnn_run_conv_f32_s1_s8_portable)
#endif
