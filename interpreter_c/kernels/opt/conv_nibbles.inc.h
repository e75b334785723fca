/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The walk of conv_nibbles.c, with any layout of tables.
 *
 * A template. In: NAME(function); EMIT(function) for the outputs of epilogue.h; fill_row() and add_any_block() as
 * conv_nibbles.c has them. Out: NAME(dqnn_run_nibbles); plain and with _lanes behind, in kernels/mve. */
#include "../../isa/halves.h"
#include "conv_nibbles_layer.h"

/* Totals of a strip, a multiple of eight. */
static void clear(int32_t *totals, uint32_t eights) {
  for (; eights > 0; eights--, totals += 8) {
    totals[0] = totals[1] = totals[2] = totals[3] = totals[4] = totals[5] = totals[6] = totals[7] = 0;
  }
}

static void sum_strip(const layer *l, int32_t y, int32_t x, uint32_t group) {
  const dqnn_geometry *s = &l->shape;
  uint32_t cells = dqnn_kernel_cells(s);
  const uint8_t *weights = (const uint8_t *)l->call->constants[0] + group * s->out_group * (s->in_group / 8) * cells;
  clear(l->totals, s->out_group);
  for (uint32_t channel = 0; channel < s->in_group; channel += 8, weights += s->out_group * cells) {
    for (int32_t ky = 0; ky < s->kernel_h; ky++) {
      fill_row(l, y + ky * s->dilation_h, x, group * s->in_group + channel, l->tables + ky * 2 * TABLE_WORDS);
    }
    add_any_block(l, weights);
  }
}

static void emit_strip(const layer *l, uint32_t first_pixel, uint32_t count, uint32_t channel) {
  const dqnn_call *call = l->call;
  uint32_t channels = l->shape.out_group;
  const int32_t *acc = l->totals;
  for (uint32_t pixel = first_pixel; pixel < first_pixel + count; pixel++, acc += channels) {
    if (call->out_def->dtype == DQNN_S8) {
      EMIT(dqnn_emit_s8)
      (&l->epilogue, acc, channel, channels, (int8_t *)call->out + pixel * l->shape.outputs + channel);
    } else {
      EMIT(dqnn_emit)(call, &l->epilogue, acc, channel, channels, pixel);
    }
  }
}

void NAME(dqnn_run_nibbles)(const dqnn_call *call) {
  layer l;
  dqnn_read_geometry(call, &l.shape);
  const dqnn_geometry *s = &l.shape;
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &l.epilogue);
  }
  l.call = call;
  l.image = (const int8_t *)call->in[0];
  l.minus_zero_point = dqnn_both_halves(-call->in_def[0]->zero_point);
  l.outside = dqnn_every_byte((int32_t)p->pad_value);
  l.tables = (uint32_t *)call->scratch;
  l.totals = (int32_t *)(void *)(l.tables + 2 * TABLE_WORDS * (uint32_t)s->kernel_h);
  for (int32_t oy = 0; oy < s->out_height; oy++) {
    for (uint32_t group = 0; group < s->groups; group++) {
      for (int32_t ox = 0; ox < s->out_width; ox += DQNN_NIBBLE_STRIP) {
        int32_t left = s->out_width - ox, count = left < DQNN_NIBBLE_STRIP ? left : DQNN_NIBBLE_STRIP;
        sum_strip(&l, oy * s->stride_h - s->pad_top, ox - s->pad_left, group);
        emit_strip(&l, (uint32_t)(oy * s->out_width + ox), (uint32_t)count, group * s->out_group);
      }
    }
  }
}
