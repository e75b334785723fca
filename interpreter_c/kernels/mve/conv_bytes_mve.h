/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_bytes_mve.c. */
#ifndef DQNN_MVE_CONV_BYTES_H
#define DQNN_MVE_CONV_BYTES_H

#include "../map.h"

enum { DQNN_BYTES_PIXELS = 3, DQNN_BYTES_LEAST = 64 /* outputs that go through the map together, if there are more */ };

/* Pixels at a time for an output (before a pool) of that size. */
static inline uint32_t dqnn_bytes_pixels(int32_t out_height, int32_t out_width) {
  return dqnn_is_single(out_height, out_width) ? 1 : DQNN_BYTES_PIXELS;
}

/* Totals of a pixel: channels go in pairs. */
static inline uint32_t dqnn_bytes_pitch(uint32_t outputs) {
  return (outputs + 1u) & ~1u;
}

static inline uint32_t dqnn_bytes_least(uint32_t outputs) {
  return outputs < DQNN_BYTES_LEAST ? outputs : DQNN_BYTES_LEAST;
}

/* Bytes for windows of `taps` and a block of `outputs`: begins of sums, totals, columns of bytes. */
static inline uint64_t dqnn_conv_bytes_scratch(uint64_t taps, uint32_t outputs, uint32_t pixels) {
  return 4 * (outputs + (uint64_t)pixels * dqnn_bytes_pitch(outputs)) + pixels * taps;
}

#endif
