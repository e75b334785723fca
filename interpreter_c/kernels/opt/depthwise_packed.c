/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_s8_s8_* with weights of 4 and 2 bits (SPEC.md 3.3): the loops for bytes over weights that are unpacked as
 * they are wanted, by words of four channels. depthwise_channels.c takes four channels of them after the other; the
 * windows of depthwise_int.c are walked once for each strip of outputs.
 *
 * Scratch: what those need, or the weights of a strip. */
#include "depthwise_packed.h"

#include <string.h>

#include "depthwise_channels.h"

#if DQNN_HAVE_PACKED

void dqnn_unpack_depthwise(const dqnn_call *call, uint32_t first, uint32_t pitch, int8_t *to) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  const uint32_t outputs = dqnn_last(call->out_def), bits = p->weight_bits, row = (outputs * bits + 7) / 8;
  const uint8_t *from = (const uint8_t *)call->constants[0] + first * bits / 8;
  for (uint32_t tap = (uint32_t)p->kernel_h * p->kernel_w; tap; tap--, from += row, to += pitch) {
    uint32_t word = from[0]; /* becomes four numbers from 0 on, 4 bits each, that are 8 too large */
    if (bits == 2) {
      word = (word | word << 4) & 0x0f0f0f0fu;
      word = ((word | word << 2) & 0x33333333u) + 0x6666u;
    } else if (first + 2 < outputs) {
      word |= (uint32_t)from[1] << 8;
    }
    word = (word | word << 8) & 0x00ff00ffu;
    word = (word | word << 4) & 0x0f0f0f0fu;
    word = (word + 0x78787878u) ^ 0x80808080u; /* less 8 is plus 120, and another sign */
    memcpy(to, &word, 4);
  }
}

void dqnn_run_depthwise_packed(const dqnn_call *call) {
  dqnn_run_depthwise(call, DQNN_DEPTHWISE_BYTES, dqnn_unpack_depthwise);
}

void dqnn_run_depthwise_s8_s8_s1_packed(const dqnn_call *call) {
  dqnn_run_depthwise_packed(call);
}
#if !DQNN_HAVE_MVE /* mve/depthwise_bytes_mve.c has it there */
DQNN_SAME_RUN(dqnn_run_depthwise_s8_s8_s8_packed, dqnn_run_depthwise_s8_s8_s1_packed)
#endif
DQNN_SAME_RUN(dqnn_run_depthwise_s8_s8_f32_packed, dqnn_run_depthwise_s8_s8_s1_packed)
#endif
