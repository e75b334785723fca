/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums of up to sixteen neighbouring s8 channels over cells of a map, in halfwords. */
#ifndef DQNN_MVE_BYTE_SUMS_H
#define DQNN_MVE_BYTE_SUMS_H

#include <arm_mve.h>

#include "../../isa/isa.h"

enum { DQNN_BYTE_SUMS = 16, DQNN_BYTE_CELLS = 256 /* whose sum is a halfword */ };

/* Channels 0 to 7, and 8 to 15. */
typedef struct {
  int16x8_t low, high;
} dqnn_byte_sums;

DQNN_ALWAYS_INLINE dqnn_byte_sums dqnn_no_bytes(void) {
  return (dqnn_byte_sums){vdupq_n_s16(0), vdupq_n_s16(0)};
}

/* `cells` of them, `pitch` bytes apart, of `count` channels; others are not read. */
DQNN_ALWAYS_INLINE dqnn_byte_sums dqnn_add_bytes_of(dqnn_byte_sums s, const int8_t *cell, uint32_t pitch,
                                                    uint32_t cells, uint32_t count) {
  if (count == DQNN_BYTE_SUMS) {
    for (; cells; cells--, cell += pitch) {
      s.low = vaddq_s16(s.low, vldrbq_s16(cell));
      s.high = vaddq_s16(s.high, vldrbq_s16(cell + DQNN_BYTE_SUMS / 2));
    }
    return s;
  }
  const mve_pred16_t low = vctp16q(count), high = vctp16q(count > 8 ? count - 8 : 0);
  for (; cells; cells--, cell += pitch) {
    s.low = vaddq_s16(s.low, vldrbq_z_s16(cell, low));
    s.high = vaddq_s16(s.high, vldrbq_z_s16(cell + DQNN_BYTE_SUMS / 2, high));
  }
  return s;
}

/* Eight sums to words, side by side. */
DQNN_ALWAYS_INLINE void dqnn_put_halves(int16x8_t sums, int32_t *to) {
  const int32x4x2_t words = {{vmovlbq_s16(sums), vmovltq_s16(sums)}};
  vst2q_s32(to, words);
}

/* To sums that are there. */
DQNN_ALWAYS_INLINE void dqnn_join_halves(int16x8_t sums, int32_t *to) {
  int32x4x2_t words = vld2q_s32(to);
  words.val[0] = vaddq_s32(words.val[0], vmovlbq_s16(sums));
  words.val[1] = vaddq_s32(words.val[1], vmovltq_s16(sums));
  vst2q_s32(to, words);
}

DQNN_ALWAYS_INLINE void dqnn_join_byte_sums(dqnn_byte_sums s, int32_t *to) {
  dqnn_join_halves(s.low, to);
  dqnn_join_halves(s.high, to + DQNN_BYTE_SUMS / 2);
}

#endif
