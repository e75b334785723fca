/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The float functions, in binary32 operations only. numerics.h says what they guarantee; the comments give the steps
 * for a mirror in another language. "Horner" means y = c0; y = y * x + c1; y = y * x + c2; ... with two roundings each.
 */
#include "numerics.h"

#include <string.h>

#include "schema.h"

int32_t dqnn_round_half_even(float x) {
  if (!(x >= -2147483648.0f)) {
    return INT32_MIN;
  }
  if (x >= 2147483648.0f) {
    return INT32_MAX;
  }
  int32_t whole = (int32_t)x;
  float rest = x - (float)whole; /* exact; 0 from 2^23 on, so whole +- 1 below cannot overflow */
  if (rest > 0.5f || (rest == 0.5f && (whole & 1))) {
    return whole + 1;
  }
  if (rest < -0.5f || (rest == -0.5f && (whole & 1))) {
    return whole - 1;
  }
  return whole;
}

/* floor(sqrt(x)), bit by bit; x < 2^48 */
static uint32_t root(uint64_t x) {
  uint32_t found = 0;
  for (uint32_t bit = 1u << 23; bit != 0; bit >>= 1) {
    uint64_t next = found | bit;
    found = next * next <= x ? (uint32_t)next : found;
  }
  return found;
}

/* x = m * 2^(e - 23) with an even e, so that the root is that of m * 2^23, 24 bits of it, times 2^(e / 2 - 23). It
 * never lies in the middle of two numbers: the remainder of the whole root tells which one is nearer. */
float dqnn_sqrt(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (!(x > 0.0f) || bits >= 0x7F800000u) {
    return x;
  }
  int32_t exponent = (int32_t)(bits >> 23) - 127;
  uint32_t mantissa = bits & 0x7FFFFFu;
  if (exponent > -127) {
    mantissa |= 0x800000u;
  } else { /* a denormal becomes normal */
    for (exponent = -126; mantissa < 0x800000u; mantissa <<= 1) {
      --exponent;
    }
  }
  int32_t odd = exponent & 1;
  uint64_t square = (uint64_t)mantissa << (23 + odd), whole = root(square);
  whole += square - whole * whole > whole ? 1u : 0u;
  bits = ((uint32_t)((exponent - odd) / 2 + 127) << 23) + (uint32_t)whole - 0x800000u;
  memcpy(&x, &bits, sizeof x);
  return x;
}

#define LENGTH(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static float horner(const float *coefficients, uint32_t count, float x) {
  float y = coefficients[0];
  for (uint32_t i = 1; i < count; ++i) {
    y = y * x + coefficients[i];
  }
  return y;
}

/* exp(r) - 1 for |r| <= 0.35: Horner(r) * (r * r) + r */
static float small_expm1(float r) {
  static const float coefficients[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                       4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  return horner(coefficients, LENGTH(coefficients), r) * (r * r) + r;
}

static float power_of_two(int32_t n) {
  return dqnn_bits_float((uint32_t)(n + 127) << 23);
} /* -126 <= n <= 127 */

/* n = half-even(x * 1.44269504); r = (x - n * 0.693359375) - n * -2.12194440e-4; y = small_expm1(r) + 1;
 * result (y * 2^(n >> 1)) * 2^(n - (n >> 1)). x > 89: inf; x < -104: 0. */
float dqnn_exp(float x) {
  if (dqnn_is_nan(x)) {
    return x;
  }
  if (x > 89.0f) {
    return dqnn_bits_float(0x7f800000u);
  }
  if (x < -104.0f) {
    return 0.0f;
  }
  int32_t n = dqnn_round_half_even(x * 1.44269504f);
  float whole = (float)n;
  float r = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
  float y = small_expm1(r) + 1.0f;
  int32_t half = n >> 1;
  return (y * power_of_two(half)) * power_of_two(n - half);
}

/* |x| < 0.34: small_expm1(x), else exp(x) - 1 */
float dqnn_expm1(float x) {
  return dqnn_abs(x) < 0.34f ? small_expm1(x) : dqnn_exp(x) - 1.0f;
}

/* a = |x|; a > 10: 1; else t = expm1(a + a), t / (t + 2); negated for x < 0 */
float dqnn_tanh(float x) {
  if (dqnn_is_nan(x)) {
    return x;
  }
  float a = dqnn_abs(x), y = 1.0f;
  if (a <= 10.0f) {
    float t = dqnn_expm1(a + a);
    y = t / (t + 2.0f);
  }
  return x < 0.0f ? dqnn_negative(y) : y;
}

/* e = exp(-|x|), d = 1 + e; x < 0: e / d, else 1 / d */
float dqnn_sigmoid(float x) {
  float e = dqnn_exp(dqnn_negative(dqnn_abs(x)));
  float d = 1.0f + e;
  return x < 0.0f ? e / d : 1.0f / d;
}

/* log(1 + x) for 0 <= x <= 1: s = x / (2 + x), z = s * s; Horner(z) * (s * z) + (s + s), the coefficients being 2/17,
 * 2/15, ... 2/3 */
static float unit_log1p(float x) {
  static const float coefficients[] = {0.11764706f, 0.13333333f, 0.15384616f, 0.18181819f,
                                       0.22222222f, 0.2857143f,  0.4f,        0.6666667f};
  float s = x / (2.0f + x);
  float z = s * s;
  return horner(coefficients, LENGTH(coefficients), z) * (s * z) + (s + s);
}

/* (x < 0 ? 0 : x) + unit_log1p(exp(-|x|)) */
float dqnn_softplus(float x) {
  return (x < 0.0f ? 0.0f : x) + unit_log1p(dqnn_exp(dqnn_negative(dqnn_abs(x))));
}

/* a = min(|x|, 4); y = -expm1(-(a * (a + Horner(a)))); negated for x < 0. The polynomial is ours: it interpolates
 * -log(erfcx(a)) / a in the Chebyshev points of [0, 4]. */
float dqnn_erf(float x) {
  static const float coefficients[] = {-1.0139773e-07f, 2.5587651e-06f, -2.8743581e-05f, 0.00018809218f,
                                       -0.00077187974f, 0.0018230308f,  -0.0002581504f,  -0.019121386f,
                                       0.10277336f,     -0.36338043f,   1.1283792f};
  float a = dqnn_abs(x);
  a = a > 4.0f ? 4.0f : a;
  float y = dqnn_negative(dqnn_expm1(dqnn_negative(a * (a + horner(coefficients, LENGTH(coefficients), a)))));
  return x < 0.0f ? dqnn_negative(y) : y;
}

static float clip(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
} /* NaN stays */

/* --- fixed point: a Qm.n is a number times 2^n --- */

int32_t dqnn_saturated_fixed64(int32_t x, int32_t multiplier, int64_t offset, int32_t shift) {
  return dqnn_clamp_wide(dqnn_fixed64(x, multiplier, offset, shift), INT32_MIN, INT32_MAX);
}

/* x * 2^shift, saturated. */
static int32_t shift_left(int32_t x, int32_t shift) {
  return dqnn_clamp_wide((int64_t)x * (INT64_C(1) << shift), INT32_MIN, INT32_MAX);
}

/* exp for a Q0.31 in [-1/4, 0): about -1/8, where t is the distance, 1 + t + t^2/2 + t^3/6 + t^4/24. */
static int32_t exp_of_quarter(int32_t x) {
  const int32_t exp_of_eighth = 1895147668, third = 715827883;
  int32_t t = x + (1 << 28), t2 = dqnn_high_mul(t, t), t3 = dqnn_high_mul(t2, t), t4 = dqnn_high_mul(t2, t2);
  int32_t tail = dqnn_high_mul(dqnn_shift_half_away(t4, 2) + t3, third) + t2;
  return exp_of_eighth + dqnn_high_mul(t + dqnn_shift_half_away(tail, 1), exp_of_eighth);
}

/* A multiple of -1/4, whose exponential is a product of constants, and a rest. */
int32_t dqnn_exp_fixed(int32_t x) {
  static const int32_t factor[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const int32_t quarter = 1 << 24; /* Q5.26 */
  if (x == 0) {
    return INT32_MAX;
  }
  int32_t rest = (x & (quarter - 1)) - quarter, result = exp_of_quarter(shift_left(rest, 5));
  uint32_t quarters = (uint32_t)(rest - x) >> 24;
  for (uint32_t i = 0; i < sizeof factor / sizeof factor[0]; ++i) {
    if (quarters >> i & 1u) {
      result = dqnn_high_mul(result, factor[i]);
    }
  }
  return result;
}

/* 1 / (1 + x) for a Q0.31 in [0, 1): Newton's method for 1 / d, d = (1 + x) / 2, from 48/17 - 32/17 * d. */
static int32_t one_over_one_plus(int32_t x) {
  int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
  int32_t y = 1515870810 + dqnn_high_mul(half, -1010580540); /* Q2.29 */
  for (int i = 0; i < 3; ++i) {
    int32_t error = (1 << 29) - dqnn_high_mul(half, y);
    y += shift_left(dqnn_high_mul(y, error), 2);
  }
  return shift_left(y, 1);
}

dqnn_reciprocal dqnn_reciprocal_fixed(int32_t x) {
  int32_t zeros = 0;
  while (x >> (30 - zeros) == 0) {
    ++zeros;
  }
  ++zeros; /* the sign */
  uint32_t fraction = ((uint32_t)x << zeros) - 0x80000000u;
  return (dqnn_reciprocal){one_over_one_plus((int32_t)fraction), 35 - zeros};
}

/* Operators bind and associate as in C: x * a * b is (x * a) * b. */
float dqnn_unary(uint8_t kind, float alpha, float x) {
  switch (kind) {
    case DQNN_RELU:
      return x < 0.0f ? 0.0f : x;
    case DQNN_SIGMOID:
      return dqnn_sigmoid(x);
    case DQNN_HARD_SIGMOID:
      return clip(0.2f * x + 0.5f, 0.0f, 1.0f);
    case DQNN_TANH:
      return dqnn_tanh(x);
    case DQNN_ELU:
      return x < 0.0f ? alpha * dqnn_expm1(x) : x;
    case DQNN_SWISH:
      return x * dqnn_sigmoid(x);
    case DQNN_EXP:
      return dqnn_exp(x);
    case DQNN_SELU:
      return x < 0.0f ? 1.7580993f * dqnn_expm1(x) : 1.0507010f * x;
    case DQNN_SOFTPLUS:
      return dqnn_softplus(x);
    case DQNN_SOFTSIGN:
      return x / (1.0f + dqnn_abs(x));
    case DQNN_GELU:
      return 0.5f * x * (1.0f + dqnn_erf(x / 1.4142135f));
    case DQNN_LEAKY_RELU:
      return x < 0.0f ? alpha * x : x;
    case DQNN_ABS:
      return dqnn_abs(x);
    case DQNN_SQUARE:
      return x * x;
    case DQNN_HARD_SWISH:
      return x * clip(x + 3.0f, 0.0f, 6.0f) * 0.16666667f;
    case DQNN_MISH:
      return x * dqnn_tanh(dqnn_softplus(x));
    default:
      return x;
  }
}
