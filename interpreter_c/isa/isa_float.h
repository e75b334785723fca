/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Float primitives of the core this file is compiled for. */
#ifndef DQNN_ISA_FLOAT_H
#define DQNN_ISA_FLOAT_H

#include <stdint.h>

#include "target.h"

/* The taps of a depthwise window, for neighbouring channels with an input each. Distances are in floats. */
typedef struct {
  const float *cell, *weight; /* the first of them */
  uint32_t rows, columns;     /* at least 1 */
  uint32_t right, down;       /* from a cell to the one at its right, from a row of cells to the next */
  uint32_t next, next_row;    /* the same of weights */
} dqnn_taps_f32;

#if DQNN_ARM_VFP
#include "vfp.h"
#endif

#if DQNN_FOUR_FLOATS
/* Hosts: a register holds the four channels of one pixel; the order of every sum stays. */
typedef float dqnn_quad __attribute__((vector_size(16), aligned(4), may_alias));

#define DQNN_OWN_DOT_F32_4X4
static inline void dqnn_dot_f32_4x4(const float *const *rows, uint32_t kernel_h, uint32_t count, const float *w,
                                    float acc[16]) {
  dqnn_quad a = {0}, b = {0}, c = {0}, d = {0};
  for (; kernel_h; kernel_h--, rows += 4) {
    const float *x0 = rows[0], *x1 = rows[1], *x2 = rows[2], *x3 = rows[3];
    for (uint32_t k = 0; k < count; k++, w += 4) {
      dqnn_quad weights = *(const dqnn_quad *)w;
      a += weights * x0[k];
      b += weights * x1[k];
      c += weights * x2[k];
      d += weights * x3[k];
    }
  }
  for (unsigned i = 0; i < 4; i++) {
    acc[4 * i] = a[i];
    acc[4 * i + 1] = b[i];
    acc[4 * i + 2] = c[i];
    acc[4 * i + 3] = d[i];
  }
}
#endif

/* Vectors of four channels, where there are any (isa/mve_float.h): four pixels of a convolution, `pitch` floats apart
 * in acc, true if it was done. What is left undone is for scalars. */
#ifndef DQNN_OWN_LANES_F32
enum { DQNN_LANES_F32 = 0 };

static inline int dqnn_dot_lanes_4x4(const float *const *rows, uint32_t kernel_h, uint32_t count, const float *w,
                                     float *acc, uint32_t pitch) {
  (void)rows, (void)kernel_h, (void)count, (void)w, (void)acc, (void)pitch;
  return 0;
}
#endif

/* A depthwise window of n channels, each product and each sum rounded; returns how many channels were done: those that
 * vectors, or the many registers of a float unit, take together. */
#ifndef DQNN_OWN_TAP_LANES
enum { DQNN_TAP_LANES = 0 };

static inline uint32_t dqnn_tap_lanes(const dqnn_taps_f32 *taps, uint32_t n, float *acc) {
  (void)taps, (void)n, (void)acc;
  return 0;
}
#endif

/* Sums of four pixels and four channels: acc[4*channel + pixel] = sum over rows, then elements, of w * x, from +0, each
 * product and each sum rounded. rows[4*row + pixel] points to `count` inputs; w is [row][element][4 channels]. */
#ifndef DQNN_OWN_DOT_F32_4X4
static inline void dqnn_dot_f32_4x4(const float *const *rows, uint32_t kernel_h, uint32_t count, const float *w,
                                    float acc[16]) {
  for (unsigned i = 0; i < 16; i++)
    acc[i] = 0.0f;
  for (; kernel_h; kernel_h--, rows += 4) {
    for (uint32_t k = 0; k < count; k++, w += 4) {
      for (unsigned p = 0; p < 4; p++) {
        float x = rows[p][k];
        for (unsigned c = 0; c < 4; c++)
          acc[4 * c + p] += w[c] * x;
      }
    }
  }
}
#endif

/* One pixel, four channels, the same order; its rows are `stride` pointers apart. */
#ifndef DQNN_OWN_DOT_F32_1X4
static inline void dqnn_dot_f32_1x4(const float *const *rows, uint32_t stride, uint32_t kernel_h, uint32_t count,
                                    const float *w, float acc[4]) {
  float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
  for (; kernel_h; kernel_h--, rows += stride) {
    const float *x = *rows;
    for (uint32_t k = count; k; k--, w += 4, x++) {
      a += w[0] * *x;
      b += w[1] * *x;
      c += w[2] * *x;
      d += w[3] * *x;
    }
  }
  acc[0] = a;
  acc[1] = b;
  acc[2] = c;
  acc[3] = d;
}
#endif

#endif
