/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Runs of bytes that lie apart: mostly as long as a pixel is, too short for the set-up of a library's memcpy. */
#ifndef DQNN_ISA_COPY_H
#define DQNN_ISA_COPY_H

#include <string.h>

#include "isa.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

DQNN_INLINE void dqnn_copy_run(uint8_t *to, const uint8_t *from, uint32_t bytes) {
  for (uint32_t steps = bytes / 16; steps; steps--, from += 16, to += 16) {
    vst1q_u8(to, vld1q_u8(from));
  }
  if (bytes % 16) {
    const mve_pred16_t lanes = vctp8q(bytes % 16);
    vstrbq_p_u8(to, vld1q_z_u8(from, lanes), lanes);
  }
}
#else
#define dqnn_copy_run(to, from, bytes) memcpy(to, from, bytes)
#endif

#endif
