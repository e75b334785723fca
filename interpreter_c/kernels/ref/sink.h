/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Epilogues (SPEC.md 3.2): takes accumulators in output order, channel by channel, and stores results. */
#ifndef DQNN_REF_SINK_H
#define DQNN_REF_SINK_H

#include "../../src/kernel.h"
#include "bits.h"

typedef struct {
  const void *first;  /* thresholds, scale, bias or (fixed64) offset */
  const void *second; /* flip (NULL: none), offset, multiplier; or shift of power_of_two */
  const void *third;  /* shift of fixed_point and fixed64 */
  uint8_t dtype, requant, per_channel;
  int32_t zero_point;
  float act_min, act_max;
  union {
    ref_bit_writer bits;
    int8_t *s8;
    float *f32;
  } out;
} ref_sink;

/* `constant`: index of the epilogue's first constant. */
ref_sink ref_sink_of(const dqnn_call *call, uint32_t constant, uint8_t requant, float act_min, float act_max);

void ref_put_int(ref_sink *sink, uint32_t channel, int32_t acc);
void ref_put_float(ref_sink *sink, uint32_t channel, float acc);

/* After the last channel of a cell. */
void ref_end_cell(ref_sink *sink);

#endif
