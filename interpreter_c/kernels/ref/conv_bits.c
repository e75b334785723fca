/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* s1 x s1 convolutions with presets (SPEC.md 3.4), decoded lane by lane. Counters are taken modulo 2^np, as the bit
 * planes of the fast variants are. Presets mean what the weights say: plan_bitsliced.c compares them. */
#include "conv.h"
#include "sink.h"

/* Number of a lane in planes[np], without its sign. */
static uint32_t lane_of(const uint32_t *planes, uint32_t np, uint32_t lane) {
  uint32_t number = 0;
  for (uint32_t p = 0; p < np; ++p) {
    number |= (planes[p] >> lane & 1u) << p;
  }
  return number;
}

static uint32_t sign_bit(uint32_t number, uint32_t np) {
  return number >> (np - 1) & 1u;
}

static int32_t signed_number(uint32_t number, uint32_t np) {
  uint32_t rest = number & ((1u << (np - 1)) - 1u);
  return (int32_t)rest - (int32_t)(sign_bit(number, np) << (np - 1));
}

static uint32_t planes_of(const ref_conv *c) {
  uint32_t taps = ref_kernel_cells(&c->conv) * c->conv.group_in, np = 7;
  while ((1u << (np - 1)) < taps + 2) {
    ++np;
  }
  return np;
}

/* Of a window: inputs that count, how many of them are -1, and how many of these meet a weight of -1. */
typedef struct {
  uint32_t inputs, minus, both;
} counts;

static counts count(const ref_conv *c, int32_t oy, int32_t ox, uint32_t o) {
  const dqnn_conv *v = &c->conv;
  uint32_t first = o / v->group_out * v->group_in, cell, outside = v->params->pad_value < 0.0f ? 1 : 0;
  counts n = {0, 0, 0};
  for (int32_t ky = 0; ky < v->y.kernel; ++ky) {
    for (int32_t kx = 0; kx < v->x.kernel; ++kx) {
      dqnn_place place = ref_tap(c, oy, ox, ky, kx, &cell);
      if (place != DQNN_INSIDE && !c->outside_counts) {
        continue;
      }
      for (uint32_t i = 0; i < v->group_in; ++i) {
        ref_weight at = {v, c->weights, o, (uint32_t)ky, (uint32_t)kx, i};
        uint32_t x = place == DQNN_INSIDE ? ref_input_bit(c, cell, first + i) : outside;
        n.inputs += 1;
        n.minus += x;
        n.both += x & ref_bitsliced_bit(&at);
      }
    }
  }
  return n;
}

/* A convolution and its first constant of presets, one set for every border class. */
typedef struct {
  ref_conv conv;
  const uint32_t *presets;
  int32_t classes_y, classes_x;
} sliced_conv;

static sliced_conv sliced_conv_of(const dqnn_call *call) {
  sliced_conv s = {ref_conv_of(call, 0), (const uint32_t *)call->constants[1], 1, 1};
  const dqnn_conv *v = &s.conv.conv;
  if (!s.conv.outside_counts) {
    s.classes_y = dqnn_class_of(&v->y, v->pooled_h * v->params->pool_h - 1) + 1;
    s.classes_x = dqnn_class_of(&v->x, v->pooled_w * v->params->pool_w - 1) + 1;
  }
  return s;
}

static uint32_t window_class(const sliced_conv *s, int32_t oy, int32_t ox) {
  int32_t row = s->classes_y > 1 ? dqnn_class_of(&s->conv.conv.y, oy) : 0;
  int32_t column = s->classes_x > 1 ? dqnn_class_of(&s->conv.conv.x, ox) : 0;
  return (uint32_t)(row * s->classes_x + column);
}

/* The preset of output o for the window of (oy, ox). */
static uint32_t preset(const sliced_conv *s, int32_t oy, int32_t ox, uint32_t o) {
  const dqnn_conv *v = &s->conv.conv;
  uint32_t np = planes_of(&s->conv), blocks = dqnn_words(v->group_out), output = o % v->group_out;
  uint32_t block = (window_class(s, oy, ox) * v->groups + o / v->group_out) * blocks + output / 32;
  return lane_of(s->presets + block * np, np, output % 32);
}

/* --- output --- */

/* s1: whether acc < threshold, before the flip. */
static uint32_t below(const sliced_conv *s, int32_t oy, int32_t ox, uint32_t o) {
  counts n = count(&s->conv, oy, ox, o);
  return sign_bit(preset(s, oy, ox, o) + 2 * n.both - n.minus, planes_of(&s->conv));
}

/* s8 and f32: acc = n_in - 2 * (S + n1 - 2 * P1); the preset is -S. */
static int32_t accumulator(const sliced_conv *s, int32_t oy, int32_t ox, uint32_t o) {
  counts n = count(&s->conv, oy, ox, o);
  int32_t both_less_sum = signed_number(preset(s, oy, ox, o) + 2 * n.both, planes_of(&s->conv)); /* 2 * P1 - S */
  return (int32_t)n.inputs - 2 * (int32_t)n.minus + 2 * both_less_sum;
}

/* The maximum of a pool's window. For s1 of -1 where an accumulator is below, else 0: it is below if all of them are.
 */
static int32_t largest(const sliced_conv *s, int32_t py, int32_t px, uint32_t o, int binary) {
  int32_t pool_h = s->conv.conv.params->pool_h, pool_w = s->conv.conv.params->pool_w, best = INT32_MIN;
  for (int32_t i = 0; i < pool_h; ++i) {
    for (int32_t j = 0; j < pool_w; ++j) {
      int32_t oy = py * pool_h + i, ox = px * pool_w + j;
      int32_t acc = binary ? -(int32_t)below(s, oy, ox, o) : accumulator(s, oy, ox, o);
      best = best < acc ? acc : best;
    }
  }
  return best;
}

static void put(const sliced_conv *s, ref_sink *sink, int32_t py, int32_t px, uint32_t o) {
  const int binary = sink->dtype == DQNN_S1;
  const uint32_t *flip = (const uint32_t *)sink->second;
  int32_t acc = largest(s, py, px, o, binary);
  if (binary) {
    ref_put_bit(&sink->out.bits, (acc < 0 ? 1u : 0u) ^ (flip != NULL ? ref_bit(flip, o) : 0));
  } else {
    ref_put_int(sink, o, acc);
  }
}

static void run(const dqnn_call *call) {
  sliced_conv s = sliced_conv_of(call);
  const dqnn_conv_params *p = s.conv.conv.params;
  ref_sink sink = ref_sink_of(call, 2, p->requant, p->act_min, p->act_max);
  for (int32_t py = 0; py < s.conv.conv.pooled_h; ++py) {
    for (int32_t px = 0; px < s.conv.conv.pooled_w; ++px) {
      for (uint32_t o = 0; o < s.conv.conv.out_c; ++o) {
        put(&s, &sink, py, px, o);
      }
      ref_end_cell(&sink);
    }
  }
}

void dqnn_run_conv_s1_s1_s1_ref(const dqnn_call *call) {
  run(call);
}
DQNN_SAME_RUN(dqnn_run_conv_s1_s1_s8_ref, dqnn_run_conv_s1_s1_s1_ref)
DQNN_SAME_RUN(dqnn_run_conv_s1_s1_f32_ref, dqnn_run_conv_s1_s1_s1_ref)
