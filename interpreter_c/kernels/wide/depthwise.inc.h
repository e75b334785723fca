/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_* with one input type and one type of weights per function, neighbouring channels side by side.
 *
 * For every window the taps that count are listed once, in the order of SPEC.md 3.1; all channels go through the list.
 * Taps outside the map count unless their value is 0: float sums begin at +0 and weights are finite, so adding a zero
 * changes nothing.
 *
 * A template. In: DQNN_FLOAT_SUMS (emit.inc.h). Out: DEPTHWISE(x, w, input, weights), which defines
 * dqnn_run_depthwise_<x>_<w>_{s1,s8,f32}_<isa>. */
#include <string.h>

#include "../opt/geometry.h"
#include "emit.inc.h"

enum { CHUNK = 128, LIST = 64, TOGETHER = 4 /* vectors */ };
enum { AREA = 64 /* outputs */, PATCH = 16384 /* bytes */ };

#if !DQNN_FLOAT_SUMS
#include "../opt/depthwise_packed.h"
#include "depthwise_bytes.h"
#endif

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
  uint8_t bytes, in_patches; /* windows go the way of depthwise_bytes.h, many of them together */
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

/* Outputs first .. first + count - 1; `sums` has room for whole vectors. */
DQNN_INLINE void add_list(const layer *l, types t, const tap *list, uint32_t n, uint32_t first, uint32_t count,
                          number *sums) {
  uint32_t i = 0;
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

#if DQNN_FLOAT_SUMS
typedef uint8_t factors;
#define takes_bytes(l, t, p) 0
#define takes_patches(g) 0
#define leaves(l, t, call) 0
#define make_ready(l, t, call, first, count, f) (void)(f)
#define sum_bytes(l, f, y, x, first, count, sums) (void)(f)
#define run_patches(l, f, first, count) (void)(f)
#else
static int takes_bytes(const layer *l, types t, const dqnn_conv_params *p) {
  return t.input == DQNN_S8 && t.weights == DQNN_S8 && p->multiplier == 1 && l->taps <= MOST_TAPS &&
         l->shape.outputs >= EIGHT && (l->shape.outputs - EIGHT) % CHUNK <= CHUNK - EIGHT;
}

/* Of outputs: where they begin and how many there are. */
typedef struct {
  int32_t y, x, height, width;
} area;

/* Of a row of outputs: cells of the patch. */
DQNN_INLINE uint32_t patch_width(const dqnn_geometry *g, int32_t outputs) {
  return (uint32_t)(outputs - 1) * (uint32_t)g->stride_w + (SIDE - 1) * (uint32_t)g->dilation_w + 1;
}

/* Outputs at a time, `count` channels of each: at most AREA, whose patch has room. */
static area largest_area(const dqnn_geometry *g, uint32_t count) {
  const uint32_t cells = PATCH / count, rows = (SIDE - 1) * (uint32_t)g->dilation_h + 1;
  area most = {0, 0, 1, g->out_width < AREA ? g->out_width : AREA};
  while (most.width > 1 && rows * patch_width(g, most.width) > cells) {
    most.width = (most.width + 1) / 2;
  }
  const uint32_t width = patch_width(g, most.width);
  while (most.width == g->out_width && most.height < g->out_height && (most.height + 1) * most.width <= AREA &&
         (rows + (uint32_t)(most.height * g->stride_h)) * width <= cells) {
    most.height++;
  }
  return most;
}

/* The least one has to have room. */
static int takes_patches(const dqnn_geometry *g) {
  return g->kernel_h == SIDE && g->kernel_w == SIDE && g->pool_cells == 1 &&
         ((uint64_t)g->dilation_h * (SIDE - 1) + 1) * ((uint64_t)g->dilation_w * (SIDE - 1) + 1) <= PATCH / CHUNK;
}

static int is_packed(const dqnn_call *call) {
  return DQNN_HAVE_PACKED && ((const dqnn_conv_params *)call->params)->weight_bits != 0;
}

/* Weights of 4 and 2 bits in other layers are left to `packed`. */
DQNN_INLINE int leaves(const layer *l, types t, const dqnn_call *call) {
#if DQNN_HAVE_PACKED
  if (t.input == DQNN_S8 && t.weights == DQNN_S8 && !t.zero_points && !l->bytes && is_packed(call)) {
    dqnn_run_depthwise_packed(call);
    return 1;
  }
#else
  (void)l;
  (void)t;
  (void)call;
#endif
  return 0;
}

static void make_ready(const layer *l, types t, const dqnn_call *call, uint32_t first, uint32_t count, factors *f) {
  stored_weights s = {(const int8_t *)l->weights,
                      t.zero_points ? l->weight_zero_points : NULL,
                      l->taps,
                      l->shape.outputs,
                      l->in_patches ? SIDE : 1,
                      l->zero_point,
                      l->half_weights};
#if DQNN_HAVE_PACKED
  int8_t unpacked[CHUNK * MOST_TAPS];
  if (is_packed(call)) {
    for (uint32_t o = 0; o < count; o += 4) {
      dqnn_unpack_depthwise(call, first + o, CHUNK, unpacked + o);
    }
    s.weights = unpacked;
    s.outputs = CHUNK;
    first = 0;
  }
#endif
  make_factors(&s, first, count, f);
  memset(f->outside, (int32_t)l->outside + l->zero_point, count);
}

/* Where the taps of the window that begins at (y, x) lie, from output `first` on. */
static void find_some_taps(const layer *l, const factors *f, int32_t y, int32_t x, uint32_t first, const int8_t **at) {
  const dqnn_geometry *g = &l->shape;
  const int8_t *image = (const int8_t *)l->image + first;
  dqnn_taps rows = dqnn_taps_inside(y, g->kernel_h, g->dilation_h, g->height),
            columns = dqnn_taps_inside(x, g->kernel_w, g->dilation_w, g->width);
  for (int32_t ky = 0; ky < g->kernel_h; ky++, at += g->kernel_w) {
    int inside = ky >= rows.first && ky < rows.end;
    for (int32_t kx = 0; kx < g->kernel_w; kx++) {
      at[kx] = inside && kx >= columns.first && kx < columns.end
                   ? image + dqnn_cell_index(g, y + ky * g->dilation_h, x + kx * g->dilation_w) * l->pixel_bytes
                   : f->outside;
    }
  }
}

/* The same; kernel: what both sides of the kernel are, a constant, or 0. */
DQNN_INLINE void find_taps(const layer *l, const factors *f, int32_t y, int32_t x, uint32_t first, int32_t kernel,
                           const int8_t **at) {
  const dqnn_geometry *g = &l->shape;
  int32_t height = kernel ? kernel : g->kernel_h, width = kernel ? kernel : g->kernel_w;
  if (y < 0 || x < 0 || y + (height - 1) * g->dilation_h >= g->height || x + (width - 1) * g->dilation_w >= g->width) {
    find_some_taps(l, f, y, x, first, at);
    return;
  }
  const int8_t *row = (const int8_t *)l->image + dqnn_cell_index(g, y, x) * l->pixel_bytes + first;
  size_t down = (size_t)dqnn_row_step(g, height) * l->pixel_bytes, right = (size_t)g->dilation_w * l->pixel_bytes;
  for (int32_t ky = 0; ky < height; ky++, row += down, at += width) {
    for (int32_t kx = 0; kx < width; kx++) {
      at[kx] = row + (size_t)kx * right;
    }
  }
}

DQNN_INLINE void sum_bytes(const layer *l, const factors *f, int32_t y, int32_t x, uint32_t first, uint32_t count,
                           number *sums) {
  const int8_t *at[MOST_TAPS];
  if (l->shape.kernel_h == 3 && l->shape.kernel_w == 3) {
    find_taps(l, f, y, x, first, 3, at);
    sum_taps(f, at, 9, count, sums);
  } else {
    find_taps(l, f, y, x, first, 0, at);
    sum_taps(f, at, l->taps, count, sums);
  }
}

/* What the windows of an area read, `count` channels from `first` on. */
static void copy_patch(const layer *l, const factors *f, area o, uint32_t first, uint32_t count, int8_t *to) {
  const dqnn_geometry *g = &l->shape;
  int32_t y = o.y * g->stride_h - g->pad_top, x = o.x * g->stride_w - g->pad_left,
          end = y + (o.height - 1) * g->stride_h + (SIDE - 1) * g->dilation_h + 1;
  const uint32_t width = patch_width(g, o.width);
  dqnn_taps in = dqnn_taps_inside(x, (int32_t)width, 1, g->width);
  for (; y < end; y++, to += width * count) {
    if (y < 0 || y >= g->height || in.first >= in.end) {
      memset(to, f->outside[0], width * count);
      continue;
    }
    const int8_t *from =
        (const int8_t *)l->image + (size_t)dqnn_cell_index(g, y, x + in.first) * l->pixel_bytes + first;
    uint32_t begin = (uint32_t)in.first * count, taken = (uint32_t)(in.end - in.first);
    memset(to, f->outside[0], begin);
    if (count == l->pixel_bytes) {
      memcpy(to + begin, from, taken * count);
    } else {
      for (uint32_t i = 0; i < taken; i++, from += l->pixel_bytes) {
        memcpy(to + begin + i * count, from, count);
      }
    }
    memset(to + begin + taken * count, f->outside[0], (width - (uint32_t)in.end) * count);
  }
}

/* Outputs first .. first + count - 1 of an area of whole rows, or of a piece of one. */
static void run_area(const layer *l, const factors *f, area o, uint32_t first, uint32_t count) {
  const dqnn_geometry *g = &l->shape;
  const uint32_t pitch = patch_width(g, o.width) * count, width = (uint32_t)o.width;
  const patch_steps steps = {(size_t)g->dilation_h * pitch, (size_t)g->dilation_w * count, (size_t)g->stride_w * count};
  int32_t sums[AREA][EIGHT];
  int8_t patch[PATCH];
  copy_patch(l, f, o, first, count, patch);
  for (uint32_t i = 0; i < count; i += EIGHT) {
    uint32_t at = eight_at(i, count), done = l->to.type == DQNN_S1 ? i - at : 0; /* no bit is appended twice */
    for (uint32_t y = 0; y < (uint32_t)o.height; y++) {
      sum_row(f, patch + y * (uint32_t)g->stride_h * pitch + at, &steps, i, at, width, sums + y * width);
    }
    emit_pixels(&l->to, sums[0] + done, EIGHT, (uint32_t)o.y * (uint32_t)g->out_width + (uint32_t)o.x,
                (uint32_t)o.height * width, first + at + done, EIGHT - done);
  }
}

/* Outputs first .. first + count - 1 of all pixels. */
static void run_patches(const layer *l, const factors *f, uint32_t first, uint32_t count) {
  const dqnn_geometry *g = &l->shape;
  const area most = largest_area(g, count);
  for (int32_t y = 0; y < g->out_height; y += most.height) {
    for (int32_t x = 0; x < g->out_width; x += most.width) {
      area o = {y, x, g->out_height - y, g->out_width - x};
      o.height = o.height < most.height ? o.height : most.height;
      o.width = o.width < most.width ? o.width : most.width;
      run_area(l, f, o, first, count);
    }
  }
}
#endif

DQNN_INLINE void sum_window(const layer *l, types t, const factors *f, int32_t y, int32_t x, uint32_t first,
                            uint32_t count, number *sums) {
  if (l->bytes) {
    sum_bytes(l, f, y, x, first, count, sums);
  } else {
    sum_listed(l, t, y, x, first, count, sums);
  }
}

/* Outputs first .. first + count - 1 of the pooling window that begins at (y, x). */
DQNN_INLINE void run_chunk(const layer *l, types t, const factors *f, int32_t y, int32_t x, uint32_t first,
                           uint32_t count, uint32_t pixel) {
  const dqnn_geometry *g = &l->shape;
  number most[CHUNK], sums[CHUNK];
  sum_window(l, t, f, y, x, first, count, most);
  for (int32_t cell = 1; cell < (int32_t)g->pool_cells; cell++) {
    sum_window(l, t, f, y + cell / g->pool_w * g->stride_h, x + cell % g->pool_w * g->stride_w, first, count, sums);
    for (uint32_t i = 0; i < count; i++) {
      most[i] = most[i] < sums[i] ? sums[i] : most[i];
    }
  }
  emit(&l->to, most, pixel, first, count);
}

static void read_layer(const dqnn_call *call, types t, layer *l) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  dqnn_geometry *g = &l->shape;
  dqnn_read_geometry(call, g);
  read_sink(call, 1u + t.zero_points, g->outputs, &l->to);
  l->image = (const uint8_t *)call->in[0];
  l->weights = (const uint8_t *)call->constants[0];
  l->pixel_bytes = dqnn_row_bytes(in);
  l->multiplier = p->multiplier;
  l->taps = dqnn_kernel_cells(g);
  l->zero_point = in->dtype == DQNN_S8 ? in->zero_point : 0;
  l->outside = (number)(p->pad_value - (float)l->zero_point);
  l->half_weights = p->half_weights;
  l->weight_zero_points = t.zero_points ? (const int8_t *)call->constants[1] : NULL;
  l->bytes = (uint8_t)takes_bytes(l, t, p);
  l->in_patches = l->bytes && takes_patches(g);
}

DQNN_INLINE void run(const dqnn_call *call, types t) {
  layer l;
  factors f;
  read_layer(call, t, &l);
  if (leaves(&l, t, call)) {
    return;
  }
  const dqnn_geometry *g = &l.shape;
  for (uint32_t first = 0; first < g->outputs; first += CHUNK) {
    uint32_t count = g->outputs - first < CHUNK ? g->outputs - first : CHUNK, pixel = 0;
    if (l.bytes) {
      make_ready(&l, t, call, first, count, &f);
    }
    if (l.in_patches) {
      run_patches(&l, &f, first, count);
      continue;
    }
    for (int32_t oy = 0; oy < g->out_height; oy += g->pool_h) {
      for (int32_t ox = 0; ox < g->out_width; ox += g->pool_w, pixel++) {
        run_chunk(&l, t, &f, oy * g->stride_h - g->pad_top, ox * g->stride_w - g->pad_left, first, count, pixel);
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
