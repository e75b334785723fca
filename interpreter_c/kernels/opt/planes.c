/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Compiled once for all kernels that count in planes. */
#include "planes.h"

/* Exchanges the bits of a above `shift` with those of b below it. */
DQNN_ALWAYS_INLINE void dqnn_exchange_bits(uint32_t *a, uint32_t *b, uint32_t shift, uint32_t mask) {
  uint32_t t = ((*a >> shift) ^ *b) & mask;
  *b ^= t;
  *a ^= t << shift;
}

DQNN_ALWAYS_INLINE void dqnn_transpose_4(uint32_t *z, uint32_t stride, uint32_t shift, uint32_t outer, uint32_t inner) {
  uint32_t a = z[0], b = z[stride], c = z[2 * stride], d = z[3 * stride];
  dqnn_exchange_bits(&a, &c, 2 * shift, outer);
  dqnn_exchange_bits(&b, &d, 2 * shift, outer);
  dqnn_exchange_bits(&a, &b, shift, inner);
  dqnn_exchange_bits(&c, &d, shift, inner);
  z[0] = a;
  z[stride] = b;
  z[2 * stride] = c;
  z[3 * stride] = d;
}

void dqnn_planes_to_int(uint32_t *planes, int32_t base, int32_t factor, int32_t values[32]) {
  for (uint32_t i = 0; i < 4; i++) {
    dqnn_transpose_4(planes + i, 4, 4, 0x00ff00ffu, 0x0f0f0f0fu);
  }
  for (uint32_t i = 0; i < 16; i += 4) {
    dqnn_transpose_4(planes + i, 1, 1, 0x33333333u, 0x55555555u);
  }
  int16_t times = (int16_t)factor;
  for (uint32_t i = 0; i < 16; i += 2) { /* word i now holds lane i in its low and lane i + 16 in its high half */
    uint32_t a = planes[i], b = planes[i + 1];
    values[i] = base + times * (int16_t)(a & 0xffffu);
    values[i + 16] = base + times * (int16_t)(a >> 16);
    values[i + 1] = base + times * (int16_t)(b & 0xffffu);
    values[i + 17] = base + times * (int16_t)(b >> 16);
  }
}
