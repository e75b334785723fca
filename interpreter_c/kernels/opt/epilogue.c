/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Outputs of the fast kernels, compiled once for all of them. */
#include "epilogue.h"

#include "../../isa/affine.h"
#include "../../isa/halves.h"
#include "../map.h"

void dqnn_read_epilogue(const dqnn_call *call, uint32_t first, dqnn_epilogue *e) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  dqnn_set_epilogue(call->out_def, p->requant, p->act_min, p->act_max, call->constants + first, e);
}

static void dqnn_emit_s8_affine(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                                int8_t *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  const dqnn_epilogue local = *e; /* stores to out could change *e */
  uint32_t i = 0;
#if DQNN_SOFT_FLOATS
  dqnn_outputs o;
  dqnn_set_outputs(&o, 1, local.zero_point, local.least + local.zero_point, local.most + local.zero_point);
  for (; i < count; i++) {
#if DQNN_SHORT_PRODUCTS
    if (dqnn_affine_step(&o, acc[i], scale[i], offset[i], out + i)) {
      continue;
    }
#endif
    o.sums = acc + i;
    o.end = o.sums + 1;
    o.out = out + i;
    dqnn_affine_run(&o, scale[i], offset[i]);
  }
#endif
  if (DQNN_AFFINE_WORDS) {
    const uint32_t low = dqnn_every_byte(local.least + local.zero_point),
                   high = dqnn_every_byte(local.most + local.zero_point);
    for (; i + 4 <= count; i += 4) {
      uint32_t word = dqnn_affine_word(acc + i, scale + i, offset + i, local.zero_point);
      word = dqnn_clamp_bytes(word, low, high);
      memcpy(out + i, &word, 4);
    }
  } else if (DQNN_QUICK_WORDS && count >= 4) {
    i = dqnn_emit_words(e, acc, channel, count, out);
  }
  for (; i < count; i++) {
    float y = (float)acc[i] * scale[i];
    y += offset[i];
    out[i] = (int8_t)(dqnn_round_and_clamp(&local, y) + local.zero_point);
  }
}

static void dqnn_emit_s8_fixed(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                               int8_t *out) {
  const int32_t *bias = e->bias + channel, *multiplier = e->multiplier + channel, *shift = e->shift + channel;
  int32_t zero_point = e->zero_point, least = e->least, most = e->most;
  uint32_t i = DQNN_QUICK_WORDS && count >= 4 && shift[0] < 0 ? dqnn_emit_words(e, acc, channel, count, out) : 0;
#if DQNN_SHORT_PRODUCTS
  dqnn_outputs o;
  dqnn_set_outputs(&o, 1, zero_point, least + zero_point, most + zero_point);
  o.shift = 0;
  o.factor = 0;
  dqnn_begin_steps(&o, zero_point * (1 << DQNN_STEP_BITS), DQNN_STEP_FIXED);
#endif
  for (; i < count; i++) {
#if DQNN_SHORT_PRODUCTS
    if (dqnn_fixed_step(&o, dqnn_wrap_add(acc[i], bias[i]), multiplier[i], shift[i], out + i)) {
      continue;
    }
#endif
    out[i] = (int8_t)(dqnn_fixed_between(acc, bias, multiplier, shift, i, least, most) + zero_point);
  }
}

static void dqnn_emit_s8_shift(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                               int8_t *out) {
  const int32_t *bias = e->bias + channel, *shift = e->shift + channel;
  int32_t zero_point = e->zero_point, least = e->least, most = e->most;
  for (uint32_t i = 0; i < count; i++) {
    int32_t x = dqnn_shift_half_even(dqnn_wrap_add(acc[i], bias[i]), shift[i]);
    out[i] = (int8_t)(dqnn_clamp_int(x, least, most) + zero_point);
  }
}

static void dqnn_emit_s8_fixed64(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count,
                                 int8_t *out) {
  const int64_t *offset = e->offset64 + channel;
  const int32_t *multiplier = e->multiplier + channel, *shift = e->shift + channel;
  int32_t zero_point = e->zero_point, least = e->least, most = e->most;
  for (uint32_t i = 0; i < count; i++) {
    int32_t x = dqnn_scale_fixed64(acc[i], multiplier[i], offset[i], shift[i], least, most);
    out[i] = (int8_t)(x + zero_point);
  }
}

_Static_assert(DQNN_REQUANT_AFFINE == 0 && DQNN_REQUANT_FIXED_POINT == 1,
               "assembly of dqnn_emit_words compares with 1");

void dqnn_emit_s8(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, int8_t *out) {
  if (e->requant == DQNN_REQUANT_AFFINE) {
    dqnn_emit_s8_affine(e, acc, channel, count, out);
  } else if (e->requant == DQNN_REQUANT_FIXED_POINT) {
    dqnn_emit_s8_fixed(e, acc, channel, count, out);
  } else if (e->requant == DQNN_REQUANT_FIXED64) {
    dqnn_emit_s8_fixed64(e, acc, channel, count, out);
  } else {
    dqnn_emit_s8_shift(e, acc, channel, count, out);
  }
}

DQNN_NOINLINE void append(uint32_t *row, const uint32_t *flip, uint32_t channel, uint32_t count, uint32_t bits) {
  if (flip) {
    bits ^= dqnn_read_bits(flip, channel, count);
  }
  dqnn_append_bits(row, channel, count, bits);
}

void dqnn_emit_s1(const int32_t *thresholds, const uint32_t *flip, const int32_t *acc, uint32_t channel, uint32_t count,
                  uint32_t *row) {
  for (const int32_t *t = thresholds + channel; count > 0;) {
    uint32_t n = count < 32 ? count : 32, bits = 0;
    for (const int32_t *end = acc + n; acc < end;) {
      bits = dqnn_push_less(bits, *acc++, *t++);
    }
    bits >>= (32 - n) & 31u;
    append(row, flip, channel, n, bits);
    channel += n;
    count -= n;
  }
}

void dqnn_emit_f32(const dqnn_epilogue *e, const int32_t *acc, uint32_t channel, uint32_t count, float *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  float low = e->low, high = e->high;
  for (uint32_t i = 0; i < count; i++) {
    float y = (float)acc[i] * scale[i];
    y += offset[i];
    if (e->clamps) {
      y = y < low ? low : y > high ? high : y;
    }
    out[i] = y;
  }
}

void dqnn_emit_float_f32(const dqnn_epilogue *e, const float *acc, uint32_t channel, uint32_t count, float *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  float low = e->low, high = e->high;
  for (uint32_t i = 0; i < count; i++) {
    float y = acc[i] * scale[i];
    y += offset[i];
    if (e->clamps) {
      y = y < low ? low : y > high ? high : y;
    }
    out[i] = y;
  }
}

void dqnn_emit_float_s8(const dqnn_epilogue *e, const float *acc, uint32_t channel, uint32_t count, int8_t *out) {
  const float *scale = e->scale + channel, *offset = e->offset + channel;
  float low = e->low, high = e->high;
  int32_t zero_point = e->zero_point;
  for (uint32_t i = 0; i < count; i++) {
    float y = acc[i] * scale[i];
    y += offset[i];
    out[i] = (int8_t)(dqnn_round_small(dqnn_clamp(y, low, high)) + zero_point);
  }
}

void dqnn_emit_float_s1(const float *threshold, const uint32_t *flip, const float *acc, uint32_t channel,
                        uint32_t count, uint32_t *out) {
  while (count) {
    uint32_t n = count < 32 ? count : 32, bits = 0;
    for (uint32_t i = 0; i < n; i++) {
      bits |= (uint32_t)(acc[i] < threshold[channel + i]) << i;
    }
    append(out, flip, channel, n, bits);
    acc += n;
    channel += n;
    count -= n;
  }
}

#define EMIT(function) function
#include "epilogue_any.inc.h"

void dqnn_clamp_row(const dqnn_epilogue *e, int8_t *out, uint32_t count) {
  int32_t least = e->least + e->zero_point, most = e->most + e->zero_point;
  if (DQNN_AFFINE_WORDS) {
    const uint32_t low = dqnn_every_byte(least), high = dqnn_every_byte(most);
    for (uint32_t word; count >= 4; count -= 4, out += 4) {
      memcpy(&word, out, 4);
      word = dqnn_clamp_bytes(word, low, high);
      memcpy(out, &word, 4);
    }
  }
  for (; count; count--, out++) {
    *out = (int8_t)dqnn_clamp_int(*out, least, most);
  }
}
