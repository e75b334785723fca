/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* gather_{s1,s8,f32}, a row of the output's last axis at a time: copied as it is where that axis is taken whole. */
#include <string.h>

#include "../../isa/copy.h"
#include "../map.h"

#if DQNN_HAVE_PORTABLE

enum { LEADING = 3 /* dimensions before the last */ };

typedef struct {
  const uint32_t *leading[LEADING], *last; /* indices of each dimension; NULL: taken whole */
  uint32_t count;                          /* of a row */
} indices;

static indices indices_of(const dqnn_call *call) {
  uint32_t axes = ((const dqnn_gather_params *)call->params)->axes, rank = call->out_def->rank, constant = 0;
  indices found = {{NULL, NULL, NULL}, NULL, dqnn_last(call->out_def)};
  for (uint32_t k = 0; k < rank; k++) {
    const uint32_t *index = axes >> k & 1u ? (const uint32_t *)call->constants[constant++] : NULL;
    if (k + 1u < rank) {
      found.leading[k] = index;
    } else {
      found.last = index;
    }
  }
  return found;
}

static void take_bits(const indices *from, const uint32_t *row, uint32_t *to) {
  for (uint32_t i = 0, word = 0; i < from->count; i++) {
    uint32_t at = from->last[i];
    word |= (row[at / 32] >> at % 32 & 1u) << i % 32;
    if (i % 32 == 31 || i + 1 == from->count) {
      *to++ = word;
      word = 0;
    }
  }
}

static void take_row(const indices *from, uint8_t dtype, const uint8_t *row, uint32_t row_bytes, uint8_t *to) {
  if (!from->last) {
    dqnn_copy_run(to, row, row_bytes);
  } else if (dtype == DQNN_S1) {
    take_bits(from, (const uint32_t *)(const void *)row, (uint32_t *)(void *)to);
  } else if (dtype == DQNN_S8) {
    for (uint32_t i = 0; i < from->count; i++) {
      to[i] = row[from->last[i]];
    }
  } else {
    for (uint32_t i = 0; i < from->count; i++) {
      memcpy(to + 4 * i, row + 4 * from->last[i], 4);
    }
  }
}

static uint32_t row_bytes_of(const dqnn_tensor_def *def) {
  uint32_t last = dqnn_last(def);
  return def->dtype == DQNN_S1 ? 4 * dqnn_words(last) : def->dtype == DQNN_S8 ? last : 4 * last;
}

static void run(const dqnn_call *call) {
  const dqnn_tensor_def *in = call->in_def[0], *out = call->out_def;
  const indices from = indices_of(call);
  const uint32_t in_bytes = row_bytes_of(in), out_bytes = row_bytes_of(out);
  uint32_t at[LEADING] = {0, 0, 0};
  uint8_t *to = (uint8_t *)call->out;
  for (uint32_t rows = dqnn_rows(out); rows; rows--, to += out_bytes) {
    uint32_t row = 0;
    for (uint32_t k = 0; k + 1u < out->rank; k++) {
      row = row * in->dims[k] + (from.leading[k] ? from.leading[k][at[k]] : at[k]);
    }
    take_row(&from, in->dtype, (const uint8_t *)call->in[0] + row * in_bytes, in_bytes, to);
    dqnn_next_row(out, at);
  }
}

void dqnn_run_gather_s1_portable(const dqnn_call *call) {
  run(call);
}
DQNN_SAME_RUN(dqnn_run_gather_s8_portable, dqnn_run_gather_s1_portable)
DQNN_SAME_RUN(dqnn_run_gather_f32_portable, dqnn_run_gather_s1_portable)
#endif
