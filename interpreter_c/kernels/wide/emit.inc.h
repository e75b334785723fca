/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* From accumulators to outputs (SPEC.md 3.2), runs of neighbouring channels of some pixels at a time, LANES at once.
 * The rest of a run goes through kernels/opt.
 *
 * A template. In: DQNN_FLOAT_SUMS, the type of accumulators (1 float, 0 int32_t); DQNN_DIVIDES, if the kernel takes the
 * rules that divide, which no convolution does. Out: that type as `number`, a vector
 * of them as v_number, real_of, less and larger of vectors; the outputs of a layer as `sink`, read_sink(),
 * emit_pixels(), emit(). */
#include "../../src/numerics.h"
#include "../opt/epilogue.h"
#include "vectors.h"

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

/* Sums of neighbouring pixels, `step` apart, and where the outputs of the first go. */
typedef struct {
  const number *sums;
  uint32_t step, pixels;
  uint32_t channel, count; /* channels from `channel` on */
  int8_t *out;
} stretch;

/* What all pixels share. */
typedef enum { AFFINE, DIVIDED, FIXED, PLAIN_FIXED, FIXED64, SHIFTED } rule_kind;
typedef struct {
  v_float scale, offset;
  v_int bias, multiplier, shift;
  const int64_t *offset64;
} rule_factors;

/* kind is a constant. */
DQNN_INLINE void read_factors(const dqnn_epilogue *e, rule_kind kind, uint32_t channel, rule_factors *f) {
  if (kind == AFFINE || kind == DIVIDED) {
    f->scale = load_float(e->scale + channel);
    if (kind == AFFINE) {
      f->offset = load_float(e->offset + channel);
    }
    return;
  }
  f->shift = load_int(e->shift + channel);
  if (kind != SHIFTED) {
    f->multiplier = load_int(e->multiplier + channel);
  }
  if (kind == FIXED64) {
    f->offset64 = e->offset64 + channel;
  } else {
    f->bias = load_int(e->bias + channel);
  }
}

DQNN_INLINE v_float scaled(const rule_factors *f, v_number acc) {
  v_float y = real_of(acc) * f->scale;
  return y + f->offset;
}

#ifdef DQNN_DIVIDES
/* Division by the scale, then to the nearest integer, ties to even or away from zero. NaN gives the lower bound. */
DQNN_INLINE int32_t divided(const dqnn_epilogue *e, float acc, float scale) {
  float y = dqnn_clamp(acc / scale, e->low, e->high);
  return e->requant == DQNN_REQUANT_DIVIDE_EVEN ? dqnn_round_half_even(y) : dqnn_round_half_away(y);
}

DQNN_INLINE v_int divide(const dqnn_epilogue *e, v_float acc, v_float scale) {
  v_float y = smaller_float(larger_float(all_float(e->low), acc / scale), all_float(e->high));
  v_int whole = round_float(y);
  if (e->requant == DQNN_REQUANT_DIVIDE_AWAY) {
    whole = truncate_float(y);
    v_float rest = y - to_float(whole);
    whole += (v_int)(rest <= -0.5f) - (v_int)(rest >= 0.5f);
  }
  return whole;
}
#endif

#if !DQNN_FLOAT_SUMS
/* dqnn_shift_half_even of numerics.h */
DQNN_INLINE v_int shift_half_even(v_int x, v_int shift) {
  v_int floor = x >> shift, one = all_int(1) << shift, rest = (x & (one - 1)) << 1;
  return floor - ((rest > one) | ((rest == one) & -(floor & 1)));
}

DQNN_INLINE v_int whole_of(rule_kind kind, const rule_factors *f, v_int acc) {
  if (kind == FIXED64) {
    return fixed64(acc, f->multiplier, f->offset64, f->shift);
  }
  v_int x = (v_int)((v_uint)acc + (v_uint)f->bias);
  if (kind == SHIFTED) {
    return shift_half_even(x, f->shift);
  }
  return kind == PLAIN_FIXED ? fixed_point_right(x, f->multiplier, f->shift) : fixed_point(x, f->multiplier, f->shift);
}

static int is_plain(const dqnn_epilogue *e, uint32_t outputs) {
  int plain = 1;
  for (uint32_t i = 0; i < outputs; i++) {
    plain &= e->requant == DQNN_REQUANT_FIXED64 ? e->shift[i] >= 32 : e->shift[i] < 0;
  }
  return plain;
}
#endif

/* Without the zero point. The affine rule's NaN gives the lower bound. */
DQNN_INLINE v_int result_of(const dqnn_epilogue *e, rule_kind kind, const rule_factors *f, v_number acc) {
  if (kind == AFFINE) {
    return round_float(smaller_float(larger_float(all_float(e->low), scaled(f, acc)), all_float(e->high)));
  }
#if !DQNN_FLOAT_SUMS
  return smaller_int(larger_int(whole_of(kind, f, acc), all_int(e->least)), all_int(e->most));
#elif defined DQNN_DIVIDES
  return divide(e, acc, f->scale);
#else
  return all_int(0); /* not reached */
#endif
}

#if !DQNN_FLOAT_SUMS && defined __AVX512F__
#include "emit_avx512.h"
#endif

/* Some channels of all pixels as the portable code has them. */
static void emit_some(const sink *s, const stretch *r, uint32_t first, uint32_t count) {
  for (uint32_t p = 0; p < r->pixels && count; p++) {
    const number *sums = r->sums + p * r->step + first;
    int8_t *out = r->out + p * s->pixel_bytes + first;
#ifdef DQNN_DIVIDES
    if (s->rule.requant != DQNN_REQUANT_AFFINE) {
      for (uint32_t i = 0; i < count; i++) {
        out[i] = (int8_t)(divided(&s->rule, sums[i], s->rule.scale[r->channel + first + i]) + s->rule.zero_point);
      }
      continue;
    }
#endif
    SUM_FUNCTION(s8)(&s->rule, sums, r->channel + first, count, out);
  }
}

/* kind is a constant. The channels before `first` are done. */
DQNN_INLINE void emit_kind(const sink *s, rule_kind kind, const stretch *r, uint32_t first) {
  const dqnn_epilogue e = s->rule; /* stores could change what is not a copy */
  const uint32_t step = r->step, pixel_bytes = s->pixel_bytes, pixels = r->pixels, count = r->count;
  const number *from = r->sums;
  int8_t *to = r->out;
  for (; first + LANES <= count; first += LANES) {
    rule_factors f;
    read_factors(&e, kind, r->channel + first, &f);
    if (kind == FIXED64 && !s->plain && less_int(f.shift, all_int(32)) != 0) {
      emit_some(s, r, first, LANES);
      continue;
    }
    const number *sums = from + first;
    int8_t *out = to + first;
    uint32_t p = pixels;
#if !DQNN_FLOAT_SUMS && !DQNN_HAVE_NEON
    for (; kind == PLAIN_FIXED && p >= 4; p -= 4, sums += 4 * step, out += 4 * pixel_bytes) {
      v_int x[4];
      for (uint32_t i = 0; i < 4; i++) {
        x[i] = (v_int)((v_uint)load_int(sums + i * step) + (v_uint)f.bias);
        x[i] = fixed_point_twice(x[i], f.multiplier, f.shift);
      }
      store_halves(out, pixel_bytes, x, e.zero_point, e.least + e.zero_point, e.most + e.zero_point);
    }
#endif
    for (; p; p--, sums += step, out += pixel_bytes) {
      store_s8(out, result_of(&e, kind, &f, load_number(sums)) + e.zero_point);
    }
  }
  emit_some(s, r, first, count - first);
}

static void emit_s8(const sink *s, const stretch *r) {
  uint32_t done = 0;
#if !DQNN_FLOAT_SUMS
#ifdef __AVX512F__
  done = emit_sixteens(s, r);
#endif
  if (s->rule.requant == DQNN_REQUANT_FIXED64) {
    emit_kind(s, FIXED64, r, done);
    return;
  }
  if (s->rule.requant != DQNN_REQUANT_AFFINE && s->rule.requant != DQNN_REQUANT_FIXED_POINT) {
    emit_kind(s, SHIFTED, r, done);
    return;
  }
  if (s->rule.requant != DQNN_REQUANT_AFFINE) {
    if (s->plain) {
      emit_kind(s, PLAIN_FIXED, r, done);
    } else {
      emit_kind(s, FIXED, r, done);
    }
    return;
  }
#endif
#ifdef DQNN_DIVIDES
  if (s->rule.requant != DQNN_REQUANT_AFFINE) {
    emit_kind(s, DIVIDED, r, done);
    return;
  }
#endif
  emit_kind(s, AFFINE, r, done);
}

static void emit_f32(const dqnn_epilogue *e, const number *acc, uint32_t channel, uint32_t count, float *out) {
  v_float low = all_float(e->low), high = all_float(e->high);
  for (; count >= LANES; count -= LANES, acc += LANES, channel += LANES, out += LANES) {
    rule_factors f;
    read_factors(e, AFFINE, channel, &f);
    store_float(out, smaller_float(larger_float(scaled(&f, load_number(acc)), low), high));
  }
  SUM_FUNCTION(f32)(e, acc, channel, count, out);
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

/* Outputs channel .. channel + count - 1 of `pixels` neighbours, whose sums are `step` apart; those before them are
 * done. */
static void emit_pixels(const sink *s, const number *sums, uint32_t step, uint32_t pixel, uint32_t pixels,
                        uint32_t channel, uint32_t count) {
  uint8_t *to = s->out + pixel * s->pixel_bytes;
  if (s->type == DQNN_S8) {
    const stretch all = {sums, step, pixels, channel, count, (int8_t *)to + channel};
    emit_s8(s, &all);
    return;
  }
  for (; pixels; pixels--, sums += step, to += s->pixel_bytes) {
    if (s->type == DQNN_S1) {
      emit_s1(s, sums, channel, count, (uint32_t *)(void *)to);
    } else {
      emit_f32(&s->rule, sums, channel, count, (float *)(void *)to + channel);
    }
  }
}

DQNN_INLINE void emit(const sink *s, const number *sums, uint32_t pixel, uint32_t channel, uint32_t count) {
  emit_pixels(s, sums, 0, pixel, 1, channel, count);
}
