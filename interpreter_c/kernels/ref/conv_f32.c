/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions with float accumulators. The order of the additions is part of the format (SPEC.md 3.1). */
#include "../../src/numerics.h"
#include "conv.h"

static inline float value(const ref_conv *c, uint8_t input, uint32_t cell, uint32_t channel) {
  return input == DQNN_F32 ? ((const float *)c->in)[cell * c->conv.in_c + channel]
                           : (float)ref_int_input(c, input, cell, channel);
}

static inline float pad(const ref_conv *c, uint8_t input) {
  return input == DQNN_F32 ? c->conv.params->pad_value : (float)ref_int_pad(c, input);
}

static inline float weight(const ref_weight *at, ref_layout layout) {
  if (layout == REF_QUADS_F32 || layout == REF_DEPTHWISE_F32) {
    return ref_float_weight(at, layout);
  }
  int32_t w = ref_int_weight(at, layout);
  return (float)(at->conv->params->half_weights ? 2 * w + 1 : w);
}

/* One addition after the other: ky, kx, channel ascending. */
REF_SUM float sum(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o, uint8_t input, ref_layout layout) {
  const dqnn_conv *v = &c->conv;
  uint32_t first = o / v->group_out * v->group_in, cell;
  float acc = 0.0f;
  for (int32_t ky = 0; ky < v->y.kernel; ++ky) {
    for (int32_t kx = 0; kx < v->x.kernel; ++kx) {
      dqnn_place place = ref_tap(c, oy, ox, ky, kx, &cell);
      if (place == DQNN_HOLE || (place == DQNN_OUTSIDE && !c->outside_counts)) {
        continue;
      }
      for (uint32_t i = 0; i < v->group_in; ++i) {
        ref_weight at = {v, c->weights, o, (uint32_t)ky, (uint32_t)kx, i};
        float x = place == DQNN_INSIDE ? value(c, input, cell, first + i) : pad(c, input);
        acc = acc + weight(&at, layout) * x;
      }
    }
  }
  return acc;
}

#define FLOAT_CONV(name, depthwise, input, layout)                                 \
  static float sum_##name(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o) { \
    return sum(c, oy, ox, o, input, layout);                                       \
  }                                                                                \
  REF_RUN_3(name, ref_run_float(call, depthwise, sum_##name))

FLOAT_CONV(conv_s1_f32, 0, DQNN_S1, REF_QUADS_F32)
FLOAT_CONV(conv_s8_f32, 0, DQNN_S8, REF_QUADS_F32)
FLOAT_CONV(conv_f32_s8, 0, DQNN_F32, REF_QUADS_S8)
FLOAT_CONV(conv_f32_f32, 0, DQNN_F32, REF_QUADS_F32)
FLOAT_CONV(depthwise_s1_f32, 1, DQNN_S1, REF_DEPTHWISE_F32)
FLOAT_CONV(depthwise_s8_f32, 1, DQNN_S8, REF_DEPTHWISE_F32)
FLOAT_CONV(depthwise_f32_s1, 1, DQNN_F32, REF_DEPTHWISE_BITS)
FLOAT_CONV(depthwise_f32_s8, 1, DQNN_F32, REF_DEPTHWISE_S8)
FLOAT_CONV(depthwise_f32_f32, 1, DQNN_F32, REF_DEPTHWISE_F32)

/* s * x of conv_f32_s1: outside positions are pad_value, holes 0. */
static float product(const ref_conv *c, int32_t oy, int32_t ox, const ref_weight *at) {
  uint32_t first = at->o / c->conv.group_out * c->conv.group_in, cell;
  dqnn_place place = ref_tap(c, oy, ox, (int32_t)at->ky, (int32_t)at->kx, &cell);
  float x = 0.0f;
  if (place == DQNN_INSIDE) {
    x = value(c, DQNN_F32, cell, first + at->i);
  } else if (place == DQNN_OUTSIDE) {
    x = c->conv.params->pad_value;
  }
  return ref_channel_block_bit(at) ? dqnn_negative(x) : x;
}

typedef struct {
  float acc, chunk;
  uint32_t in_chunk;
  int begun;
} chunked_sum;

static void end_chunk(chunked_sum *s) {
  if (s->in_chunk != 0) {
    s->acc = s->begun ? s->acc + s->chunk : s->chunk;
    s->begun = 1;
    s->in_chunk = 0;
  }
}

static void add_product(chunked_sum *s, float p) {
  s->chunk = s->in_chunk == 0 ? p : s->chunk + p;
  if (++s->in_chunk == 4) {
    end_chunk(s);
  }
}

/* conv_f32_s1: blocks of 8 channels, in each the kernel rows, in each (kx, channel) in chunks of 4. */
static float sum_conv_f32_s1(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o) {
  const dqnn_conv *v = &c->conv;
  chunked_sum s = {0.0f, 0.0f, 0, 0};
  for (uint32_t block = 0; block < v->group_in; block += 8) {
    uint32_t end = v->group_in - block < 8 ? v->group_in : block + 8;
    for (uint32_t ky = 0; ky < v->params->kernel_h; ++ky) {
      for (uint32_t kx = 0; kx < v->params->kernel_w; ++kx) {
        for (uint32_t i = block; i < end; ++i) {
          ref_weight at = {v, c->weights, o, ky, kx, i};
          add_product(&s, product(c, oy, ox, &at));
        }
      }
      end_chunk(&s);
    }
  }
  return s.acc;
}

REF_RUN_3(conv_f32_s1, ref_run_float(call, 0, sum_conv_f32_s1))
