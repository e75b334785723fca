/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What every fast convolution reads and asks, compiled once. */
#include "geometry.h"

void dqnn_read_geometry(const dqnn_call *call, dqnn_geometry *g) {
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
  g->pool_cells = dqnn_pool_cells(p);
  g->groups = p->groups;
  g->in_group = p->groups == 1 ? g->channels : g->channels / p->groups;
  g->out_group = p->groups == 1 ? g->outputs : g->outputs / p->groups;
}

dqnn_taps dqnn_taps_cut(int32_t at, int32_t taps, int32_t dilation, int32_t size) {
  dqnn_taps inside = {0, taps};
  int32_t last = at + (taps - 1) * dilation;
  for (; inside.first < taps && at < 0; at += dilation) {
    inside.first++;
  }
  for (; inside.end > inside.first && last >= size; last -= dilation) {
    inside.end--;
  }
  if (inside.first >= inside.end) {
    inside.first = inside.end = 0;
  }
  return inside;
}
