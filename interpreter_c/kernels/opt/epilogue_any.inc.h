/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* dqnn_emit and dqnn_emit_float of epilogue.h over the functions of one type.
 *
 * A template. In: EMIT(function), and those functions under it. Out: EMIT(dqnn_emit)(), EMIT(dqnn_emit_float)(); plain
 * and with _mve behind. */

#include "../map.h"

void EMIT(dqnn_emit)(const dqnn_call *call, const dqnn_epilogue *e, const int32_t *acc, uint32_t channel,
                     uint32_t count, uint32_t pixel) {
  uint32_t outputs = dqnn_last(call->out_def), first = pixel * outputs + channel;
  if (call->out_def->dtype == DQNN_S8) {
    EMIT(dqnn_emit_s8)(e, acc, channel, count, (int8_t *)call->out + first);
  } else if (call->out_def->dtype == DQNN_F32) {
    EMIT(dqnn_emit_f32)(e, acc, channel, count, (float *)call->out + first);
  } else {
    const uint32_t *flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
    uint32_t *row = (uint32_t *)call->out + pixel * dqnn_words(outputs);
    EMIT(dqnn_emit_s1)((const int32_t *)call->constants[1], flip, acc, channel, count, row);
  }
}

void EMIT(dqnn_emit_float)(const dqnn_call *call, const dqnn_epilogue *e, const float *acc, uint32_t channel,
                           uint32_t count, uint32_t pixel) {
  uint32_t outputs = dqnn_last(call->out_def), first = pixel * outputs + channel;
  if (call->out_def->dtype == DQNN_S8) {
    EMIT(dqnn_emit_float_s8)(e, acc, channel, count, (int8_t *)call->out + first);
  } else if (call->out_def->dtype == DQNN_F32) {
    EMIT(dqnn_emit_float_f32)(e, acc, channel, count, (float *)call->out + first);
  } else {
    const uint32_t *flip = call->constant_count > 2 ? (const uint32_t *)call->constants[2] : NULL;
    uint32_t *row = (uint32_t *)call->out + pixel * dqnn_words(outputs);
    EMIT(dqnn_emit_float_s1)((const float *)call->constants[1], flip, acc, channel, count, row);
  }
}
