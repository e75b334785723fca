/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions of s8 and s1 maps on vectors, whatever the weights are: windows as columns of bytes, the walk over the
 * output, and what becomes of sums. A kernel keeps its own state behind this one, and says how columns become sums. */
#ifndef DQNN_MVE_WINDOWS_H
#define DQNN_MVE_WINDOWS_H

#include "../../isa/copy.h"
#include "../opt/quads.h"
#include "epilogue_mve.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

enum { DQNN_WINDOWS = 3, DQNN_WINDOW_STEP = 16 };

typedef struct dqnn_windows dqnn_windows;
struct dqnn_windows {
  const dqnn_call *call;
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const uint8_t *image;
  uint32_t pixel_bytes;    /* of the input */
  uint32_t first_channel;  /* of the group at work, input side */
  uint32_t first_output;   /* of the block at work ... */
  uint32_t outputs;        /* ... and how many: those of a group, or some of them */
  uint32_t row_taps, taps; /* elements of a kernel row, of a window */
  int32_t up_h, up_w;
  int32_t zero_point, outside; /* of the input; stored value of cells outside the map */
  uint8_t plain;               /* kernel rows lie in memory as runs of s8 */
  uint8_t binary, half_weights;
  uint8_t together; /* windows at a time, at most DQNN_WINDOWS; behind maxima of a pool, two. Set by the kernel, as all
                       below */
  int8_t *columns;  /* column_bytes apart */
  uint32_t column_bytes;
  int32_t *totals; /* [window][output of the block], pitch apart */
  uint32_t pitch;
  /* The window at a place: in the map itself, or gathered to `column`. */
  const int8_t *(*gather)(const dqnn_windows *l, dqnn_origin at, int8_t *column);
  /* n windows to totals; x as gathered. */
  void (*sum)(const dqnn_windows *l, const int8_t *const x[], uint32_t n);
};

/* constants: before those of the output rule. */
void dqnn_windows_prepare(dqnn_windows *l, const dqnn_call *call, uint32_t constants);

/* The next outputs of a group, at most `block`: of the first one at first. False behind the last group. */
int dqnn_windows_next(dqnn_windows *l, uint32_t block);

/* The block's outputs of the whole map. */
void dqnn_windows_run(dqnn_windows *l);

/* The first kernel row of a window whose rows all lie in memory as runs of s8, row_taps long; NULL if they do not. */
DQNN_INLINE const int8_t *dqnn_windows_row(const dqnn_windows *l, dqnn_origin at) {
  const dqnn_geometry *g = &l->shape;
  int32_t last_y = at.y + (g->kernel_h - 1) * g->dilation_h;
  int inside = l->plain && at.y >= 0 && last_y < g->height && at.x >= 0 && at.x + g->kernel_w <= g->width;
  return inside ? (const int8_t *)l->image + dqnn_cell_index(g, at.y, at.x) * g->channels : NULL;
}

/* A window in the order of the weights: such rows, or any. */
void dqnn_windows_copy(const dqnn_windows *l, const int8_t *run, int8_t *column);
void dqnn_windows_gather(const dqnn_windows *l, dqnn_origin at, int8_t *column);

DQNN_INLINE void dqnn_copy_bytes(int8_t *to, const int8_t *from, uint32_t count) {
  dqnn_copy_run((uint8_t *)to, (const uint8_t *)from, count);
}

DQNN_INLINE void dqnn_fill_bytes(int8_t *to, uint32_t count, int32_t value) {
  int8x16_t all = vdupq_n_s8((int8_t)value);
  for (; count >= DQNN_WINDOW_STEP; count -= DQNN_WINDOW_STEP, to += DQNN_WINDOW_STEP) {
    vst1q_s8(to, all);
  }
  if (count > 0) {
    vstrbq_p_s8(to, all, vctp8q(count));
  }
}

#endif
#endif
