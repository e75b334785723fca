/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* tile() of conv_layer.inc.h where weights have l->bits bits: a function for each, so that loops know how many.
 *
 * A template. In: layer and number of conv.inc.h; sum_four_windows() and sum_one_window(), which take the bits;
 * SUM_BYTES, 1: weights of 8 bits (l->bits is 0) come here, too. Out: tile(). */
DQNN_INLINE void sum_windows(const layer *l, uint32_t channel, uint32_t count, uint32_t pixels, uint32_t bits,
                             number sums[PIXELS][TILE]) {
  if (pixels == 1) {
    sum_one_window(l, channel, count, bits, sums[0]);
  } else {
    sum_four_windows(l, channel, count, bits, sums);
  }
}

#if SUM_BYTES
DQNN_NOINLINE void sum_bytes(const layer *l, uint32_t channel, uint32_t count, uint32_t pixels,
                             number sums[PIXELS][TILE]) {
  sum_windows(l, channel, count, pixels, 0, sums);
}
#endif
DQNN_NOINLINE void sum_fours(const layer *l, uint32_t channel, uint32_t count, uint32_t pixels,
                             number sums[PIXELS][TILE]) {
  sum_windows(l, channel, count, pixels, 4, sums);
}
DQNN_NOINLINE void sum_twos(const layer *l, uint32_t channel, uint32_t count, uint32_t pixels,
                            number sums[PIXELS][TILE]) {
  sum_windows(l, channel, count, pixels, 2, sums);
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
#if SUM_BYTES
  if (l->bits == 0) {
    sum_bytes(l, channel, count, pixels, sums);
    return;
  }
#endif
  if (l->bits == 4) {
    sum_fours(l, channel, count, pixels, sums);
  } else {
    sum_twos(l, channel, count, pixels, sums);
  }
}
