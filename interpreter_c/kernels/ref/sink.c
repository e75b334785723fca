/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Epilogues, one value at a time. */
#include "sink.h"

#include "../../src/numerics.h"

ref_sink ref_sink_of(const dqnn_call *call, uint32_t constant, uint8_t requant, float act_min, float act_max) {
  ref_sink sink;
  uint32_t count = call->constant_count;
  sink.first = constant < count ? call->constants[constant] : NULL;
  sink.second = constant + 1 < count ? call->constants[constant + 1] : NULL;
  sink.third = constant + 2 < count ? call->constants[constant + 2] : NULL;
  sink.dtype = call->out_def->dtype;
  sink.requant = requant;
  sink.per_channel = 1;
  sink.zero_point = call->out_def->zero_point;
  sink.act_min = act_min;
  sink.act_max = act_max;
  if (sink.dtype == DQNN_S1) {
    sink.out.bits = (ref_bit_writer){(uint32_t *)call->out, 0, 0};
  } else if (sink.dtype == DQNN_S8) {
    sink.out.s8 = (int8_t *)call->out;
  } else {
    sink.out.f32 = (float *)call->out;
  }
  return sink;
}

static void put_threshold(ref_sink *sink, uint32_t channel, int below) {
  const uint32_t *flip = (const uint32_t *)sink->second;
  uint32_t flipped = flip != NULL ? ref_bit(flip, channel) : 0;
  ref_put_bit(&sink->out.bits, (below ? 1u : 0u) ^ flipped);
}

/* A value without its zero point, in the range that the clamp leaves. */
static void put_stored(ref_sink *sink, int32_t value) {
  *sink->out.s8++ = (int8_t)(value + sink->zero_point);
}

/* A result of floats: a clamp in whole steps, rounding. */
static void put_rounded(ref_sink *sink, float y) {
  float zero_point = (float)sink->zero_point;
  y = dqnn_clamp(y, sink->act_min - zero_point, sink->act_max - zero_point);
  put_stored(sink, sink->requant == DQNN_REQUANT_DIVIDE_AWAY ? dqnn_round_half_away(y) : dqnn_round_half_even(y));
}

static void put_affine(ref_sink *sink, uint32_t channel, float acc) {
  float y = acc * ((const float *)sink->first)[channel];
  y = y + ((const float *)sink->second)[channel];
  if (sink->dtype == DQNN_F32) {
    *sink->out.f32++ = y < sink->act_min ? sink->act_min : y > sink->act_max ? sink->act_max : y;
  } else {
    put_rounded(sink, y);
  }
}

static void put_fixed64(ref_sink *sink, uint32_t channel, int32_t acc) {
  int32_t x = dqnn_saturated_fixed64(acc, ((const int32_t *)sink->second)[channel],
                                     ((const int64_t *)sink->first)[channel], ((const int32_t *)sink->third)[channel]);
  int32_t low = (int32_t)sink->act_min - sink->zero_point, high = (int32_t)sink->act_max - sink->zero_point;
  put_stored(sink, dqnn_clamp_int(x, low, high));
}

static void put_rescaled(ref_sink *sink, uint32_t channel, int32_t acc) {
  int32_t x = dqnn_wrap_add(acc, ((const int32_t *)sink->first)[channel]);
  int32_t second = ((const int32_t *)sink->second)[channel];
  if (sink->requant == DQNN_REQUANT_FIXED_POINT) {
    x = dqnn_fixed_point(x, second, ((const int32_t *)sink->third)[channel]);
  } else {
    x = dqnn_shift_half_even(x, second);
  }
  put_stored(sink,
             dqnn_clamp_int(x, (int32_t)sink->act_min - sink->zero_point, (int32_t)sink->act_max - sink->zero_point));
}

void ref_put_int(ref_sink *sink, uint32_t channel, int32_t acc) {
  channel = sink->per_channel ? channel : 0;
  if (sink->dtype == DQNN_S1) {
    put_threshold(sink, channel, acc < ((const int32_t *)sink->first)[channel]);
  } else if (sink->requant == DQNN_REQUANT_AFFINE) {
    put_affine(sink, channel, (float)acc);
  } else if (sink->requant == DQNN_REQUANT_FIXED64) {
    put_fixed64(sink, channel, acc);
  } else {
    put_rescaled(sink, channel, acc);
  }
}

void ref_put_float(ref_sink *sink, uint32_t channel, float acc) {
  channel = sink->per_channel ? channel : 0;
  if (sink->dtype == DQNN_S1) {
    put_threshold(sink, channel, acc < ((const float *)sink->first)[channel]);
  } else if (sink->requant == DQNN_REQUANT_AFFINE) {
    put_affine(sink, channel, acc);
  } else {
    put_rounded(sink, acc / ((const float *)sink->first)[channel]);
  }
}

void ref_end_cell(ref_sink *sink) {
  if (sink->dtype == DQNN_S1) {
    ref_end_row(&sink->out.bits);
  }
}
