/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Row tables of the first layer on s8 inputs: as isa_tables.h with sums of 16 bits, eight outputs in the four words of
 * a row: (0, 2), (1, 3), (4, 6) and (5, 7), so that two outputs of a pooled pixel share a half. */
#ifndef DQNN_ISA_HALF_TABLES_H
#define DQNN_ISA_HALF_TABLES_H

#include "halves.h"

enum {
  DQNN_HALF_INPUTS = 10,              /* under a strip of eight outputs */
  DQNN_HALF_INPUT_ROWS = 4,           /* under a pooled row */
  DQNN_HALF_CODE = 4,                 /* words: eight sums */
  DQNN_HALF_ROW = 8 * DQNN_HALF_CODE, /* a table is [row][code][word] */
  DQNN_HALF_TABLE = DQNN_HALF_INPUT_ROWS * DQNN_HALF_ROW,
  DQNN_HALF_THRESHOLD = 4095 /* beyond any sum: 9 * 255 */
};

/* A channel made ready for look-up. */
typedef struct {
  uint32_t offsets;   /* byte k: of the code of kernel row k in a table row, in bytes */
  uint32_t threshold; /* in both halves */
} dqnn_half_channel;

DQNN_INLINE dqnn_half_channel dqnn_half_channel_of(uint32_t code, int32_t threshold) {
  int32_t t = threshold < -DQNN_HALF_THRESHOLD ? -DQNN_HALF_THRESHOLD : threshold;
  t = t > DQNN_HALF_THRESHOLD ? DQNN_HALF_THRESHOLD : t;
  dqnn_half_channel c = {(code & 7u) << 4 | (code >> 3 & 7u) << 12 | (code >> 6 & 7u) << 20, dqnn_both_halves(t)};
  return c;
}

#if DQNN_ARM_DSP
#include "half_tables_dsp.h"
#endif

#ifndef DQNN_OWN_HALF_SIGNS
DQNN_INLINE uint32_t dqnn_half_below(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t word,
                                     uint32_t threshold) {
  return dqnn_sub_halves(dqnn_add_halves(dqnn_add_halves(a[word], b[word]), c[word]), threshold);
}

/* Two pooled pixels: sign bits where all four sums are below the threshold. a, b, c: entries of the three kernel rows.
 */
DQNN_INLINE uint32_t dqnn_half_pair(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t threshold) {
  uint32_t upper = dqnn_half_below(a, b, c, 0, threshold) & dqnn_half_below(a, b, c, 1, threshold);
  uint32_t lower =
      dqnn_half_below(a, b, c, DQNN_HALF_ROW, threshold) & dqnn_half_below(a, b, c, DQNN_HALF_ROW + 1, threshold);
  return upper & lower & 0x80008000u;
}

DQNN_INLINE uint32_t dqnn_half_signs(const dqnn_half_channel *channel, const uint32_t *tables, uint32_t channels) {
  uint32_t bits = 0;
  for (; channels > 0; channels--, channel++) {
    uint32_t offsets = channel->offsets;
    const uint32_t *a = tables + (offsets & 0xffu) / 4, *b = tables + DQNN_HALF_ROW + (offsets >> 8 & 0xffu) / 4;
    const uint32_t *c = tables + 2 * DQNN_HALF_ROW + (offsets >> 16 & 0xffu) / 4;
    bits = bits >> 1 | dqnn_half_pair(a, b, c, channel->threshold);
  }
  return bits;
}

/* 1 to 16 channels of four pooled pixels: bits[0] pixels 0 (low half) and 1, bits[1] pixels 2 and 3, pushed from the
 * top of each half. */
DQNN_NOINLINE void dqnn_half_signs_4(const dqnn_half_channel *channel, const uint32_t *tables, uint32_t channels,
                                     uint32_t bits[2]) {
  bits[0] = dqnn_half_signs(channel, tables, channels);
  bits[1] = dqnn_half_signs(channel, tables + 2, channels);
}

/* The same for two pooled pixels. */
DQNN_NOINLINE void dqnn_half_signs_2(const dqnn_half_channel *channel, const uint32_t *tables, uint32_t channels,
                                     uint32_t bits[2]) {
  bits[0] = dqnn_half_signs(channel, tables, channels);
  bits[1] = 0;
}
#endif

#endif
