/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What the reference convolutions share: the input seen through a window, and the loop over outputs, pool and epilogue.
 */
#ifndef DQNN_REF_CONV_H
#define DQNN_REF_CONV_H

#include "weights.h"

typedef struct {
  dqnn_conv conv;
  const void *in, *weights;
  int32_t zero_point;               /* of an s8 input */
  int outside_counts;               /* 0: positions outside contribute nothing (s1 with pad value 0) */
  const int8_t *weight_zero_points; /* of each output, NULL: none */
} ref_conv;

/* A sum for all types: inlined in those of each type, but on microcontrollers, where its bytes count more than the time
 * of a reference. */
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define REF_SUM DQNN_APART static
#else
#define REF_SUM static inline
#endif

ref_conv ref_conv_of(const dqnn_call *call, int depthwise);

/* Where a window's tap falls; `cell` is the index of the input cell if it is inside. */
dqnn_place ref_tap(const ref_conv *c, int32_t oy, int32_t ox, int32_t ky, int32_t kx, uint32_t *cell);

static inline uint32_t ref_input_bit(const ref_conv *c, uint32_t cell, uint32_t channel) {
  return ref_bit((const uint32_t *)c->in + cell * dqnn_words(c->conv.in_c), channel);
}

/* An element of an s1 or s8 input as the integer that SPEC.md 3.1 multiplies. */
static inline int32_t ref_int_input(const ref_conv *c, uint8_t type, uint32_t cell, uint32_t channel) {
  if (type == DQNN_S1) {
    return ref_sign(ref_input_bit(c, cell, channel));
  }
  return ((const int8_t *)c->in)[cell * c->conv.in_c + channel] - c->zero_point;
}

static inline int32_t ref_int_pad(const ref_conv *c, uint8_t type) {
  return (int32_t)c->conv.params->pad_value - (type == DQNN_S8 ? c->zero_point : 0);
}

/* An accumulator of output channel o in the window of (oy, ox). */
typedef int32_t (*ref_int_sum)(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o);
typedef float (*ref_float_sum)(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o);

/* Whole kernels: for each output cell and channel the maximum of `sum` over the fused pool's window, then the epilogue.
 * zero_points: 1 if constant 1 are those of the weights, ahead of the epilogue's. */
void ref_run_int(const dqnn_call *call, int depthwise, uint32_t zero_points, ref_int_sum sum);
void ref_run_float(const dqnn_call *call, int depthwise, ref_float_sum sum);

/* Defines the run functions of one input and weight type for the three outputs. */
#define REF_RUN_3(name, statement)                                  \
  void dqnn_run_##name##_s1_ref(const dqnn_call *call) {            \
    statement;                                                      \
  }                                                                 \
  DQNN_SAME_RUN(dqnn_run_##name##_s8_ref, dqnn_run_##name##_s1_ref) \
  DQNN_SAME_RUN(dqnn_run_##name##_f32_ref, dqnn_run_##name##_s1_ref)

#endif
