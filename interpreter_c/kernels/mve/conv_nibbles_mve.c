/* conv_s8_s1_{s1,s8,f32}: maps of whole blocks of channels by tables of vectors; the rest is left to the 32-bit code.
 */
#include "../opt/conv_nibbles_layer.h"

#if DQNN_HAVE_MVE
#include "epilogue_mve.h"
#include "nibbles.h"

/* A frame of its own: the other code must not run on top of it. */
DQNN_NOINLINE void dqnn_run_nibbles_lanes(const dqnn_call *call);

#define NAME(function) function##_lanes
#include "../opt/conv_nibbles.inc.h"

/* Distances of seven positions are 16-bit numbers. */
DQNN_NOINLINE int takes_lanes(const dqnn_call *call) {
  dqnn_conv v = dqnn_conv_of(call, 0);
  return dqnn_fits_nibbles(&v) && v.in_c <= UINT16_MAX / LANES;
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
