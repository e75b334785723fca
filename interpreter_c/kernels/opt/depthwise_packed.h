/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* How integer depthwise kernels find their weights: as bytes of the file, or unpacked by depthwise_packed.c. */
#ifndef DQNN_OPT_DEPTHWISE_PACKED_H
#define DQNN_OPT_DEPTHWISE_PACKED_H

#include "../map.h"

/* What the constant holds: bytes, bytes with zero points (depthwisez), or signs. */
typedef enum { DQNN_DEPTHWISE_BYTES = 0, DQNN_DEPTHWISE_ZERO_POINTS = 1, DQNN_DEPTHWISE_SIGNS = 2 } dqnn_depthwise_kind;

/* Weights of 4 or 2 bits as bytes, of all taps: four outputs from `first` on, a multiple of 4, `pitch` from a tap to
 * the next. Those beyond the last output mean nothing. */
typedef void (*dqnn_depthwise_unpack)(const dqnn_call *call, uint32_t first, uint32_t pitch, int8_t *to);

/* A last parameter, or argument, of builds that have them. */
#if DQNN_HAVE_PACKED
#define DQNN_IF_PACKED(last) , last
#else
#define DQNN_IF_PACKED(last)
#endif

enum { DQNN_STRIP = 24, DQNN_STRIP_MORE = 128 }; /* outputs that have room in scratch, and bytes besides */

/* depthwise_packed.c: such a function; all outputs of a call. */
void dqnn_unpack_depthwise(const dqnn_call *call, uint32_t first, uint32_t pitch, int8_t *to);
void dqnn_run_depthwise_packed(const dqnn_call *call);

/* depthwise_int.c: all outputs. unpack: NULL for weights that are bytes in the file, or signs. */
void dqnn_run_depthwise(const dqnn_call *call, dqnn_depthwise_kind kind, dqnn_depthwise_unpack unpack);

#endif
