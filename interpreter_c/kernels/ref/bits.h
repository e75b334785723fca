/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Reading and writing packed s1 rows one element at a time. */
#ifndef DQNN_REF_BITS_H
#define DQNN_REF_BITS_H

#include <stdint.h>

/* Bit `index` of a row: 0 stands for +1, 1 for -1. */
static inline uint32_t ref_bit(const uint32_t *row, uint32_t index) {
  return row[index / 32] >> index % 32 & 1u;
}

static inline int32_t ref_sign(uint32_t bit) {
  return 1 - 2 * (int32_t)bit;
}

/* Appends bits in order. A word is stored when it is complete, so that an output may lie on the input it is computed
 * from. */
typedef struct {
  uint32_t *next;
  uint32_t word, count;
} ref_bit_writer;

static inline void ref_flush(ref_bit_writer *writer) {
  *writer->next++ = writer->word;
  writer->word = 0;
  writer->count = 0;
}

static inline void ref_put_bit(ref_bit_writer *writer, uint32_t bit) {
  writer->word |= bit << writer->count;
  if (++writer->count == 32) {
    ref_flush(writer);
  }
}

/* Tail bits stay 0. */
static inline void ref_end_row(ref_bit_writer *writer) {
  if (writer->count != 0) {
    ref_flush(writer);
  }
}

#endif
