/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What vectors.h lacks, with the vector instructions of every 64-bit Arm. Signed and unsigned vectors are told apart by
 * the intrinsics and cast as AVX2's are. */
#ifndef DQNN_WIDE_VECTORS_NEON_H
#define DQNN_WIDE_VECTORS_NEON_H

#include <arm_neon.h>
#include <string.h>

enum { REGISTERS = 32 };
#define LANE_BITS ((v_int){1, 2, 4, 8})

/* b in the lanes whose mask is all ones, a where it is 0. */
DQNN_INLINE v_float blend_float(v_int mask, v_float a, v_float b) {
  return (v_float)vbslq_f32((uint32x4_t)mask, (float32x4_t)b, (float32x4_t)a);
}
/* a < b ? b : a, and a > b ? b : a: a where either is NaN. (FMAX would give NaN, FMAXNM tells zeros apart.) */
DQNN_INLINE v_float larger_float(v_float a, v_float b) {
  return blend_float(a < b, a, b);
}
DQNN_INLINE v_float smaller_float(v_float a, v_float b) {
  return blend_float(a > b, a, b);
}
DQNN_INLINE v_int larger_int(v_int a, v_int b) {
  return (v_int)vmaxq_s32((int32x4_t)a, (int32x4_t)b);
}
DQNN_INLINE v_int smaller_int(v_int a, v_int b) {
  return (v_int)vminq_s32((int32x4_t)a, (int32x4_t)b);
}
DQNN_INLINE v_bytes larger_bytes(v_bytes a, v_bytes b) {
  return (v_bytes)vmaxq_s8((int8x16_t)a, (int8x16_t)b);
}
DQNN_INLINE v_int load_s8(const int8_t *from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return (v_int)vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(word)))));
}
/* Low bytes. */
DQNN_INLINE void store_s8(int8_t *to, v_int x) {
  int16x4_t half = vmovn_s32((int32x4_t)x);
  uint32_t word = vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(half, half))), 0);
  memcpy(to, &word, sizeof word);
}
/* dqnn_high_mul of numerics.h */
DQNN_INLINE v_int high_mul(v_int a, v_int b) {
  return (v_int)vqrdmulhq_s32((int32x4_t)a, (int32x4_t)b);
}
/* dqnn_fixed_point of numerics.h: the last shift rounds ties up, so negative numbers are first less by one. */
DQNN_INLINE v_int fixed_point(v_int x, v_int multiplier, v_int shift) {
  int32x4_t left = vmaxq_s32((int32x4_t)shift, vdupq_n_s32(0)), right = vminq_s32((int32x4_t)shift, vdupq_n_s32(0));
  int32x4_t y = vqrdmulhq_s32(vshlq_s32((int32x4_t)x, left), (int32x4_t)multiplier);
  return (v_int)vrshlq_s32(vaddq_s32(y, vshrq_n_s32(vandq_s32(y, right), 31)), right);
}
DQNN_INLINE v_int fixed_point_right(v_int x, v_int multiplier, v_int shift) {
  return fixed_point(x, multiplier, shift);
}
/* a * b + c in 64 bits, as its low and high words. */
DQNN_INLINE void wide_product(v_int a, v_int b, const int64_t *c, v_int *lows, v_int *highs) {
  int32x4_t low =
                vreinterpretq_s32_s64(vmlal_s32(vld1q_s64(c), vget_low_s32((int32x4_t)a), vget_low_s32((int32x4_t)b))),
            high = vreinterpretq_s32_s64(vmlal_high_s32(vld1q_s64(c + 2), (int32x4_t)a, (int32x4_t)b));
  *lows = (v_int)vuzp1q_s32(low, high);
  *highs = (v_int)vuzp2q_s32(low, high);
}
/* The way back: 64-bit numbers of their words. */
DQNN_INLINE void join_words(v_int lows, v_int highs, int64_t *to) {
  vst1q_s64(to, vreinterpretq_s64_s32(vzip1q_s32((int32x4_t)lows, (int32x4_t)highs)));
  vst1q_s64(to + 2, vreinterpretq_s64_s32(vzip2q_s32((int32x4_t)lows, (int32x4_t)highs)));
}
/* Shifts by 0 to 32; by 32 nothing but signs is left. */
DQNN_INLINE v_int shift_left(v_int x, v_int by) {
  return (v_int)vshlq_s32((int32x4_t)x, (int32x4_t)by);
}
DQNN_INLINE v_int shift_right(v_int x, v_int by) {
  return (v_int)vshlq_s32((int32x4_t)x, (int32x4_t)-by);
}
/* To the nearest integer, ties to even. */
DQNN_INLINE v_int round_float(v_float x) {
  return (v_int)vcvtnq_s32_f32((float32x4_t)x);
}
/* Bit i: lane i of the mask is all ones. */
DQNN_INLINE uint32_t bits_of(v_int mask) {
  return vaddvq_u32((uint32x4_t)(mask & LANE_BITS));
}
/* Bit i: a < b in lane i. */
DQNN_INLINE uint32_t less_float(v_float a, v_float b) {
  return bits_of(a < b);
}
DQNN_INLINE uint32_t less_int(v_int a, v_int b) {
  return bits_of(a < b);
}
/* The floats at these indices. */
DQNN_INLINE v_float gather_float(const float *from, v_int at) {
  return (v_float){from[at[0]], from[at[1]], from[at[2]], from[at[3]]};
}
/* Weights of LANES channels for one input. */
DQNN_INLINE v_float load_quads(const float *const *from, uint32_t at) {
  return load_float(from[0] + at);
}
/* LANES vectors to columns. */
DQNN_INLINE void transpose_float(v_float in[LANES]) {
  float32x4x2_t a = vtrnq_f32((float32x4_t)in[0], (float32x4_t)in[1]),
                b = vtrnq_f32((float32x4_t)in[2], (float32x4_t)in[3]);
  in[0] = (v_float)vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  in[1] = (v_float)vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  in[2] = (v_float)vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  in[3] = (v_float)vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}
#endif
