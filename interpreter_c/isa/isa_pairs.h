/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* 8-bit primitives of the core this file is compiled for. */
#ifndef DQNN_ISA_PAIRS_H
#define DQNN_ISA_PAIRS_H

#include "target.h"

#if DQNN_ARM_DSP
#include "dsp.h"
#endif

#if DQNN_SLOW_PRODUCTS
#include "slow_pairs.h"
#elif DQNN_SHORT_PRODUCTS
#include "short_pairs.h"
#endif

#include "portable_pairs.h"

#endif
