/* First layers: 3x3 binary convolution of one channel, threshold and 2x2 maximum in one pass. */
#ifndef DQNN_OPT_CONV_FIRST_H
#define DQNN_OPT_CONV_FIRST_H

#include "kernels/map.h"

/* Bytes: tables of four input rows for a strip of the output; for s8 input also eight per channel. */
static inline uint64_t dqnn_first_scratch(const dqnn_conv *v, int s8) {
  return s8 ? 512 + (uint64_t)8 * v->out_c : 768;
}

/* One channel, 3x3, stride 1, pool 2x2, s1 output, f32 or s8 input. */
static inline int dqnn_is_first_layer(const dqnn_call *call, const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  int window = p->kernel_h == 3 && p->kernel_w == 3 && p->stride_h == 1 && p->stride_w == 1 && p->dilation_h == 1 &&
               p->dilation_w == 1;
  int plain = p->up_h == 1 && p->up_w == 1 && p->pool_h == 2 && p->pool_w == 2;
  return window && plain && v->in_c == 1 && call->out_def->dtype == DQNN_S1;
}

/* First byte of the input that the windows of pooled pixel (y, x) and the later ones of its row read; cells of `cell`
 * bytes. */
static inline uint64_t dqnn_first_read(const dqnn_conv *v, int32_t y, int32_t x, uint32_t cell) {
  int32_t row = 2 * y - v->y.pad, column = 2 * x - v->x.pad;
  row = row < 0 ? 0 : row;
  column = column < 0 ? 0 : column;
  return ((uint64_t)row * (uint32_t)v->x.size + (uint32_t)column) * cell;
}

/* Bytes of the input that the output of a first layer may share. Every variant computes pixels in row-major order and
 * reads all inputs of a pixel before its output word is written (at most 32 channels); so nothing is lost if the output
 * up to a pixel ends where later pixels begin to read. */
static inline uint32_t dqnn_first_overlap(const dqnn_conv *v, uint32_t cell) {
  if (v->out_c > 32) {
    return 0;
  }
  uint64_t written = 0;
  for (int32_t y = 0; y < v->pooled_h; y++) {
    uint64_t next_row = dqnn_first_read(v, y + 1, 0, cell);
    for (int32_t x = 0; x < v->pooled_w; x++) {
      written += 4;
      int last = x + 1 == v->pooled_w;
      if (written > next_row && y + 1 < v->pooled_h) {
        return 0;
      }
      if (!last && written > dqnn_first_read(v, y, x + 1, cell)) {
        return 0;
      }
    }
  }
  return (uint32_t)written;
}

void dqnn_run_first_f32(const dqnn_call *call);
void dqnn_run_first_s8(const dqnn_call *call);

#endif
