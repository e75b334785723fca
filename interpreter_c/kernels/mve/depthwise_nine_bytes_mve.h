/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_{s8,s1}_s8 with windows of 3x3, without scratch. */
#ifndef DQNN_MVE_DEPTHWISE_NINE_BYTES_H
#define DQNN_MVE_DEPTHWISE_NINE_BYTES_H

#include "../opt/depthwise_packed.h"

/* unpack: NULL for weights that are bytes in the file, or signs; always: also where patches would take fewer
 * instructions. Returns 0 for what is left to others. */
int dqnn_depthwise_nine_bytes_mve(const dqnn_call *call, uint8_t binary_weights, dqnn_depthwise_unpack unpack,
                                  int always);

#endif
