/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Arithmetic that must give the same bits on every target.
 *
 * Integers: rounding, saturation and TFLite's fixed-point multiplication. Floats: exp and its relatives as our own
 * polynomials, because libm differs between the host and the boards. Every float operation below rounds to binary32 on
 * its own (-ffp-contract=off, no x87); the order of operations is the definition. exporter/ir/numerics.py repeats it
 * in numpy, and tests/kernels compares the two bit for bit. Signed values are shifted right arithmetically, as every
 * compiler for our targets does (checked at compile time). */
#ifndef DQNN_NUMERICS_H
#define DQNN_NUMERICS_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "float_rules.h"

/* 16: the same for float, on cores that also compute with half precision. */
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "dqnn needs float arithmetic that rounds every operation to binary32"
#endif

_Static_assert((-1 >> 1) == -1, "right shift of negative values must be arithmetic");
_Static_assert(sizeof(float) == 4 && FLT_MANT_DIG == 24, "float must be IEEE binary32");

static inline uint32_t dqnn_float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float dqnn_bits_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline int dqnn_is_nan(float x) {
  return (dqnn_float_bits(x) & 0x7fffffffu) > 0x7f800000u;
}

static inline int dqnn_is_finite(float x) {
  return (dqnn_float_bits(x) & 0x7f800000u) != 0x7f800000u;
}

static inline float dqnn_abs(float x) {
  return dqnn_bits_float(dqnn_float_bits(x) & 0x7fffffffu);
}

static inline float dqnn_negative(float x) {
  return dqnn_bits_float(dqnn_float_bits(x) ^ 0x80000000u);
}

/* [low, high]; NaN gives low. */
static inline float dqnn_clamp(float x, float low, float high) {
  return x > low ? (x < high ? x : high) : low;
}

static inline int32_t dqnn_clamp_int(int32_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : x;
}

/* To the nearest integer, ties to even, saturated to int32; NaN gives INT32_MIN. Independent of the rounding mode. */
int32_t dqnn_round_half_even(float x);

/* Two's complement wrap-around without undefined behaviour. */
static inline int32_t dqnn_wrap_add(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* x / 2^shift to the nearest integer, ties to even; 0 <= shift <= 30. */
static inline int32_t dqnn_shift_half_even(int32_t x, int32_t shift) {
  int32_t floor = x >> shift;
  uint32_t rest = ((uint32_t)x & ((1u << shift) - 1u)) << 1; /* in units of half a step */
  uint32_t one = 1u << shift;
  return floor + (int32_t)(rest > one || (rest == one && (floor & 1)));
}

/* x / 2^shift to the nearest integer, ties away from zero; 0 <= shift <= 31 (gemmlowp's RoundingDivideByPOT). */
static inline int32_t dqnn_shift_half_away(int32_t x, int32_t shift) {
  uint32_t mask = (uint32_t)((UINT64_C(1) << shift) - 1u);
  uint32_t threshold = (mask >> 1) + (x < 0 ? 1u : 0u);
  return (shift == 31 ? (x < 0 ? -1 : 0) : x >> shift) + (((uint32_t)x & mask) > threshold ? 1 : 0);
}

/* round(a * b / 2^31), ties upwards: gemmlowp's SaturatingRoundingDoublingHighMul; b >= 0, so nothing saturates. */
static inline int32_t dqnn_high_mul(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* TFLite's MultiplyByQuantizedMultiplier with its two roundings: x * multiplier * 2^(shift - 31); -31 <= shift <= 30,
 * multiplier >= 0. */
static inline int32_t dqnn_fixed_point(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
  int32_t shifted = (int32_t)((uint32_t)x << left);
  return dqnn_shift_half_away(dqnn_high_mul(shifted, multiplier), right);
}

/* x * multiplier + offset, exactly, / 2^shift to the nearest below; 1 <= shift <= 62. Where the sum is a multiple of
 * 2^shift an odd result becomes even: with an offset that holds half a step, ties then go to even. plan() has bounded
 * the sum. */
static inline int64_t dqnn_fixed64(int32_t x, int32_t multiplier, int64_t offset, int32_t shift) {
  int64_t sum = (int64_t)x * multiplier + offset, floor = sum >> shift;
  return (uint64_t)sum << (64 - shift) == 0 ? floor & ~INT64_C(1) : floor;
}

/* The same saturated, which rules that clamp to less do not see, and compiled once. */
int32_t dqnn_saturated_fixed64(int32_t x, int32_t multiplier, int64_t offset, int32_t shift);

static inline int32_t dqnn_clamp_wide(int64_t x, int32_t low, int32_t high) {
  return x < low ? low : x > high ? high : (int32_t)x;
}

/* To the nearest integer, ties away from zero; |x| < 2^22. */
static inline int32_t dqnn_round_half_away(float x) {
  int32_t whole = (int32_t)x; /* towards zero */
  float rest = x - (float)whole;
  return rest >= 0.5f ? whole + 1 : rest <= -0.5f ? whole - 1 : whole;
}

/* exp of x * 2^-26, x <= 0, times 2^31 (2^31 - 1 for 1): gemmlowp's exponential for five integer bits. */
int32_t dqnn_exp_fixed(int32_t x);

/* 1 / x for x > 0 with 12 integer bits (x * 2^-19), as mantissa * 2^-shift of 8 fractional bits: a product of the
 * mantissa and a share of x in Q0.31 (dqnn_high_mul), shifted right by `shift` (half away from zero), counts 1/256.
 * TFLite's softmax. */
typedef struct {
  int32_t mantissa, shift;
} dqnn_reciprocal;
dqnn_reciprocal dqnn_reciprocal_fixed(int32_t x);

/* Largest error found over 6 million arguments each, in units of the last place: exp 1.0, expm1 3.3, tanh 2.7,
 * sigmoid 2.3, softplus 2.6, erf 3.5. NaN gives NaN. */
float dqnn_exp(float x);
float dqnn_expm1(float x);
float dqnn_tanh(float x);
float dqnn_sigmoid(float x);
float dqnn_softplus(float x);
float dqnn_erf(float x);

/* The nearest number to the root, as IEEE 754 asks (not every board has a library with sqrtf): 0, infinity and NaN stay
 * as they are. For x >= 0 and NaN. */
float dqnn_sqrt(float x);

/* One element of unary_f32 (enum DQNN_RELU ... in schema.h); the formulas stand in numerics.c. */
float dqnn_unary(uint8_t kind, float alpha, float x);

#endif
