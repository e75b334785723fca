/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of conv_blocks.c, and which kernel takes a call of conv_{f32,s8}_s1_*. */
#ifndef DQNN_OPT_CONV_BLOCKS_H
#define DQNN_OPT_CONV_BLOCKS_H

#include "../map.h"

enum { DQNN_BLOCK_PIXELS = 4 }; /* outputs at a time */

typedef enum {
  DQNN_BLOCKS_FIRST,   /* conv_first.c, conv_first_s8.c */
  DQNN_BLOCKS_SINGLE,  /* conv_single.c */
  DQNN_BLOCKS_NIBBLES, /* conv_nibbles.c, where it is of use */
  DQNN_BLOCKS_ANY      /* conv_blocks.c, conv_windows.c */
} dqnn_blocks_path;

dqnn_blocks_path dqnn_blocks_path_of(const dqnn_call *call);

/* Chunks of four inputs in a kernel row of the largest block. */
static inline uint32_t dqnn_block_chunks(uint32_t kernel_w, uint32_t in_group) {
  uint32_t channels = in_group < 8 ? in_group : 8;
  return (kernel_w * channels + 3) / 4;
}

/* Bytes: tables of one kernel row for four pixels, totals of four pixels, one pixel. conv_windows.c has as much. */
static inline uint64_t dqnn_conv_blocks_scratch(const dqnn_conv *v) {
  uint64_t tables = (uint64_t)dqnn_block_chunks(v->params->kernel_w, v->group_in) * 16 * DQNN_BLOCK_PIXELS;
  return 4 * (tables + (uint64_t)(DQNN_BLOCK_PIXELS + 1) * v->group_out);
}

#endif
