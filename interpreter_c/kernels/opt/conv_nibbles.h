/* s8 x s1 convolution of whole blocks of eight channels: conv_nibbles.c. */
#ifndef DQNN_OPT_CONV_NIBBLES_H
#define DQNN_OPT_CONV_NIBBLES_H

#include "../map.h"

enum {
  DQNN_NIBBLE_STRIP = 8, /* outputs of a row at a time */
  DQNN_NIBBLE_WIDTH = 5, /* largest kernel width */
  DQNN_NIBBLE_TAPS = 16, /* most kernel cells: 16 * 8 * 255 fits 16 bits */
  DQNN_NIBBLE_CODE = 8   /* words of a code: positions j and j + 4 of the strip in word j */
};

/* Neighbouring columns, no pool, whole blocks of channels. */
static inline int dqnn_fits_nibbles(const dqnn_conv *v) {
  const dqnn_conv_params *p = v->params;
  uint32_t taps = (uint32_t)p->kernel_h * p->kernel_w;
  int plain =
      p->stride_w == 1 && p->dilation_w == 1 && p->up_h == 1 && p->up_w == 1 && p->pool_h == 1 && p->pool_w == 1;
  return plain && v->group_in % 8 == 0 && p->kernel_w <= DQNN_NIBBLE_WIDTH && taps <= DQNN_NIBBLE_TAPS;
}

/* Bytes: two tables per kernel row, sums of a strip. */
static inline uint64_t dqnn_nibbles_scratch(const dqnn_conv *v) {
  return (uint64_t)v->params->kernel_h * 2 * 16 * DQNN_NIBBLE_CODE * 4 + (uint64_t)DQNN_NIBBLE_STRIP * 4 * v->group_out;
}

void dqnn_run_nibbles(const dqnn_call *call);

#endif
