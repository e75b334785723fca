/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_winograd.c, and which calls it takes. */
#ifndef DQNN_OPT_CONV_WINOGRAD_H
#define DQNN_OPT_CONV_WINOGRAD_H

#include "../map.h"
#include "../plan.h"

enum {
  DQNN_WINOGRAD_FIXED_BYTES = 48 + 1152 + 512, /* to the next multiple of 64, products, sums of two tiles */
  DQNN_WINOGRAD_TILE_BYTES = 144,              /* two tiles transformed, for each input channel */
  DQNN_WINOGRAD_PATCH_BYTES = 60,              /* their cells, likewise */
  DQNN_WINOGRAD_WEIGHT_BYTES = 288             /* weights of four outputs, likewise */
};

/* Pairs of tiles of the output. */
static inline uint32_t dqnn_winograd_pairs(const dqnn_conv *v) {
  uint32_t height = (uint32_t)(v->pooled_h * v->params->pool_h), width = (uint32_t)(v->pooled_w * v->params->pool_w);
  return ((height + 3) / 4) * ((width + 7) / 8);
}

/* Either the weights of `outputs` channels stand transformed at a time, and the input is transformed anew for each of
 * these blocks; or the whole input stands transformed, and four outputs go over it after the other. */
static inline uint64_t dqnn_winograd_block_bytes(uint32_t channels, uint32_t outputs) {
  uint64_t quads = (outputs + 3) / 4;
  return DQNN_WINOGRAD_FIXED_BYTES +
         channels * (DQNN_WINOGRAD_TILE_BYTES + DQNN_WINOGRAD_PATCH_BYTES + quads * DQNN_WINOGRAD_WEIGHT_BYTES);
}

static inline uint64_t dqnn_winograd_map_bytes(uint32_t channels, uint32_t pairs) {
  return DQNN_WINOGRAD_FIXED_BYTES +
         channels * ((uint64_t)pairs * DQNN_WINOGRAD_TILE_BYTES + DQNN_WINOGRAD_WEIGHT_BYTES);
}

/* Can this call go this way, and are its sums exact? Looking at the weights is paid for from plan->work; where that
 * does not suffice the answer is no. */
int dqnn_takes_winograd(const dqnn_call *call, const dqnn_conv *v, dqnn_plan *plan);

/* The least scratch. */
static inline uint64_t dqnn_winograd_least_bytes(const dqnn_conv *v) {
  uint64_t block = dqnn_winograd_block_bytes(v->in_c, 4),
           map = dqnn_winograd_map_bytes(v->in_c, dqnn_winograd_pairs(v));
  return block < map ? block : map;
}

#endif
