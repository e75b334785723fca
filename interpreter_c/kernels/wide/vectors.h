/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Vectors of LANES floats or 32-bit integers in the registers that every processor of a host's kind has: AVX2's eight
 * (on the processors measured, 512-bit registers gained nothing for these kernels) or the four of 64-bit Arm. Operators
 * of the compiler's vector types do the arithmetic; the headers of an instruction set have what they lack. Nothing here
 * multiplies and adds in one rounding, so that sums are those of every other target.
 *
 * Sources that are written over these vectors (*_wide.c) are compiled for one of the two: WIDE(function) is the name of
 * a variant for it. */
#ifndef DQNN_WIDE_VECTORS_H
#define DQNN_WIDE_VECTORS_H

#include "../../isa/isa.h"

#if DQNN_HAVE_NEON
enum { LANES = 4 };
#define WIDE(function) function##_neon
#else
enum { LANES = 8 };
#define WIDE(function) function##_avx2
#endif
enum { ALL_LANES = (1 << LANES) - 1 };

typedef float v_float __attribute__((vector_size(4 * LANES)));
typedef int32_t v_int __attribute__((vector_size(4 * LANES)));
typedef uint32_t v_uint __attribute__((vector_size(4 * LANES)));
typedef int8_t v_bytes __attribute__((vector_size(4 * LANES)));

/* The same as they lie in memory. */
typedef float v_float_at __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t v_int_at __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int8_t v_bytes_at __attribute__((vector_size(4 * LANES), aligned(1), may_alias));

DQNN_INLINE v_float load_float(const float *from) {
  return *(const v_float_at *)from;
}
DQNN_INLINE v_int load_int(const int32_t *from) {
  return *(const v_int_at *)from;
}
DQNN_INLINE void store_float(float *to, v_float x) {
  *(v_float_at *)to = x;
}
DQNN_INLINE void store_int(int32_t *to, v_int x) {
  *(v_int_at *)to = x;
}
DQNN_INLINE v_float all_float(float x) {
  return x - (v_float){0};
}
DQNN_INLINE v_int all_int(int32_t x) {
  return x - (v_int){0};
}
DQNN_INLINE v_float to_float(v_int x) {
  return __builtin_convertvector(x, v_float);
}
/* Towards zero; every lane fits. */
DQNN_INLINE v_int truncate_float(v_float x) {
  return __builtin_convertvector(x, v_int);
}

#if DQNN_HAVE_NEON
#include "vectors_neon.h"
#else
#include "vectors_avx2.h"
#endif

/* dqnn_fixed64 of numerics.h for shifts of 32 or more: floor or, where nothing is left behind, even. */
DQNN_INLINE v_int fixed64(v_int x, v_int multiplier, const int64_t *offset, v_int shift) {
  v_int lows, highs;
  wide_product(x, multiplier, offset, &lows, &highs);
  v_int floor = shift_right(highs, shift - 32), rest = lows | shift_left(highs, 64 - shift);
  return floor & ~((rest == 0) & 1);
}

/* All ones in the lanes whose bit is set. */
DQNN_INLINE v_int mask_of(uint32_t bits) {
  return (v_int)((all_int((int32_t)bits) & LANE_BITS) == LANE_BITS);
}
/* b in the lanes whose bit is set, else a. */
DQNN_INLINE v_float choose_float(uint32_t bits, v_float a, v_float b) {
  return blend_float(mask_of(bits), a, b);
}
/* a + b in the lanes whose bit is set. */
DQNN_INLINE v_int add_where(uint32_t bits, v_int a, v_int b) {
  return a + (mask_of(bits) & b);
}
#endif
