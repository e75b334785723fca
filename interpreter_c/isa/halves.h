/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Pairs of 16-bit numbers in a word, for table sums of 8-bit inputs. One instruction each with the DSP extension
 * (Cortex-M4, M7, M33, M55); isa/target.h decides. */
#ifndef DQNN_ISA_HALVES_H
#define DQNN_ISA_HALVES_H

#include <string.h>

#include "isa.h"

#if DQNN_ARM_DSP
#define DQNN_HALVES_OP(name, instruction)             \
  DQNN_INLINE uint32_t name(uint32_t a, uint32_t b) { \
    uint32_t r;                                       \
    __asm__(instruction : "=r"(r) : "r"(a), "r"(b));  \
    return r;                                         \
  }
DQNN_HALVES_OP(dqnn_add_halves, "sadd16 %0,%1,%2")
DQNN_HALVES_OP(dqnn_sub_halves, "ssub16 %0,%1,%2")
DQNN_HALVES_OP(dqnn_low_halves, "pkhbt %0,%1,%2,lsl #16")
DQNN_HALVES_OP(dqnn_high_halves, "pkhtb %0,%2,%1,asr #16")
DQNN_HALVES_OP(dqnn_add_even_bytes, "sxtab16 %0,%1,%2")
DQNN_HALVES_OP(dqnn_add_odd_bytes, "sxtab16 %0,%1,%2,ror #8")
#undef DQNN_HALVES_OP
#else
DQNN_INLINE uint32_t dqnn_halves(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

DQNN_INLINE uint32_t dqnn_add_halves(uint32_t a, uint32_t b) {
  return ((a & 0x7fff7fffu) + (b & 0x7fff7fffu)) ^ ((a ^ b) & 0x80008000u);
}

DQNN_INLINE uint32_t dqnn_sub_halves(uint32_t a, uint32_t b) {
  return ((a | 0x80008000u) - (b & 0x7fff7fffu)) ^ ((a ^ ~b) & 0x80008000u);
}

/* Low half of a, low half of b in the upper half; the same for the high halves. */
DQNN_INLINE uint32_t dqnn_low_halves(uint32_t a, uint32_t b) {
  return (a & 0xffffu) | b << 16;
}
DQNN_INLINE uint32_t dqnn_high_halves(uint32_t a, uint32_t b) {
  return a >> 16 | (b & 0xffff0000u);
}

/* halves + signed bytes 0 and 2, or 1 and 3, of a word. */
DQNN_INLINE uint32_t dqnn_add_even_bytes(uint32_t halves, uint32_t bytes) {
  return dqnn_add_halves(halves, dqnn_halves((int8_t)(bytes & 0xffu), (int8_t)(bytes >> 16 & 0xffu)));
}
DQNN_INLINE uint32_t dqnn_add_odd_bytes(uint32_t halves, uint32_t bytes) {
  return dqnn_add_even_bytes(halves, bytes >> 8);
}
#endif

DQNN_INLINE uint32_t dqnn_both_halves(int32_t x) {
  return ((uint32_t)x & 0xffffu) * 0x10001u;
}

/* A number of 8 bits four times. */
DQNN_INLINE uint32_t dqnn_every_byte(int32_t x) {
  return ((uint32_t)x & 0xffu) * 0x01010101u;
}

/* Four bits as bytes +1 and -1. */
DQNN_INLINE uint32_t dqnn_spread_signs(uint32_t bits) {
  return ((bits & 15u) * 0x00204081u & 0x01010101u) * 0xfeu ^ 0x01010101u;
}

/* Do sums of four bytes take less time as halves than one by one? */
enum { DQNN_BYTES_AS_HALVES = !(DQNN_SHORT_PRODUCTS || DQNN_SCALARS) };

/* Four bytes from anywhere. */
#if DQNN_SHORT_PRODUCTS /* where memcpy is a call */
typedef uint32_t __attribute__((may_alias)) dqnn_a_word;
DQNN_INLINE uint32_t dqnn_word_at(const uint8_t *from) {
  if (((uintptr_t)from & 3u) == 0) {
    return *(const dqnn_a_word *)(const void *)from;
  }
  return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}
#else
DQNN_INLINE uint32_t dqnn_word_at(const uint8_t *from) {
  uint32_t word;
  memcpy(&word, from, 4);
  return word;
}
#endif

#endif
