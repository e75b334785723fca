/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* From accumulators to outputs (SPEC.md 3.2), a run of neighbouring channels of one pixel at a time, LANES at once. The
 * rest of a run, and the integer rules, go through kernels/opt.
 *
 * A template. In: DQNN_FLOAT_SUMS, the type of accumulators (1 float, 0 int32_t); DQNN_DIVIDES, if the kernel takes the
 * rules that divide, which no convolution does. Out: that type as `number`, a vector
 * of them as v_number, real_of, less and larger of vectors; the outputs of a layer as `sink`, read_sink(), emit(). */
#include "../../src/numerics.h"
#include "../opt/epilogue.h"
#include "vectors.h"

#if !DQNN_FLOAT_SUMS && defined __AVX512F__
#include "emit_avx512.h"
#endif

#if DQNN_FLOAT_SUMS
typedef float number;
typedef v_float v_number;
typedef v_float_at v_number_at;
#define SUM_FUNCTION(name) dqnn_emit_float_##name
DQNN_INLINE v_float real_of(v_float x) {
  return x;
}
DQNN_INLINE uint32_t less(v_float a, v_float b) {
  return less_float(a, b);
}
DQNN_INLINE v_float larger(v_float a, v_float b) {
  return larger_float(a, b);
}
#else
typedef int32_t number;
typedef v_int v_number;
typedef v_int_at v_number_at;
#define SUM_FUNCTION(name) dqnn_emit_##name
DQNN_INLINE v_float real_of(v_int x) {
  return to_float(x);
}
DQNN_INLINE uint32_t less(v_int a, v_int b) {
  return less_int(a, b);
}
DQNN_INLINE v_int larger(v_int a, v_int b) {
  return larger_int(a, b);
}
#endif

DQNN_INLINE v_number load_number(const number *from) {
  return *(const v_number_at *)from;
}
DQNN_INLINE void store_number(number *to, v_number x) {
  *(v_number_at *)to = x;
}

/* What the outputs of a layer need. */
typedef struct {
  dqnn_epilogue rule; /* s8, f32 */
  const number *thresholds;
  const uint32_t *flip; /* NULL: none */
  uint8_t *out;
  uint32_t pixel_bytes;
  uint8_t type;
  uint8_t plain; /* shifts of all channels are such as factors below 1/2 have */
} sink;

DQNN_INLINE v_float scaled(const dqnn_epilogue *e, v_number acc, uint32_t channel) {
  v_float y = real_of(acc) * load_float(e->scale + channel);
  return y + load_float(e->offset + channel);
}

static void emit_f32(const dqnn_epilogue *e, const number *acc, uint32_t channel, uint32_t count, float *out) {
  v_float low = all_float(e->low), high = all_float(e->high);
  for (; count >= LANES; count -= LANES, acc += LANES, channel += LANES, out += LANES) {
    store_float(out, smaller_float(larger_float(scaled(e, load_number(acc), channel), low), high));
  }
  SUM_FUNCTION(f32)(e, acc, channel, count, out);
}

/* Less than a vector. */
DQNN_INLINE void emit_rest(const dqnn_epilogue *e, const number *acc, uint32_t channel, uint32_t count, int8_t *out) {
  if (count) {
    SUM_FUNCTION(s8)(e, acc, channel, count, out);
  }
}

/* The affine rule. NaN gives the lower bound. */
static void emit_affine(const dqnn_epilogue *e, const number *acc, uint32_t channel, uint32_t count, int8_t *out) {
  v_float low = all_float(e->low), high = all_float(e->high);
  v_int zero_point = all_int(e->zero_point);
  for (; count >= LANES; count -= LANES, acc += LANES, channel += LANES, out += LANES) {
    v_float y = smaller_float(larger_float(low, scaled(e, load_number(acc), channel)), high);
    store_s8(out, round_float(y) + zero_point);
  }
  emit_rest(e, acc, channel, count, out);
}

#ifdef DQNN_DIVIDES
/* Division by the scale, then to the nearest integer, ties to even or away from zero. NaN gives the lower bound. */
DQNN_INLINE int32_t divided(const dqnn_epilogue *e, float acc, float scale) {
  float y = dqnn_clamp(acc / scale, e->low, e->high);
  return e->requant == DQNN_REQUANT_DIVIDE_EVEN ? dqnn_round_half_even(y) : dqnn_round_half_away(y);
}

static void emit_divided(const dqnn_epilogue *e, const number *acc, uint32_t channel, uint32_t count, int8_t *out) {
  v_float low = all_float(e->low), high = all_float(e->high);
  v_int zero_point = all_int(e->zero_point);
  for (; count >= LANES; count -= LANES, acc += LANES, channel += LANES, out += LANES) {
    v_float y = load_number(acc) / load_float(e->scale + channel);
    y = smaller_float(larger_float(low, y), high);
    v_int whole = round_float(y);
    if (e->requant == DQNN_REQUANT_DIVIDE_AWAY) {
      whole = truncate_float(y);
      v_float rest = y - to_float(whole);
      whole += (v_int)(rest <= -0.5f) - (v_int)(rest >= 0.5f);
    }
    store_s8(out, whole + zero_point);
  }
  for (uint32_t i = 0; i < count; i++) {
    out[i] = (int8_t)(divided(e, acc[i], e->scale[channel + i]) + e->zero_point);
  }
}
#endif

#if !DQNN_FLOAT_SUMS
/* dqnn_shift_half_even of numerics.h */
DQNN_INLINE v_int shift_half_even(v_int x, v_int shift) {
  v_int floor = x >> shift, one = all_int(1) << shift, rest = (x & (one - 1)) << 1;
  return floor - ((rest > one) | ((rest == one) & -(floor & 1)));
}

static void emit_fixed64(const sink *s, const number *acc, uint32_t channel, uint32_t count, int8_t *out) {
  const dqnn_epilogue *e = &s->rule;
  v_int least = all_int(e->least), most = all_int(e->most), zero_point = all_int(e->zero_point);
  for (; count >= LANES; count -= LANES, acc += LANES, channel += LANES, out += LANES) {
    v_int shift = load_int(e->shift + channel);
    if (!s->plain && less_int(shift, all_int(32)) != 0) {
      dqnn_emit_s8(e, acc, channel, LANES, out);
      continue;
    }
    v_int x = fixed64(load_int(acc), load_int(e->multiplier + channel), e->offset64 + channel, shift);
    store_s8(out, smaller_int(larger_int(x, least), most) + zero_point);
  }
  emit_rest(e, acc, channel, count, out);
}

/* The rule of two roundings; plain is a constant. */
DQNN_INLINE void emit_fixed(const sink *s, int plain, const number *acc, uint32_t channel, uint32_t count,
                            int8_t *out) {
  const dqnn_epilogue *e = &s->rule;
  v_int least = all_int(e->least), most = all_int(e->most), zero_point = all_int(e->zero_point);
  for (; count >= LANES; count -= LANES, acc += LANES, channel += LANES, out += LANES) {
    v_int x = (v_int)((v_uint)load_int(acc) + (v_uint)load_int(e->bias + channel)),
          multiplier = load_int(e->multiplier + channel), shift = load_int(e->shift + channel);
    x = plain ? fixed_point_right(x, multiplier, shift) : fixed_point(x, multiplier, shift);
    store_s8(out, smaller_int(larger_int(x, least), most) + zero_point);
  }
  emit_rest(e, acc, channel, count, out);
}

static void emit_shifted(const dqnn_epilogue *e, const number *acc, uint32_t channel, uint32_t count, int8_t *out) {
  v_int least = all_int(e->least), most = all_int(e->most), zero_point = all_int(e->zero_point);
  for (; count >= LANES; count -= LANES, acc += LANES, channel += LANES, out += LANES) {
    v_int x = (v_int)((v_uint)load_int(acc) + (v_uint)load_int(e->bias + channel));
    x = shift_half_even(x, load_int(e->shift + channel));
    store_s8(out, smaller_int(larger_int(x, least), most) + zero_point);
  }
  emit_rest(e, acc, channel, count, out);
}

/* The integer rules. */
DQNN_INLINE void emit_integers(const sink *s, const number *acc, uint32_t channel, uint32_t count, int8_t *out) {
  if (s->rule.requant == DQNN_REQUANT_FIXED64) {
    emit_fixed64(s, acc, channel, count, out);
  } else if (s->rule.requant != DQNN_REQUANT_FIXED_POINT) {
    emit_shifted(&s->rule, acc, channel, count, out);
  } else if (s->plain) {
    emit_fixed(s, 1, acc, channel, count, out);
  } else {
    emit_fixed(s, 0, acc, channel, count, out);
  }
}

static int is_plain(const dqnn_epilogue *e, uint32_t outputs) {
  int plain = 1;
  for (uint32_t i = 0; i < outputs; i++) {
    plain &= e->requant == DQNN_REQUANT_FIXED64 ? e->shift[i] >= 32 : e->shift[i] < 0;
  }
  return plain;
}
#endif

static void emit_s8(const sink *s, const number *acc, uint32_t channel, uint32_t count, int8_t *out) {
  const dqnn_epilogue *e = &s->rule;
#if !DQNN_FLOAT_SUMS
#ifdef __AVX512F__
  uint32_t done = emit_sixteens(e, s->plain, acc, channel, count, out);
  acc += done;
  channel += done;
  count -= done;
  out += done;
#endif
  if (e->requant != DQNN_REQUANT_AFFINE) {
    emit_integers(s, acc, channel, count, out);
    return;
  }
#endif
#ifdef DQNN_DIVIDES
  if (e->requant != DQNN_REQUANT_AFFINE) {
    emit_divided(e, acc, channel, count, out);
    return;
  }
#endif
  emit_affine(e, acc, channel, count, out);
}

/* Up to 32 channels as bits. */
DQNN_INLINE uint32_t signs(const number *thresholds, const number *acc, uint32_t count) {
  uint32_t bits = 0, i = 0;
  for (; i + LANES <= count; i += LANES) {
    bits |= less(load_number(acc + i), load_number(thresholds + i)) << i;
  }
  for (; i < count; i++) {
    bits |= (uint32_t)(acc[i] < thresholds[i]) << i;
  }
  return bits;
}

static void emit_s1(const sink *s, const number *acc, uint32_t channel, uint32_t count, uint32_t *row) {
  while (count) {
    uint32_t n = count < 32 ? count : 32, bits = signs(s->thresholds + channel, acc, n);
    if (s->flip) {
      bits ^= dqnn_read_bits(s->flip, channel, n);
    }
    dqnn_append_bits(row, channel, n, bits);
    acc += n;
    channel += n;
    count -= n;
  }
}

/* first: index of the epilogue's first constant. */
DQNN_INLINE void read_sink(const dqnn_call *call, uint32_t first, uint32_t outputs, sink *s) {
  s->type = call->out_def->dtype;
  s->out = (uint8_t *)call->out;
  if (s->type == DQNN_S1) {
    s->thresholds = (const number *)call->constants[first];
    s->flip = call->constant_count > first + 1 ? (const uint32_t *)call->constants[first + 1] : NULL;
    s->pixel_bytes = 4 * dqnn_words(outputs);
    return;
  }
  s->pixel_bytes = s->type == DQNN_S8 ? outputs : 4 * outputs;
  dqnn_read_epilogue(call, first, &s->rule);
#if !DQNN_FLOAT_SUMS
  int fixed = s->rule.requant == DQNN_REQUANT_FIXED_POINT || s->rule.requant == DQNN_REQUANT_FIXED64;
  s->plain = fixed && s->type == DQNN_S8 && is_plain(&s->rule, outputs);
#endif
}

/* Outputs channel .. channel + count - 1 of a pixel; those before them are done. */
static void emit(const sink *s, const number *acc, uint32_t pixel, uint32_t channel, uint32_t count) {
  uint8_t *to = s->out + pixel * s->pixel_bytes;
  if (s->type == DQNN_S1) {
    emit_s1(s, acc, channel, count, (uint32_t *)(void *)to);
  } else if (s->type == DQNN_F32) {
    emit_f32(&s->rule, acc, channel, count, (float *)(void *)to + channel);
  } else {
    emit_s8(s, acc, channel, count, (int8_t *)to + channel);
  }
}
