/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* How integer depthwise kernels find their weights: as bytes of the file, or unpacked by depthwise_packed.c. */
#ifndef DQNN_OPT_DEPTHWISE_PACKED_H
#define DQNN_OPT_DEPTHWISE_PACKED_H

#include "../map.h"

/* What the constant holds: bytes, bytes with zero points (depthwisez), or signs. */
typedef enum { DQNN_DEPTHWISE_BYTES = 0, DQNN_DEPTHWISE_ZERO_POINTS = 1, DQNN_DEPTHWISE_SIGNS = 2 } dqnn_depthwise_kind;

/* Bytes of outputs first to end - 1, `pitch` from a tap to the next. next: puts those in their place that begin at
 * `end`, up to `pitch` of them; NULL if all are there. */
typedef struct dqnn_depthwise_strip dqnn_depthwise_strip;
typedef void (*dqnn_depthwise_unpack)(const dqnn_call *call, dqnn_depthwise_strip *strip);
struct dqnn_depthwise_strip {
  int8_t *weights;
  uint32_t first, end, pitch;
  dqnn_depthwise_unpack next;
};

/* A last parameter, or argument, of builds that have them. */
#if DQNN_HAVE_PACKED
#define DQNN_IF_PACKED(last) , last
#else
#define DQNN_IF_PACKED(last)
#endif

enum { DQNN_STRIP = 24, DQNN_STRIP_MORE = 128 }; /* outputs that have room in scratch, and bytes besides */

/* depthwise_packed.c: a strip of weights of 4 and 2 bits, `first` and `pitch` multiples of 4; all outputs of a call. */
void dqnn_unpack_depthwise(const dqnn_call *call, dqnn_depthwise_strip *strip);
void dqnn_run_depthwise_packed(const dqnn_call *call);

/* depthwise_int.c: all outputs, from the strip at hand on. */
void dqnn_run_depthwise(const dqnn_call *call, dqnn_depthwise_kind kind, dqnn_depthwise_strip *strip);

#endif
