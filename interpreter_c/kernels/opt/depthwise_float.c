/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* depthwise_f32_{f32,s8,s1}_{s1,s8,f32} and depthwise_{s8,s1}_f32_{s1,s8,f32}, portable. */
#include "../../src/kernel.h"

#if DQNN_HAVE_PORTABLE
#define NAME(function) function##_portable
#define EMIT(function) function
#include "depthwise_float.inc.h"
#endif
