/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* concat_{s1,s8,f32}: each input goes to the output in runs of memory, and one that lies there already (plan allows it
 * where nothing stands before the joined axis) is left alone. Bits whose rows are joined off word boundaries are
 * shifted together, a word at a time. */
#include "../../isa/copy.h"
#include "../map.h"
#include "../parts.h"

#if DQNN_HAVE_PORTABLE

static uint32_t bytes_of(const dqnn_tensor_def *def) {
  return dqnn_rows(def) * dqnn_row_bytes(def);
}

static void join_runs(const dqnn_call *call) {
  uint32_t outer = dqnn_parts_outer(call), pitch = bytes_of(call->out_def) / outer;
  uint8_t *part = (uint8_t *)call->out;
  for (uint32_t i = 0; i < call->inputs; i++) {
    uint32_t run = bytes_of(call->in_def[i]) / outer;
    const uint8_t *from = (const uint8_t *)call->in[i];
    uint8_t *to = part;
    for (uint32_t o = from == to ? outer : 0; o < outer; o++) {
      dqnn_copy_run(to, from, run);
      from += run;
      to += pitch;
    }
    part += run;
  }
}

static void join_bits(const dqnn_call *call, uint32_t row, uint32_t *to) {
  uint32_t filled = 0;
  for (uint32_t i = 0; i < call->inputs; i++) {
    uint32_t last = dqnn_last(call->in_def[i]);
    const uint32_t *from = (const uint32_t *)call->in[i] + row * dqnn_words(last);
    for (uint32_t first = 0; first < last; first += 32, from++) {
      uint32_t count = last - first < 32 ? last - first : 32;
      dqnn_append_bits(to, filled, count, *from);
      filled += count;
    }
  }
}

void dqnn_run_concat_s1_portable(const dqnn_call *call) {
  if (dqnn_parts_whole(call)) {
    join_runs(call);
    return;
  }
  uint32_t rows = dqnn_rows(call->out_def), words = dqnn_words(dqnn_last(call->out_def));
  for (uint32_t row = 0; row < rows; row++) {
    join_bits(call, row, (uint32_t *)call->out + row * words);
  }
}
void dqnn_run_concat_s8_portable(const dqnn_call *call) {
  join_runs(call);
}
DQNN_SAME_RUN(dqnn_run_concat_f32_portable, dqnn_run_concat_s8_portable)
#endif
