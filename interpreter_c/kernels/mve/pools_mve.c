/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* maxpool_s8, avgpool_s8_{s8,f32} and avgpool_s8_raw, sixteen channels of all cells of a window at a time. They are
 * read whole before they are written, so that the output may lie on the input as plan allows. */
#include "../pool.h"

#if DQNN_HAVE_MVE
#include <arm_mve.h>

#include "byte_sums.h"

enum { STEP = DQNN_BYTE_SUMS };

/* The walk of pool.h, where a window takes fewer instructions to be found. */
DQNN_ALWAYS_INLINE void run_windows(const dqnn_call *call, dqnn_reduction reduce, uint32_t out_bytes) {
  const dqnn_pool_params *p = (const dqnn_pool_params *)call->params;
  const dqnn_map in = dqnn_map_of(call->in_def[0]), out = dqnn_map_of(call->out_def);
  const int32_t width = (int32_t)in.w, kernel = p->kernel_w, stride = p->stride_w;
  uint8_t *to = (uint8_t *)call->out;
  for (uint32_t oy = 0; oy < out.h; oy++) {
    const dqnn_span y = dqnn_span_of(oy, p->stride_h, p->pad_top, p->kernel_h, in.h);
    const uint8_t *row = (const uint8_t *)call->in[0] + y.first * in.w * in.c;
    int32_t x = -(int32_t)p->pad_left;
    for (uint32_t left = out.w; left; left--, x += stride, to += in.c * out_bytes) {
      const int32_t first = x > 0 ? x : 0, end = x + kernel < width ? x + kernel : width;
      const dqnn_window w = {row + (uint32_t)first * in.c, y.count, (uint32_t)(end - first), in.w * in.c, in.c};
      reduce(call, &w, in.c, to);
    }
  }
}

/* ---- maximum ---- */

/* The largest of each of sixteen channels; whole, a constant: bytes that are not among `lanes` are read, too. */
DQNN_ALWAYS_INLINE int8x16_t largest(const dqnn_window *w, const uint8_t *from, mve_pred16_t lanes, int whole) {
  int8x16_t most = vdupq_n_s8(INT8_MIN);
  for (uint32_t rows = w->rows; rows; rows--, from += w->row_bytes) {
    const int8_t *cell = (const int8_t *)from;
    for (uint32_t columns = w->columns; columns; columns--, cell += w->cell_bytes) {
      most = vmaxq_s8(most, whole ? vld1q_s8(cell) : vld1q_z_s8(cell, lanes));
    }
  }
  return most;
}

static void max_s8(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  uint32_t c = 0;
  (void)call;
  for (; c + STEP <= units; c += STEP) {
    vst1q_s8((int8_t *)out + c, largest(w, w->first + c, 0, 1));
  }
  if (c < units) {
    const mve_pred16_t lanes = vctp8q(units - c);
    vstrbq_p_s8((int8_t *)out + c, largest(w, w->first + c, lanes, 0), lanes);
  }
}

void dqnn_run_maxpool_s8_mve(const dqnn_call *call) {
  run_windows(call, max_s8, 1);
}

/* ---- average ---- */

/* Stored values of up to sixteen channels. */
DQNN_NOINLINE void sum_channels(const dqnn_window *w, const uint8_t *from, uint32_t count, int32_t sums[STEP]) {
  dqnn_byte_sums s = dqnn_no_bytes();
  for (uint32_t rows = w->rows; rows; rows--, from += w->row_bytes) {
    s = dqnn_add_bytes_of(s, (const int8_t *)from, w->cell_bytes, w->columns, count);
  }
  dqnn_put_halves(s.low, sums);
  dqnn_put_halves(s.high, sums + STEP / 2);
}

/* Vectors have no division; of powers of two there is a product with the same bits, as no result is a denormal. */
static float32x4_t divide(float32x4_t x, uint32_t cells) {
  if ((cells & (cells - 1)) == 0) {
    return vmulq_n_f32(x, 1.0f / (float)cells);
  }
  const float by = (float)cells;
  float four[4];
  vst1q_f32(four, x);
  four[0] /= by;
  four[1] /= by;
  four[2] /= by;
  four[3] /= by;
  return vld1q_f32(four);
}

/* `count` of four means, rounded half to even. */
static void put_bytes(const dqnn_call *call, float32x4_t mean, mve_pred16_t lanes, int8_t *out) {
  const int32_t zero_point = call->out_def->zero_point;
  int32x4_t x = vcvtnq_s32_f32(vmulq_n_f32(mean, *(const float *)call->constants[0])); /* saturates */
  x = vminq_s32(vmaxq_s32(x, vdupq_n_s32(-128 - zero_point)), vdupq_n_s32(127 - zero_point));
  vstrbq_p_s32(out, vaddq_n_s32(x, zero_point), lanes);
}

static void average(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  const dqnn_tensor_def *in = call->in_def[0];
  const uint32_t cells = w->rows * w->columns;
  const int32_t zero = (int32_t)cells * in->zero_point;
  for (uint32_t c = 0; c < units; c += STEP) {
    const uint32_t count = units - c < STEP ? units - c : STEP;
    int32_t sums[STEP];
    sum_channels(w, w->first + c, count, sums);
    for (uint32_t i = 0; i < count; i += 4) {
      const mve_pred16_t lanes = vctp32q(count - i);
      float32x4_t mean = vmulq_n_f32(vcvtq_f32_s32(vsubq_n_s32(vld1q_s32(sums + i), zero)), in->scale);
      mean = divide(mean, cells);
      if (call->out_def->dtype == DQNN_F32) {
        vst1q_p_f32((float *)(void *)out + c + i, mean, lanes);
      } else {
        put_bytes(call, mean, lanes, (int8_t *)out + c + i);
      }
    }
  }
}

/* Of the codes as they are, half away from zero. (n * m) >> 32 is n / cells for these sums with m = 2^32 / cells,
 * rounded up: it is too large by less than n / 2^32 * cells. */
static void average_raw(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  const uint32_t cells = w->rows * w->columns, multiplier = cells > 1 ? UINT32_MAX / cells + 1 : 0;
  (void)call;
  for (uint32_t c = 0; c < units; c += STEP) {
    const uint32_t count = units - c < STEP ? units - c : STEP;
    int32_t sums[STEP];
    sum_channels(w, w->first + c, count, sums);
    for (uint32_t i = 0; i < count; i += 4) {
      const int32x4_t sum = vld1q_s32(sums + i), sign = vshrq_n_s32(sum, 31);
      uint32x4_t n = vaddq_n_u32(vreinterpretq_u32_s32(vabsq_s32(sum)), cells / 2);
      n = cells > 1 ? vmulhq_u32(n, vdupq_n_u32(multiplier)) : n;
      const int32x4_t mean = vsubq_s32(veorq_s32(vreinterpretq_s32_u32(n), sign), sign);
      vstrbq_p_s32((int8_t *)out + c + i, mean, vctp32q(count - i));
    }
  }
}

static int fits_halfwords(const dqnn_call *call) {
  const dqnn_pool_params *p = (const dqnn_pool_params *)call->params;
  return (uint64_t)p->kernel_h * p->kernel_w <= DQNN_BYTE_CELLS;
}

/* No product is a denormal, which vectors take for 0, nor a mean infinite. */
static int is_common(const dqnn_call *call) {
  const float scale = call->in_def[0]->scale;
  return fits_halfwords(call) && scale > 1e-30f && scale < 1e30f;
}

void dqnn_run_avgpool_s8_s8_mve(const dqnn_call *call) {
  if (is_common(call)) {
    run_windows(call, average, 1);
  } else {
    dqnn_run_avgpool_s8_s8_portable(call);
  }
}
void dqnn_run_avgpool_s8_f32_mve(const dqnn_call *call) {
  if (is_common(call)) {
    run_windows(call, average, 4);
  } else {
    dqnn_run_avgpool_s8_f32_portable(call);
  }
}
void dqnn_run_avgpool_s8_raw_mve(const dqnn_call *call) {
  if (fits_halfwords(call)) {
    run_windows(call, average_raw, 1);
  } else {
    dqnn_run_avgpool_s8_raw_portable(call);
  }
}
#endif
