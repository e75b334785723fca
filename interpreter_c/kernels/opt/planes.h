/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Bit planes (32 numbers, plane p holding bit p of each) to integers. */
#ifndef DQNN_OPT_PLANES_H
#define DQNN_OPT_PLANES_H

#include "../../isa/isa.h"

/* values[i] = base + factor * number of lane i, for two's complement numbers of 16 planes; values may lie on the
 * planes, which are overwritten. */
void dqnn_planes_to_int(uint32_t *planes, int32_t base, int32_t factor, int32_t values[32]);

#endif
