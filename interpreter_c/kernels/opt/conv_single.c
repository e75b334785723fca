/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* s8 x s1 dense layers: the sixteen sums of four inputs under four signs are tabulated in 16 bits, for some blocks of
 * eight channels at a time, and all outputs look them up. The codes of four outputs are one word of the weights. */
#include "conv_single.h"

#include "../../isa/isa_nibbles.h"
#include "epilogue.h"

#if DQNN_HAVE_PORTABLE

enum { BLOCK_SUMS = 2 * DQNN_SINGLE_TABLE };

/* The sums that bits 2 and 3 of the code make of one. */
DQNN_ALWAYS_INLINE void put_four(int16_t *table, int32_t sum, int32_t third, int32_t fourth) {
  table[0] = (int16_t)sum;
  table[8] = (int16_t)(sum - fourth);
  sum -= third;
  table[4] = (int16_t)sum;
  table[12] = (int16_t)(sum - fourth);
}

static void fill_table(const int32_t x[4], int16_t *table) {
  const int32_t third = 2 * x[2], fourth = 2 * x[3];
  int32_t sum = x[0] + x[1] + x[2] + x[3], less = sum - 2 * x[1];
  put_four(table, sum, third, fourth);
  put_four(table + 1, sum - 2 * x[0], third, fourth);
  put_four(table + 2, less, third, fourth);
  put_four(table + 3, less - 2 * x[0], third, fourth);
}

/* Both tables of a block; channels that it does not have are 0. */
DQNN_NOINLINE void fill_block(const int8_t *from, uint32_t count, int32_t zero_point, int16_t *tables) {
  int32_t x[8];
  for (uint32_t i = 0; i < 8; i++) {
    x[i] = i < count ? from[i] - zero_point : 0;
  }
  fill_table(x, tables);
  fill_table(x + 4, tables + DQNN_SINGLE_TABLE);
}

/* Four outputs, whose codes of a block are one word; blocks are `pitch` bytes apart. */
DQNN_NOINLINE void add_four(const uint8_t *weights, uint32_t pitch, const int16_t *low, uint32_t blocks,
                            int32_t *total) {
  int32_t a = total[0], b = total[1], c = total[2], d = total[3];
  for (const int16_t *end = low + BLOCK_SUMS * blocks; low < end; low += BLOCK_SUMS, weights += pitch) {
    uint32_t codes;
    memcpy(&codes, weights, 4);
    dqnn_add_codes(codes, low, low + DQNN_SINGLE_TABLE, &a, &b);
    dqnn_add_codes(codes >> 16, low, low + DQNN_SINGLE_TABLE, &c, &d);
  }
  total[0] = a;
  total[1] = b;
  total[2] = c;
  total[3] = d;
}

/* The last outputs, fewer than four: their codes become words. */
DQNN_NOINLINE void add_rest(const uint8_t *weights, uint32_t outputs, const int16_t *tables, uint32_t blocks,
                            int32_t *total) {
  uint32_t codes[DQNN_SINGLE_MOST];
  for (uint32_t i = 0; i < blocks; i++, weights += outputs) {
    codes[i] = 0;
    memcpy(codes + i, weights, outputs & 3u);
  }
  add_four((const uint8_t *)codes, 4, tables, blocks, total);
}

void dqnn_run_single(const dqnn_call *call) {
  const int8_t *in = (const int8_t *)call->in[0];
  const uint8_t *weights = (const uint8_t *)call->constants[0];
  const uint32_t outputs = dqnn_last(call->out_def), most = dqnn_single_blocks(outputs);
  int32_t *totals = (int32_t *)call->scratch;
  int16_t *tables = (int16_t *)(void *)(totals + dqnn_single_totals(outputs));
  dqnn_epilogue epilogue;
  memset(totals, 0, (size_t)4 * dqnn_single_totals(outputs));
  for (uint32_t channels = dqnn_last(call->in_def[0]); channels > 0;) {
    uint32_t blocks = 0;
    for (; blocks < most && channels > 0; blocks++) {
      uint32_t count = channels < 8 ? channels : 8;
      fill_block(in, count, call->in_def[0]->zero_point, tables + BLOCK_SUMS * blocks);
      channels -= count;
      in += count;
    }
    uint32_t o = 0;
    for (; o + 4 <= outputs; o += 4) {
      add_four(weights + o, outputs, tables, blocks, totals + o);
    }
    if (o < outputs) {
      add_rest(weights + o, outputs, tables, blocks, totals + o);
    }
    weights += blocks * outputs;
  }
  if (call->out_def->dtype != DQNN_S1) {
    dqnn_read_epilogue(call, 1, &epilogue);
  }
  dqnn_emit(call, &epilogue, totals, 0, outputs, 0);
}
#endif
