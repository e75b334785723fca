/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Windows of the pools, and the walk over all of them: what the fast variants share. */
#ifndef DQNN_POOL_H
#define DQNN_POOL_H

#include "../isa/isa.h"
#include "map.h"

/* The cells of one window: `rows` by `columns` from `first` on. */
typedef struct {
  const uint8_t *first;
  uint32_t rows, columns, row_bytes, cell_bytes;
} dqnn_window;

typedef struct {
  uint32_t first, count;
} dqnn_span;

static inline dqnn_span dqnn_span_of(uint32_t output, uint32_t stride, uint32_t pad, uint32_t kernel, uint32_t size) {
  uint32_t begin = output * stride, end = begin + kernel - pad; /* as if the map began after `pad` cells */
  uint32_t first = begin > pad ? begin - pad : 0;
  return (dqnn_span){first, (end < size ? end : size) - first};
}

static inline dqnn_window dqnn_window_of(const dqnn_call *call, dqnn_map in, uint32_t cell_bytes, uint32_t oy,
                                         uint32_t ox) {
  const dqnn_pool_params *p = (const dqnn_pool_params *)call->params;
  dqnn_span y = dqnn_span_of(oy, p->stride_h, p->pad_top, p->kernel_h, in.h),
            x = dqnn_span_of(ox, p->stride_w, p->pad_left, p->kernel_w, in.w);
  const uint8_t *first = (const uint8_t *)call->in[0] + (y.first * in.w + x.first) * cell_bytes;
  return (dqnn_window){first, y.count, x.count, in.w * cell_bytes, cell_bytes};
}

/* One output cell: `units` elements, or words of bits. */
typedef void (*dqnn_reduction)(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out);

DQNN_INLINE void dqnn_run_pool(const dqnn_call *call, dqnn_reduction reduce, uint32_t in_bytes, uint32_t out_bytes,
                               int bits) {
  dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  uint32_t units = bits ? dqnn_words(in.c) : in.c;
  uint8_t *to = (uint8_t *)call->out;
  for (uint32_t oy = 0; oy < out.h; oy++) {
    for (uint32_t ox = 0; ox < out.w; ox++, to += units * out_bytes) {
      dqnn_window w = dqnn_window_of(call, in, units * in_bytes, oy, ox);
      reduce(call, &w, units, to);
    }
  }
}

#endif
