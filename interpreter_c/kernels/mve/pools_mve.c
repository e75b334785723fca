/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* maxpool_s8, sixteen channels of all cells of a window at a time. They are read whole before they are written, so that
 * the output may lie on the input as plan allows. */
#include "../pool.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

enum { STEP = 16 };

/* The largest of each channel; bytes that are not asked for are not read. */
static int8x16_t largest(const dqnn_window *w, const uint8_t *from, mve_pred16_t lanes) {
  int8x16_t most = vdupq_n_s8(INT8_MIN);
  for (uint32_t rows = w->rows; rows; rows--, from += w->row_bytes) {
    const uint8_t *cell = from;
    for (uint32_t columns = w->columns; columns; columns--, cell += w->cell_bytes) {
      most = vmaxq_s8(most, vld1q_z_s8((const int8_t *)cell, lanes));
    }
  }
  return most;
}

static void max_s8(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  (void)call;
  for (uint32_t c = 0; c < units; c += STEP) {
    const mve_pred16_t lanes = vctp8q(units - c);
    vstrbq_p_s8((int8_t *)out + c, largest(w, w->first + c, lanes), lanes);
  }
}

void dqnn_run_maxpool_s8_mve(const dqnn_call *call) {
  dqnn_run_pool(call, max_s8, 1, 1, 0);
}
#endif
