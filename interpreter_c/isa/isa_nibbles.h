/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Look-ups of conv_nibbles.c that a core has its own way for. */
#ifndef DQNN_ISA_NIBBLES_H
#define DQNN_ISA_NIBBLES_H

#include <stdint.h>

#include "target.h"

#if DQNN_ARM_DSP
#include "nibbles_dsp.h"
#else

enum { DQNN_NIBBLES_3X3 = 0 };

static inline void dqnn_nibbles_3x3(const uint32_t *tables, const uint8_t *weights, int32_t *totals, uint32_t outputs) {
  (void)tables, (void)weights, (void)totals, (void)outputs;
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
