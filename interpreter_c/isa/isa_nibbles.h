/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Look-ups of conv_nibbles.c and conv_single.c that a core has its own way for. */
#ifndef DQNN_ISA_NIBBLES_H
#define DQNN_ISA_NIBBLES_H

#include <stdint.h>

#include "target.h"

#if DQNN_ARM_DSP
#include "nibbles_dsp.h"
#else
#include "halves.h"

/* Look-ups of all outputs for a block of eight channels, whose two tables of a kernel row have 16 codes of 8 words.
 * Sums of positions j and j + 4 of a strip are word j. */
static inline void dqnn_nibbles_3x3(const uint32_t *tables, const uint8_t *weights, int32_t *totals, uint32_t outputs) {
  for (uint32_t o = 0; o < outputs; o++, totals++) {
    uint32_t sums[4] = {0, 0, 0, 0};
    for (uint32_t cell = 0; cell < 9; cell++, weights++) {
      const uint32_t *low = tables + cell / 3 * 256 + cell % 3 + (*weights & 15u) * 8;
      const uint32_t *high = tables + cell / 3 * 256 + cell % 3 + 128 + (*weights >> 4) * 8;
      for (uint32_t j = 0; j < 4; j++) {
        sums[j] = dqnn_add_halves(dqnn_add_halves(sums[j], low[j]), high[j]);
      }
    }
    for (uint32_t j = 0; j < 4; j++) {
      totals[j * outputs] += (int16_t)(sums[j] & 0xffffu);
      totals[(j + 4) * outputs] += (int32_t)sums[j] >> 16;
    }
  }
}
#endif

/* Two outputs look up their codes, bits 0 to 7 and 8 to 15, in the tables of four inputs each. */
#ifndef DQNN_OWN_ADD_CODES
static inline void dqnn_add_codes(uint32_t codes, const int16_t *low, const int16_t *high, int32_t *a, int32_t *b) {
  *a += low[codes & 15u] + high[codes >> 4 & 15u];
  *b += low[codes >> 8 & 15u] + high[codes >> 12 & 15u];
}
#endif

#endif
