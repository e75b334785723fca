/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Convolutions of bytes with SDOT, which adds four products to each of four sums: Cortex-A55, A76 and later ones,
 * Apple's M1 and later ones. */
#include "../../src/kernel.h"

#if DQNN_HAVE_DOTPROD
#include <arm_neon.h>

#include "../../isa/isa.h"

#define NAME(function) function##_dotprod
#define NARROW 0

DQNN_INLINE int32x4_t add_products(int32x4_t sum, int8x16_t x, int8x16_t w) {
  return vdotq_s32(sum, x, w);
}
#define add_products_narrow add_products

DQNN_INLINE int32x4_t add_weights(int32x4_t sum, int8x16_t w) {
  return vdotq_s32(sum, vdupq_n_s8(1), w);
}

#include "conv_bytes.inc.h"
#endif
