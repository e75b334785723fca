/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_f32_{f32,s8,s1}_{s1,s8,f32} and depthwise_{s8,s1}_f32_{s1,s8,f32} with the vectors of isa/mve_float.h: four
 * channels at a time where all is f32. */
#include "../../src/kernel.h"

#if DQNN_HAVE_MVE
#include "../../isa/mve_float.h"
#include "epilogue_mve.h"

#define NAME(function) function##_mve
#define EMIT(function) function##_mve
#include "../opt/depthwise_float.inc.h"
#endif
