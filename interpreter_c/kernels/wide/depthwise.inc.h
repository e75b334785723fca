/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_* with one input type and one type of weights per function, neighbouring channels side by side.
 *
 * For every window the taps that count are listed once, in the order of SPEC.md 3.1; all channels go through the list.
 * Taps outside the map count unless their value is 0: float sums begin at +0 and weights are finite, so adding a zero
 * changes nothing.
 *
 * A template. In: DQNN_FLOAT_SUMS (emit.inc.h). Out: DEPTHWISE(x, w, input, weights), which defines
 * dqnn_run_depthwise_<x>_<w>_{s1,s8,f32}_<isa>. */
#include "../opt/geometry.h"
#include "emit.inc.h"

enum { CHUNK = 128, LIST = 64, TOGETHER = 4 /* vectors */ };

typedef struct {
  const uint8_t *cell; /* NULL: outside the map */
  uint32_t number;
} tap;

typedef struct {
  dqnn_geometry shape;
  sink to;
  const uint8_t *image, *weights;
  uint32_t pixel_bytes, multiplier, taps;
  int32_t zero_point;
  number outside;
  const int8_t *weight_zero_points; /* NULL: 0 */
  uint8_t half_weights;
  uint8_t nine; /* dense 3x3 windows of bytes, eight outputs at a time; a channel each */
} layer;

/* The types of a kernel: constants wherever they are used. */
typedef struct {
  uint8_t input, weights, zero_points;
} types;

#if DQNN_FLOAT_SUMS
#define VECTOR_OF(integers) to_float(integers)
#else
#define VECTOR_OF(integers) (integers)
#endif

/* ---- one vector of inputs or weights ---- */

DQNN_INLINE v_number signs_of(uint32_t bits) {
  return VECTOR_OF(add_where(bits, all_int(1), all_int(-2)));
}

DQNN_INLINE number input_of(const layer *l, types t, const uint8_t *cell, uint32_t c) {
  if (t.input == DQNN_F32) {
    return ((const number *)(const void *)cell)[c];
  }
  if (t.input == DQNN_S8) {
    return (number)(((const int8_t *)cell)[c] - l->zero_point);
  }
  return (number)(1 - 2 * (int32_t)(((const uint32_t *)(const void *)cell)[c >> 5] >> (c & 31u) & 1u));
}

DQNN_INLINE number weight_of(const layer *l, types t, uint32_t at, uint32_t o) {
  if (t.weights == DQNN_F32) {
    return ((const number *)(const void *)l->weights)[at * l->shape.outputs + o];
  }
  if (t.weights == DQNN_S8) {
    int32_t w = (int32_t)((const int8_t *)l->weights)[at * l->shape.outputs + o];
    w -= t.zero_points ? l->weight_zero_points[o] : 0;
    return (number)(l->half_weights ? 2 * w + 1 : w);
  }
  return (number)(1 - 2 * (int32_t)(((const uint32_t *)(const void *)l->weights)[(o >> 5) * l->taps + at] >> (o & 31u) &
                                    1u));
}

/* o is a multiple of LANES; `simple`: all lanes exist, and each has an input channel of its own. */
DQNN_INLINE v_number load_input(const layer *l, types t, const uint8_t *cell, uint32_t o, uint32_t count, int simple) {
  if (cell == NULL) {
    return l->outside - (v_number){0};
  }
  if (!simple) {
    v_number x = {0};
    for (uint32_t i = 0; i < count; i++) {
      x[i] = input_of(l, t, cell, (o + i) / l->multiplier);
    }
    return x;
  }
  if (t.input == DQNN_F32) {
    return load_number((const number *)(const void *)cell + o);
  }
  if (t.input == DQNN_S8) {
    return VECTOR_OF(load_s8((const int8_t *)cell + o) - l->zero_point);
  }
  return signs_of(((const uint32_t *)(const void *)cell)[o >> 5] >> (o & 31u) & ALL_LANES);
}

DQNN_INLINE v_number load_weights(const layer *l, types t, uint32_t at, uint32_t o, uint32_t count, int simple) {
  if (!simple && count < LANES) {
    v_number w = {0};
    for (uint32_t i = 0; i < count; i++) {
      w[i] = weight_of(l, t, at, o + i);
    }
    return w;
  }
  if (t.weights == DQNN_F32) {
    return load_number((const number *)(const void *)l->weights + at * l->shape.outputs + o);
  }
  if (t.weights == DQNN_S8) {
    v_int w = load_s8((const int8_t *)l->weights + at * l->shape.outputs + o);
    if (t.zero_points) {
      w -= load_s8(l->weight_zero_points + o);
    }
    return VECTOR_OF(l->half_weights ? 2 * w + 1 : w);
  }
  return signs_of(((const uint32_t *)(const void *)l->weights)[(o >> 5) * l->taps + at] >> (o & 31u) & ALL_LANES);
}

/* ---- one window ---- */

/* Adds n taps to the sums of `vectors` vectors from output o on; count: of them in a single vector that is not simple.
 */
DQNN_INLINE void add_taps(const layer *l, types t, const tap *list, uint32_t n, uint32_t o, uint32_t vectors,
                          uint32_t count, int simple, number *sums) {
  v_number acc[TOGETHER];
  for (uint32_t v = 0; v < vectors; v++) {
    acc[v] = load_number(sums + v * LANES);
  }
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t v = 0; v < vectors; v++) {
      uint32_t at = o + v * LANES;
      acc[v] +=
          load_weights(l, t, list[i].number, at, count, simple) * load_input(l, t, list[i].cell, at, count, simple);
    }
  }
  for (uint32_t v = 0; v < vectors; v++) {
    store_number(sums + v * LANES, acc[v]);
  }
}

#if DQNN_HAVE_NEON && !DQNN_FLOAT_SUMS
/* The same for bytes, `eights` times eight outputs; halfwords hold inputs and weights less their zero points. */
DQNN_INLINE void add_bytes(const layer *l, types t, const tap *list, uint32_t n, uint32_t o, uint32_t eights,
                           int32_t *sums) {
  const int8x8_t zero_point = vdup_n_s8((int8_t)l->zero_point);
  const int16x8_t outside = vdupq_n_s16((int16_t)l->outside);
  int32x4_t acc[4];
  for (uint32_t v = 0; v < 2 * eights; v++) {
    acc[v] = vld1q_s32(sums + 4 * v);
  }
  for (uint32_t i = 0; i < n; i++) {
    const int8_t *cell = (const int8_t *)list[i].cell, *weights = (const int8_t *)l->weights;
    for (uint32_t v = 0; v < eights; v++) {
      uint32_t at = o + 8 * v;
      int16x8_t x = cell ? vsubl_s8(vld1_s8(cell + at), zero_point) : outside,
                w = vmovl_s8(vld1_s8(weights + list[i].number * l->shape.outputs + at));
      w = t.zero_points ? vsubw_s8(w, vld1_s8(l->weight_zero_points + at)) : w;
      w = l->half_weights ? vaddq_s16(vaddq_s16(w, w), vdupq_n_s16(1)) : w;
      acc[2 * v] = vmlal_s16(acc[2 * v], vget_low_s16(x), vget_low_s16(w));
      acc[2 * v + 1] = vmlal_high_s16(acc[2 * v + 1], x, w);
    }
  }
  for (uint32_t v = 0; v < 2 * eights; v++) {
    vst1q_s32(sums + 4 * v, acc[v]);
  }
}

/* The sums of a dense 3x3 window that lies inside the map. */
DQNN_INLINE void add_nine(const layer *l, const int8_t *cell, uint32_t o, uint32_t eights, int32_t *sums) {
  const int8x8_t zero_point = vdup_n_s8((int8_t)l->zero_point);
  const int8_t *weights = (const int8_t *)l->weights + o;
  uint32_t pixel = l->pixel_bytes, row = (uint32_t)l->shape.width * pixel, outputs = l->shape.outputs;
  int32x4_t acc[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  cell += o;
  for (uint32_t ky = 0; ky < 3; ky++, cell += row) {
    for (uint32_t kx = 0; kx < 3; kx++, weights += outputs) {
      for (uint32_t v = 0; v < eights; v++) {
        int16x8_t x = vsubl_s8(vld1_s8(cell + kx * pixel + 8 * v), zero_point), w = vmovl_s8(vld1_s8(weights + 8 * v));
        acc[2 * v] = vmlal_s16(acc[2 * v], vget_low_s16(x), vget_low_s16(w));
        acc[2 * v + 1] = vmlal_high_s16(acc[2 * v + 1], x, w);
      }
    }
  }
  for (uint32_t v = 0; v < 2 * eights; v++) {
    vst1q_s32(sums + 4 * v, acc[v]);
  }
}

/* All outputs of the window that begins at (y, x), if it is such a one. */
DQNN_INLINE int sum_nine(const layer *l, int32_t y, int32_t x, uint32_t first, uint32_t count, int32_t *sums) {
  const dqnn_geometry *g = &l->shape;
  if (!l->nine || y < 0 || x < 0 || y + 3 > g->height || x + 3 > g->width) {
    return 0;
  }
  const int8_t *cell = (const int8_t *)l->image + dqnn_cell_index(g, y, x) * l->pixel_bytes;
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    add_nine(l, cell, first + i, 2, sums + i);
  }
  if (i < count) {
    add_nine(l, cell, first + i, 1, sums + i);
  }
  return 1;
}

static int takes_nine(const layer *l, const dqnn_conv_params *p) {
  const dqnn_geometry *g = &l->shape;
  return p->multiplier == 1 && !p->half_weights && p->weight_bits == 0 && g->kernel_h == 3 && g->kernel_w == 3 &&
         g->dilation_h == 1 && g->dilation_w == 1 && g->outputs % 8 == 0;
}

/* Returns how many outputs it has done. */
DQNN_INLINE uint32_t add_list_of_bytes(const layer *l, types t, const tap *list, uint32_t n, uint32_t first,
                                       uint32_t count, int32_t *sums) {
  uint32_t i = 0;
  if (t.input != DQNN_S8 || t.weights != DQNN_S8 || l->multiplier != 1) {
    return 0;
  }
  for (; i + 16 <= count; i += 16) {
    add_bytes(l, t, list, n, first + i, 2, sums + i);
  }
  for (; i + 8 <= count; i += 8) {
    add_bytes(l, t, list, n, first + i, 1, sums + i);
  }
  return i;
}
#else
DQNN_INLINE uint32_t add_list_of_bytes(const layer *l, types t, const tap *list, uint32_t n, uint32_t first,
                                       uint32_t count, number *sums) {
  (void)l, (void)t, (void)list, (void)n, (void)first, (void)count, (void)sums;
  return 0;
}
#define takes_nine(l, p) 0
#define sum_nine(l, y, x, first, count, sums) 0
#endif

/* Outputs first .. first + count - 1; `sums` has room for whole vectors. */
DQNN_INLINE void add_list(const layer *l, types t, const tap *list, uint32_t n, uint32_t first, uint32_t count,
                          number *sums) {
  uint32_t i = add_list_of_bytes(l, t, list, n, first, count, sums);
  if (l->multiplier == 1) {
    for (; i + TOGETHER * LANES <= count; i += TOGETHER * LANES) {
      add_taps(l, t, list, n, first + i, TOGETHER, LANES, 1, sums + i);
    }
    for (; i + LANES <= count; i += LANES) {
      add_taps(l, t, list, n, first + i, 1, LANES, 1, sums + i);
    }
  }
  for (; i < count; i += LANES) {
    add_taps(l, t, list, n, first + i, 1, count - i < LANES ? count - i : LANES, 0, sums + i);
  }
}

/* Sums of the window that begins at (y, x). */
DQNN_INLINE void sum_listed(const layer *l, types t, int32_t y, int32_t x, uint32_t first, uint32_t count,
                            number *sums) {
  const dqnn_geometry *g = &l->shape;
  dqnn_taps rows = dqnn_taps_inside(y, g->kernel_h, g->dilation_h, g->height),
            columns = dqnn_taps_inside(x, g->kernel_w, g->dilation_w, g->width);
  tap list[LIST];
  uint32_t n = 0, number_of = 0;
  for (uint32_t i = 0; i < count; i += LANES) {
    store_number(sums + i, (v_number){0});
  }
  for (int32_t ky = 0; ky < g->kernel_h; ky++, y += g->dilation_h) {
    for (int32_t kx = 0; kx < g->kernel_w; kx++, number_of++) {
      int inside = ky >= rows.first && ky < rows.end && kx >= columns.first && kx < columns.end;
      if (!inside && l->outside == 0) {
        continue;
      }
      list[n].cell = inside ? l->image + dqnn_cell_index(g, y, x + kx * g->dilation_w) * l->pixel_bytes : NULL;
      list[n].number = number_of;
      if (++n == LIST) {
        add_list(l, t, list, n, first, count, sums);
        n = 0;
      }
    }
  }
  add_list(l, t, list, n, first, count, sums);
}

DQNN_INLINE void sum_window(const layer *l, types t, int32_t y, int32_t x, uint32_t first, uint32_t count,
                            number *sums) {
  if (t.input != DQNN_S8 || t.weights != DQNN_S8 || t.zero_points || !sum_nine(l, y, x, first, count, sums)) {
    sum_listed(l, t, y, x, first, count, sums);
  }
}

/* Outputs first .. first + count - 1 of the pooling window that begins at (y, x). */
DQNN_INLINE void run_chunk(const layer *l, types t, int32_t y, int32_t x, uint32_t first, uint32_t count,
                           uint32_t pixel) {
  const dqnn_geometry *g = &l->shape;
  number most[CHUNK], sums[CHUNK];
  sum_window(l, t, y, x, first, count, most);
  for (int32_t cell = 1; cell < (int32_t)g->pool_cells; cell++) {
    sum_window(l, t, y + cell / g->pool_w * g->stride_h, x + cell % g->pool_w * g->stride_w, first, count, sums);
    for (uint32_t i = 0; i < count; i++) {
      most[i] = most[i] < sums[i] ? sums[i] : most[i];
    }
  }
  emit(&l->to, most, pixel, first, count);
}

static void read_layer(const dqnn_call *call, uint32_t zero_points, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  dqnn_read_geometry(call, g);
  read_sink(call, 1 + zero_points, g->outputs, &l->to);
  l->image = (const uint8_t *)call->in[0];
  l->weights = (const uint8_t *)call->constants[0];
  l->pixel_bytes = dqnn_row_bytes(in);
  l->multiplier = p->multiplier;
  l->taps = dqnn_kernel_cells(g);
  l->zero_point = in->dtype == DQNN_S8 ? in->zero_point : 0;
  l->outside = (number)(p->pad_value - (float)l->zero_point);
  l->half_weights = p->half_weights;
  l->weight_zero_points = zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->nine = (uint8_t)takes_nine(l, p);
}

DQNN_INLINE void run(const dqnn_call *call, types t) {
  layer l;
  read_layer(call, t.zero_points, &l);
  const dqnn_geometry *g = &l.shape;
  uint32_t pixel = 0;
  for (int32_t oy = 0; oy < g->out_height; oy += g->pool_h) {
    for (int32_t ox = 0; ox < g->out_width; ox += g->pool_w, pixel++) {
      for (uint32_t first = 0; first < g->outputs; first += CHUNK) {
        uint32_t count = g->outputs - first < CHUNK ? g->outputs - first : CHUNK;
        run_chunk(&l, t, oy * g->stride_h - g->pad_top, ox * g->stride_w - g->pad_left, first, count, pixel);
      }
    }
  }
}

/* The body is compiled once per pair of types. */
#define DEPTHWISE(x, w, input, weights)                                  \
  static void run_##x##_##w(const dqnn_call *call) {                     \
    run(call, (types){input, weights, 0});                               \
  }                                                                      \
  void WIDE(dqnn_run_depthwise_##x##_##w##_s1)(const dqnn_call *call) {  \
    run_##x##_##w(call);                                                 \
  }                                                                      \
  void WIDE(dqnn_run_depthwise_##x##_##w##_s8)(const dqnn_call *call) {  \
    run_##x##_##w(call);                                                 \
  }                                                                      \
  void WIDE(dqnn_run_depthwise_##x##_##w##_f32)(const dqnn_call *call) { \
    run_##x##_##w(call);                                                 \
  }
