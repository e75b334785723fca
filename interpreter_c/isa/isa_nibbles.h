/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Look-ups of conv_nibbles.c that a core has its own way for. */
#ifndef DQNN_ISA_NIBBLES_H
#define DQNN_ISA_NIBBLES_H

#include "target.h"

#if DQNN_ARM_DSP
#include "nibbles_dsp.h"
#else
#include <stdint.h>

enum { DQNN_NIBBLES_3X3 = 0 };

static inline void dqnn_nibbles_3x3(const uint32_t *tables, const uint8_t *weights, int32_t *totals, uint32_t outputs) {
  (void)tables, (void)weights, (void)totals, (void)outputs;
}
#endif

#endif
