/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s1_s1_{s1,s8,f32} with the counters of isa/mve.h: rows of weights are gathered four at a time. Windows with too
 * many taps for these counters are left to the 32-bit code, whose scratch is the same. */
#include "../../src/kernel.h"

#if DQNN_HAVE_MVE
#include "../../isa/mve.h"

#include "../../isa/isa.h"
#include "epilogue_mve.h"

/* A frame of their own: the other code must not run on top of it. */
DQNN_NOINLINE void dqnn_run_conv_s1_s1_s1_lanes(const dqnn_call *call);
DQNN_NOINLINE void dqnn_run_conv_s1_s1_s8_lanes(const dqnn_call *call);
DQNN_NOINLINE void dqnn_run_conv_s1_s1_f32_lanes(const dqnn_call *call);

#define NAME(function) function##_lanes
#define EMIT(function) function##_mve
#include "../opt/conv_bitsliced.inc.h"

static int fits(const dqnn_call *call) {
  const dqnn_conv_params *p = (const dqnn_conv_params *)call->params;
  uint32_t channels = dqnn_last(call->in_def[0]) / p->groups, taps = (uint32_t)p->kernel_h * p->kernel_w * channels;
  return taps / 4 + p->kernel_w <= DQNN_MOST_QUADS;
}

void dqnn_run_conv_s1_s1_s1_mve(const dqnn_call *call) {
  if (fits(call)) {
    dqnn_run_conv_s1_s1_s1_lanes(call);
  } else {
    dqnn_run_conv_s1_s1_s1_portable(call);
  }
}
void dqnn_run_conv_s1_s1_s8_mve(const dqnn_call *call) {
  if (fits(call)) {
    dqnn_run_conv_s1_s1_s8_lanes(call);
  } else {
    dqnn_run_conv_s1_s1_s8_portable(call);
  }
}
void dqnn_run_conv_s1_s1_f32_mve(const dqnn_call *call) {
  if (fits(call)) {
    dqnn_run_conv_s1_s1_f32_lanes(call);
  } else {
    dqnn_run_conv_s1_s1_f32_portable(call);
  }
}
#endif
