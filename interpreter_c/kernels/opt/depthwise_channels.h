/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of depthwise_channels.c, and whether it takes a call of depthwise{,z}_{s8,s1}_*. */
#ifndef DQNN_OPT_DEPTHWISE_CHANNELS_H
#define DQNN_OPT_DEPTHWISE_CHANNELS_H

#include "depthwise_packed.h"

enum { DQNN_CHANNELS_LOCAL = 32, DQNN_CHANNELS_LINES = 8, DQNN_CHANNELS_SUMS = 256 };

/* Bytes: sums of a channel, of a few lines as long as the longer side. Rows of a map never want more than the map. */
static inline uint64_t dqnn_channels_scratch(const dqnn_conv *v) {
  uint64_t longer = v->pooled_h > v->pooled_w ? (uint64_t)v->pooled_h : (uint64_t)v->pooled_w;
  uint64_t outputs = (uint64_t)v->pooled_h * (uint64_t)v->pooled_w, some = DQNN_CHANNELS_LINES * longer;
  some = some < DQNN_CHANNELS_SUMS ? DQNN_CHANNELS_SUMS : some;
  return 4 * (outputs < some ? outputs : some);
}

/* Is it a layer of 3x3 windows? That alone decides the scratch, as rows of a map may lie otherwise than the map. */
int dqnn_has_channels(const dqnn_call *call);

/* Which way depthwise_channels.c takes a call: one of two, by rows or by columns; 0: not at all. Lines are columns
 * where those are longer, as the other side has to hold a window. */
enum { DQNN_CHANNELS_THREES = 1, DQNN_CHANNELS_FIVES = 2, DQNN_CHANNELS_COLUMNS = 4 };
uint32_t dqnn_channels_of(const dqnn_call *call);

/* path: which, not 0; unpack: as for dqnn_run_depthwise. */
void dqnn_run_depthwise_channels(const dqnn_call *call, uint32_t path,
                                 dqnn_depthwise_kind kind DQNN_IF_PACKED(dqnn_depthwise_unpack unpack));

#endif
