/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* A layer at work in conv_nibbles.c and kernels/mve/conv_nibbles_mve.c. */
#ifndef DQNN_OPT_CONV_NIBBLES_LAYER_H
#define DQNN_OPT_CONV_NIBBLES_LAYER_H

#include "conv_nibbles.h"
#include "epilogue.h"
#include "geometry.h"

enum { TABLE_WORDS = 16 * DQNN_NIBBLE_CODE, POSITIONS = DQNN_NIBBLE_STRIP + DQNN_NIBBLE_WIDTH - 1 };

_Static_assert(4 * DQNN_NIBBLE_CODE == 32 && 4 * TABLE_WORDS == 512, "isa/nibbles_dsp.h reads codes and tables so");

typedef struct {
  dqnn_geometry shape;
  dqnn_epilogue epilogue;
  const dqnn_call *call;
  const int8_t *image;
  uint32_t minus_zero_point; /* in both halves */
  uint32_t outside;          /* four stored bytes of a cell outside the map */
  uint32_t *tables;          /* [kernel row][channels 0-3, 4-7][code][word] */
  int32_t *totals;           /* [output of the strip][channel] */
} layer;

#endif
