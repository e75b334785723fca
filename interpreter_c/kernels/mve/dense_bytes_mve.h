/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Sums of a convolution of bytes that has one window: dense layers. */
#ifndef DQNN_MVE_DENSE_BYTES_H
#define DQNN_MVE_DENSE_BYTES_H

#include "windows_mve.h"

#if DQNN_HAVE_MVE
/* All channels of the group at work to totals. weights: of the group, pair_bytes from two channels to the next two; x:
 * the window. */
void dqnn_dense_bytes_mve(const dqnn_windows *l, const int8_t *weights, uint32_t pair_bytes, const int8_t *x);
#endif
#endif
