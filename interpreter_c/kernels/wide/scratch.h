/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Scratch of the kernels for hosts; what is small stands on the stack. */
#ifndef DQNN_WIDE_SCRATCH_H
#define DQNN_WIDE_SCRATCH_H

#include <stdint.h>

/* Windows that conv_pairs_vnni.c takes, which keeps them on the stack; longer ones go to conv_pairs_avx2.c. */
enum { DQNN_VNNI_TAPS = 4608 };
static inline int dqnn_takes_vnni(uint64_t taps) {
  return taps <= DQNN_VNNI_TAPS;
}

/* Elements of a gathered window of pairs. */
static inline uint64_t dqnn_pairs_copy(uint64_t taps) {
  return (taps + 1) & ~UINT64_C(1);
}

/* conv_pairs_avx2.c and, as files of a release give it, conv_bytes.inc.h: maxima of a pooling window (0 without a
 * pool), gathered windows of halfwords. */
static inline uint64_t dqnn_conv_pairs_wide_scratch(uint64_t taps, uint64_t totals, uint32_t lanes) {
  return 4 * totals + 2 * lanes * dqnn_pairs_copy(taps);
}

static inline uint64_t dqnn_conv_pairs_vnni_scratch(uint64_t taps, uint64_t totals, uint32_t lanes) {
  return dqnn_takes_vnni(taps) ? 4 * totals : dqnn_conv_pairs_wide_scratch(taps, totals, lanes);
}

/* conv_float_wide.c: likewise, gathered windows unless all can be read in place. */
static inline uint64_t dqnn_conv_float_wide_scratch(uint64_t taps, uint64_t totals, uint32_t lanes, int in_place) {
  return 4 * totals + (in_place ? 0 : 4 * lanes * taps);
}

#endif
