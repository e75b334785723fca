/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The walk of conv_blocks.c for one type of accumulator.
 *
 * A template. In: BLOCKS(name), BLOCKS(load)(), blocks_value (the type) and blocks_emit, its output of epilogue.h; the
 * macros are undefined at the end. Out: BLOCKS(run)(). */

typedef struct {
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const dqnn_call *call;
  const void *image;
  const uint8_t *weights; /* of the group at work */
  blocks_value outside, zero_point;
  int32_t up_h, up_w;
  uint32_t chunks;      /* of a kernel row of a whole block, at most */
  blocks_value *tables; /* [chunk][code][pixel] */
  blocks_value *totals; /* [output of the group][pixel] */
  blocks_value *row;    /* the same of one pixel */
  uint32_t group;
  dqnn_origin at[DQNN_BLOCK_PIXELS];
} BLOCKS(layer);

/* What one pass over all outputs adds: one block of channels, one kernel row. */
typedef struct {
  const uint8_t *weights; /* of the first output */
  uint32_t output_bytes;  /* from an output to the next */
  uint32_t bit, count;    /* first bit of the kernel row, and how many */
  int first;              /* nothing was added before */
} BLOCKS(pass);

/* Input of a tap: position of the dilated input, channel of all. */
static blocks_value BLOCKS(input_at)(const BLOCKS(layer) * l, int32_t y, int32_t x, uint32_t channel) {
  int32_t cell = cell_at(&l->shape, l->up_h, l->up_w, y, x);
  if (cell < 0) {
    return cell == DQNN_AT_HOLE ? 0 : l->outside;
  }
  return BLOCKS(load)(l->image, (uint32_t)cell * l->shape.channels + channel) - l->zero_point;
}

/* All sums ((s0*x0 + s1*x1) + s2*x2) + s3*x3 of up to four inputs; code bit i is the sign bit of input i. */
static void BLOCKS(fill_table)(const blocks_value x[4], uint32_t count, blocks_value *table) {
  blocks_value pair[4] = {x[0] + x[1], x[1] - x[0], x[0] - x[1], -x[0] - x[1]};
  uint32_t codes = 1u << count;
  for (uint32_t code = 0; code < codes; code++, table += DQNN_BLOCK_PIXELS) {
    blocks_value sum = count == 1 ? (code & 1u ? -x[0] : x[0]) : pair[code & 3u];
    if (count > 2) {
      sum = code & 4u ? sum - x[2] : sum + x[2];
    }
    if (count > 3) {
      sum = code & 8u ? sum - x[3] : sum + x[3];
    }
    *table = sum;
  }
}

/* Tables of one kernel row for one pixel; y, x: its first tap. */
static void BLOCKS(tables_of)(const BLOCKS(layer) * l, int32_t y, int32_t x, uint32_t channel, uint32_t channels,
                              blocks_value *table) {
  uint32_t count = (uint32_t)l->shape.kernel_w * channels, lane = 0, have = 0;
  blocks_value inputs[4] = {0, 0, 0, 0};
  for (uint32_t i = 0; i < count; i++) {
    inputs[have++] = BLOCKS(input_at)(l, y, x, channel + lane);
    if (++lane == channels) {
      lane = 0;
      x += l->shape.dilation_w;
    }
    if (have < 4 && i + 1 < count) {
      continue;
    }
    BLOCKS(fill_table)(inputs, have, table);
    table += 16 * DQNN_BLOCK_PIXELS;
    have = 0;
  }
}

/* Bits bit .. bit + count - 1 (at most four) of a row of bytes. */
DQNN_INLINE uint32_t BLOCKS(code_at)(const uint8_t *row, uint32_t bit, uint32_t count) {
  uint32_t shift = bit & 7u, value = (uint32_t)row[bit >> 3] >> shift;
  if (shift + count > 8) {
    value |= (uint32_t)row[(bit >> 3) + 1] << (8 - shift);
  }
  return value & ((1u << count) - 1u);
}

/* Taps that the next code has: four, or what is left. */
DQNN_INLINE uint32_t BLOCKS(taps_of)(uint32_t left) {
  return left < 4 ? left : 4;
}

static void BLOCKS(add_pass)(const BLOCKS(layer) * l, const BLOCKS(pass) * p) {
  const uint8_t *row = p->weights;
  blocks_value *total = l->totals;
  for (uint32_t o = 0; o < l->shape.out_group; o++, row += p->output_bytes, total += DQNN_BLOCK_PIXELS) {
    const blocks_value *table = l->tables;
    blocks_value a = total[0], b = total[1], c = total[2], d = total[3];
    int first = p->first;
    for (uint32_t done = 0; done < p->count; done += 4, table += 16 * DQNN_BLOCK_PIXELS) {
      uint32_t n = BLOCKS(taps_of)(p->count - done);
      const blocks_value *t = table + DQNN_BLOCK_PIXELS * BLOCKS(code_at)(row, p->bit + done, n);
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
static void BLOCKS(sum_windows)(const BLOCKS(layer) * l) {
  const dqnn_geometry *s = &l->shape;
  uint32_t cells = dqnn_kernel_cells(s);
  BLOCKS(pass) p = {l->weights, 0, 0, 0, 1};
  for (uint32_t channel = 0; channel < s->in_group; channel += 8) {
    uint32_t channels = s->in_group - channel < 8 ? s->in_group - channel : 8;
    p.output_bytes = (cells * channels + 7) / 8;
    p.count = (uint32_t)s->kernel_w * channels;
    p.bit = 0;
    for (int32_t ky = 0; ky < s->kernel_h; ky++, p.bit += p.count) {
      for (uint32_t i = 0; i < DQNN_BLOCK_PIXELS; i++) {
        int32_t y = l->at[i].y + ky * s->dilation_h;
        BLOCKS(tables_of)(l, y, l->at[i].x, l->group * s->in_group + channel, channels, l->tables + i);
      }
      BLOCKS(add_pass)(l, &p);
      p.first = 0;
    }
    p.weights += p.output_bytes * s->out_group;
  }
}

/* Totals of one pixel, or the maxima of `later` ones. */
static void BLOCKS(take_pixel)(const BLOCKS(layer) * l, uint32_t pixel, int later) {
  for (uint32_t o = 0; o < l->shape.out_group; o++) {
    blocks_value value = l->totals[o * DQNN_BLOCK_PIXELS + pixel];
    if (!later || l->row[o] < value) {
      l->row[o] = value;
    }
  }
}

static void BLOCKS(gather)(void *state, dqnn_origin at, uint32_t lane, uint32_t n) {
  BLOCKS(layer) *l = (BLOCKS(layer) *)state;
  for (; n > 0; n--, lane++, at.x += l->shape.stride_w) {
    for (uint32_t i = lane; i < DQNN_BLOCK_PIXELS; i++) { /* also those that nobody asks for */
      l->at[i] = at;
    }
  }
}

static void BLOCKS(put)(void *state, uint32_t pixel) {
  const BLOCKS(layer) *l = (const BLOCKS(layer) *)state;
  uint32_t outputs = l->shape.out_group;
  blocks_emit(l->call, &l->epilogue, l->row, l->group * outputs, outputs, pixel);
}

static void BLOCKS(sum)(void *state, uint32_t first, uint32_t n, uint32_t lanes) {
  const BLOCKS(layer) *l = (const BLOCKS(layer) *)state;
  (void)lanes;
  BLOCKS(sum_windows)(l);
  for (uint32_t i = 0; i < n; i++) {
    BLOCKS(take_pixel)(l, i, 0);
    BLOCKS(put)(state, first + i);
  }
}

static void BLOCKS(maximum)(void *state, int first) {
  const BLOCKS(layer) *l = (const BLOCKS(layer) *)state;
  BLOCKS(sum_windows)(l);
  for (uint32_t i = 0; i < DQNN_BLOCK_PIXELS; i++) {
    BLOCKS(take_pixel)(l, i, !first || i > 0);
  }
}

static const dqnn_quad_ops BLOCKS(ops) = {BLOCKS(gather), BLOCKS(sum), BLOCKS(maximum), BLOCKS(put)};

DQNN_NOINLINE void BLOCKS(run)(const dqnn_call *call) {
  BLOCKS(layer) l;
  dqnn_read_geometry(call, &l.shape);
  const dqnn_geometry *s = &l.shape;
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  uint32_t cells = dqnn_kernel_cells(s), rest = s->in_group & 7u;
  uint32_t group_bytes = s->out_group * (s->in_group / 8 * cells + (cells * rest + 7) / 8);
  l.image = call->in[0];
  l.up_h = p->up_h;
  l.up_w = p->up_w;
  l.zero_point = (blocks_value)(call->in_def[0]->dtype == DQNN_S8 ? call->in_def[0]->zero_point : 0);
  l.outside = (blocks_value)p->pad_value - l.zero_point;
  l.chunks = dqnn_block_chunks((uint32_t)s->kernel_w, s->in_group);
  l.tables = (blocks_value *)call->scratch;
  l.totals = l.tables + l.chunks * 16 * DQNN_BLOCK_PIXELS;
  l.row = l.totals + s->out_group * DQNN_BLOCK_PIXELS;
  l.call = call;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l.epilogue);
  }
  for (l.group = 0; l.group < s->groups; l.group++) {
    l.weights = (const uint8_t *)call->constants[0] + l.group * group_bytes;
    dqnn_quads_run(s, &BLOCKS(ops), &l);
  }
}

#undef BLOCKS
#undef blocks_value
#undef blocks_emit
