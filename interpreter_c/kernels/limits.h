/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What plan functions put a bound to and an exporter wants to know before it asks them: the Python extension hands
 * these on (dqnn._core.limits), so that they are typed once. C++ includes this. */
#ifndef DQNN_KERNELS_LIMITS_H
#define DQNN_KERNELS_LIMITS_H

enum {
  DQNN_MOST_TAPS = 32766,   /* of a window of conv_bitsliced: list entries and counters are 16-bit */
  DQNN_MOST_SHIFT = 30,     /* of a fixed-point requantization */
  DQNN_MOST_WIDE_SHIFT = 62 /* of sums and products of 64 bits */
};

#endif
