/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The table of isa/slow_pairs.h. */
#include "../isa/isa_pairs.h"
#include "../src/kernel.h"

#if DQNN_HAVE_PORTABLE && DQNN_SLOW_PRODUCTS

#define Q1(n) (uint16_t)((n) * (n) / 4)
#define Q4(n) Q1(n), Q1((n) + 1), Q1((n) + 2), Q1((n) + 3)
#define Q16(n) Q4(n), Q4((n) + 4), Q4((n) + 8), Q4((n) + 12)
#define Q64(n) Q16(n), Q16((n) + 16), Q16((n) + 32), Q16((n) + 48)
#define Q256(n) Q64(n), Q64((n) + 64), Q64((n) + 128), Q64((n) + 192)

const uint16_t dqnn_quarters[DQNN_QUARTERS] = {Q256(-384), Q256(-128), Q256(128)};

#endif
