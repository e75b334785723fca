/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Row tables of the first layer: a kernel row of three signs has eight values at each position of an input row, so they
 * are computed once and looked up by all channels. Code bit i is the sign bit of weight i (1 = -1). */
#ifndef DQNN_ISA_TABLES_H
#define DQNN_ISA_TABLES_H

#include "isa.h"

enum {
  DQNN_STRIP = 6, /* output pixels of a row that a table holds */
  DQNN_STRIP_INPUTS = DQNN_STRIP + 2,
  DQNN_TABLE_ROWS = 4,                            /* input rows under a pooled row */
  DQNN_TABLE_CODE = DQNN_TABLE_ROWS * DQNN_STRIP, /* floats of a code; a table is [code][row][pixel] */
  DQNN_TABLE_BYTES = 4 * 8 * DQNN_TABLE_CODE
};

#if DQNN_ARM_VFP
#include "tables_vfp.h"
#endif

#ifndef DQNN_OWN_ROW_TABLES_F32
/* Tables of four input rows, `pitch` floats apart. -0 becomes 0 on the way (no comparison tells them apart), and 0 - x2
 * instead of -x2 keeps it out of the sums: other instruction sets look at the sign of sum - threshold, which must not
 * be -0. */
DQNN_NOINLINE void dqnn_row_tables_f32(const float *x, uint32_t pitch, float *tables) {
  for (uint32_t row = 0; row < DQNN_TABLE_ROWS; row++, x += pitch) {
    for (uint32_t i = 0; i < DQNN_STRIP; i++, tables++) {
      float a = x[i] + 0.0f, b = x[i + 1] + 0.0f, last = x[i + 2] + 0.0f;
      float sum = a + b, difference = a - b, minus_last = 0.0f - last;
      tables[0 * DQNN_TABLE_CODE] = sum + last;
      tables[1 * DQNN_TABLE_CODE] = last - difference;
      tables[2 * DQNN_TABLE_CODE] = difference + last;
      tables[3 * DQNN_TABLE_CODE] = last - sum;
      tables[4 * DQNN_TABLE_CODE] = sum - last;
      tables[5 * DQNN_TABLE_CODE] = minus_last - difference;
      tables[6 * DQNN_TABLE_CODE] = difference - last;
      tables[7 * DQNN_TABLE_CODE] = minus_last - sum;
    }
  }
}

/* The sum of a window: that of its three rows, in order. */
DQNN_INLINE float dqnn_window_f32(const float *a, const float *b, const float *c) {
  float sum = *a + *b;
  return sum + *c;
}

/* Bit: the largest of the four sums of a pooled pixel is below the threshold, so all of them are. A sum that is NaN is
 * the largest if it is the first, and never else. */
DQNN_INLINE uint32_t dqnn_pooled_sign_f32(const float *a, const float *b, const float *c, float threshold) {
  enum { DOWN = DQNN_STRIP };
  uint32_t below = dqnn_window_f32(a, b, c) < threshold;
  uint32_t above = dqnn_window_f32(a + 1, b + 1, c + 1) >= threshold;
  above |= dqnn_window_f32(a + DOWN, b + DOWN, c + DOWN) >= threshold;
  above |= dqnn_window_f32(a + DOWN + 1, b + DOWN + 1, c + DOWN + 1) >= threshold;
  return below & ~above;
}

/* One pooled pixel of up to 32 channels; bits are pushed from the top. */
DQNN_NOINLINE void dqnn_row_signs_f32_1(const uint8_t *weights, const float *thresholds, const float *tables,
                                        uint32_t channels, uint32_t words[1]) {
  uint32_t bits = 0;
  for (; channels > 0; channels--, weights += 2) {
    uint32_t code = weights[0] | (uint32_t)weights[1] << 8;
    const float *a = tables + (code & 7u) * DQNN_TABLE_CODE,
                *b = tables + DQNN_STRIP + (code >> 3 & 7u) * DQNN_TABLE_CODE;
    const float *c = tables + 2 * DQNN_STRIP + (code >> 6 & 7u) * DQNN_TABLE_CODE;
    bits = bits >> 1 | dqnn_pooled_sign_f32(a, b, c, *thresholds++) << 31;
  }
  *words = bits;
}

DQNN_INLINE void dqnn_row_signs_f32_3(const uint8_t *weights, const float *thresholds, const float *tables,
                                      uint32_t channels, uint32_t words[3]) {
  for (uint32_t i = 0; i < 3; i++) {
    dqnn_row_signs_f32_1(weights, thresholds, tables + 2 * i, channels, words + i);
  }
}
#endif

#endif
