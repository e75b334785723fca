/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* conv_{f32,s8,s1}_f32_{s1,s8,f32}: float sums in the order of SPEC.md 3.1, neighbouring channels side by side. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
typedef float element;
#define DQNN_FLOAT_SUMS 1
#define DQNN_ADDED(zero_point) (-(zero_point))
#define DQNN_PAIRS 0
#include "conv.inc.h"

enum { VECTORS = TILE / LANES, TOGETHER = REGISTERS / 8 /* vectors of each of four windows */ };

static void finish_copy(const layer *l, element *copy) {
  (void)l;
  (void)copy;
}

/* Adds one input of each window to `pixels` by `vectors` sums; both numbers are constants. */
DQNN_INLINE void add_taps(const float *const *quads, uint32_t at, const float *const *x, uint32_t k, uint32_t pixels,
                          uint32_t vectors, v_float acc[PIXELS][VECTORS]) {
  v_float w[VECTORS];
  for (uint32_t v = 0; v < vectors; v++) {
    w[v] = load_quads(quads + v * (LANES / 4), at);
  }
  for (uint32_t p = 0; p < pixels; p++) {
    for (uint32_t v = 0; v < vectors; v++) {
      acc[p][v] += w[v] * x[p][k];
    }
  }
}

/* `pixels` windows by `vectors` * LANES channels from `channel` on; quads beyond the last one repeat it. */
DQNN_INLINE void dot(const layer *l, uint32_t channel, uint32_t pixels, uint32_t vectors, number (*sums)[TILE]) {
  v_float acc[PIXELS][VECTORS] = {{{0}}};
  const float *x[PIXELS], *quads[VECTORS * LANES / 4];
  uint32_t taps = l->row_taps, at = 0, last = (l->shape.out_group - 1) / 4;
  for (uint32_t i = 0; i < vectors * LANES / 4; i++) {
    uint32_t quad = channel / 4 + i;
    quads[i] = (const float *)(const void *)l->weights + (quad < last ? quad : last) * 4 * l->window_taps;
  }
  for (uint32_t p = 0; p < pixels; p++) {
    x[p] = l->windows[p].at;
  }
  for (int32_t ky = l->shape.kernel_h; ky > 0; ky--) {
    for (uint32_t k = 0; k < taps; k++, at += 4) {
      add_taps(quads, at, x, k, pixels, vectors, acc);
    }
    for (uint32_t p = 0; p < pixels; p++) {
      x[p] += l->windows[p].pitch;
    }
  }
  for (uint32_t i = 0; i < pixels * vectors; i++) {
    store_float(sums[i / vectors] + i % vectors * LANES, acc[i / vectors][i % vectors]);
  }
}

DQNN_NOINLINE void dot_4x4(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, 4, 4, sums);
}
DQNN_NOINLINE void dot_4x2(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, 4, 2, sums);
}
DQNN_NOINLINE void dot_4x1(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, 4, 1, sums);
}
DQNN_NOINLINE void dot_1x4(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, 1, 4, sums);
}
DQNN_NOINLINE void dot_1x1(const layer *l, uint32_t channel, number (*sums)[TILE]) {
  dot(l, channel, 1, 1, sums);
}

static void tile(layer *l, uint32_t channel, uint32_t count, uint32_t pixels, number sums[PIXELS][TILE]) {
  if (pixels == 1) {
    if (count > LANES) {
      dot_1x4(l, channel, sums);
    } else {
      dot_1x1(l, channel, sums);
    }
    return;
  }
  for (uint32_t i = 0; i < count; i += TOGETHER * LANES) {
    number(*to)[TILE] = (number(*)[TILE])(&sums[0][i]);
    if (TOGETHER > 2 && count - i > 2 * LANES) {
      dot_4x4(l, channel + i, to);
    } else if (count - i > LANES) {
      dot_4x2(l, channel + i, to);
    } else {
      dot_4x1(l, channel + i, to);
    }
  }
}

static void run(const dqnn_call *call) {
  layer l;
  prepare_layer(call, 0, &l);
  l.copy_elements = l.window_taps;
  run_layer(call, &l, (l.shape.out_group + 3) / 4 * 16 * l.window_taps);
}

void WIDE(dqnn_run_conv_f32_f32_s1)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_f32_f32_s8)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_f32_f32_f32)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_s8_f32_s1)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_s8_f32_s8)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_s8_f32_f32)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_s1_f32_s1)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_s1_f32_s8)(const dqnn_call *call) {
  run(call);
}
void WIDE(dqnn_run_conv_s1_f32_f32)(const dqnn_call *call) {
  run(call);
}
#endif
