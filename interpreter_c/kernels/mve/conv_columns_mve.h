/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions of few taps (conv_columns_mve.c), which conv_bytes_mve.c and conv_packed_mve.c ask
 * first. */
#ifndef DQNN_MVE_CONV_COLUMNS_H
#define DQNN_MVE_CONV_COLUMNS_H

#include "../../src/kernel.h"

/* Returns 0 for a call of conv_s8_s8_s8 that it does not take. */
int dqnn_run_columns(const dqnn_call *call);

#endif
