/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Armv8.1-M vectors (Helium: Cortex-M55, M85) for the files of kernels/mve: counters of binary kernels. */
#ifndef DQNN_ISA_MVE_H
#define DQNN_ISA_MVE_H

#include <arm_mve.h>
#include <stdint.h>

#include "plans.h"

/* ---- bit-sliced counters ----
 *
 * A list entry of four rows is one gathered vector, so a counter is four partial ones, a lane each: words 4p .. 4p + 3
 * hold plane p (of the first ten) while rows are added. Word 0 holds the highest plane in use. dqnn_end_rows adds the
 * lanes. */
#define DQNN_OWN_LANE_COUNTERS
#define DQNN_OWN_ADD_ROWS

/* As in counters.h; but nothing waits after dqnn_end_rows. */
#define DQNN_PLANES 16
#define DQNN_FIRST_WAITING 6
#define DQNN_PENDING 16
#define DQNN_BLOCKS 33
#define DQNN_MOST_QUADS 1023 /* ten planes: the stack is short */
#define DQNN_COUNTER_WORDS (4 * 11)
_Static_assert(DQNN_MOST_QUADS < 1 << (DQNN_COUNTER_WORDS / 4 - 1), "planes 1 to 10 count the rows of a lane");
_Static_assert(DQNN_BLOCKS > DQNN_PENDING + DQNN_PLANES - 1 && DQNN_COUNTER_WORDS > DQNN_BLOCKS, "words");

static inline __attribute__((always_inline)) uint32x4_t dqnn_full_add_4(uint32x4_t *sum, uint32x4_t a, uint32x4_t b) {
  uint32x4_t half = veorq_u32(*sum, a), carry = veorq_u32(a, vandq_u32(veorq_u32(a, b), half));
  *sum = veorq_u32(half, b);
  return carry;
}

static inline __attribute__((always_inline)) uint32_t dqnn_full_add_1(uint32_t *sum, uint32_t a, uint32_t b) {
  uint32_t half = *sum ^ a, carry = a ^ ((a ^ b) & half);
  *sum = half ^ b;
  return carry;
}

/* quads: list entries (of four rows) that will be added, or more; at most DQNN_MOST_QUADS. */
static inline void dqnn_begin_rows(uint32_t *counter, const uint32_t *preset, uint32_t planes, uint32_t quads) {
  uint32_t top = 32u - (uint32_t)__builtin_clz(quads | 15u);
  (void)preset;
  (void)planes;
  for (uint32_t p = 1; p <= top; p++) {
    vst1q_u32(counter + 4 * p, vdupq_n_u32(0));
  }
  counter[0] = top;
}

/* Four rows, one to a lane. */
static inline __attribute__((always_inline)) uint32x4_t dqnn_gather_rows(const uint16_t *list, const uint32_t *w) {
  return vldrwq_gather_shifted_offset_u32(w, vldrhq_u32(list));
}

/* Two entries into plane 1; returns the carry of weight 4. */
static inline __attribute__((always_inline)) uint32x4_t dqnn_add_pair(uint32x4_t *one, const uint16_t **list,
                                                                      const uint32_t *w) {
  uint32x4_t a = dqnn_gather_rows(*list, w), b = dqnn_gather_rows(*list + 4, w);
  *list += 8;
  return dqnn_full_add_4(one, a, b);
}

static inline void dqnn_ripple(uint32_t *plane, const uint32_t *last, uint32x4_t carry) {
  for (; plane <= last; plane += 4) {
    uint32x4_t x = vld1q_u32(plane);
    vst1q_u32(plane, veorq_u32(x, carry));
    carry = vandq_u32(x, carry);
  }
}

/* A carry-save tree takes 16 entries at a time. A shorter first tree is entered in the middle, after a first pair whose
 * first entry may be missing. */
static __attribute__((noinline, unused)) void dqnn_add_rows(uint32_t *counter, const uint16_t *list, uint32_t quads,
                                                            const uint32_t *w) {
  if (quads == 0) {
    return;
  }
  uint32x4_t zero = vdupq_n_u32(0), one = vld1q_u32(counter + 4), two = vld1q_u32(counter + 8),
             four = vld1q_u32(counter + 12), eight = vld1q_u32(counter + 16);
  uint32x4_t twos = zero, fours = zero, eights = zero, carry; /* carries that wait for their partner */
  uint32_t pairs = (quads + 1) >> 1, trees = (pairs + 7) >> 3;
  if (quads & 1u) {
    carry = dqnn_full_add_4(&one, dqnn_gather_rows(list, w), zero);
    list += 4;
  } else {
    carry = dqnn_add_pair(&one, &list, w);
  }
  switch ((0u - pairs) & 7u) {
    for (; trees; trees--) {
      carry = dqnn_add_pair(&one, &list, w);
      __attribute__((fallthrough));
      case 0:
        twos = carry;
        carry = dqnn_add_pair(&one, &list, w);
        __attribute__((fallthrough));
      case 1:
        fours = dqnn_full_add_4(&two, twos, carry);
        carry = dqnn_add_pair(&one, &list, w);
        __attribute__((fallthrough));
      case 2:
        twos = carry;
        carry = dqnn_add_pair(&one, &list, w);
        __attribute__((fallthrough));
      case 3:
        carry = dqnn_full_add_4(&two, twos, carry);
        eights = dqnn_full_add_4(&four, fours, carry);
        carry = dqnn_add_pair(&one, &list, w);
        __attribute__((fallthrough));
      case 4:
        twos = carry;
        carry = dqnn_add_pair(&one, &list, w);
        __attribute__((fallthrough));
      case 5:
        fours = dqnn_full_add_4(&two, twos, carry);
        carry = dqnn_add_pair(&one, &list, w);
        __attribute__((fallthrough));
      case 6:
        twos = carry;
        carry = dqnn_add_pair(&one, &list, w);
        __attribute__((fallthrough));
      default:
        carry = dqnn_full_add_4(&two, twos, carry);
        carry = dqnn_full_add_4(&four, fours, carry);
        carry = dqnn_full_add_4(&eight, eights, carry);
        dqnn_ripple(counter + 20, counter + 4 * counter[0], carry);
    }
  }
  vst1q_u32(counter + 4, one);
  vst1q_u32(counter + 8, two);
  vst1q_u32(counter + 12, four);
  vst1q_u32(counter + 16, eight);
}

/* preset + all lanes: the counters as portable.h has them, with no carry that waits. */
static inline void dqnn_end_rows(uint32_t *counter, const uint32_t *preset, uint32_t planes) {
  uint32_t top = counter[0], carry = 0, ripple = 0;
  uint32x4_t lanes = vdupq_n_u32(0), sum;
  counter[0] = preset[0];
  for (uint32_t p = 1; p < planes; p++) {
    uint32_t x = preset[p], next = carry;
    if (p <= top + 1) {
      sum = lanes;
      if (p <= top) {
        uint32x4_t plane = vld1q_u32(counter + 4 * p);
        lanes = dqnn_full_add_4(&sum, plane, vrev64q_u32(plane));
      }
      carry = dqnn_full_add_1(&x, vgetq_lane_u32(sum, 0), vgetq_lane_u32(sum, 2));
    } else {
      carry = 0;
    }
    ripple = dqnn_full_add_1(&x, next, ripple);
    counter[p] = x;
  }
  counter[DQNN_BLOCKS] = 0;
}

#endif
