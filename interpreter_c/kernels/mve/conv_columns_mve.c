/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s8_s8_s8 with few taps: first layers, pointwise layers of few channels, 3x3 layers of 16. A channel at a time
 * goes over many pixels (isa/mve_columns.h), so that neither its weights (of up to 64 taps) nor its output rule are
 * read again.
 *
 * Pointwise layers find the taps of a pixel in the map. Other windows are copied as they lie, row after row, to where
 * outputs will stand that are not there yet; their weights are put into the same order (SPEC.md 3.3 has the last one of
 * odd rows behind all rows). The scratch holds the last of them: with room for fewer than eight the layer is left to
 * conv_bytes_mve.c or conv_packed_mve.c. Weights of more than 64 taps stand behind the columns. */
#include "conv_columns_mve.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "../../isa/mve_columns.h"
#include "../opt/conv_packed.h"
#include "../opt/emit_quad.h"
#include "../opt/quads.h"
#include "epilogue_mve.h"

enum { STEP = DQNN_COLUMNS_STEP, BLOCK = DQNN_COLUMNS_BLOCK, VECTORS = DQNN_COLUMNS_VECTORS, QUAD = 4 };
/* Of more than 64 taps. More are faster in pairs of channels, and so are small maps, which have room for few columns.
 */
enum { MOST_TAPS = 192, LEAST_COLUMNS = 64 };

typedef void (*runner)(const dqnn_column_plan *);
typedef void (*long_runner)(dqnn_long_plan *);

typedef struct {
  const dqnn_call *call;
  dqnn_geometry shape;
  uint32_t row_taps, taps;
  uint32_t vectors; /* of taps */
  uint32_t bits;    /* of a weight: 8, 4, 2 */
  int32_t zero_point, outside;
  const int32_t *bias;           /* NULL: none */
  const void *factors, *addends; /* of channels, 4 bytes each */
  uint8_t affine, is_long;       /* is_long: more than 64 taps */
  uint8_t halves;                /* columns of eight taps lie one behind the other */
  runner run;
  dqnn_column_plan plan;
  uint16_t places[BLOCK];
  uint8_t order[VECTORS * STEP]; /* where the taps of a column have their weights; for more they lie as columns do */
} layer;

/* ---- weights ---- */

/* Bytes from the first weight of a channel to that of tap k (SPEC.md 3.3): those of two channels alternate. Of few bits
 * a halfword has two bytes of two channels (4) or two of four, two taps apart (2). */
static uint32_t place_of(const layer *l, uint32_t k) {
  const uint32_t turned = (k & ~3u) | (k & 1u) << 1 | (k >> 1 & 1u), at = l->shape.channels % 4 == 0 ? turned : k;
  return l->bits == 8 ? 2 * k : l->bits == 4 ? 2 * at : (at & ~3u) | (at & 1u) << 1 | (at >> 1 & 1u);
}

static void find_order(layer *l) {
  const uint32_t rows = (uint32_t)l->shape.kernel_h, even = l->row_taps & ~1u;
  uint8_t *to = l->order;
  for (uint32_t y = 0; y < rows; y++) {
    for (uint32_t i = 0; i < l->row_taps; i++) {
      *to++ = (uint8_t)place_of(l, i < even ? y * even + i : rows * even + y);
    }
  }
}

/* Up to sixteen weights of a channel, zeros in other lanes. */
static int8x16_t read_vector(const layer *l, uint32_t channel, uint8x16_t order, mve_pred16_t lanes) {
  const uint32_t bits = l->bits, taps = l->taps;
  const uint8_t *from = (const uint8_t *)l->call->constants[0];
  if (bits == 8) {
    from += (channel >> 1) * ((taps + 1) / 2 * 4) + (channel & 1u);
    return vreinterpretq_s8_u8(vldrbq_gather_offset_z_u8(from, order, lanes));
  }
  const uint32_t bit = (channel & 3u) * bits, half = 1u << (bits - 1);
  from += (channel >> 2) * (4 * dqnn_packed_words(taps, bits)) + bit / 8;
  uint8x16_t codes = vshlq_r_u8(vldrbq_gather_offset_z_u8(from, order, lanes), -(int32_t)(bit % 8));
  codes = vandq_u8(codes, vdupq_n_u8((uint8_t)(2 * half - 1)));
  return vreinterpretq_s8_u8(vpselq_u8(vsubq_n_u8(codes, (uint8_t)half), vdupq_n_u8(0), lanes));
}

/* Weights of a channel as whole vectors; returns their sum. */
static int32_t read_weights(const layer *l, uint32_t channel, int8_t *to) {
  const uint8_t *order = l->order;
  int32_t sum = 0;
  for (int32_t left = (int32_t)l->taps; left > 0; left -= STEP, order += STEP, to += STEP) {
    const mve_pred16_t lanes = vctp8q((uint32_t)left);
    const int8x16_t weights = read_vector(l, channel, vld1q_z_u8(order, lanes), lanes);
    sum = vaddvaq_s8(sum, weights);
    vst1q_s8(to, weights);
  }
  return sum;
}

/* The same for more taps, in rows of even length. */
static int32_t read_long(const layer *l, uint32_t channel, int8_t *to) {
  const int8_t *from = (const int8_t *)l->call->constants[0] + (channel >> 1) * 2 * l->taps + (channel & 1u);
  const uint8x16_t places = vidupq_n_u8(0, 2);
  int32_t sum = 0;
  for (uint32_t steps = l->taps / STEP; steps; steps--, from += 2 * STEP, to += STEP) {
    const int8x16_t weights = vldrbq_gather_offset_s8(from, places);
    sum = vaddvaq_s8(sum, weights);
    vst1q_s8(to, weights);
  }
  if (l->taps % STEP) {
    const int8x16_t weights = vldrbq_gather_offset_z_s8(from, places, vctp8q(l->taps % STEP));
    sum = vaddvaq_s8(sum, weights);
    vst1q_s8(to, weights);
  }
  return sum;
}

/* ---- columns ---- */

DQNN_INLINE void copy_row(const int8_t *from, uint32_t count, int8_t *to) {
  for (int32_t left = (int32_t)count; left > 0; left -= STEP, from += STEP, to += STEP) {
    const mve_pred16_t lanes = vctp8q((uint32_t)left);
    vstrbq_p_s8(to, vld1q_z_s8(from, lanes), lanes);
  }
}

/* A window that lies in the map, whose rows are whole vectors, at most one, or any. */
DQNN_INLINE void copy_vectors(const int8_t *from, uint32_t rows, uint32_t row_bytes, uint32_t count, int8_t *to) {
  for (; rows; rows--, from += row_bytes) {
    const int8_t *x = from;
    for (uint32_t steps = count / STEP; steps; steps--, x += STEP, to += STEP) {
      vst1q_s8(to, vld1q_s8(x));
    }
  }
}
DQNN_INLINE void copy_short(const int8_t *from, uint32_t rows, uint32_t row_bytes, uint32_t count, int8_t *to) {
  const mve_pred16_t lanes = vctp8q(count);
  for (; rows; rows--, from += row_bytes, to += count) {
    vstrbq_p_s8(to, vld1q_z_s8(from, lanes), lanes);
  }
}
DQNN_INLINE void copy_rows(const int8_t *from, uint32_t rows, uint32_t row_bytes, uint32_t count, int8_t *to) {
  for (; rows; rows--, from += row_bytes, to += count) {
    copy_row(from, count, to);
  }
}

/* `windows` neighbours that lie in the map, `step` bytes apart. */
DQNN_NOINLINE void copy_inside(const layer *l, const int8_t *from, uint32_t step, uint32_t windows, int8_t *to) {
  const uint32_t count = l->row_taps, pitch = l->vectors * STEP, rows = (uint32_t)l->shape.kernel_h,
                 row_bytes = (uint32_t)l->shape.width * l->shape.channels;
  for (; windows; windows--, from += step, to += pitch) {
    if (count % STEP == 0) {
      copy_vectors(from, rows, row_bytes, count, to);
    } else if (count <= STEP) {
      copy_short(from, rows, row_bytes, count, to);
    } else {
      copy_rows(from, rows, row_bytes, count, to);
    }
  }
}

/* One that reaches beyond its border. */
DQNN_NOINLINE void copy_border(const layer *l, dqnn_origin at, int8_t *to) {
  const dqnn_geometry *g = &l->shape;
  const int32_t left = at.x < 0 ? -at.x : 0, over = at.x + g->kernel_w - g->width, right = over > 0 ? over : 0;
  const int32_t columns = g->kernel_w - left - right;
  const int8x16_t outside = vdupq_n_s8((int8_t)l->outside);
  for (uint32_t i = 0; i < l->vectors; i++) {
    vst1q_s8(to + STEP * i, outside);
  }
  if (columns <= 0) {
    return;
  }
  to += (uint32_t)left * g->channels;
  for (int32_t ky = 0; ky < g->kernel_h; ky++, to += l->row_taps) {
    if ((uint32_t)(at.y + ky) < (uint32_t)g->height) {
      const uint32_t cell = dqnn_cell_index(g, at.y + ky, at.x + left);
      copy_row((const int8_t *)l->call->in[0] + cell * g->channels, (uint32_t)columns * g->channels, to);
    }
  }
}

/* Windows of `count` neighbours of a row of outputs. */
static void copy_line(const layer *l, dqnn_origin at, uint32_t count, int8_t *to) {
  const dqnn_geometry *g = &l->shape;
  const int32_t last_x = at.y >= 0 && at.y <= g->height - g->kernel_h ? g->width - g->kernel_w : -1;
  for (uint32_t run; count; count -= run, to += run * l->vectors * STEP, at.x += (int32_t)run * g->stride_w) {
    run = 1;
    if (at.x < 0 || at.x > last_x) {
      copy_border(l, at, to);
      continue;
    }
    const uint32_t most = (uint32_t)(last_x - at.x) / (uint32_t)g->stride_w + 1;
    run = most < count ? most : count;
    copy_inside(l, (const int8_t *)l->call->in[0] + dqnn_cell_index(g, at.y, at.x) * g->channels,
                (uint32_t)g->stride_w * g->channels, run, to);
  }
}

/* Windows of neighbours from output `first` on. */
static void copy_windows(const layer *l, uint32_t first, uint32_t count, int8_t *to) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t width = (uint32_t)g->out_width;
  uint32_t y = first / width, x = first - y * width;
  for (uint32_t run; count; count -= run, to += run * l->vectors * STEP, y++, x = 0) {
    run = width - x < count ? width - x : count;
    copy_line(l, dqnn_window_at(g, y, x), run, to);
  }
}

/* ---- the walk ---- */

/* All channels of `count` pixels, at least eight, whose columns are `columns`. */
static void run_channels(layer *l, const int8_t *columns, uint32_t pitch, uint32_t first, uint32_t count) {
  int8_t weights[VECTORS * STEP];
  dqnn_column_plan *plan = &l->plan;
  const uint32_t outputs = l->shape.outputs, short_by = (0u - count) % BLOCK;
  plan->columns = columns;
  plan->pitch = pitch;
  plan->blocks = count / BLOCK;
  plan->back = short_by * pitch;
  plan->back_out = short_by * outputs;
  plan->weights = weights;
  plan->out = (int8_t *)l->call->out + first * outputs;
  for (uint32_t c = 0; c < outputs; c++, plan->out++) {
    const int32_t begin = -l->zero_point * read_weights(l, c, weights);
    if (l->halves) { /* once more, for the second column */
      vst1q_s8(weights + STEP, vdupq_n_s8(0));
      vst1q_s8(weights + STEP + STEP / 2, vld1q_s8(weights));
    }
    plan->begin = l->bias ? dqnn_wrap_add(begin, l->bias[c]) : begin;
    plan->factor = ((const int32_t *)l->factors)[c];
    plan->addend = ((const int32_t *)l->addends)[c];
    l->run(plan);
  }
  plan->weights = NULL;
}

/* The same for more taps, at least four pixels; `weights`: room for those of a channel. */
DQNN_NOINLINE void run_long(const layer *l, const int8_t *columns, uint32_t pitch, uint32_t first, uint32_t count,
                            int8_t *weights) {
  const uint32_t outputs = l->shape.outputs, rest = count % QUAD;
  const uint32_t places[QUAD] = {0, outputs, 2 * outputs, 3 * outputs};
  const long_runner run = l->affine ? dqnn_columns_affine_long : dqnn_columns_fixed_long;
  int8_t *out = (int8_t *)l->call->out + first * outputs;
  dqnn_long_plan plan = {.pitch = pitch,
                         .weights = weights,
                         .vectors = l->vectors,
                         .zero_point = l->plan.zero_point,
                         .places = places,
                         .step = QUAD * outputs};
  for (uint32_t c = 0; c < outputs; c++, out++) {
    const int32_t begin = -l->zero_point * read_long(l, c, weights);
    plan.begin = l->bias ? dqnn_wrap_add(begin, l->bias[c]) : begin;
    plan.factor = ((const int32_t *)l->factors)[c];
    plan.addend = ((const int32_t *)l->addends)[c];
    plan.columns = columns;
    plan.out = out;
    plan.blocks = count / QUAD;
    run(&plan);
    if (rest) { /* the last four once more */
      plan.columns = columns + (count - QUAD) * pitch;
      plan.out = out + (count - QUAD) * outputs;
      plan.blocks = 1;
      run(&plan);
    }
  }
}

/* Pixels of a map that is read as it lies; a row at a time, or all of them. */
static void run_in_place(layer *l) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t pitch = (uint32_t)g->stride_w * g->channels, width = (uint32_t)g->out_width,
                 rows = (uint32_t)g->out_height, row_bytes = (uint32_t)(g->stride_h * g->width) * g->channels;
  const int8_t *from = (const int8_t *)l->call->in[0];
  if (width * pitch == row_bytes) {
    run_channels(l, from, pitch, 0, rows * width);
    return;
  }
  for (uint32_t y = 0; y < rows; y++, from += row_bytes) {
    run_channels(l, from, pitch, y * width, width);
  }
}

/* Pixels whose windows are copied: to the end of the output, as many as leave room for their own outputs before it, or
 * to the scratch. Too few at the end go with those before them once more. */
static void run_copied(layer *l) {
  const uint32_t pixels = (uint32_t)l->shape.out_height * (uint32_t)l->shape.out_width, pitch = l->vectors * STEP,
                 outputs = l->shape.outputs, extra = l->is_long, least = extra ? QUAD : BLOCK,
                 room = l->call->scratch_bytes / pitch - extra;
  int8_t *const end = (int8_t *)l->call->out + pixels * outputs;
  for (uint32_t first = 0, count; first < pixels; first += count) {
    const uint32_t left = pixels - first, bytes = left * outputs;
    const uint32_t free = bytes < pitch ? 0 : (bytes - extra * pitch) / (pitch + outputs) & ~(least - 1);
    int8_t *columns = (int8_t *)l->call->scratch;
    count = left < room ? left : room & ~(least - 1);
    if (free > count) {
      count = free;
      columns = end - (count + extra) * pitch;
    }
    if (count < least) {
      count = least;
      first = pixels - count;
    }
    copy_windows(l, first, count, columns);
    if (extra) {
      run_long(l, columns, pitch, first, count, columns + count * pitch);
    } else {
      run_channels(l, columns, pitch, first, count);
    }
  }
}

/* ---- set-up ---- */

/* A pixel is a cell. */
static int is_pointwise(const dqnn_geometry *g) {
  return g->kernel_h == 1 && g->kernel_w == 1 && g->pad_top == 0 && g->pad_left == 0 &&
         (g->out_height - 1) * g->stride_h < g->height && (g->out_width - 1) * g->stride_w < g->width;
}

/* [fixed][columns are not whole vectors one behind the other] */
static const runner RUNNERS[2][2][VECTORS] = {
    {{dqnn_columns_affine_1, dqnn_columns_affine_2, dqnn_columns_affine_3, dqnn_columns_affine_4},
     {dqnn_columns_affine_cut_1, dqnn_columns_affine_cut_2, dqnn_columns_affine_cut_3, dqnn_columns_affine_cut_4}},
    {{dqnn_columns_fixed_1, dqnn_columns_fixed_2, dqnn_columns_fixed_3, dqnn_columns_fixed_4},
     {dqnn_columns_fixed_cut_1, dqnn_columns_fixed_cut_2, dqnn_columns_fixed_cut_3, dqnn_columns_fixed_cut_4}}};

/* Returns 0 for rules that go another way. */
static int read_rule(const dqnn_call *call, layer *l, int in_place) {
  dqnn_epilogue e;
  dqnn_read_epilogue(call, 1, &e);
  const dqnn_quad_kind kind = dqnn_quad_kind_of(&e, l->shape.outputs, l->taps);
  const int affine = kind == DQNN_QUAD_AFFINE, dense = l->shape.stride_h * l->shape.stride_w == 1,
            cut = in_place && !(dense && l->taps % STEP == 0);
  l->affine = (uint8_t)affine;
  l->halves = in_place && dense && l->taps == STEP / 2;
  l->run = RUNNERS[!affine][cut][l->is_long ? 0 : l->vectors - 1];
  if (l->halves) {
    l->run = affine ? dqnn_columns_affine_half : dqnn_columns_fixed_half;
  }
  l->plan.mask = l->taps % STEP ? (1u << l->taps % STEP) - 1 : 0xffffu;
  l->plan.zero_point = e.zero_point;
  l->bias = affine ? NULL : e.bias;
  l->factors = affine ? (const void *)e.scale : e.multiplier;
  l->addends = affine ? (const void *)e.offset : e.shift;
  return kind != DQNN_QUAD_ANY;
}

static int is_plain(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  return dqnn_rows(call->out_def) >= BLOCK && call->in_def[0]->dtype == DQNN_S8 && !p->half_weights && p->groups == 1 &&
         p->dilation_h == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1 && p->pool_h == 1 && p->pool_w == 1;
}

/* More than 64 taps. */
static int takes_long(const layer *l, uint32_t pixels) {
  const uint32_t outputs = l->shape.outputs;
  return l->bits == 8 && l->taps <= MOST_TAPS && l->row_taps % 2 == 0 &&
         pixels >= LEAST_COLUMNS * (l->vectors * STEP + outputs) / outputs;
}

/* Returns 0 for what goes another way. */
static int prepare(const dqnn_call *call, layer *l, int *in_place) {
  dqnn_geometry *g = &l->shape;
  const uint32_t bits = ((const dqnn_conv_params *)call->params)->weight_bits;
  dqnn_read_geometry(call, g);
  l->call = call;
  l->zero_point = call->in_def[0]->zero_point;
  l->outside = (int32_t)((const dqnn_conv_params *)call->params)->pad_value;
  l->row_taps = (uint32_t)g->kernel_w * g->channels;
  l->taps = (uint32_t)g->kernel_h * l->row_taps;
  l->vectors = (l->taps + STEP - 1) / STEP;
  l->bits = bits ? bits : 8;
  const uint32_t pixels = (uint32_t)g->out_height * (uint32_t)g->out_width;
  const uint64_t farthest = (uint64_t)BLOCK * g->outputs;
  l->is_long = l->taps > VECTORS * STEP;
  const uint32_t columns = l->is_long ? QUAD + 1 : BLOCK;
  const int copies = call->scratch_bytes >= columns * l->vectors * STEP; /* with a stride rows would go one by one */
  *in_place = is_pointwise(g) && !l->is_long &&
              (g->stride_h * g->stride_w == 1 || ((uint32_t)g->out_width >= BLOCK && !copies));
  if ((l->is_long && !takes_long(l, pixels)) || farthest > UINT16_MAX || (!*in_place && !copies)) {
    return 0;
  }
  l->plan.places = l->places;
  l->plan.step = BLOCK * g->outputs;
  for (uint32_t i = 0; i < BLOCK; i++) {
    l->places[i] = (uint16_t)(DQNN_COLUMN_OF(i) * g->outputs);
  }
  if (!l->is_long) {
    find_order(l);
  }
  return read_rule(call, l, *in_place);
}

int dqnn_run_columns(const dqnn_call *call) {
  layer l;
  int in_place;
  if (!is_plain(call) || !prepare(call, &l, &in_place)) {
    return 0;
  }
  if (in_place) {
    run_in_place(&l);
  } else {
    run_copied(&l);
  }
  dqnn_clamp_mve(call);
  return 1;
}
#endif
