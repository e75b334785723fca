/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions of bytes with the products that every 64-bit Arm has: eight at a time, in halfwords. */
#include "../../src/kernel.h"

#if DQNN_HAVE_NEON
#include <arm_neon.h>

#include "../../isa/isa.h"

#define NAME(function) function##_neon
#define NARROW 1

DQNN_INLINE int32x4_t add_products(int32x4_t sum, int8x16_t x, int8x16_t w) {
  sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
  return vpadalq_s16(sum, vmull_high_s8(x, w));
}

/* Two products fit a halfword, but for -128 * -128 twice. */
DQNN_INLINE int32x4_t add_products_narrow(int32x4_t sum, int8x16_t x, int8x16_t w) {
  return vpadalq_s16(sum, vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(w)), x, w));
}

DQNN_INLINE int32x4_t add_weights(int32x4_t sum, int8x16_t w) {
  return vpadalq_s16(sum, vpaddlq_s8(w));
}

#include "conv_bytes.inc.h"
#endif
