/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* s8 x s1 convolution of whole blocks of eight channels: conv_nibbles.c. */
#ifndef DQNN_OPT_CONV_NIBBLES_H
#define DQNN_OPT_CONV_NIBBLES_H

#include "../../isa/target.h"
#include "../map.h"

enum {
  DQNN_NIBBLE_STRIP = 8, /* outputs of a row at a time */
  DQNN_NIBBLE_WIDTH = 5, /* largest kernel width */
  DQNN_NIBBLE_TAPS = 16, /* most kernel cells: 16 * 8 * 255 fits 16 bits */
  DQNN_NIBBLE_CODE = 8   /* words of a code: positions j and j + 4 of the strip in word j */
};

/* Bytes: two tables per kernel row, sums of a strip. */
static inline uint64_t dqnn_nibbles_scratch(const dqnn_conv *v) {
  return (uint64_t)v->params->kernel_h * 2 * 16 * DQNN_NIBBLE_CODE * 4 + (uint64_t)DQNN_NIBBLE_STRIP * 4 * v->group_out;
}

/* 3x3 windows go so, with vectors whatever fits. Small cores that cannot add two halfwords at once are faster by
 * conv_windows.c. */
#define DQNN_HAVE_NIBBLES (DQNN_HAVE_PORTABLE && (DQNN_ARM_DSP || !DQNN_SOFT_FLOATS))
#if DQNN_HAVE_NIBBLES
static inline int dqnn_nibbles_pay(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  return p->kernel_h == 3 && p->kernel_w == 3;
}
void dqnn_run_nibbles(const dqnn_call *call);
#else
static inline int dqnn_nibbles_pay(const dqnn_call *call) {
  (void)call;
  return 0;
}
static inline void dqnn_run_nibbles(const dqnn_call *call) {
  (void)call;
}
#endif

#endif
