/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The walk of quads.h, compiled once. */
#include "quads.h"

static void plain(const dqnn_geometry *g, const dqnn_quad_ops *ops, void *layer) {
  uint32_t width = (uint32_t)g->out_width, pixels = (uint32_t)g->out_height * width, lanes = dqnn_quad_lanes(g),
           column = 0;
  dqnn_origin at = dqnn_window_at(g, 0, 0), last = at;
  for (uint32_t first = 0; first < pixels; first += lanes) {
    uint32_t n = pixels - first < lanes ? pixels - first : lanes, lane = 0;
    while (lane < n) {
      uint32_t run = n - lane < width - column ? n - lane : width - column;
      ops->gather(layer, at, lane, run);
      lane += run;
      column += run;
      at.x += (int32_t)run * g->stride_w;
      last.x = at.x - g->stride_w;
      last.y = at.y;
      if (column == width) {
        column = 0;
        at.x = -g->pad_left;
        at.y += g->stride_h;
      }
    }
    for (; lane < lanes; lane++) {
      ops->gather(layer, last, lane, 1);
    }
    ops->sum(layer, first, n, lanes);
  }
}

static void pooled(const dqnn_geometry *g, const dqnn_quad_ops *ops, void *layer) {
  uint32_t pool_h = (uint32_t)g->pool_h, pool_w = (uint32_t)g->pool_w, cells = g->pool_cells;
  uint32_t width = (uint32_t)g->pooled_width, pixels = (uint32_t)g->out_height / pool_h * width;
  for (uint32_t pixel = 0; pixel < pixels; pixel++) {
    uint32_t y = pixel / width * pool_h, x = pixel % width * pool_w;
    for (uint32_t first = 0; first < cells; first += 4) {
      for (uint32_t i = 0, run; i < 4; i += run) {
        uint32_t cell = first + i < cells ? first + i : cells - 1, column = cell % pool_w;
        run = pool_w - column < 4 - i ? pool_w - column : 4 - i;
        ops->gather(layer, dqnn_window_at(g, y + cell / pool_w, x + column), i, run);
      }
      ops->maximum(layer, first == 0);
    }
    ops->emit(layer, pixel);
  }
}

void dqnn_quads_run(const dqnn_geometry *g, const dqnn_quad_ops *ops, void *layer) {
  if (g->pool_cells > 1) {
    pooled(g, ops, layer);
  } else {
    plain(g, ops, layer);
  }
}

int32_t dqnn_cell_at(const dqnn_geometry *g, int32_t up_h, int32_t up_w, int32_t y, int32_t x) {
  int32_t row = dqnn_input_index(y, g->height, up_h), column = dqnn_input_index(x, g->width, up_w);
  if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
    return DQNN_AT_OUTSIDE;
  }
  return row < 0 || column < 0 ? DQNN_AT_HOLE : row * g->width + column;
}
