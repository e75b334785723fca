/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Tensors as maps of cells, and windows over them: the addressing that SPEC.md 3 and 3.1 define, shared by plan
 * functions and reference kernels. */
#ifndef DQNN_MAP_H
#define DQNN_MAP_H

#include "../src/kernel.h"

/* A tensor as (height, width, channels): missing leading dimensions are 1, rank 4 merges the first two. */
typedef struct {
  uint32_t h, w, c;
} dqnn_map;

dqnn_map dqnn_map_of(const dqnn_tensor_def *def);

/* 32-bit words of a row of s1 elements. */
static inline uint32_t dqnn_words(uint32_t elements) {
  return elements / 32 + (elements % 32 != 0 ? 1u : 0u);
}

/* Last axis and the number of rows along it. */
static inline uint32_t dqnn_last(const dqnn_tensor_def *def) {
  return def->dims[def->rank - 1];
}

uint32_t dqnn_rows(const dqnn_tensor_def *def);

/* From the indices that a row has on the dimensions before the last to those of the next row. */
static inline void dqnn_next_row(const dqnn_tensor_def *def, uint32_t at[3]) {
  for (uint32_t k = 3; k-- > 0;) {
    if (k + 1 < def->rank) {
      at[k] += 1;
      if (at[k] < def->dims[k]) {
        return;
      }
      at[k] = 0;
    }
  }
}

/* An input seen from the rows of the output: dimensions of 1 are repeated. */
typedef struct {
  const dqnn_tensor_def *def;
  const void *data;
  uint32_t pitch[3]; /* rows per step of the dimensions before the last, outermost first */
  uint32_t last;
  uint32_t repeats; /* 1: its last dimension is 1, the output's is not */
} dqnn_operand;

dqnn_operand dqnn_operand_of(const dqnn_call *call, uint32_t n);

/* Its row under the output's row that has these indices; those beyond the rank are 0. */
static inline uint32_t dqnn_operand_row(const dqnn_operand *o, const uint32_t at[3]) {
  return at[0] * o->pitch[0] + at[1] * o->pitch[1] + at[2] * o->pitch[2];
}

/* Bytes of elements that stand in one row. */
static inline uint32_t dqnn_bytes_along(uint8_t dtype, uint32_t elements) {
  return dtype == DQNN_S1 ? 4 * dqnn_words(elements) : dtype == DQNN_S8 ? elements : 4 * elements;
}

/* Bytes of a row along the last axis: of a map's cell. */
static inline uint32_t dqnn_row_bytes(const dqnn_tensor_def *def) {
  return dqnn_bytes_along(def->dtype, dqnn_last(def));
}

/* One axis of a window: where tap k of output o reads. plan() has made sure that nothing here leaves int32. */
typedef struct {
  int32_t size, kernel, stride, dilation, pad, up; /* size: of the input; up: its dilation */
} dqnn_axis;

typedef enum { DQNN_INSIDE, DQNN_OUTSIDE, DQNN_HOLE } dqnn_place;

static inline dqnn_place dqnn_tap(const dqnn_axis *axis, int32_t output, int32_t tap, int32_t *index) {
  int32_t position = output * axis->stride + tap * axis->dilation - axis->pad;
  *index = 0;
  if (position < 0 || position > (axis->size - 1) * axis->up) {
    return DQNN_OUTSIDE;
  }
  if (position % axis->up != 0) {
    return DQNN_HOLE;
  }
  *index = position / axis->up;
  return DQNN_INSIDE;
}

/* Taps first <= k < end of a window lie inside a map without holes; they are neighbours, whatever the dilation. None:
 * 0, 0; then no address of a cell may be formed. */
typedef struct {
  int32_t first, end;
} dqnn_taps;

/* Those of output o. The kernels' dqnn_taps_inside (opt/geometry.h) answers the same without divisions. */
static inline dqnn_taps dqnn_inside_of(const dqnn_axis *axis, int32_t output) {
  int32_t at = output * axis->stride - axis->pad; /* position of tap 0 */
  int32_t first = at < 0 ? (-at + axis->dilation - 1) / axis->dilation : 0;
  int32_t end = at < axis->size ? (axis->size - 1 - at) / axis->dilation + 1 : 0;
  end = end < axis->kernel ? end : axis->kernel;
  return first < end ? (dqnn_taps){first, end} : (dqnn_taps){0, 0};
}

/* Border classes (SPEC.md 3.4): does output o (> 0) begin a new one? */
int dqnn_class_begins(const dqnn_axis *axis, int32_t output);

/* Number of the class of output o: how many classes begin at 1..o. */
int32_t dqnn_class_of(const dqnn_axis *axis, int32_t output);

/* The next output at which another class may begin; INT32_MAX if none does. There are at most 2 * kernel of them,
 * however many outputs: a class begins only where a tap enters or leaves the map. */
int32_t dqnn_next_class(const dqnn_axis *axis, int32_t output);

/* Cells of a pooling window. plan() has made sure that they fit int32. */
static inline uint32_t dqnn_pool_cells(const dqnn_conv_params *p) {
  return (uint32_t)p->pool_h * p->pool_w;
}

/* Is there one window in all? height, width: of the output before a pool. Some kernels go another way then. */
static inline int dqnn_is_single(int32_t height, int32_t width) {
  return height == 1 && width == 1;
}

/* Everything about a convolution but its weights. A depthwise convolution is one with a group per input channel. */
typedef struct {
  const dqnn_conv_params *params;
  dqnn_axis y, x;
  uint32_t in_c, out_c, groups, group_in, group_out;
  int32_t pooled_h, pooled_w;
} dqnn_conv;

dqnn_conv dqnn_conv_of(const dqnn_call *call, int depthwise);

/* Bilinear resizing: a place is a cell's index in parts of 1/1024; where it is no whole cell, the next one joins in. */
#define DQNN_PLACES 1024

static inline uint32_t dqnn_place_upper(uint32_t place) {
  return place / DQNN_PLACES + (place % DQNN_PLACES != 0);
}

#endif
