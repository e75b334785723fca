/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_s8_s1_{s1,s8,f32}: maps of whole blocks of channels by tables of vectors; the rest is left to the 32-bit code.
 */
#include "../opt/conv_nibbles_layer.h"

#if DQNN_HAVE_MVE
#include "../opt/conv_blocks.h"
#include "epilogue_mve.h"
#include "nibbles.h"

/* A frame of its own: the other code must not run on top of it. */
DQNN_NOINLINE void dqnn_run_nibbles_lanes(const dqnn_call *call);

#define NAME(function) function##_lanes
#define EMIT(function) function##_mve
#include "../opt/conv_nibbles.inc.h"

/* Distances of seven positions are 16-bit numbers. */
static int takes_lanes(const dqnn_call *call) {
  return dqnn_blocks_path_of(call) == DQNN_BLOCKS_NIBBLES && dqnn_last(call->in_def[0]) <= UINT16_MAX / LANES;
}

void dqnn_run_conv_s8_s1_s1_mve(const dqnn_call *call) {
  if (takes_lanes(call)) {
    dqnn_run_nibbles_lanes(call);
  } else {
    dqnn_run_conv_s8_s1_s1_portable(call);
  }
}
void dqnn_run_conv_s8_s1_s8_mve(const dqnn_call *call) {
  if (takes_lanes(call)) {
    dqnn_run_nibbles_lanes(call);
  } else {
    dqnn_run_conv_s8_s1_s8_portable(call);
  }
}
void dqnn_run_conv_s8_s1_f32_mve(const dqnn_call *call) {
  if (takes_lanes(call)) {
    dqnn_run_nibbles_lanes(call);
  } else {
    dqnn_run_conv_s8_s1_f32_portable(call);
  }
}
#endif
