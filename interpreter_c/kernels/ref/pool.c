/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Max and average pooling over the cells inside the map. */
#include "../../src/numerics.h"
#include "elements.h"

/* The cells of one window. plan() has made sure that there is at least one. */
typedef struct {
  uint32_t top, bottom, left, right, width; /* bottom, right: one past the last; width: of the map */
} window;

static void span(uint32_t output, uint32_t stride, uint32_t pad, uint32_t kernel, uint32_t size, uint32_t *first,
                 uint32_t *end) {
  uint32_t begin = output * stride; /* as if the map began after `pad` cells */
  *first = begin > pad ? begin - pad : 0;
  *end = begin + kernel - pad < size ? begin + kernel - pad : size;
}

static window window_of(const dqnn_call *call, uint32_t oy, uint32_t ox) {
  const dqnn_pool_params *p = (const dqnn_pool_params *)call->params;
  dqnn_map in = dqnn_map_of(call->in_def[0]);
  window w;
  w.width = in.w;
  span(oy, p->stride_h, p->pad_top, p->kernel_h, in.h, &w.top, &w.bottom);
  span(ox, p->stride_w, p->pad_left, p->kernel_w, in.w, &w.left, &w.right);
  return w;
}

/* --- maximum --- */

static uint32_t max_integer(const dqnn_call *call, const window *w, uint32_t c) {
  const dqnn_tensor_def *in = call->in_def[0];
  int32_t best = INT32_MIN;
  for (uint32_t y = w->top; y < w->bottom; ++y) {
    for (uint32_t x = w->left; x < w->right; ++x) {
      int32_t value = ref_integer(in, call->in[0], y * w->width + x, c);
      best = best < value ? value : best;
    }
  }
  return in->dtype == DQNN_S1 ? (best < 0 ? 1u : 0u) : (uint32_t)(best + in->zero_point);
}

static uint32_t max_float(const dqnn_call *call, const window *w, uint32_t c) {
  const dqnn_tensor_def *in = call->in_def[0];
  float best = ref_float(in, call->in[0], w->top * w->width + w->left, c);
  for (uint32_t y = w->top; y < w->bottom; ++y) {
    for (uint32_t x = w->left; x < w->right; ++x) {
      float value = ref_float(in, call->in[0], y * w->width + x, c);
      best = best < value ? value : best;
    }
  }
  return dqnn_float_bits(best);
}

static uint32_t max_of(const dqnn_call *call, const window *w, uint32_t c) {
  return call->in_def[0]->dtype == DQNN_F32 ? max_float(call, w, c) : max_integer(call, w, c);
}

/* --- average --- */

static float integer_sum(const dqnn_call *call, const window *w, uint32_t c) {
  int32_t sum = 0;
  for (uint32_t y = w->top; y < w->bottom; ++y) {
    for (uint32_t x = w->left; x < w->right; ++x) {
      sum += ref_integer(call->in_def[0], call->in[0], y * w->width + x, c);
    }
  }
  return (float)sum;
}

static float float_sum(const dqnn_call *call, const window *w, uint32_t c) {
  float sum = 0.0f;
  for (uint32_t y = w->top; y < w->bottom; ++y) {
    for (uint32_t x = w->left; x < w->right; ++x) {
      sum = sum + ref_float(call->in_def[0], call->in[0], y * w->width + x, c);
    }
  }
  return sum;
}

static uint32_t mean_of(const dqnn_call *call, const window *w, uint32_t c) {
  const dqnn_tensor_def *in = call->in_def[0], *out = call->out_def;
  float sum = in->dtype == DQNN_F32 ? float_sum(call, w, c) : integer_sum(call, w, c);
  float mean = (sum * in->scale) / (float)((w->bottom - w->top) * (w->right - w->left));
  if (out->dtype == DQNN_F32) {
    return dqnn_float_bits(mean);
  }
  float zero_point = (float)out->zero_point, scaled = mean * *(const float *)call->constants[0];
  int32_t rounded = dqnn_round_half_even(dqnn_clamp(scaled, -128.0f - zero_point, 127.0f - zero_point));
  return (uint32_t)(rounded + out->zero_point);
}

/* Of the codes as they are, half away from zero. */
static uint32_t raw_mean_of(const dqnn_call *call, const window *w, uint32_t c) {
  int32_t cells = (int32_t)((w->bottom - w->top) * (w->right - w->left)), sum = 0;
  for (uint32_t y = w->top; y < w->bottom; ++y) {
    for (uint32_t x = w->left; x < w->right; ++x) {
      sum += ((const int8_t *)call->in[0])[(y * w->width + x) * dqnn_last(call->in_def[0]) + c];
    }
  }
  return (uint32_t)(sum > 0 ? (sum + cells / 2) / cells : (sum - cells / 2) / cells);
}

/* --- all windows --- */

static void run(const dqnn_call *call, uint32_t (*reduce)(const dqnn_call *, const window *, uint32_t)) {
  dqnn_map out = dqnn_map_of(call->out_def);
  ref_raw_writer writer = ref_raw_writer_of(call);
  for (uint32_t oy = 0; oy < out.h; ++oy) {
    for (uint32_t ox = 0; ox < out.w; ++ox) {
      window w = window_of(call, oy, ox);
      for (uint32_t c = 0; c < out.c; ++c) {
        ref_put_raw(&writer, reduce(call, &w, c));
      }
      ref_end_raw_row(&writer);
    }
  }
}

void dqnn_run_maxpool_s1_ref(const dqnn_call *call) {
  run(call, max_of);
}
DQNN_SAME_RUN(dqnn_run_maxpool_s8_ref, dqnn_run_maxpool_s1_ref)
DQNN_SAME_RUN(dqnn_run_maxpool_f32_ref, dqnn_run_maxpool_s1_ref)
void dqnn_run_avgpool_s1_s8_ref(const dqnn_call *call) {
  run(call, mean_of);
}
DQNN_SAME_RUN(dqnn_run_avgpool_s1_f32_ref, dqnn_run_avgpool_s1_s8_ref)
DQNN_SAME_RUN(dqnn_run_avgpool_s8_s8_ref, dqnn_run_avgpool_s1_s8_ref)
DQNN_SAME_RUN(dqnn_run_avgpool_s8_f32_ref, dqnn_run_avgpool_s1_s8_ref)
DQNN_SAME_RUN(dqnn_run_avgpool_f32_s8_ref, dqnn_run_avgpool_s1_s8_ref)
DQNN_SAME_RUN(dqnn_run_avgpool_f32_f32_ref, dqnn_run_avgpool_s1_s8_ref)
void dqnn_run_avgpool_s8_raw_ref(const dqnn_call *call) {
  run(call, raw_mean_of);
}
