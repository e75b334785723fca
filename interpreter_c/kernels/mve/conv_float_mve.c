/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{f32,s8,s1}_f32_{s1,s8,f32} and conv_f32_s8_{s1,s8,f32} with the vectors of isa/mve_float.h: four channels of up
 * to four pixels. */
#include "../../src/kernel.h"

#if DQNN_HAVE_MVE
#include "../../isa/mve_float.h"
#include "epilogue_mve.h"

#define NAME(function) function##_mve
#define EMIT(function) function##_mve
#define DOT(function) function##_mve
#include "../opt/conv_float.inc.h"
#endif
