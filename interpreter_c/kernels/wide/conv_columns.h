/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions in columns (conv_columns.inc.h), which conv_pairs_avx2.c and conv_pairs_vnni.c try first. */
#ifndef DQNN_WIDE_CONV_COLUMNS_H
#define DQNN_WIDE_CONV_COLUMNS_H

#include "../opt/geometry.h"

/* Windows with more taps do not fit the stack. Sorting weights pays where many pixels meet them, the more the longer
 * the windows are: the sums across registers that it saves are of pixels, not of taps. */
enum { DQNN_COLUMNS_TAPS = 1536, DQNN_COLUMNS_PIXELS = 12 };
static inline int dqnn_takes_columns(const dqnn_call *call) {
  const uint32_t pixels = dqnn_rows(call->out_def) * dqnn_pool_cells((const dqnn_conv_params *)call->params);
  dqnn_geometry g;
  if (pixels < DQNN_COLUMNS_PIXELS) { /* dense layers: soon */
    return 0;
  }
  dqnn_read_geometry(call, &g);
  const uint32_t taps = dqnn_kernel_cells(&g) * g.in_group;
  return taps <= DQNN_COLUMNS_TAPS && 16 * pixels >= taps;
}

/* Of calls that dqnn_takes_columns() takes; they return 0 if there is no room, and have done nothing. zero_points: 1 if
 * constant 1 are those of the weights. */
int dqnn_run_columns_avx2(const dqnn_call *call, uint32_t zero_points);
int dqnn_run_columns_vnni(const dqnn_call *call, uint32_t zero_points);

#endif
