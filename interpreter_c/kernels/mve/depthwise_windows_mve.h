/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_s8 with any windows; 0: the call is left to others. */
#ifndef DQNN_MVE_DEPTHWISE_WINDOWS_H
#define DQNN_MVE_DEPTHWISE_WINDOWS_H

#include "../../src/kernel.h"

int dqnn_depthwise_windows_mve(const dqnn_call *call, uint8_t binary_weights);

#endif
