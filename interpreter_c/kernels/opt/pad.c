/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* pad_{s1,s8,f32}: rows along the last axis go to their place whole, the rest is filled with the pad value. */
#include <string.h>

#include "../../isa/copy.h"
#include "../../isa/halves.h"
#include "../map.h"

#if DQNN_HAVE_PORTABLE

/* The pad value as it fills words of the output: four bytes, a float, 32 bits. */
static uint32_t pad_word(const dqnn_call *call) {
  float value = ((const dqnn_pad_params *)call->params)->value;
  uint32_t bits;
  if (call->out_def->dtype == DQNN_S1) {
    return value < 0.0f ? ~0u : 0;
  }
  if (call->out_def->dtype == DQNN_S8) {
    return dqnn_every_byte((int32_t)value);
  }
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* `bytes`: a multiple of 4 but for s8. */
static void fill(uint8_t *to, uint32_t bytes, uint32_t word) {
  for (; bytes >= 4; bytes -= 4, to += 4) {
    memcpy(to, &word, 4);
  }
  memcpy(to, &word, bytes);
}

/* A row of bits: `before` of the pad value, those of `from`, pad value; zeros to the end of the last word. from: NULL
 * for a row of the pad value. */
static void put_bits(uint32_t *to, uint32_t bits, const uint32_t *from, uint32_t before, uint32_t inside,
                     uint32_t pad) {
  for (uint32_t at = 0; at < bits; at += 32) {
    uint32_t count = bits - at < 32 ? bits - at : 32, word = pad;
    uint32_t first = at > before ? at : before, end = at + count < before + inside ? at + count : before + inside;
    if (from && first < end) {
      uint32_t mask = dqnn_low_bits(end - first) << (first - at);
      word = (word & ~mask) | dqnn_read_bits(from, first - before, end - first) << (first - at);
    }
    *to++ = word & dqnn_low_bits(count);
  }
}

static void put_row(const dqnn_call *call, uint8_t *to, const uint8_t *from, uint32_t word) {
  const dqnn_tensor_def *in = call->in_def[0], *out = call->out_def;
  uint32_t before = ((const dqnn_pad_params *)call->params)->before[out->rank - 1];
  if (out->dtype == DQNN_S1) {
    put_bits((uint32_t *)(void *)to, dqnn_last(out), (const uint32_t *)(const void *)from, before, dqnn_last(in), word);
    return;
  }
  uint32_t size = out->dtype == DQNN_S8 ? 1 : 4, inside = from ? dqnn_last(in) * size : 0;
  before = from ? before * size : 0;
  fill(to, before, word);
  if (from) {
    dqnn_copy_run(to + before, from, inside);
  }
  fill(to + before + inside, dqnn_last(out) * size - before - inside, word);
}

static void run(const dqnn_call *call) {
  const dqnn_tensor_def *in = call->in_def[0], *out = call->out_def;
  const dqnn_pad_params *p = (const dqnn_pad_params *)call->params;
  const uint32_t word = pad_word(call), in_bytes = dqnn_row_bytes(in), out_bytes = dqnn_row_bytes(out);
  const uint8_t *from = (const uint8_t *)call->in[0];
  uint8_t *to = (uint8_t *)call->out;
  uint32_t at[3] = {0, 0, 0};
  for (uint32_t rows = dqnn_rows(out); rows; rows--, to += out_bytes) {
    int inside = 1;
    for (uint32_t k = 0; k + 1 < out->rank; k++) {
      inside &= at[k] - p->before[k] < in->dims[k];
    }
    put_row(call, to, inside ? from : NULL, word);
    from += inside ? in_bytes : 0;
    for (uint32_t k = out->rank - 1u; k-- > 0;) {
      if (++at[k] < out->dims[k]) {
        break;
      }
      at[k] = 0;
    }
  }
}

void dqnn_run_pad_s1_portable(const dqnn_call *call) {
  run(call);
}
DQNN_SAME_RUN(dqnn_run_pad_s8_portable, dqnn_run_pad_s1_portable)
DQNN_SAME_RUN(dqnn_run_pad_f32_portable, dqnn_run_pad_s1_portable)
#endif
