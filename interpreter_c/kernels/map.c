/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The part of map.h that is too long to be inlined where speed does not matter. */
#include "map.h"

dqnn_map dqnn_map_of(const dqnn_tensor_def *def) {
  const uint32_t *d = def->dims;
  switch (def->rank) {
    case 1:
      return (dqnn_map){1, 1, d[0]};
    case 2:
      return (dqnn_map){1, d[0], d[1]};
    case 3:
      return (dqnn_map){d[0], d[1], d[2]};
    default:
      return (dqnn_map){d[0] * d[1], d[2], d[3]};
  }
}

uint32_t dqnn_rows(const dqnn_tensor_def *def) {
  uint32_t rows = 1;
  for (uint32_t i = 0; i + 1 < def->rank; ++i) {
    rows *= def->dims[i];
  }
  return rows;
}

dqnn_operand dqnn_operand_of(const dqnn_call *call, uint32_t n) {
  const dqnn_tensor_def *def = call->in_def[n];
  dqnn_operand o = {def, call->in[n], {0, 0, 0}, dqnn_last(def), dqnn_last(def) == 1 && dqnn_last(call->out_def) != 1};
  uint32_t rows = 1;
  for (uint32_t k = def->rank - 1u; k-- > 0;) {
    o.pitch[k] = def->dims[k] == 1 ? 0 : rows;
    rows *= def->dims[k];
  }
  return o;
}

int dqnn_class_begins(const dqnn_axis *axis, int32_t output) {
  dqnn_taps before = dqnn_inside_of(axis, output - 1), now = dqnn_inside_of(axis, output);
  return before.first != now.first || before.end != now.end;
}

int32_t dqnn_class_of(const dqnn_axis *axis, int32_t output) {
  int32_t class_number = 0;
  for (int32_t o = dqnn_next_class(axis, 0); o <= output; o = dqnn_next_class(axis, o)) {
    class_number += dqnn_class_begins(axis, o);
  }
  return class_number;
}

/* The last of the positions edge, edge - dilation, ... (one for each tap) that lies behind `at`; edge if none does. */
static int32_t next_edge(const dqnn_axis *axis, int32_t edge, int32_t at) {
  int32_t tap = edge > at ? (edge - at - 1) / axis->dilation : 0;
  return edge - (tap < axis->kernel ? tap : axis->kernel - 1) * axis->dilation;
}

/* With tap 0 at `at`, tap k enters the map at -k * dilation and leaves it at size - k * dilation. */
int32_t dqnn_next_class(const dqnn_axis *axis, int32_t output) {
  int32_t at = output * axis->stride - axis->pad;
  int32_t enters = next_edge(axis, 0, at), leaves = next_edge(axis, axis->size, at);
  int32_t next = enters > at && enters < leaves ? enters : leaves;
  return next > at ? (next + axis->pad + axis->stride - 1) / axis->stride : INT32_MAX;
}

dqnn_conv dqnn_conv_of(const dqnn_call *call, int depthwise) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  dqnn_conv v;
  v.params = p;
  v.y = (dqnn_axis){(int32_t)in.h, p->kernel_h, p->stride_h, p->dilation_h, p->pad_top, p->up_h};
  v.x = (dqnn_axis){(int32_t)in.w, p->kernel_w, p->stride_w, p->dilation_w, p->pad_left, p->up_w};
  v.in_c = in.c;
  v.out_c = out.c;
  v.groups = depthwise ? in.c : p->groups;
  v.group_in = in.c / v.groups;
  v.group_out = out.c / v.groups;
  v.pooled_h = (int32_t)out.h;
  v.pooled_w = (int32_t)out.w;
  return v;
}
