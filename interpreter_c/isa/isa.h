/* The primitives of the instruction set this file is compiled for. DQNN_PORTABLE forces plain C (tests compare the
 * two). */
#ifndef DQNN_ISA_H
#define DQNN_ISA_H

#if !defined(DQNN_PORTABLE)
#if defined(DQNN_MVE) /* a file of kernels/mve */
#include "isa/mve.h"
#endif
#if defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#include "isa/thumb2.h"
#endif
#endif

#include "isa/portable.h"

#endif
