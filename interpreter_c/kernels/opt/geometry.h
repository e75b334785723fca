/* The shape of a convolution as the fast kernels want it: plain numbers read once from the call, and which taps of a
 * window lie inside the map. plan() has checked everything, so nothing is checked here. */
#ifndef DQNN_OPT_GEOMETRY_H
#define DQNN_OPT_GEOMETRY_H

#include "isa/isa.h"
#include "kernel.h"
#include "kernels/map.h"

typedef struct {
  int32_t height, width;         /* of the input */
  int32_t out_height, out_width; /* before pooling */
  int32_t pooled_width;
  int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, pool_h, pool_w;
  uint32_t channels, outputs;           /* in all */
  uint32_t groups, in_group, out_group; /* channels and outputs of one group */
} dqnn_geometry;

/* Bytes of one cell of a map: all channels. */
DQNN_INLINE uint32_t dqnn_cell_bytes(const dqnn_tensor_def *def) {
  uint32_t channels = dqnn_last(def);
  return def->dtype == DQNN_S1 ? 4 * dqnn_words(channels) : def->dtype == DQNN_S8 ? channels : 4 * channels;
}

DQNN_INLINE void dqnn_read_geometry(const dqnn_call *call, dqnn_geometry *g) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  g->height = (int32_t)in.h;
  g->width = (int32_t)in.w;
  g->channels = in.c;
  g->pooled_width = (int32_t)out.w;
  g->out_height = (int32_t)(out.h * p->pool_h);
  g->out_width = (int32_t)(out.w * p->pool_w);
  g->outputs = out.c;
  g->kernel_h = p->kernel_h;
  g->kernel_w = p->kernel_w;
  g->stride_h = p->stride_h;
  g->stride_w = p->stride_w;
  g->dilation_h = p->dilation_h;
  g->dilation_w = p->dilation_w;
  g->pad_top = p->pad_top;
  g->pad_left = p->pad_left;
  g->pool_h = p->pool_h;
  g->pool_w = p->pool_w;
  g->groups = p->groups;
  g->in_group = p->groups == 1 ? g->channels : g->channels / p->groups;
  g->out_group = p->groups == 1 ? g->outputs : g->outputs / p->groups;
}

/* Taps first <= t < end of a window that begins at `at` lie inside 0..size-1; none: 0, 0. They are neighbours, whatever
 * the dilation. */
typedef struct {
  int32_t first, end;
} dqnn_taps;

DQNN_INLINE dqnn_taps dqnn_taps_inside(int32_t at, int32_t taps, int32_t dilation, int32_t size) {
  dqnn_taps inside = {0, taps};
  int32_t last = at + (taps - 1) * dilation;
  for (; inside.first < taps && at < 0; at += dilation)
    inside.first++;
  for (; inside.end > inside.first && last >= size; last -= dilation)
    inside.end--;
  if (inside.first >= inside.end)
    inside.first = inside.end = 0;
  return inside;
}

DQNN_INLINE int dqnn_same_taps(dqnn_taps a, dqnn_taps b) {
  return a.first == b.first && a.end == b.end;
}

#endif
