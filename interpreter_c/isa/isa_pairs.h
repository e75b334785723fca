/* 8-bit primitives of the instruction set this file is compiled for; DQNN_PORTABLE forces plain C. */
#ifndef DQNN_ISA_PAIRS_H
#define DQNN_ISA_PAIRS_H

#if !defined(DQNN_PORTABLE) && defined(__ARM_FEATURE_DSP)
#include "isa/dsp.h"
#endif

#include "isa/portable_pairs.h"

#endif
