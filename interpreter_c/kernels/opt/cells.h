/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Cells of an s8 or s1 map as halfwords without their zero point, gathered tap by tap: groups, dilation, inserted
 * zeros, borders. What conv_pairs.c and conv_packed.c share, which put them to their columns each in an order of its
 * own. */
#ifndef DQNN_OPT_CELLS_H
#define DQNN_OPT_CELLS_H

#include "quads.h"

typedef struct {
  const uint8_t *image;
  uint32_t pixel_bytes;
  uint32_t first_channel;      /* of the group at work */
  int32_t up_h, up_w;          /* zeros between cells, see dqnn_input_index */
  int32_t zero_point, outside; /* value of cells outside the map, zero point removed */
  uint8_t binary;
} dqnn_cells;

static inline void dqnn_read_cells(const dqnn_call *call, dqnn_cells *cells) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0];
  cells->image = (const uint8_t *)call->in[0];
  cells->pixel_bytes = dqnn_row_bytes(in);
  cells->first_channel = 0;
  cells->up_h = p->up_h;
  cells->up_w = p->up_w;
  cells->binary = in->dtype == DQNN_S1;
  cells->zero_point = cells->binary ? 0 : in->zero_point;
  cells->outside = (int32_t)p->pad_value - cells->zero_point;
}

static inline void dqnn_fill_halfwords(int16_t *to, uint32_t count, int32_t value) {
  for (; count; count--) {
    *to++ = (int16_t)value;
  }
}

/* The channels of one cell. */
static inline void dqnn_read_cell(const dqnn_geometry *g, const dqnn_cells *cells, uint32_t y, uint32_t x,
                                  int16_t *to) {
  const uint8_t *cell = cells->image + (y * (uint32_t)g->width + x) * cells->pixel_bytes;
  uint32_t count = g->in_group;
  if (!cells->binary) {
    const int8_t *from = (const int8_t *)cell + cells->first_channel;
    for (uint32_t i = 0; i < count; i++) {
      to[i] = (int16_t)(from[i] - cells->zero_point);
    }
    return;
  }
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = cells->first_channel + i, word;
    memcpy(&word, cell + 4 * (at >> 5), 4);
    to[i] = (int16_t)(1 - 2 * (int32_t)(word >> (at & 31u) & 1u));
  }
}

/* One kernel row of a window. */
static inline void dqnn_read_row(const dqnn_geometry *g, const dqnn_cells *cells, dqnn_origin at, int16_t *to) {
  int32_t row = dqnn_input_index(at.y, g->height, cells->up_h);
  for (int32_t kx = 0; kx < g->kernel_w; kx++, at.x += g->dilation_w, to += g->in_group) {
    int32_t column = dqnn_input_index(at.x, g->width, cells->up_w);
    if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
      dqnn_fill_halfwords(to, g->in_group, cells->outside);
    } else if (row < 0 || column < 0) {
      dqnn_fill_halfwords(to, g->in_group, 0);
    } else {
      dqnn_read_cell(g, cells, (uint32_t)row, (uint32_t)column, to);
    }
  }
}

/* A pair for each two of `count` taps into one lane of the columns; returns where the column goes on. */
DQNN_INLINE uint32_t *dqnn_put_constant(uint32_t pair, uint32_t count, uint32_t *column, uint32_t lanes) {
  for (uint32_t i = count >> 1; i; i--, column += lanes) {
    *column = pair;
  }
  return column;
}

/* Whether the windows of n neighbours from `at` on lie inside the map, whose columns are not dilated. */
static inline int dqnn_neighbours_inside(const dqnn_geometry *g, dqnn_origin at, uint32_t n) {
  int32_t last_y = at.y + (g->kernel_h - 1) * g->dilation_h, last_x = at.x + ((int32_t)n - 1) * g->stride_w;
  return at.y >= 0 && last_y < g->height && at.x >= 0 && last_x + g->kernel_w <= g->width;
}

#endif
