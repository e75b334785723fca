/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{f32,s8}_s1_*: binary weights, other inputs.
 *
 * Four inputs under four signs have sixteen sums. They are tabulated for each chunk of four inputs of a kernel row
 * (SPEC.md 3.1 gives the order: blocks of eight channels, kernel rows, chunks), for four output pixels side by side;
 * then all outputs only look up and add. First layers of one channel have kernels of their own (conv_first.c,
 * conv_first_s8.c), and so have s8 maps of whole blocks of channels (conv_nibbles.c). */
#include "conv_blocks.h"

#include "conv_first.h"
#include "conv_nibbles.h"
#include "conv_single.h"
#include "epilogue.h"
#include "quads.h"

#if DQNN_HAVE_PORTABLE

/* As dqnn_input_index, for both axes. */
static int32_t cell_at(const dqnn_geometry *s, int32_t up_h, int32_t up_w, int32_t y, int32_t x) {
  int32_t row = dqnn_input_index(y, s->height, up_h), column = dqnn_input_index(x, s->width, up_w);
  if (row == DQNN_AT_OUTSIDE || column == DQNN_AT_OUTSIDE) {
    return DQNN_AT_OUTSIDE;
  }
  return row < 0 || column < 0 ? DQNN_AT_HOLE : row * s->width + column;
}

static int32_t load_int(const void *image, uint32_t index) {
  return ((const int8_t *)image)[index];
}
static float load_float(const void *image, uint32_t index) {
  return ((const float *)image)[index];
}

#define blocks_value int32_t
#define blocks_emit dqnn_emit
#define BLOCKS(name) name##_int
#include "conv_blocks.inc.h"

#define blocks_value float
#define blocks_emit dqnn_emit_float
#define BLOCKS(name) name##_float
#include "conv_blocks.inc.h"

static void run_s8(const dqnn_call *call) {
  dqnn_blocks_path path = dqnn_blocks_path_of(call);
  if (path == DQNN_BLOCKS_SINGLE) {
    dqnn_run_single(call);
  } else if (path == DQNN_BLOCKS_NIBBLES) {
    dqnn_run_nibbles(call);
  } else {
    run_int(call);
  }
}

void dqnn_run_conv_s8_s1_s1_portable(const dqnn_call *call) {
  if (dqnn_blocks_path_of(call) == DQNN_BLOCKS_FIRST) {
    dqnn_run_first_s8(call);
  } else {
    run_s8(call);
  }
}
void dqnn_run_conv_s8_s1_s8_portable(const dqnn_call *call) {
  run_s8(call);
}
void dqnn_run_conv_s8_s1_f32_portable(const dqnn_call *call) {
  run_s8(call);
}

void dqnn_run_conv_f32_s1_s1_portable(const dqnn_call *call) {
  if (dqnn_blocks_path_of(call) == DQNN_BLOCKS_FIRST) {
    dqnn_run_first_f32(call);
  } else {
    run_float(call);
  }
}
void dqnn_run_conv_f32_s1_s8_portable(const dqnn_call *call) {
  run_float(call);
}
void dqnn_run_conv_f32_s1_f32_portable(const dqnn_call *call) {
  run_float(call);
}
#endif
