/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The primitives of the core this file is compiled for: its own, and plain C for the rest. A file of kernels/mve
 * includes isa/mve.h first, whose counters then replace those of both. */
#ifndef DQNN_ISA_H
#define DQNN_ISA_H

#include "target.h"

#if DQNN_ARM_THUMB2
#include "thumb2.h"
#endif

#include "portable.h"

#endif
