/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Checks that the plans of all convolutions share. */
#ifndef DQNN_PLAN_CONV_H
#define DQNN_PLAN_CONV_H

#include "map.h"
#include "plan.h"

/* Call, parameters and shapes. */
dqnn_check dqnn_check_conv(const dqnn_call *call);

/* Groups divide the channels; no depth multiplier. */
dqnn_check dqnn_check_groups(const dqnn_call *call);

/* Constant 0 has that many bytes; float weights are finite. */
dqnn_check dqnn_check_weights(const dqnn_call *call, uint32_t bytes);

/* Taps of a window times channels of a group. */
uint32_t dqnn_taps_of(const dqnn_conv *v);

/* Lanes of a block of 32 that no output uses, for the last block of `outputs`. */
uint32_t dqnn_missing_lanes(uint32_t outputs);

/* The lanes in `mask` of planes[count] hold `value`. */
int dqnn_lanes_hold(const uint32_t *planes, uint32_t count, uint32_t mask, uint32_t value);

#endif
