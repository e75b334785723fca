/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s1_s1_s1 with windows of 3x3, neither pooled nor with a depth multiplier. */
#ifndef DQNN_MVE_DEPTHWISE_NINE_H
#define DQNN_MVE_DEPTHWISE_NINE_H

#include "../../src/kernel.h"

void dqnn_depthwise_nine_mve(const dqnn_call *call);

#endif
