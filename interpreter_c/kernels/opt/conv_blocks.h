/* Scratch of conv_blocks.c. */
#ifndef DQNN_OPT_CONV_BLOCKS_H
#define DQNN_OPT_CONV_BLOCKS_H

#include "kernels/map.h"

enum { DQNN_BLOCK_PIXELS = 4 }; /* outputs at a time */

/* Chunks of four inputs in a kernel row of the largest block. */
static inline uint32_t dqnn_block_chunks(uint32_t kernel_w, uint32_t in_group) {
  uint32_t channels = in_group < 8 ? in_group : 8;
  return (kernel_w * channels + 3) / 4;
}

/* Bytes: tables of one kernel row for four pixels, totals of four pixels, one pixel. */
static inline uint64_t dqnn_conv_blocks_scratch(const dqnn_conv *v) {
  uint64_t tables = (uint64_t)dqnn_block_chunks(v->params->kernel_w, v->group_in) * 16 * DQNN_BLOCK_PIXELS;
  return 4 * (tables + (uint64_t)(DQNN_BLOCK_PIXELS + 1) * v->group_out);
}

#endif
