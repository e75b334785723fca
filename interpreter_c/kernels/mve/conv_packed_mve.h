/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_packed_mve.c. */
#ifndef DQNN_MVE_CONV_PACKED_H
#define DQNN_MVE_CONV_PACKED_H

#include "../opt/conv_packed.h"

enum {
  DQNN_PACKED_WINDOWS = 2,
  DQNN_PACKED_SUM = 16,   /* bytes behind a column */
  DQNN_PACKED_LEAST = 128 /* outputs that go through the map together, if there are more */
};

/* Bytes of a column: taps, and zeros up to what is turned at a time. */
static inline uint64_t dqnn_packed_column(uint64_t taps) {
  return (taps + 31) / 32 * 32;
}

/* Totals of a pixel: channels go in fours. */
static inline uint64_t dqnn_packed_pitch(uint64_t outputs) {
  return (outputs + 3) / 4 * 4;
}

/* Bytes of a copy of the last weights, whose last step reads less than 32 bytes too many: none if steps are whole. */
static inline uint64_t dqnn_packed_edge(uint64_t taps, uint32_t bits) {
  uint32_t words = dqnn_packed_words((uint32_t)taps, bits);
  return words % (2 * bits) == 0 ? 0 : 4 * (uint64_t)words + 64;
}

static inline uint32_t dqnn_packed_least(uint32_t outputs) {
  return outputs < DQNN_PACKED_LEAST ? outputs : DQNN_PACKED_LEAST;
}

/* Columns: windows; beside a single one, ones, where steps are not whole. */
static inline uint64_t dqnn_packed_columns(uint64_t taps, int single) {
  return single && taps % 16 == 0 ? 1 : DQNN_PACKED_WINDOWS;
}

/* Rows of totals: begins of sums, totals, before them the maxima of a pool. A single window (`single`) has totals and
 * sums of weights. */
static inline uint64_t dqnn_packed_rows(int pooled, int single) {
  return single ? 2 : pooled ? 2 + DQNN_PACKED_WINDOWS : 1 + DQNN_PACKED_WINDOWS;
}

/* Bytes for windows of `taps` and a block of `outputs`: rows, columns, the last weights. */
static inline uint64_t dqnn_conv_packed_mve_scratch(uint64_t taps, uint64_t outputs, int pooled, int single,
                                                    uint32_t bits) {
  return 4 * dqnn_packed_rows(pooled, single) * dqnn_packed_pitch(outputs) +
         dqnn_packed_columns(taps, single) * (dqnn_packed_column(taps) + DQNN_PACKED_SUM) +
         dqnn_packed_edge(taps, bits);
}

#endif
